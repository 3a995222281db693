-- Leases of dead processes, requested cancellations, old rows.

-- name: owners
SELECT owner FROM owner UNION SELECT DISTINCT owner FROM item INDEXED BY item_leased WHERE receipt IS NOT NULL

-- name: leased_by
SELECT id, cancel_by IS NOT NULL FROM item INDEXED BY item_leased WHERE receipt IS NOT NULL AND owner = ?

-- name: end_lease
UPDATE item SET owner = NULL, receipt = NULL, lease_until = NULL WHERE id = ?

-- name: deregister
DELETE FROM owner WHERE owner = ?

-- name: expired_cancelled
SELECT id FROM item INDEXED BY item_leased
WHERE receipt IS NOT NULL AND cancel_by IS NOT NULL AND lease_until <= ?

-- name: requested_by
SELECT cancel_by, cancel_reason FROM item WHERE id = ?

-- name: cancel
UPDATE item SET outcome = 'cancelled', settled_at = ?, by = ?, reason = ?, owner = NULL, receipt = NULL,
    lease_until = NULL, cancel_by = NULL, cancel_reason = NULL
WHERE id = ?

-- name: old
SELECT id, outcome FROM item INDEXED BY item_settled WHERE outcome IS NOT NULL AND {IS_DEAD} = 0
    AND settled_at < ? ORDER BY settled_at LIMIT ?

-- name: delete
DELETE FROM item WHERE id = ?
