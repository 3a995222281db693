-- The counters of the accounting.

-- name: count
UPDATE counter SET value = value + ? WHERE name = ?

-- name: count_each
UPDATE counter SET value = value + ? WHERE name IN (?, ?, ?)

-- name: all
SELECT name, value FROM counter
