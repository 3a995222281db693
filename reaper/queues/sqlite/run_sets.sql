-- Run sets: row IDs in a table that only this connection sees.

-- name: state
CASE WHEN outcome IS NOT NULL THEN outcome WHEN {IS_DUE} THEN '+ready' WHEN receipt IS NOT NULL
THEN '+in_flight' WHEN sends > 0 THEN '+retrying' ELSE '+scheduled' END

-- name: view
SELECT {state} AS state, count(*), min(due_at) FROM temp.member CROSS JOIN item ON item.id = member.id
WHERE set_id = :set_id GROUP BY state

-- name: settled_before
SELECT outcome, count(*) FROM temp.member CROSS JOIN item ON item.id = member.id
WHERE set_id = :set_id AND outcome IS NOT NULL AND settled_at < :at GROUP BY outcome

-- name: include
INSERT OR IGNORE INTO temp.member (set_id, id)
SELECT ?, id FROM item WHERE session_id IN (SELECT value FROM json_each(?))

-- name: include_due
INSERT OR IGNORE INTO temp.member (set_id, id)
SELECT :set_id, id FROM (
    SELECT id, due_at FROM item INDEXED BY item_open
    WHERE outcome IS NULL AND {KIND} = 0 AND (sends > 0) IN (0, 1)
    UNION ALL
    SELECT id, due_at FROM item INDEXED BY item_open
    WHERE outcome IS NULL AND {KIND} = 1 AND (sends > 0) IN (0, 1)
        AND (due_at <= :now OR {TOO_FAR})
    UNION ALL
    SELECT id, due_at FROM item INDEXED BY item_leased WHERE receipt IS NOT NULL
) AS due WHERE NOT EXISTS (SELECT 1 FROM temp.member WHERE set_id = :set_id AND member.id = due.id)
ORDER BY due_at, id LIMIT :more

-- name: at
CASE WHEN {IS_DUE} THEN min(due_at, :now) WHEN receipt IS NOT NULL THEN :now + lease_until - :steady ELSE due_at END

-- name: next_of_small
SELECT min({at}) FROM temp.member CROSS JOIN item ON item.id = member.id
WHERE set_id = :set_id AND outcome IS NULL AND (sends > 0 OR {IS_DUE})

-- name: next_of_large
SELECT {at} FROM item INDEXED BY item_open CROSS JOIN temp.member ON set_id = :set_id AND member.id = item.id
WHERE outcome IS NULL AND (sends > 0) = :retry AND {KIND} = :kind
    AND (:retry OR NOT :kind OR due_at <= :now) ORDER BY due_at LIMIT 1

-- name: next_lease_of_large
SELECT {at} FROM item INDEXED BY item_leased CROSS JOIN temp.member ON set_id = :set_id AND member.id = item.id
WHERE receipt IS NOT NULL ORDER BY lease_until LIMIT 1

-- name: page
SELECT member.id, session_id FROM temp.member CROSS JOIN item ON item.id = member.id
WHERE set_id = ? AND member.id > ? ORDER BY member.id LIMIT 1000

-- name: size
SELECT count(*) FROM temp.member WHERE set_id = ?

-- name: has_more_than
SELECT 1 FROM temp.member WHERE set_id = ? LIMIT 1 OFFSET ?
