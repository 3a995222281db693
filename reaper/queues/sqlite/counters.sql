-- The counters of the accounting.

-- name: count
UPDATE counter SET value = value + ? WHERE name = ?

-- name: count_each
UPDATE counter SET value = value + ? WHERE name IN (?, ?, ?)

-- name: count_history
INSERT INTO history (slot, name, number) VALUES (?, ?, ?)
ON CONFLICT (slot, name) DO UPDATE SET number = number + excluded.number

-- name: open
SELECT coalesce((SELECT value FROM counter WHERE name = ?), 0) - coalesce(sum(value), 0) FROM counter
WHERE name IN (SELECT value FROM json_each(?))

-- name: all
SELECT name, value FROM counter
