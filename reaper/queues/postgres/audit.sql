-- name: FIGURES
(SELECT coalesce(jsonb_object_agg(name, value), '{}') FROM (
    SELECT name, sum(value)::bigint AS value FROM reaper_counter GROUP BY name
) AS counters) AS counters,
(SELECT jsonb_build_object(
    'ready', count(*) FILTER (WHERE {AT} <= {NOW}), 'later', count(*) FILTER (WHERE {AT} > {NOW}),
    'in_flight', count(*) FILTER (WHERE lease_until > {NOW}), 'oldest', extract(epoch FROM min({AT}))::float8,
    'now', extract(epoch FROM {NOW})::float8
) FROM reaper_session WHERE outcome IS NULL) AS open_rows

-- name: stats
SELECT {FIGURES}

-- name: UNPROVEN
(recorded > 0 AND to_jsonb(status) = history->-1->'status'
    AND CASE outcome WHEN 'stopped' THEN status BETWEEN 200 AND 299 ELSE status IN (404, 410) END) IS NOT TRUE

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
    'unproven', count(*) FILTER (WHERE outcome IN ('stopped', 'already_gone') AND {UNPROVEN}),
    'contradictory', count(*) FILTER (WHERE {CONTRADICTORY})
) FROM reaper_session)
