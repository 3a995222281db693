-- name: COUNTERS
(SELECT coalesce(jsonb_object_agg(name, value), '{}') FROM (
    SELECT name, sum(value)::bigint AS value FROM reaper_counter GROUP BY name
) AS counters) AS counters

-- name: FIGURES
{COUNTERS},
(SELECT jsonb_build_object(
    'ready', count(*) FILTER (WHERE {AT} <= {NOW}), 'in_flight', count(*) FILTER (WHERE lease_until > {NOW}),
    'scheduled', count(*) FILTER (WHERE sends = 0 AND {AT} > {NOW}),
    'retrying', count(*) FILTER (WHERE sends > 0 AND lease_until IS NULL AND due_at > {NOW}),
    'oldest', extract(epoch FROM min({AT}))::float8,
    'next_scheduled', extract(epoch FROM min(due_at) FILTER (WHERE sends = 0 AND {AT} > {NOW}))::float8,
    'next_retry',
    extract(epoch FROM min(due_at) FILTER (WHERE sends > 0 AND lease_until IS NULL AND due_at > {NOW}))::float8,
    'now', extract(epoch FROM {NOW})::float8
) FROM reaper_session WHERE outcome IS NULL) AS open_rows

-- name: count_all
SELECT {FIGURES}

-- name: FIRST
FROM reaper_session WHERE outcome IS NULL AND sends = 0

-- name: RETRY
FROM reaper_session WHERE outcome IS NULL AND sends > 0

-- Each kind along its index and no further than to the most that is counted; all that is leased was sent.
-- name: count_few
SELECT {COUNTERS}, jsonb_build_object(
    'ready_first', (SELECT count(*) FROM (SELECT {FIRST} AND {AT} <= {NOW} LIMIT %(most)s) AS kind),
    'later_first', (SELECT count(*) FROM (SELECT {FIRST} AND {AT} > {NOW} LIMIT %(most)s) AS kind),
    'ready_retry', (SELECT count(*) FROM (SELECT {RETRY} AND {AT} <= {NOW} LIMIT %(most)s) AS kind),
    'later_retry', (SELECT count(*) FROM (SELECT {RETRY} AND {AT} > {NOW} LIMIT %(most)s) AS kind),
    'in_flight', (SELECT count(*) FROM reaper_session WHERE receipt IS NOT NULL AND lease_until > {NOW}),
    'oldest', extract(epoch FROM least((SELECT min({AT}) {FIRST}), (SELECT min({AT}) {RETRY})))::float8,
    'next_scheduled', extract(epoch FROM (SELECT min({AT}) {FIRST} AND {AT} > {NOW}))::float8,
    'next_retry', extract(epoch FROM (
        SELECT due_at {RETRY} AND lease_until IS NULL AND {AT} > {NOW} ORDER BY {AT}, id LIMIT 1
    ))::float8,
    'now', extract(epoch FROM {NOW})::float8
)

-- name: UNPROVEN
(recorded > 0 AND to_jsonb(status) = history->-1->'status'
    AND CASE outcome WHEN 'stopped' THEN status BETWEEN 200 AND 299 ELSE status IN (404, 410) END) IS NOT TRUE

-- name: LAST_STATUS
coalesce((history->-1->>'status')::integer, 0)

-- A dead letter whose last answer was final: an exhausted ID that was settled without a send, or after a 204.
-- name: MISJUDGED
CASE outcome
    WHEN 'exhausted' THEN {LAST_STATUS} = 204
        OR status IS NULL AND ({LAST_STATUS} BETWEEN 200 AND 299 OR {LAST_STATUS} IN (404, 410))
    WHEN 'forbidden' THEN status IS NOT NULL AND {LAST_STATUS} <> 403
    WHEN 'rejected' THEN status IS NOT NULL
        AND (status <> {LAST_STATUS} OR status NOT BETWEEN 400 AND 499 OR status IN (404, 410))
END

-- name: CONTRADICTORY
(round >= 1 AND 0 <= attempts AND attempts <= recorded AND recorded <= sends
    AND CASE jsonb_typeof(history) WHEN 'array' THEN jsonb_array_length(history) END = least(recorded, {MAX_HISTORY})
    AND (receipt IS NULL) = (lease_until IS NULL) AND (receipt IS NULL) = (owner IS NULL)
    AND (outcome IS NULL) = (settled_at IS NULL) AND (outcome IS NULL OR receipt IS NULL)) IS NOT TRUE

-- name: audit
SELECT {FIGURES},
(SELECT coalesce(jsonb_object_agg(outcome, number), '{}') FROM (
    SELECT outcome, count(*) AS number FROM reaper_session WHERE outcome IS NOT NULL GROUP BY outcome
) AS kept),
(SELECT jsonb_build_object(
    'open', count(*) FILTER (WHERE outcome IS NULL),
    'held', count(*) FILTER (WHERE outcome IS NULL AND lease_until > {NOW}),
    'unproven', count(*) FILTER (WHERE {MISJUDGED} OR outcome IN ('stopped', 'already_gone') AND {UNPROVEN}),
    'contradictory', count(*) FILTER (WHERE {CONTRADICTORY})
) FROM reaper_session)
