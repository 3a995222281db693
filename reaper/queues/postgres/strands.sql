-- Ranges of indexes, each in its order, as `queues/selection.py` has them. The place where one begins is not among their conditions.

-- Leased rows are few and among the retries: the planner is not to look for them there.
-- name: in_flight
FROM (SELECT * FROM reaper_session WHERE receipt IS NOT NULL AND lease_until > {NOW} OFFSET 0) AS leased WHERE true

-- name: ready_first
FROM reaper_session WHERE outcome IS NULL AND sends = 0 AND {AT} <= {NOW}

-- name: ready_retry
FROM reaper_session WHERE outcome IS NULL AND sends > 0 AND {AT} <= {NOW}

-- name: later_first
FROM reaper_session WHERE outcome IS NULL AND sends = 0 AND {AT} <= to_timestamp(%(until)s::float8)

-- name: later_retry
FROM reaper_session WHERE outcome IS NULL AND sends > 0 AND receipt IS NULL AND {AT} <= to_timestamp(%(until)s::float8)

-- name: dead
FROM reaper_session WHERE outcome IS NOT NULL AND {IS_DEAD}

-- name: done
FROM reaper_session WHERE outcome IS NOT NULL AND NOT {IS_DEAD}
