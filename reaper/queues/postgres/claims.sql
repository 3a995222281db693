-- What workers do to rows: claim and apply, many at a time, one statement each.

-- name: READY
outcome IS NULL AND cancel_by IS NULL AND {AT} <= {NOW} {OF_SET}

-- Locks rows as they are taken up, so the outer LIMIT locks no more than it takes; the inner one lets the planner know how
-- few they will be.
-- name: OLDEST
ORDER BY {AT}, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED

-- name: claim
WITH over AS MATERIALIZED (SELECT id FROM reaper_session s WHERE {OVER} LIMIT 1000 FOR UPDATE SKIP LOCKED),
ended AS (UPDATE reaper_session s SET {CANCELLED} FROM over WHERE s.id = over.id RETURNING 1),
cancelled AS (SELECT count(*) AS n FROM ended),
counts AS ({COUNT_CANCELLED}),
counted AS ({ADD_COUNTS}),
retries AS MATERIALIZED (
    SELECT id, at FROM (SELECT id, {AT} AS at FROM reaper_session s WHERE sends > 0 AND {READY} {OLDEST}) AS ready
    LIMIT %(turns)s
),
firsts AS MATERIALIZED (
    SELECT id, at FROM (SELECT id, {AT} AS at FROM reaper_session s WHERE sends = 0 AND {READY} {OLDEST}) AS ready
    LIMIT %(limit)s - (SELECT count(*) FROM retries)
),
more AS MATERIALIZED (
    SELECT id, at FROM (
        SELECT id, {AT} AS at FROM reaper_session s
        WHERE sends > 0 AND {READY} AND id <> ALL(ARRAY(SELECT r.id FROM retries r)) {OLDEST}
    ) AS ready
    LIMIT %(limit)s - (SELECT count(*) FROM retries) - (SELECT count(*) FROM firsts)
),
chosen AS (
    SELECT id, at, row_number() OVER () AS number
    FROM (SELECT * FROM firsts UNION ALL SELECT * FROM retries UNION ALL SELECT * FROM more) AS every
),
finals AS (SELECT coalesce(sum(value), 0)::bigint AS now FROM reaper_counter WHERE name = 'finals')
UPDATE reaper_session s SET sends = sends + 1, owner = %(owner)s, receipt = %(receipts)s || chosen.number,
    lease_until = {NOW} + make_interval(secs => %(lease_s)s), finals_before = finals_seen, finals_seen = finals.now
FROM chosen, finals WHERE s.id = chosen.id
RETURNING extract(epoch FROM chosen.at)::float8, s.id, session_id, receipt, round, attempts, sends, recorded, ambiguous,
    finals_seen > finals_before, source, extract(epoch FROM lease_until)::float8,
    extract(epoch FROM coalesce(first_due_at, due_at))::float8

-- name: apply
WITH asked AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(asked)s::jsonb) AS a (
        number integer, session_id text, receipt text, attempts integer, sends integer,
        recorded integer, ambiguous boolean, sent boolean, after_s float8, send jsonb,
        outcome text, status integer, detail text, counts text[],
        c_outcome text, c_status integer, c_detail text, c_counts text[]
    )
),
ended AS (
    UPDATE reaper_session s SET
        attempts = s.attempts + a.attempts, sends = s.sends + a.sends, recorded = s.recorded + a.recorded,
        ambiguous = s.ambiguous OR a.ambiguous,
        finals_seen = CASE WHEN a.sent THEN s.finals_seen ELSE s.finals_before END,
        first_due_at = CASE WHEN a.after_s IS NULL THEN s.first_due_at ELSE coalesce(s.first_due_at, s.due_at) END,
        due_at = CASE WHEN a.after_s IS NULL THEN s.due_at ELSE {NOW} + make_interval(secs => a.after_s) END,
        history = CASE WHEN a.send IS NULL THEN s.history
            WHEN jsonb_array_length(s.history) >= {MAX_HISTORY} THEN (s.history - 0) || a.send
            ELSE s.history || a.send END,
        outcome = CASE WHEN s.cancel_by IS NULL THEN a.outcome ELSE a.c_outcome END,
        status = CASE WHEN s.cancel_by IS NULL THEN a.status ELSE a.c_status END,
        detail = CASE WHEN s.cancel_by IS NULL THEN a.detail ELSE a.c_detail END,
        settled_at = CASE WHEN s.cancel_by IS NOT NULL OR a.outcome IS NOT NULL THEN {NOW} END,
        by = CASE WHEN s.cancel_by IS NOT NULL AND a.c_outcome = 'cancelled' THEN s.cancel_by ELSE s.by END,
        reason = CASE WHEN s.cancel_by IS NOT NULL AND a.c_outcome = 'cancelled' THEN s.cancel_reason
            ELSE s.reason END,
        cancel_by = CASE WHEN a.outcome = 'already_gone' THEN s.cancel_by END,
        cancel_reason = CASE WHEN a.outcome = 'already_gone' THEN s.cancel_reason END,
        ended_receipt = a.receipt, {RELEASE}
    FROM asked a WHERE s.session_id = a.session_id AND s.receipt = a.receipt
    RETURNING a.number, CASE WHEN s.outcome = a.c_outcome THEN a.c_counts ELSE a.counts END AS names, s.outcome,
        {LATENCY_BUCKETS}[1 + width_bucket(
            extract(epoch FROM {NOW} - coalesce(s.first_due_at, s.due_at))::float8, {LATENCY_BOUNDS}::float8[]
        )] AS latency
),
counts AS (
    SELECT name, '', count(*) FROM ended, unnest(ended.names) AS name GROUP BY name
    UNION ALL SELECT 'history', {SLOT} || name, count(*)
    FROM ended, LATERAL (VALUES (outcome), (CASE WHEN outcome <> 'cancelled' THEN latency END)) AS names (name)
    WHERE name IS NOT NULL AND outcome IS NOT NULL GROUP BY name
),
counted AS ({ADD_COUNTS})
SELECT number FROM ended

-- Finds results that are written already. A statement of its own, which sees what was committed while `apply` waited:
-- an apply whose caller gave up may still have been running on the server.
-- name: find_applied
SELECT number
FROM unnest(%(numbers)s::integer[], %(ids)s::text[], %(receipts)s::text[]) AS a (number, session_id, ended)
JOIN reaper_session s USING (session_id) WHERE s.ended_receipt = a.ended

-- name: IN_SMALL_SET
AND id = ANY(ARRAY(SELECT m.id FROM reaper_member m WHERE m.set_id = %(set_id)s))

-- A scalar query and no EXISTS: it stays a filter on the index in its order, whatever the planner knows of the set.
-- name: IN_LARGE_SET
AND (SELECT true FROM reaper_member m WHERE m.set_id = %(set_id)s AND m.id = s.id)

-- name: next_at
SELECT extract(epoch FROM least(
    (SELECT min({AT}) FROM reaper_session WHERE outcome IS NULL AND sends = 0),
    (SELECT min({AT}) FROM reaper_session WHERE outcome IS NULL AND sends > 0)
))::float8

-- name: paused
SELECT value FROM reaper_setting
WHERE name = 'pause' AND ((value->>'until') IS NULL OR to_timestamp((value->>'until')::float8) > {NOW})

-- name: time_and_version
SELECT extract(epoch FROM clock_timestamp())::float8,
    (SELECT value::text::integer FROM reaper_setting WHERE name = 'schema')
