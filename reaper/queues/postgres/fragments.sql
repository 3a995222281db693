-- Parts of the other files' statements. now is null but in tests: then it replaces the server's clock.

-- name: NOW
coalesce(to_timestamp(%(now)s::float8), now())

-- From when an open row can be claimed.
-- name: AT
coalesce(lease_until, due_at)

-- Ends a lease.
-- name: FREE
owner = NULL, receipt = NULL, lease_until = NULL, cancel_by = NULL, cancel_reason = NULL

-- An open row whose cancellation was requested and that nobody holds any more.
-- name: OVER
outcome IS NULL AND cancel_by IS NOT NULL AND {AT} <= {NOW}

-- Settles a row whose cancellation was requested.
-- name: CANCELLED
outcome = 'cancelled', settled_at = {NOW}, by = s.cancel_by, reason = s.cancel_reason, {FREE}

-- Adds the counts (name, source, value), each counter once, to the rows of this server process.
-- name: ADD_COUNTS
INSERT INTO reaper_counter AS c (name, source, shard, value)
SELECT name, source, pg_backend_pid(), value FROM counts AS more (name, source, value) WHERE value > 0
ON CONFLICT (name, source, shard) DO UPDATE SET value = c.value + excluded.value

-- Begins a new round of a settled row.
-- name: NEW_ROUND
round = s.round + 1, attempts = 0, sends = 0, recorded = 0, ambiguous = false, finals_seen = 0, finals_before = 0,
    cancel_by = NULL, cancel_reason = NULL, outcome = NULL, status = NULL, detail = NULL, settled_at = NULL,
    by = %(by)s, history = '[]'
