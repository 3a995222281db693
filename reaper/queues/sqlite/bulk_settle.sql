-- Plain results, settled in one statement. A receipt begins with the number of its row.

-- name: settle_plain
UPDATE item SET attempts = attempts + json_extract(ended.value, '$[1]'), recorded = 1,
    outcome = json_extract(ended.value, '$[2]'), status = json_extract(ended.value, '$[3]'),
    detail = json_extract(ended.value, '$[4]'), history = json_extract(ended.value, '$[5]'),
    settled_at = ?, owner = NULL, receipt = NULL, lease_until = NULL
FROM json_each(?) AS ended
WHERE item.id = CAST(json_extract(ended.value, '$[0]') AS INTEGER) AND receipt = json_extract(ended.value, '$[0]')
    AND sends = 1 AND recorded = 0 AND cancel_by IS NULL
