-- Rows and heartbeats, read.

-- name: items
SELECT session_id, outcome, source.name, added_at, {AT}, round, attempts, sends, recorded, history, status, detail,
    settled_at, by, reason, lease_until, item.id
FROM item JOIN source ON source.id = source_id

-- name: show
{items} WHERE session_id = ?

-- name: outcomes_of
SELECT session_id, outcome FROM json_each(?) AS asked CROSS JOIN item ON session_id = asked.value

-- name: settled_page
{items} WHERE outcome IS NOT NULL AND {IS_DEAD} = ? AND (settled_at, item.id) > (?, ?)
    AND outcome IN (SELECT value FROM json_each(?)) ORDER BY settled_at, item.id LIMIT ?

-- name: retrying
{items} WHERE outcome IS NULL AND (sends > 0) = 1 AND receipt IS NULL ORDER BY {AT} DESC, item.id DESC LIMIT ?

-- name: heartbeats
SELECT owner, pid, started_at, told_at, "limit", pauses FROM owner WHERE told_at IS NOT NULL
ORDER BY started_at, owner
