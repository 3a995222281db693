-- Claims, and the ends of their leases. {AT} is from when an open row can be claimed.

-- name: ready
outcome IS NULL AND (sends > 0) = :retry AND {AT} <= :now ORDER BY {AT}, item.id

-- name: columns
item.id, session_id, round, attempts, sends, recorded, ambiguous, finals_seen, source.name AS source,
    cancel_by IS NOT NULL AS cancelled

-- name: claimable
SELECT {columns}
FROM item INDEXED BY item_open CROSS JOIN source ON source.id = source_id WHERE {ready}

-- name: claimable_of_small_set
SELECT {columns}
FROM temp.member CROSS JOIN item ON item.id = member.id CROSS JOIN source ON source.id = source_id
WHERE set_id = :set_id AND {ready}

-- name: claimable_of_large_set
SELECT {columns}
FROM item INDEXED BY item_open CROSS JOIN temp.member ON set_id = :set_id AND member.id = item.id
CROSS JOIN source ON source.id = source_id WHERE {ready}

-- One row for all of them: each step of a statement releases the interpreter and has to acquire it again.
-- name: as_one
SELECT json_group_array(json_array(
    id, session_id, round, attempts, sends, recorded, ambiguous, finals_seen, source, cancelled
))

-- name: find
{as_one} FROM ({claimable} LIMIT :limit)

-- name: find_in_small_set
{as_one} FROM ({claimable_of_small_set} LIMIT :limit)

-- name: find_in_large_set
{as_one} FROM ({claimable_of_large_set} LIMIT :limit)

-- name: claim
UPDATE item SET sends = sends + 1, owner = :owner,
    receipt = claimed.value || '.' || :owner || '.' || (:turn + claimed.key), lease_until = :until,
    finals_before = finals_seen, finals_seen = :finals
FROM json_each(:ids) AS claimed WHERE item.id = claimed.value

-- name: claimed_row
SELECT id, history, attempts, sends, recorded, ambiguous, finals_seen, finals_before, due_at, cancel_by IS NOT NULL
FROM item WHERE session_id = ? AND receipt = ?

-- name: end_lease
UPDATE item SET attempts = ?, sends = ?, recorded = ?, ambiguous = ?, finals_seen = ?, due_at = ?, history = ?,
    outcome = ?, status = ?, detail = ?, settled_at = ?, owner = NULL, receipt = NULL, lease_until = NULL,
    by = CASE WHEN ? THEN cancel_by ELSE by END, reason = CASE WHEN ? THEN cancel_reason ELSE reason END,
    cancel_by = NULL, cancel_reason = NULL
WHERE id = ?

-- name: next_at
SELECT {AT} FROM item INDEXED BY item_open WHERE outcome IS NULL AND (sends > 0) = ? ORDER BY {AT} LIMIT 1

-- name: counter
SELECT value FROM counter WHERE name = ?

-- name: write_heartbeat
INSERT OR REPLACE INTO owner (owner, pid, started_at, told_at, "limit", pauses) VALUES (?, ?, ?, ?, ?, ?)
