-- Small texts that the processes of a queue share.

-- name: read_setting
SELECT value FROM setting WHERE name = ?

-- name: set_setting
INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)

-- name: delete_setting
DELETE FROM setting WHERE name = ?
