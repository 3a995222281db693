-- The tables of a ledger, schema 1.

-- name: tables
CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    accepted INTEGER NOT NULL DEFAULT 0,
    duplicate INTEGER NOT NULL DEFAULT 0,
    invalid INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE item (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL UNIQUE,
    round INTEGER NOT NULL DEFAULT 1,
    source_id INTEGER NOT NULL REFERENCES source (id),
    added_at REAL NOT NULL,
    due_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    sends INTEGER NOT NULL DEFAULT 0,
    recorded INTEGER NOT NULL DEFAULT 0,
    ambiguous INTEGER NOT NULL DEFAULT 0,
    finals_seen INTEGER NOT NULL DEFAULT 0,
    finals_before INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    receipt TEXT,
    lease_until REAL,
    cancel_by TEXT,
    cancel_reason TEXT,
    outcome TEXT,
    status INTEGER,
    detail TEXT,
    settled_at REAL,
    by TEXT,
    reason TEXT,
    history TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX item_open ON item ((sends > 0), {AT}, id) WHERE outcome IS NULL;
CREATE INDEX item_leased ON item (owner, lease_until) WHERE receipt IS NOT NULL;
CREATE INDEX item_settled ON item ({IS_DEAD}, settled_at, id) WHERE outcome IS NOT NULL;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL DEFAULT 0);
CREATE TABLE position (
    path TEXT PRIMARY KEY,
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    prefix_bytes INTEGER NOT NULL,
    prefix_hash TEXT NOT NULL,
    "offset" INTEGER NOT NULL,
    line INTEGER NOT NULL
);
CREATE TABLE invalid_line (
    id INTEGER PRIMARY KEY,
    source_id INTEGER NOT NULL REFERENCES source (id),
    at REAL NOT NULL,
    line INTEGER NOT NULL,
    reason TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE TABLE owner (
    owner TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    started_at REAL NOT NULL,
    told_at REAL,
    "limit" INTEGER,
    pauses TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);

-- name: run_sets
CREATE TEMP TABLE member (
    set_id INTEGER NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (set_id, id)
) WITHOUT ROWID

-- name: add_counter
INSERT INTO counter (name) VALUES (?)

-- name: count_tables
SELECT count(*) FROM sqlite_schema
