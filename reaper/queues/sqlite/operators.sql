-- Changes that operators order.

-- name: state
SELECT id, outcome IS NOT NULL, lease_until > ?, cancel_by IS NOT NULL FROM item WHERE session_id = ?

-- name: settled_among
SELECT id, outcome, source_id FROM item
WHERE outcome IS NOT NULL AND session_id IN (SELECT value FROM json_each(?))

-- name: set_due
UPDATE item SET due_at = ? WHERE id = ?

-- name: make_due
UPDATE item SET due_at = :now WHERE outcome IS NULL AND lease_until IS NULL AND due_at > :now
    AND (sends = 0 OR :retries)

-- name: request_cancel
UPDATE item SET cancel_by = ?, cancel_reason = ? WHERE id = ?
