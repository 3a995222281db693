-- Plain results of one kind, settled in one statement: receipt to history. A receipt begins with the number of its row.

-- name: settle_plain
UPDATE item SET attempts = attempts + ?, recorded = 1, outcome = ?, status = ?, detail = ?, settled_at = ?,
    history = ended.value, owner = NULL, receipt = NULL, lease_until = NULL
FROM json_each(?) AS ended
WHERE item.id = CAST(ended.key AS INTEGER) AND receipt = ended.key AND sends = 1 AND recorded = 0
    AND cancel_by IS NULL
