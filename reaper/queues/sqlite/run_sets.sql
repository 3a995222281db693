-- Run sets: row IDs in a table that only this connection sees.

-- name: state
CASE WHEN outcome IS NOT NULL THEN outcome WHEN {AT} <= :now THEN '+ready' WHEN lease_until IS NOT NULL
THEN '+in_flight' WHEN sends > 0 THEN '+retrying' ELSE '+delayed' END

-- name: view
SELECT {state} AS state, count(*) FROM temp.member CROSS JOIN item ON item.id = member.id
WHERE set_id = :set_id GROUP BY state

-- name: include_due
INSERT OR IGNORE INTO temp.member (set_id, id)
SELECT :set_id, id FROM (
    SELECT id, {AT} AS at FROM item INDEXED BY item_open WHERE outcome IS NULL AND (sends > 0) = 0 AND {AT} <= :now
    UNION ALL
    SELECT id, {AT} AS at FROM item INDEXED BY item_open WHERE outcome IS NULL AND (sends > 0) = 1
        AND ({AT} <= :now OR lease_until IS NOT NULL)
) AS due WHERE NOT EXISTS (SELECT 1 FROM temp.member WHERE set_id = :set_id AND member.id = due.id)
ORDER BY at, id LIMIT :more

-- name: next_of_small
SELECT min({AT}) FROM temp.member CROSS JOIN item ON item.id = member.id
WHERE set_id = :set_id AND outcome IS NULL AND (sends > 0 OR {AT} <= :now)

-- name: next_of_large
SELECT {AT} FROM item INDEXED BY item_open CROSS JOIN temp.member ON set_id = :set_id AND member.id = item.id
WHERE outcome IS NULL AND (sends > 0) = :retry AND {AT} <= :until ORDER BY {AT} LIMIT 1

-- name: page
SELECT member.id, session_id FROM temp.member CROSS JOIN item ON item.id = member.id
WHERE set_id = ? AND member.id > ? ORDER BY member.id LIMIT 1000

-- name: size
SELECT count(*) FROM temp.member WHERE set_id = ?

-- name: has_more_than
SELECT 1 FROM temp.member WHERE set_id = ? LIMIT 1 OFFSET ?
