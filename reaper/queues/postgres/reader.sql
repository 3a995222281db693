-- name: ITEM
SELECT {COLUMNS} FROM reaper_session

-- name: show
{ITEM} WHERE session_id = %(session_id)s

-- name: outcomes_of
SELECT session_id, outcome FROM reaper_session WHERE session_id = ANY(%(ids)s)

-- name: retrying
{ITEM} WHERE outcome IS NULL AND sends > 0 AND receipt IS NULL ORDER BY {AT} DESC, id DESC LIMIT %(limit)s

-- name: lease_holders
SELECT owner, count(*), extract(epoch FROM max(lease_until))::float8 FROM reaper_session
WHERE receipt IS NOT NULL AND lease_until > {NOW} GROUP BY owner ORDER BY owner

-- name: history
SELECT left(source, 12)::bigint AS slot, substr(source, 14), sum(value)::bigint FROM reaper_counter
WHERE name = 'history' AND left(source, 12)::bigint BETWEEN %(first)s AND extract(epoch FROM {NOW}) GROUP BY source

-- name: invalid_lines
SELECT source, line, reason, text, extract(epoch FROM at)::float8 FROM reaper_invalid_line ORDER BY id

-- name: live_workers
SELECT owner, pid, extract(epoch FROM started_at)::float8, extract(epoch FROM told_at)::float8, "limit", pauses
FROM reaper_owner WHERE told_at > {NOW} - make_interval(secs => %(life_s)s) ORDER BY started_at, owner
