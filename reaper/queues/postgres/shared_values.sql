-- name: read
SELECT value #>> '{}' FROM reaper_setting WHERE name = %(name)s

-- name: insert
INSERT INTO reaper_setting (name, value) VALUES (%(name)s, to_jsonb(%(text)s::text)) ON CONFLICT (name) DO NOTHING

-- name: delete
DELETE FROM reaper_setting WHERE name = %(name)s AND value = to_jsonb(%(was)s::text)

-- name: update
UPDATE reaper_setting SET value = to_jsonb(%(text)s::text) WHERE name = %(name)s AND value = to_jsonb(%(was)s::text)
