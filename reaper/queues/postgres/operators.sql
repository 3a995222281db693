-- A cancelled row whose lease expired is settled first, with the words of the operator who cancelled it.
-- name: STANDING
standing AS MATERIALIZED (
    SELECT id, session_id, outcome, CASE WHEN outcome IS NOT NULL THEN 'settled' WHEN {OVER} THEN 'over'
        WHEN lease_until > {NOW} THEN 'in_flight' ELSE 'waiting' END AS state
    FROM reaper_session s WHERE session_id = ANY(%(ids)s) ORDER BY session_id FOR UPDATE
),
over AS (
    UPDATE reaper_session s SET {CANCELLED} FROM standing WHERE s.id = standing.id AND state = 'over' RETURNING 1
),
states AS (SELECT coalesce(jsonb_object_agg(session_id, state), '{}') AS found FROM standing)

-- name: postpone
WITH {STANDING},
moved AS (
    UPDATE reaper_session s SET {FREE}, first_due_at = NULL,
        due_at = coalesce(to_timestamp(%(at)s::float8), {NOW} + make_interval(secs => %(after_s)s)),
        by = CASE WHEN {IS_OURS} THEN by ELSE %(by)s END, reason = CASE WHEN {IS_OURS} THEN reason ELSE %(reason)s END
    FROM standing WHERE s.id = standing.id AND state = 'waiting'
),
cancelled AS (SELECT count(*) AS n FROM over),
counts AS ({COUNT_CANCELLED}),
counted AS ({ADD_COUNTS})
SELECT found FROM states

-- name: cancel
WITH {STANDING},
done AS (
    UPDATE reaper_session s
    SET outcome = 'cancelled', settled_at = {NOW}, by = %(by)s, reason = %(reason)s, {FREE}
    FROM standing WHERE s.id = standing.id AND state = 'waiting' RETURNING 1
),
noted AS (
    UPDATE reaper_session s SET cancel_by = %(by)s, cancel_reason = %(reason)s
    FROM standing WHERE s.id = standing.id AND (state = 'in_flight' OR standing.outcome = 'already_gone')
),
cancelled AS (SELECT (SELECT count(*) FROM over) + (SELECT count(*) FROM done) AS n),
counts AS ({COUNT_CANCELLED}),
counted AS ({ADD_COUNTS})
SELECT found FROM states

-- name: make_due
UPDATE reaper_session SET due_at = {NOW}
WHERE outcome IS NULL AND lease_until IS NULL AND due_at > {NOW} AND (sends = 0 OR %(retries)s)

-- name: DEAD
dead AS MATERIALIZED (
    SELECT id, outcome, source FROM reaper_session s WHERE session_id = ANY(%(ids)s) AND {IS_DEAD}
    ORDER BY session_id FOR UPDATE
)

-- name: reopen
WITH ended AS MATERIALIZED (
    SELECT id, outcome, source, cancel_by, cancel_reason FROM reaper_session s
    WHERE session_id = ANY(%(ids)s) AND outcome = ANY(%(only)s) ORDER BY session_id FOR UPDATE
),
renewed AS (
    UPDATE reaper_session s SET due_at = {NOW} + make_interval(secs => %(after_s)s), {NEW_ROUND},
        by = coalesce(ended.cancel_by, %(by)s), reason = coalesce(ended.cancel_reason, %(reason)s),
        outcome = CASE WHEN ended.cancel_by IS NOT NULL THEN 'cancelled' END,
        settled_at = CASE WHEN ended.cancel_by IS NOT NULL THEN {NOW} END
    FROM ended WHERE s.id = ended.id
),
cancelled AS (SELECT count(cancel_by) AS n FROM ended),
counts AS (
    {COUNT_CANCELLED}
    UNION ALL SELECT 'reopened.' || outcome, '', count(*) FROM ended GROUP BY outcome
    UNION ALL SELECT 'accepted', '', count(*) FROM ended
    UNION ALL SELECT 'by_source.accepted', source, count(*) FROM ended GROUP BY source
),
counted AS ({ADD_COUNTS})
SELECT count(*) FROM ended

-- name: purge
WITH {DEAD},
dropped AS (DELETE FROM reaper_session s USING dead WHERE s.id = dead.id),
counts AS (SELECT 'pruned.' || outcome, '', count(*) FROM dead GROUP BY outcome),
counted AS ({ADD_COUNTS})
SELECT count(*) FROM dead

-- name: pause
INSERT INTO reaper_setting (name, value) VALUES ('pause', %(pause)s)
ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: resume
DELETE FROM reaper_setting WHERE name = 'pause'
