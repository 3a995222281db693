-- Leases of dead processes, requested cancellations, old rows.

-- name: holders
SELECT DISTINCT owner FROM item INDEXED BY item_leased WHERE receipt IS NOT NULL

-- name: owners
SELECT owner FROM process UNION {holders}

-- name: leased_by
SELECT id, cancel_by IS NOT NULL FROM item INDEXED BY item_leased WHERE receipt IS NOT NULL AND owner = ?

-- name: end_lease
UPDATE item SET owner = NULL, receipt = NULL, lease_until = NULL WHERE id = ?

-- name: deregister
DELETE FROM process WHERE owner = ?

-- name: expired_cancelled
SELECT id FROM item INDEXED BY item_leased
WHERE receipt IS NOT NULL AND cancel_by IS NOT NULL AND lease_until <= ?

-- name: settle_cancelled
UPDATE item SET outcome = 'cancelled', settled_at = ?, by = cancel_by, reason = cancel_reason, owner = NULL,
    receipt = NULL, lease_until = NULL, cancel_by = NULL, cancel_reason = NULL
WHERE id IN (SELECT value FROM json_each(?))

-- name: old
SELECT id, outcome FROM item INDEXED BY item_settled WHERE outcome IS NOT NULL AND {IS_DEAD} = 0
    AND settled_at < ? ORDER BY settled_at LIMIT ?

-- name: prune_history
DELETE FROM history WHERE slot < ? OR slot > ?

-- name: delete
DELETE FROM item WHERE id = ?

-- A wait that lies further ahead than its length allows: the clock was set back.
-- name: end_long_waits
UPDATE item SET due_at = :now, wait_s = 0 WHERE id IN (
    SELECT id FROM item INDEXED BY item_open
    WHERE outcome IS NULL AND (sends > 0) = :retry AND {KIND} = 1 AND due_at > :now
        AND {TOO_FAR}
)
