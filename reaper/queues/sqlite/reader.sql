-- Rows and heartbeats, read.

-- name: items
SELECT session_id, outcome, source.name, added_at, due_at, round, attempts, sends, recorded, history, status, detail,
    settled_at, by, reason, lease_until, item.id, wait_s, owner
FROM item JOIN intake_source AS source ON source.id = source_id

-- name: show
{items} WHERE session_id = ?

-- name: outcomes_of
SELECT session_id, outcome FROM json_each(?) AS asked CROSS JOIN item ON session_id = asked.value

-- name: retrying
{items} WHERE outcome IS NULL AND (sends > 0) = 1 AND {KIND} < 2
ORDER BY {KIND} DESC, due_at DESC, item.id DESC LIMIT ?

-- name: lease_holders
SELECT owner, count(*), max(lease_until) FROM item INDEXED BY item_leased
WHERE receipt IS NOT NULL AND lease_until > :steady GROUP BY owner ORDER BY owner

-- name: history
SELECT slot, name, number FROM history WHERE slot BETWEEN :first AND :last

-- name: invalid_lines
SELECT source.name, line, reason, text, at FROM invalid_line JOIN intake_source AS source ON source.id = source_id
ORDER BY invalid_line.id

-- name: heartbeats
SELECT owner, pid, started_at, told_at, "limit", pauses FROM process WHERE told_at IS NOT NULL
ORDER BY started_at, owner
