-- The session IDs that an order will change, in a private database that ends with its connection.

-- name: table
CREATE TABLE chosen (id INTEGER PRIMARY KEY, session_id TEXT NOT NULL UNIQUE)

-- name: add
INSERT INTO chosen (session_id) VALUES (?) ON CONFLICT (session_id) DO NOTHING

-- name: page
SELECT id, session_id FROM chosen WHERE id > ? ORDER BY id LIMIT ?
