-- The whole queue in numbers, and the audit's second way to each of them.

-- name: waiting
FROM item INDEXED BY item_open WHERE outcome IS NULL AND (sends > 0) = :retry

-- name: due_now
{waiting} AND {KIND} = 0

-- name: due
{waiting} AND {KIND} = 1 AND due_at <= :now

-- name: later
{waiting} AND {KIND} = 1 AND due_at > :now

-- name: count_due_now
SELECT count(*), 0, min(due_at) FROM (SELECT due_at {due_now} ORDER BY due_at LIMIT :most)

-- name: count_due
SELECT count(*), 0, min(due_at) FROM (SELECT due_at {due} ORDER BY due_at LIMIT :most)

-- Due all the same: it lies further ahead than its length allows.
-- name: count_later
SELECT count(*), coalesce(sum({TOO_FAR}), 0), min(due_at) FILTER (WHERE NOT {TOO_FAR})
FROM (SELECT due_at, wait_s {later} ORDER BY due_at LIMIT :most)

-- name: count_all_due_now
SELECT count(*), 0 {due_now}

-- name: count_all_due
SELECT count(*), 0 {due}

-- name: count_all_later
SELECT count(*), coalesce(sum({TOO_FAR}), 0) {later}

-- A lease without an end was made by hand, and the audit has to survive it.
-- name: count_leases
SELECT owner, count(*), coalesce(sum(lease_until > :steady), 0), coalesce(min(lease_until) - :steady, 0)
FROM item INDEXED BY item_leased WHERE receipt IS NOT NULL GROUP BY owner

-- name: first_due_of
SELECT min(due_at) FROM item INDEXED BY item_leased
WHERE receipt IS NOT NULL AND owner IN (SELECT value FROM json_each(?))

-- name: kept
SELECT outcome, count(*) FROM item NOT INDEXED WHERE outcome IS NOT NULL GROUP BY outcome

-- name: open_rows
SELECT count(*) FROM item NOT INDEXED WHERE outcome IS NULL

-- name: leased_rows
SELECT count(*) FROM item NOT INDEXED WHERE outcome IS NULL AND lease_until > :steady

-- name: by_source
SELECT coalesce(sum(accepted), 0), coalesce(sum(duplicate), 0), coalesce(sum(invalid), 0) FROM intake_source

-- name: LAST_STATUS
coalesce(CASE WHEN json_valid(history) THEN json_extract(history, '$[#-1].status') END, 0)

-- A dead letter whose last answer was final: an exhausted ID that was settled without a send, or after a 204.
-- name: MISJUDGED
CASE outcome
    WHEN 'exhausted' THEN {LAST_STATUS} = 204
        OR status IS NULL AND ({LAST_STATUS} BETWEEN 200 AND 299 OR {LAST_STATUS} IN (404, 410))
    WHEN 'forbidden' THEN status IS NOT NULL AND {LAST_STATUS} <> 403
    WHEN 'rejected' THEN status IS NOT NULL
        AND (status <> {LAST_STATUS} OR status NOT BETWEEN 400 AND 499 OR status IN (404, 410))
END

-- name: unproven
SELECT count(*) FROM item WHERE {MISJUDGED} OR outcome IN ('stopped', 'already_gone') AND (
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
