-- Rights are checked when a statement begins, whatever it finds: these find nothing. Each is what some operation of a
-- worker does to the table, its maintenance included.

-- name: use_settings
INSERT INTO reaper_setting (name, value) SELECT name, value FROM reaper_setting WHERE false

-- name: use_settings_again
UPDATE reaper_setting SET value = value WHERE false

-- name: use_settings_no_more
DELETE FROM reaper_setting WHERE false

-- name: use_sessions
INSERT INTO reaper_session (session_id) SELECT session_id FROM reaper_session WHERE false

-- name: use_sessions_again
UPDATE reaper_session SET due_at = due_at WHERE false

-- name: use_sessions_no_more
DELETE FROM reaper_session WHERE false

-- name: use_counters
INSERT INTO reaper_counter (name, source, shard, value) SELECT name, source, shard, value FROM reaper_counter WHERE false
ON CONFLICT (name, source, shard) DO UPDATE SET value = excluded.value

-- name: use_counters_no_more
DELETE FROM reaper_counter WHERE false

-- name: use_invalid_lines
INSERT INTO reaper_invalid_line (source, at, line, reason, text)
SELECT source, at, line, reason, text FROM reaper_invalid_line WHERE false

-- name: use_invalid_lines_no_more
DELETE FROM reaper_invalid_line WHERE false

-- name: use_owners
INSERT INTO reaper_owner AS o (owner, pid, started_at, seen_at)
SELECT owner, pid, started_at, seen_at FROM reaper_owner WHERE false
ON CONFLICT (owner) DO UPDATE SET seen_at = excluded.seen_at

-- name: use_owners_no_more
DELETE FROM reaper_owner WHERE false

-- name: use_sets
INSERT INTO reaper_set (set_id, owner) SELECT set_id, owner FROM reaper_set WHERE false

-- name: use_sets_no_more
DELETE FROM reaper_set WHERE false

-- name: use_members
INSERT INTO reaper_member (set_id, id) SELECT set_id, id FROM reaper_member WHERE false

-- name: use_members_no_more
DELETE FROM reaper_member WHERE false

-- name: owns_tables
SELECT pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class WHERE oid = to_regclass('reaper_session')
