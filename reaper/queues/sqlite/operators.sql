-- Changes that operators order.

-- name: these
id IN (SELECT value FROM json_each(:rows))

-- name: states_of
SELECT session_id, item.id, outcome, lease_until > :steady, cancel_by IS NOT NULL
FROM json_each(:ids) AS asked CROSS JOIN item ON session_id = asked.value

-- name: settled_among
SELECT id, outcome, source_id, cancel_by, cancel_reason FROM item
WHERE outcome IS NOT NULL AND session_id IN (SELECT value FROM json_each(?))

-- Ends the lease as well: it may have expired.
-- name: postpone
UPDATE item SET due_at = :due_at, first_due_at = NULL, wait_s = :wait_s, owner = NULL, receipt = NULL, lease_until = NULL,
    by = CASE WHEN {IS_OURS} THEN by ELSE :by END, reason = CASE WHEN {IS_OURS} THEN reason ELSE :reason END
WHERE {these}

-- name: make_due
UPDATE item SET due_at = :now, wait_s = 0 WHERE outcome IS NULL AND receipt IS NULL AND NOT {IS_DUE}
    AND (sends = 0 OR :retries)

-- name: request_cancel
UPDATE item SET cancel_by = :by, cancel_reason = :reason WHERE {these}
