-- name: due
SELECT id FROM reaper_session s WHERE outcome IS NULL AND ({AT} <= {NOW} OR lease_until IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM {MEMBERS} m WHERE m.id = s.id) ORDER BY {AT}, id LIMIT %(more)s

-- name: include
INSERT INTO reaper_member (set_id, id)
SELECT %(set_id)s, id FROM reaper_session WHERE session_id = ANY(%(session_ids)s) ON CONFLICT DO NOTHING

-- name: include_due
INSERT INTO reaper_member (set_id, id) SELECT %(set_id)s, id FROM ({due}) AS due ON CONFLICT DO NOTHING

-- name: view
SELECT coalesce(jsonb_object_agg(state, number), '{}'), coalesce(jsonb_object_agg(state, first), '{}') FROM (
    SELECT CASE WHEN outcome IS NOT NULL THEN outcome WHEN {AT} <= {NOW} THEN '+ready'
        WHEN lease_until IS NOT NULL THEN '+in_flight' WHEN sends > 0 THEN '+retrying' ELSE '+scheduled' END AS state,
        count(*) AS number, extract(epoch FROM min({AT}))::float8 AS first
    FROM {MEMBERS} m JOIN reaper_session USING (id) GROUP BY state
) AS states

-- name: settled_before
SELECT outcome, count(*) FROM {MEMBERS} m JOIN reaper_session USING (id)
WHERE outcome IS NOT NULL AND settled_at < to_timestamp(%(at)s::float8) GROUP BY outcome

-- name: next_at
SELECT extract(epoch FROM min({AT}))::float8 FROM {MEMBERS} m JOIN reaper_session USING (id)
WHERE outcome IS NULL AND (sends > 0 OR {AT} <= {NOW})

-- name: ids
SELECT id, session_id FROM {MEMBERS} m JOIN reaper_session USING (id) WHERE id > %(after)s ORDER BY id LIMIT %(page)s

-- name: register
INSERT INTO reaper_set (set_id, owner) VALUES (%(set_id)s, %(owner)s) ON CONFLICT DO NOTHING
