-- The whole queue in numbers, and the audit's second way to each of them.

-- name: count_ready
SELECT count(*) FROM item INDEXED BY item_open WHERE outcome IS NULL AND (sends > 0) = ? AND {AT} <= ?

-- name: count_later
SELECT count(*) FROM item INDEXED BY item_open WHERE outcome IS NULL AND (sends > 0) = ? AND {AT} > ?

-- name: oldest_ready
SELECT {AT} FROM item INDEXED BY item_open WHERE outcome IS NULL AND (sends > 0) = ? AND {AT} <= ?
ORDER BY {AT} LIMIT 1

-- name: count_in_flight
SELECT count(*) FROM item INDEXED BY item_leased
WHERE receipt IS NOT NULL AND outcome IS NULL AND lease_until > ?

-- name: kept
SELECT outcome, count(*) FROM item NOT INDEXED WHERE outcome IS NOT NULL GROUP BY outcome

-- name: open_rows
SELECT count(*) FROM item NOT INDEXED WHERE outcome IS NULL

-- name: leased_rows
SELECT count(*) FROM item NOT INDEXED WHERE outcome IS NULL AND lease_until > ?

-- name: by_source
SELECT coalesce(sum(accepted), 0), coalesce(sum(duplicate), 0), coalesce(sum(invalid), 0) FROM source

-- name: unproven
SELECT count(*) FROM item WHERE outcome IN ('stopped', 'already_gone') AND (
    recorded > 0 AND status = CASE WHEN json_valid(history) THEN json_extract(history, '$[#-1].status') END
    AND CASE outcome WHEN 'stopped' THEN status BETWEEN 200 AND 299 ELSE status IN (404, 410) END
) IS NOT TRUE

-- name: contradictory
SELECT count(*) FROM item WHERE (
    round >= 1 AND 0 <= attempts AND attempts <= recorded AND recorded <= sends
    AND CASE WHEN json_valid(history) THEN json_array_length(history) END = min(recorded, {MAX_HISTORY})
    AND (receipt IS NULL) = (lease_until IS NULL) AND (receipt IS NULL) = (owner IS NULL)
    AND (outcome IS NULL) = (settled_at IS NULL) AND (outcome IS NULL OR receipt IS NULL)
) IS NOT TRUE
