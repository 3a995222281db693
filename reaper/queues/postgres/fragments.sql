-- Parts of the other files' statements. now is null but in tests: then it replaces the server's clock.

-- name: NOW
coalesce(to_timestamp(%(now)s::float8), now())

-- From when an open row can be claimed.
-- name: AT
coalesce(lease_until, due_at)

-- Ends a lease.
-- name: RELEASE
owner = NULL, receipt = NULL, lease_until = NULL

-- Ends a lease, and a request to cancel.
-- name: FREE
{RELEASE}, cancel_by = NULL, cancel_reason = NULL

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

-- The slot of the history that is now, as the beginning of a counter's source.
-- name: SLOT
lpad((floor(extract(epoch FROM {NOW}) / {SLOT_S}) * {SLOT_S})::bigint::text, 12, '0') || '.'

-- The counts of `cancelled` (n) rounds that are settled as cancelled.
-- name: COUNT_CANCELLED
SELECT names.name, names.source, cancelled.n
FROM cancelled, (VALUES ('settled.cancelled', ''), ('history', {SLOT} || 'cancelled')) AS names (name, source)

-- Begins a new round of a settled row.
-- name: NEW_ROUND
round = s.round + 1, attempts = 0, sends = 0, recorded = 0, ambiguous = false, finals_seen = 0, finals_before = 0,
    cancel_by = NULL, cancel_reason = NULL, status = NULL, detail = NULL, history = '[]', first_due_at = NULL

-- The columns of an item, in the order of `values.item_of`.
-- name: COLUMNS
session_id, outcome, source, extract(epoch FROM added_at)::float8, extract(epoch FROM {AT})::float8, round,
    attempts, sends, recorded, history, status, detail, extract(epoch FROM settled_at)::float8, by, reason,
    {AT} <= {NOW}, lease_until IS NOT NULL, id, owner
