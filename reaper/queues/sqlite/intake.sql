-- Batches, positions and rejected lines.

-- name: these
session_id IN (SELECT value FROM json_each(?))

-- name: insert
INSERT INTO item (session_id, source_id, added_at, due_at) VALUES (?, ?, ?, ?) ON CONFLICT (session_id) DO NOTHING

-- name: newest
SELECT coalesce(max(id), 0) FROM item

-- name: known
SELECT session_id, id, outcome FROM item WHERE id <= ? AND {these}

-- name: reopen
UPDATE item SET round = round + 1, source_id = coalesce(?, source_id), due_at = ?, attempts = 0, sends = 0,
    recorded = 0, ambiguous = 0, finals_seen = 0, finals_before = 0, cancel_by = NULL, cancel_reason = NULL,
    outcome = NULL, status = NULL, detail = NULL, settled_at = NULL, by = ?, reason = ?, history = '[]'
WHERE id = ?

-- name: add_to_set
INSERT OR IGNORE INTO temp.member (set_id, id) SELECT ?, id FROM item WHERE {these}

-- name: add_source
INSERT INTO source (name) VALUES (?) ON CONFLICT (name) DO NOTHING

-- name: source_id
SELECT id FROM source WHERE name = ?

-- name: count_by_source
UPDATE source SET accepted = accepted + ?, duplicate = duplicate + ?, invalid = invalid + ? WHERE id = ?

-- name: keep_invalid
INSERT INTO invalid_line (source_id, at, line, reason, text) VALUES (?, ?, ?, ?, ?)

-- name: drop_old_invalid
DELETE FROM invalid_line WHERE id <= (SELECT max(id) FROM invalid_line) - ?

-- name: keep_position
INSERT OR REPLACE INTO position (path, device, inode, prefix_bytes, prefix_hash, "offset", line)
VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: positions
SELECT path, device, inode, prefix_bytes, prefix_hash, "offset", line FROM position ORDER BY path
