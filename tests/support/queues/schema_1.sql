-- A ledger of schema 1 with IDs in every state, as the last version with that schema wrote it.
BEGIN TRANSACTION;
PRAGMA user_version = 1;
PRAGMA application_id = 1380270416;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL DEFAULT 0);
INSERT INTO "counter" VALUES('accepted',13);
INSERT INTO "counter" VALUES('duplicate',0);
INSERT INTO "counter" VALUES('invalid',0);
INSERT INTO "counter" VALUES('finals',3);
INSERT INTO "counter" VALUES('answered.stopped',1);
INSERT INTO "counter" VALUES('answered.gone',1);
INSERT INTO "counter" VALUES('settled.stopped',1);
INSERT INTO "counter" VALUES('settled.already_gone',1);
INSERT INTO "counter" VALUES('settled.forbidden',1);
INSERT INTO "counter" VALUES('settled.rejected',0);
INSERT INTO "counter" VALUES('settled.exhausted',0);
INSERT INTO "counter" VALUES('settled.protected',0);
INSERT INTO "counter" VALUES('settled.cancelled',0);
INSERT INTO "counter" VALUES('pruned.stopped',0);
INSERT INTO "counter" VALUES('pruned.already_gone',0);
INSERT INTO "counter" VALUES('pruned.forbidden',0);
INSERT INTO "counter" VALUES('pruned.rejected',0);
INSERT INTO "counter" VALUES('pruned.exhausted',0);
INSERT INTO "counter" VALUES('pruned.protected',0);
INSERT INTO "counter" VALUES('pruned.cancelled',0);
INSERT INTO "counter" VALUES('reopened.stopped',0);
INSERT INTO "counter" VALUES('reopened.already_gone',0);
INSERT INTO "counter" VALUES('reopened.forbidden',0);
INSERT INTO "counter" VALUES('reopened.rejected',0);
INSERT INTO "counter" VALUES('reopened.exhausted',0);
INSERT INTO "counter" VALUES('reopened.protected',0);
INSERT INTO "counter" VALUES('reopened.cancelled',0);
CREATE TABLE invalid_line (
    id INTEGER PRIMARY KEY,
    source_id INTEGER NOT NULL REFERENCES source (id),
    at REAL NOT NULL,
    line INTEGER NOT NULL,
    reason TEXT NOT NULL,
    text TEXT NOT NULL
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
INSERT INTO "item" VALUES(1,'env_stopped',1,1,1.79599719173205566403e+09,1.79599719173205566403e+09,1,1,1,0,0,0,NULL,NULL,NULL,NULL,NULL,'stopped',204,NULL,1.79599719175318813324e+09,NULL,NULL,'[{"at": 1795997191.7251582, "duration_s": 0.1, "status": 204}]');
INSERT INTO "item" VALUES(2,'env_gone',1,1,1.79599719175424027439e+09,1.79599719175424027439e+09,1,1,1,0,1,0,NULL,NULL,NULL,NULL,NULL,'already_gone',404,NULL,1.79599719176984858517e+09,NULL,NULL,'[{"at": 1795997191.7251582, "duration_s": 0.1, "status": 404}]');
INSERT INTO "item" VALUES(3,'env_refused',1,1,1.79599719177296209332e+09,1.79599719177296209332e+09,1,1,1,0,2,0,NULL,NULL,NULL,NULL,NULL,'forbidden',403,NULL,1.79599719177687931065e+09,NULL,NULL,'[{"at": 1795997191.7251582, "duration_s": 0.1, "status": 403, "error": "no"}]');
INSERT INTO "item" VALUES(4,'env_retry_soon',1,1,1.7959971917773609162e+09,1.79599719278172516821e+09,1,1,1,0,3,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[{"at": 1795997191.7251582, "duration_s": 0.1, "status": 502}]');
INSERT INTO "item" VALUES(5,'env_retry_late',1,1,1.79599719178267025945e+09,1.7960007917867982387e+09,1,1,1,0,3,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[{"at": 1795997191.7251582, "duration_s": 0.1, "status": 502}]');
INSERT INTO "item" VALUES(6,'env_delayed',1,1,1.79599719178889846802e+09,1.79600079178889846798e+09,0,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]');
INSERT INTO "item" VALUES(7,'env_timed',1,1,1.79599719178993153575e+09,1.79600439172515821458e+09,0,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]');
INSERT INTO "item" VALUES(8,'env_held',1,1,1.79599719179493975637e+09,1.79599719179493975637e+09,0,1,0,0,3,0,'5fa8208c57542256','8.5fa8208c57542256.5',1.79599749179822611808e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]');
INSERT INTO "item" VALUES(9,'env_held_cancelled',1,1,1.79599719179493975637e+09,1.79599719179493975637e+09,0,1,0,0,3,0,'5fa8208c57542256','9.5fa8208c57542256.6',1.79599749179822611808e+09,'who','why',NULL,NULL,NULL,NULL,NULL,NULL,'[]');
INSERT INTO "item" VALUES(10,'env_a',1,1,1.79599719181300520893e+09,1.79599719181300520893e+09,0,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]');
INSERT INTO "item" VALUES(11,'env_b',1,1,1.79599719181300520893e+09,1.79599719181300520893e+09,0,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]');
INSERT INTO "item" VALUES(12,'env_c',1,1,1.79599719181300520893e+09,1.79599719181300520893e+09,0,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]');
INSERT INTO "item" VALUES(13,'null',1,1,1.79599719181300520893e+09,1.79599719181300520893e+09,0,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]');
CREATE TABLE owner (
    owner TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    started_at REAL NOT NULL,
    told_at REAL,
    "limit" INTEGER,
    pauses TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE position (
    path TEXT PRIMARY KEY,
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    prefix_bytes INTEGER NOT NULL,
    prefix_hash TEXT NOT NULL,
    "offset" INTEGER NOT NULL,
    line INTEGER NOT NULL
);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "setting" VALUES('note.account','usr_1');
CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    accepted INTEGER NOT NULL DEFAULT 0,
    duplicate INTEGER NOT NULL DEFAULT 0,
    invalid INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "source" VALUES(1,'old',13,0,0);
CREATE INDEX item_open ON item ((sends > 0), COALESCE(lease_until, due_at), id) WHERE outcome IS NULL;
CREATE INDEX item_leased ON item (owner, lease_until) WHERE receipt IS NOT NULL;
CREATE INDEX item_settled ON item ((outcome IN ('exhausted', 'forbidden', 'rejected')), settled_at, id) WHERE outcome IS NOT NULL;
COMMIT;
