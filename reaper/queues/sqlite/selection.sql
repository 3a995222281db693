-- What is read of a strand: `STRAND` is its range, `AT` the column that orders it, `OUTCOME` that of settled rows. Of open
-- ones it is NULL: so nothing but a source makes a count leave the index.

-- name: REST
{STRAND} AND ({AT}, id) > (:at, :id)

-- name: MATCHES
(:source = '' OR source_id IN (SELECT id FROM intake_source WHERE instr(name, :source)))
    AND ({OUTCOME} IS NULL OR {OUTCOME} IN (SELECT value FROM json_each(:outcomes)))

-- name: count
SELECT {OUTCOME}, count(*) {REST} AND {MATCHES} GROUP BY 1

-- The rows that match among the next of the strand, and the last of these in any case: there the next page begins.
-- name: page
WITH next AS MATERIALIZED (SELECT id, {AT} AS at {REST} ORDER BY {AT}, id LIMIT :limit),
page AS (SELECT id, at, row_number() OVER (ORDER BY at, id) AS number FROM next)
SELECT session_id, outcome, source.name, added_at, due_at, round, attempts, sends, recorded, history, status, detail,
    settled_at, by, reason, lease_until, item.id, wait_s, owner, at, number, {MATCHES}
FROM page CROSS JOIN item ON item.id = page.id CROSS JOIN intake_source AS source ON source.id = source_id
WHERE number = :limit OR {MATCHES} ORDER BY number
