-- name: ITEM
SELECT session_id, outcome, source, extract(epoch FROM added_at)::float8, extract(epoch FROM {AT})::float8, round,
    attempts, sends, recorded, history, status, detail, extract(epoch FROM settled_at)::float8, by, reason,
    {AT} <= {NOW}, lease_until IS NOT NULL, id
FROM reaper_session

-- name: show
{ITEM} WHERE session_id = %(session_id)s

-- name: outcomes_of
SELECT session_id, outcome FROM reaper_session WHERE session_id = ANY(%(ids)s)

-- name: PAGE
AND outcome = ANY(%(only)s) AND (settled_at, id) > (coalesce(to_timestamp(%(at)s::float8), '-infinity'), %(id)s)
ORDER BY reaper_session.settled_at, id LIMIT %(limit)s

-- name: dead_page
{ITEM} WHERE outcome IS NOT NULL AND {IS_DEAD} {PAGE}

-- name: done_page
{ITEM} WHERE outcome IS NOT NULL AND NOT {IS_DEAD} {PAGE}

-- name: retrying
{ITEM} WHERE outcome IS NULL AND sends > 0 AND receipt IS NULL ORDER BY {AT} DESC, id DESC LIMIT %(limit)s

-- name: live_workers
SELECT owner, pid, extract(epoch FROM started_at)::float8, extract(epoch FROM told_at)::float8, "limit", pauses
FROM reaper_owner WHERE told_at > {NOW} - make_interval(secs => %(life_s)s) ORDER BY started_at, owner
