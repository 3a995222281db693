-- The tables of a ledger, schema 3. Instants are Unix seconds by the wall clock, but `lease_until` is by the ledger's
-- steady clock. `wait_s` is the length of the wait that ends at `due_at`: 0 is due now, null a time that was named.
-- `first_due_at` is when the round first fell due, null while `due_at` is that.

-- name: indexes
CREATE INDEX item_open ON item ((sends > 0), {KIND}, due_at, id, wait_s) WHERE outcome IS NULL;
CREATE INDEX item_leased ON item (lease_until, owner) WHERE receipt IS NOT NULL;
CREATE INDEX item_settled ON item ({IS_DEAD}, settled_at, id) WHERE outcome IS NOT NULL

-- Reapers of schema 1 check the version only when they open the ledger. One that runs meets the names of its tables
-- here: its next statement fails with this sentence, and it ends. A later migration drops them first: ALTER TABLE reads
-- every view.
-- name: refusals
CREATE VIEW source AS SELECT * FROM "a newer reaper migrated this ledger (schema {SCHEMA}): use that version";
CREATE VIEW owner AS SELECT * FROM "a newer reaper migrated this ledger (schema {SCHEMA}): use that version"

-- name: history
CREATE TABLE history (
    slot INTEGER NOT NULL,
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (slot, name)
) WITHOUT ROWID

-- name: tables
CREATE TABLE intake_source (
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
    source_id INTEGER NOT NULL REFERENCES intake_source (id),
    added_at REAL NOT NULL,
    due_at REAL NOT NULL,
    wait_s REAL,
    first_due_at REAL,
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
{indexes};
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL DEFAULT 0);
{history};
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
    source_id INTEGER NOT NULL REFERENCES intake_source (id),
    at REAL NOT NULL,
    line INTEGER NOT NULL,
    reason TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE TABLE process (
    owner TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    started_at REAL NOT NULL,
    told_at REAL,
    "limit" INTEGER,
    pauses TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
{refusals}

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

-- The wait of a row of schema 1, as far as it can be known: one due when it was accepted waits for nothing, a retry
-- waits since its last send.
-- name: guessed_wait
CASE WHEN sends = 0 AND due_at = added_at THEN 0
    WHEN sends > 0 AND json_valid(history) THEN max(0, due_at - json_extract(history, '$[#-1].at')) END

-- name: from_1_to_2
ALTER TABLE source RENAME TO intake_source;
ALTER TABLE owner RENAME TO process;
ALTER TABLE item ADD COLUMN wait_s REAL;
DROP INDEX item_open;
DROP INDEX item_leased;
DROP INDEX item_settled;
UPDATE item SET wait_s = {guessed_wait} WHERE outcome IS NULL;
{indexes};
{refusals}

-- The rounds of retries count from the due time that they have now.
-- name: from_2_to_3
DROP VIEW source;
DROP VIEW owner;
ALTER TABLE item ADD COLUMN first_due_at REAL;
{history};
{refusals}

-- A ledger of schema 1 as one of schema 2, for a connection that only reads. What such a connection reads of schema 3
-- is the same, but for the history.
-- name: read_1_as_2
CREATE TEMP VIEW item AS SELECT *, {guessed_wait} AS wait_s FROM main.item;
CREATE TEMP VIEW intake_source AS SELECT * FROM main.source;
CREATE TEMP VIEW process AS SELECT * FROM main.owner
