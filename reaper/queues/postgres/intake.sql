-- In the order of the session IDs, so that two processes that add the same ones wait for each other and never deadlock;
-- numbered beforehand in the order they came, which is their place among equal due times.
-- name: add
WITH asked AS MATERIALIZED (
    SELECT session_id, {NOW} AS added_at, nextval('reaper_session_id_seq') AS id,
        coalesce(to_timestamp(due_at), {NOW} + make_interval(secs => %(later_s)s)) AS due_at
    FROM unnest(%(ids)s::text[], %(dues)s::float8[]) WITH ORDINALITY AS a (session_id, due_at, place) ORDER BY place
),
new AS (
    INSERT INTO reaper_session (id, session_id, source, added_at, due_at)
    SELECT id, session_id, %(source)s, added_at, due_at FROM asked ORDER BY session_id COLLATE "C"
    ON CONFLICT (session_id) DO NOTHING RETURNING session_id
),
known AS MATERIALIZED (
    SELECT s.id, s.outcome, asked.due_at FROM reaper_session s JOIN asked USING (session_id)
    WHERE (cardinality(%(again)s::text[]) > 0 OR %(or_postpone)s)
        AND CASE WHEN s.outcome IS NOT NULL THEN s.outcome = ANY(%(again)s::text[])
        ELSE %(or_postpone)s AND s.cancel_by IS NULL AND coalesce(s.lease_until <= {NOW}, true) END
    ORDER BY s.session_id FOR UPDATE OF s
),
renewed AS (
    UPDATE reaper_session s SET source = %(source)s, due_at = known.due_at, by = %(by)s, reason = NULL,
        outcome = NULL, settled_at = NULL, {NEW_ROUND}
    FROM known WHERE s.id = known.id AND known.outcome IS NOT NULL RETURNING s.session_id, known.outcome
),
moved AS (
    UPDATE reaper_session s SET {FREE}, due_at = known.due_at, first_due_at = NULL,
        by = CASE WHEN {IS_OURS} THEN by ELSE %(by)s END, reason = CASE WHEN {IS_OURS} THEN reason ELSE %(reason)s END
    FROM known WHERE s.id = known.id AND known.outcome IS NULL RETURNING s.session_id
),
taken AS (SELECT (SELECT count(*) FROM new) AS new, (SELECT count(*) FROM renewed) AS renewed),
counts AS (
    SELECT 'reopened.' || outcome, '', count(*) FROM renewed GROUP BY outcome
    UNION ALL SELECT names.name, names.source, numbers.number FROM taken, LATERAL (VALUES
        ('accepted', taken.renewed), ('duplicate', %(all)s - taken.new - taken.renewed), ('invalid', %(invalid)s)
    ) AS numbers (kind, number), LATERAL (VALUES
        (numbers.kind, ''), ('by_source.' || numbers.kind, %(source)s)
    ) AS names (name, source)
),
counted AS ({ADD_COUNTS})
SELECT ARRAY(SELECT session_id FROM new UNION ALL SELECT session_id FROM renewed), ARRAY(SELECT session_id FROM moved)

-- name: add_members
INSERT INTO reaper_member (set_id, id) SELECT %(set_id)s, id FROM reaper_session WHERE session_id = ANY(%(ids)s)
ON CONFLICT DO NOTHING

-- name: keep_invalid
INSERT INTO reaper_invalid_line (source, at, line, reason, text)
SELECT %(source)s, {NOW}, * FROM unnest(%(lines)s::bigint[], %(reasons)s::text[], %(texts)s::text[])

-- name: drop_old_invalid
DELETE FROM reaper_invalid_line WHERE id <= (SELECT max(id) FROM reaper_invalid_line) - %(kept)s
