-- Ranges of indexes, each in its order, as `queues/selection.py` has them. The place where one begins is not among
-- their conditions.

-- name: in_flight
FROM item INDEXED BY item_leased WHERE receipt IS NOT NULL AND owner NOT IN (SELECT value FROM json_each(:dead))

-- Leases in force of dead processes.
-- name: orphaned
FROM item INDEXED BY item_leased WHERE receipt IS NOT NULL AND owner IN (SELECT value FROM json_each(:dead))

-- name: expired
FROM item INDEXED BY item_leased WHERE receipt IS NOT NULL AND lease_until <= :steady

-- name: due_now
FROM item INDEXED BY item_open WHERE outcome IS NULL AND (sends > 0) = :part AND {KIND} = 0

-- name: due
FROM item INDEXED BY item_open WHERE outcome IS NULL AND (sends > 0) = :part AND {KIND} = 1 AND due_at <= :now

-- name: too_far
FROM item INDEXED BY item_open WHERE outcome IS NULL AND (sends > 0) = :part AND {KIND} = 1 AND {TOO_FAR}

-- name: later
FROM item INDEXED BY item_open WHERE outcome IS NULL AND (sends > 0) = :part AND {KIND} = 1 AND due_at <= :until
    AND NOT {TOO_FAR}

-- name: settled
FROM item INDEXED BY item_settled WHERE outcome IS NOT NULL AND {IS_DEAD} = :part
