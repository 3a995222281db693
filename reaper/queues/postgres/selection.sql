-- What is read of a strand: `STRAND` is its range, `BY` the expression that orders it, `OUTCOME` the column of settled rows.
-- Of open ones it is NULL: so nothing but a source makes a count leave the index.

-- name: REST
{STRAND} AND ({BY}, id) > (coalesce(%(at)s::timestamptz, to_timestamp(%(begin)s::float8)), %(id)s)

-- name: MATCHES
(%(source)s = '' OR strpos(source, %(source)s) > 0) AND ({OUTCOME} IS NULL OR {OUTCOME} = ANY(%(outcomes)s))

-- name: count
SELECT {OUTCOME}, count(*) {REST} AND {MATCHES} GROUP BY 1

-- For one transaction: a table that was filled and not analyzed since looks so small that the planner would sort all of it
-- for each page. What it may not do costs so much in its eyes that it would compile the rest (jit).
-- name: along_the_index
SELECT set_config('enable_sort', 'off', true), set_config('jit', 'off', true)

-- The rows that match among the next of the strand, and the last of these in any case: there the next page begins.
-- name: page
WITH next AS MATERIALIZED (SELECT id, {BY} AS at {REST} ORDER BY {BY}, id LIMIT %(limit)s),
page AS MATERIALIZED (SELECT id AS page_id, at, row_number() OVER (ORDER BY at, id) AS number FROM next)
SELECT {COLUMNS}, {MATCHES}, number, at::text
FROM page JOIN reaper_session ON id = page_id WHERE number = %(limit)s OR {MATCHES} ORDER BY number
