-- Batches, positions and rejected lines.

-- name: these
session_id IN (SELECT value FROM json_each(?))

-- name: insert
INSERT INTO item (session_id, source_id, added_at, due_at, wait_s) VALUES (?, ?, ?, ?, ?) ON CONFLICT (session_id) DO NOTHING

-- name: newest
SELECT coalesce(max(id), 0) FROM item

-- name: known
SELECT session_id, id, outcome FROM item WHERE id <= ? AND {these}

-- name: reopen
UPDATE item SET round = round + 1, source_id = coalesce(?, source_id), due_at = ?, wait_s = ?, attempts = 0, sends = 0,
    recorded = 0, ambiguous = 0, finals_seen = 0, finals_before = 0, cancel_by = NULL, cancel_reason = NULL,
    outcome = NULL, status = NULL, detail = NULL, settled_at = NULL, by = ?, reason = ?, history = '[]',
    first_due_at = NULL
WHERE id = ?

-- Ends the lease as well: it may have expired.
-- name: postpone
UPDATE item SET due_at = :due_at, first_due_at = NULL, wait_s = :wait_s, owner = NULL, receipt = NULL, lease_until = NULL,
    by = CASE WHEN {IS_OURS} THEN by ELSE :by END, reason = CASE WHEN {IS_OURS} THEN reason ELSE :reason END
WHERE id = :id AND outcome IS NULL AND cancel_by IS NULL AND NOT coalesce(lease_until > :steady, 0)

-- name: add_source
INSERT INTO intake_source (name) VALUES (?) ON CONFLICT (name) DO NOTHING

-- name: source_id
SELECT id FROM intake_source WHERE name = ?

-- name: count_by_source
UPDATE intake_source SET accepted = accepted + ?, duplicate = duplicate + ?, invalid = invalid + ? WHERE id = ?

-- name: keep_invalid
INSERT INTO invalid_line (source_id, at, line, reason, text) VALUES (?, ?, ?, ?, ?)

-- name: drop_old_invalid
DELETE FROM invalid_line WHERE id <= (SELECT max(id) FROM invalid_line) - ?

-- name: keep_position
INSERT OR REPLACE INTO position (path, device, inode, prefix_bytes, prefix_hash, "offset", line)
VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: positions
SELECT path, device, inode, prefix_bytes, prefix_hash, "offset", line FROM position ORDER BY path
