-- A cancelled row whose lease expired is settled first, with the words of the operator who cancelled it.
-- name: STANDING
standing AS MATERIALIZED (
    SELECT id, CASE WHEN outcome IS NOT NULL THEN 'settled' WHEN {OVER} THEN 'over'
        WHEN lease_until > {NOW} THEN 'in_flight' ELSE 'waiting' END AS state
    FROM reaper_session s WHERE session_id = %(session_id)s FOR UPDATE
),
over AS (
    UPDATE reaper_session s SET {CANCELLED} FROM standing WHERE s.id = standing.id AND state = 'over' RETURNING 1
)

-- name: postpone
WITH {STANDING},
moved AS (
    UPDATE reaper_session s SET {FREE}, due_at = {NOW} + make_interval(secs => %(after_s)s)
    FROM standing WHERE s.id = standing.id AND state = 'waiting'
),
counts AS (SELECT 'settled.cancelled', '', count(*) FROM over),
counted AS ({ADD_COUNTS})
SELECT (SELECT state FROM standing)

-- name: cancel
WITH {STANDING},
done AS (
    UPDATE reaper_session s
    SET outcome = 'cancelled', settled_at = {NOW}, by = %(by)s, reason = %(reason)s, {FREE}
    FROM standing WHERE s.id = standing.id AND state = 'waiting' RETURNING 1
),
noted AS (
    UPDATE reaper_session s SET cancel_by = %(by)s, cancel_reason = %(reason)s
    FROM standing WHERE s.id = standing.id AND state = 'in_flight'
),
counts AS (SELECT 'settled.cancelled', '', (SELECT count(*) FROM over) + (SELECT count(*) FROM done)),
counted AS ({ADD_COUNTS})
SELECT (SELECT state FROM standing)

-- name: make_due
UPDATE reaper_session SET due_at = {NOW}
WHERE outcome IS NULL AND lease_until IS NULL AND due_at > {NOW} AND (sends = 0 OR %(retries)s)

-- name: DEAD
dead AS MATERIALIZED (
    SELECT id, outcome, source FROM reaper_session s WHERE session_id = ANY(%(ids)s) AND {IS_DEAD}
    ORDER BY session_id FOR UPDATE
)

-- name: reopen
WITH {DEAD},
renewed AS (
    UPDATE reaper_session s SET due_at = {NOW}, reason = %(reason)s, {NEW_ROUND} FROM dead WHERE s.id = dead.id
),
counts AS (
    SELECT 'reopened.' || outcome, '', count(*) FROM dead GROUP BY outcome
    UNION ALL SELECT 'accepted', '', count(*) FROM dead
    UNION ALL SELECT 'by_source.accepted', source, count(*) FROM dead GROUP BY source
),
counted AS ({ADD_COUNTS})
SELECT count(*) FROM dead

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
