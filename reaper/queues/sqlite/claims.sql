-- Claims, and the ends of their leases.

-- name: columns
item.id, session_id, round, attempts, sends, recorded, ambiguous, finals_seen, source.name AS source,
    cancel_by IS NOT NULL AS cancelled, coalesce(first_due_at, due_at) AS first_due

-- Due now, due since, and leases that are over, each along its index: the three are merged.
-- name: claimable
SELECT item.id AS chosen, due_at AS at FROM item INDEXED BY item_open
WHERE outcome IS NULL AND (sends > 0) = :retry AND {KIND} = 0
UNION ALL
SELECT item.id, due_at FROM item INDEXED BY item_open
WHERE outcome IS NULL AND (sends > 0) = :retry AND {KIND} = 1 AND due_at <= :now
UNION ALL
SELECT item.id, due_at FROM item INDEXED BY item_leased
WHERE receipt IS NOT NULL AND lease_until <= :steady AND :retry
ORDER BY at, chosen LIMIT :limit

-- name: claimable_of_small_set
SELECT item.id AS chosen, due_at AS at FROM temp.member CROSS JOIN item ON item.id = member.id
WHERE set_id = :set_id AND outcome IS NULL AND (sends > 0) = :retry AND {IS_DUE} ORDER BY at, chosen LIMIT :limit

-- name: in_set
CROSS JOIN temp.member ON set_id = :set_id AND member.id = item.id

-- name: claimable_of_large_set
SELECT item.id AS chosen, due_at AS at FROM item INDEXED BY item_open {in_set}
WHERE outcome IS NULL AND (sends > 0) = :retry AND {KIND} = 0
UNION ALL
SELECT item.id, due_at FROM item INDEXED BY item_open {in_set}
WHERE outcome IS NULL AND (sends > 0) = :retry AND {KIND} = 1 AND due_at <= :now
UNION ALL
SELECT item.id, due_at FROM item INDEXED BY item_leased {in_set}
WHERE receipt IS NOT NULL AND lease_until <= :steady AND :retry
ORDER BY at, chosen LIMIT :limit

-- name: rows_of
SELECT {columns} FROM chosen CROSS JOIN item ON item.id = chosen CROSS JOIN intake_source AS source
ON source.id = source_id ORDER BY at, chosen

-- One row for all of them: each step of a statement releases the interpreter and has to acquire it again.
-- name: as_one
SELECT json_group_array(json_array(
    id, session_id, round, attempts, sends, recorded, ambiguous, finals_seen, source, first_due, cancelled
))

-- name: find
WITH chosen AS ({claimable}) {as_one} FROM ({rows_of})

-- name: find_in_small_set
WITH chosen AS ({claimable_of_small_set}) {as_one} FROM ({rows_of})

-- name: find_in_large_set
WITH chosen AS ({claimable_of_large_set}) {as_one} FROM ({rows_of})

-- name: claim
UPDATE item SET sends = sends + 1, owner = :owner,
    receipt = id || '.' || :owner || '.' || :turn, lease_until = :until,
    finals_before = finals_seen, finals_seen = :finals
WHERE id IN (SELECT value FROM json_each(:ids))

-- name: claimed_row
SELECT id, history, attempts, sends, recorded, ambiguous, finals_seen, finals_before, due_at, cancel_by IS NOT NULL
FROM item WHERE session_id = ? AND receipt = ?

-- name: end_lease
UPDATE item SET attempts = ?, sends = ?, recorded = ?, ambiguous = ?, finals_seen = ?, due_at = ?,
    first_due_at = CASE WHEN ? IS NULL THEN first_due_at ELSE coalesce(first_due_at, due_at) END,
    wait_s = coalesce(?, wait_s), history = ?,
    outcome = ?, status = ?, detail = ?, settled_at = ?, owner = NULL, receipt = NULL, lease_until = NULL,
    by = CASE WHEN ? THEN cancel_by ELSE by END, reason = CASE WHEN ? THEN cancel_reason ELSE reason END,
    cancel_by = CASE WHEN ? THEN cancel_by END, cancel_reason = CASE WHEN ? THEN cancel_reason END
WHERE id = ?

-- name: next_due
SELECT due_at FROM item INDEXED BY item_open
WHERE outcome IS NULL AND (sends > 0) = :retry AND {KIND} = :kind ORDER BY due_at LIMIT 1

-- name: next_lease
SELECT lease_until FROM item INDEXED BY item_leased WHERE receipt IS NOT NULL ORDER BY lease_until LIMIT 1

-- name: counter
SELECT value FROM counter WHERE name = ?

-- name: write_heartbeat
INSERT OR REPLACE INTO process (owner, pid, started_at, told_at, "limit", pauses) VALUES (?, ?, ?, ?, ?, ?)
