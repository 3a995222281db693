-- An owner without a row has deregistered; its leases are released at once. One that died keeps its row, and its leases
-- expire: the server cannot see that it died.
-- name: release
WITH left_behind AS MATERIALIZED (
    SELECT id FROM reaper_session s WHERE receipt IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM reaper_owner o WHERE o.owner = s.owner)
    FOR UPDATE OF s SKIP LOCKED
),
over AS MATERIALIZED (SELECT id FROM reaper_session s WHERE {OVER} FOR UPDATE SKIP LOCKED),
freed AS (
    UPDATE reaper_session s SET {FREE}, by = coalesce(s.cancel_by, s.by),
        reason = CASE WHEN s.cancel_by IS NULL THEN s.reason ELSE s.cancel_reason END,
        outcome = CASE WHEN s.cancel_by IS NOT NULL THEN 'cancelled' END,
        settled_at = CASE WHEN s.cancel_by IS NOT NULL THEN {NOW} END
    FROM (SELECT id FROM left_behind UNION SELECT id FROM over) AS chosen WHERE s.id = chosen.id RETURNING s.outcome
),
cancelled AS (SELECT count(outcome) AS n FROM freed),
counts AS ({COUNT_CANCELLED}),
counted AS ({ADD_COUNTS})
SELECT count(*) FROM left_behind

-- name: prune
WITH old AS MATERIALIZED (
    SELECT id, outcome FROM reaper_session s WHERE outcome IS NOT NULL AND NOT {IS_DEAD}
        AND settled_at < {NOW} - make_interval(secs => %(keep_s)s)
    ORDER BY settled_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
),
dropped AS (DELETE FROM reaper_session s USING old WHERE s.id = old.id),
counts AS (SELECT 'pruned.' || outcome, '', count(*) FROM old GROUP BY outcome)
{ADD_COUNTS}

-- A slot that is over is written no more, so the rows of living server processes are added up, too.
-- name: add_up_counters
WITH ended AS MATERIALIZED (
    SELECT name, source, shard FROM reaper_counter
    WHERE shard <> 0 AND (name = 'history' AND source < {SLOT}
        OR NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = shard))
    FOR UPDATE SKIP LOCKED
),
taken AS (
    DELETE FROM reaper_counter c USING ended
    WHERE (c.name, c.source, c.shard) = (ended.name, ended.source, ended.shard) RETURNING c.name, c.source, c.value
)
INSERT INTO reaper_counter AS c (name, source, shard, value)
SELECT name, source, 0, sum(value) FROM taken GROUP BY name, source ORDER BY name, source
ON CONFLICT (name, source, shard) DO UPDATE SET value = c.value + excluded.value

-- Slots ahead come from a clock that was set back since.
-- name: prune_history
WITH old AS MATERIALIZED (
    SELECT name, source, shard FROM reaper_counter
    WHERE name = 'history' AND (
        source < lpad((extract(epoch FROM {NOW}) - {SLOT_S} - %(keep_s)s)::bigint::text, 12, '0')
        OR source > lpad((extract(epoch FROM {NOW}) + %(ahead_s)s)::bigint::text, 12, '0')
    )
    FOR UPDATE SKIP LOCKED
)
DELETE FROM reaper_counter c USING old WHERE (c.name, c.source, c.shard) = (old.name, old.source, old.shard)

-- name: drop_dead_owners
DELETE FROM reaper_owner WHERE seen_at < {NOW} - make_interval(secs => %(dead_s)s)

-- name: drop_sets
WITH gone AS (
    DELETE FROM reaper_set s WHERE NOT EXISTS (SELECT 1 FROM reaper_owner o WHERE o.owner = s.owner) RETURNING set_id
)
DELETE FROM reaper_member m USING gone WHERE m.set_id = gone.set_id
