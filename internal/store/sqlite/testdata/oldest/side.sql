CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')));
CREATE TABLE logs (
    project_id    TEXT    NOT NULL,
    deployment_id TEXT    NOT NULL,
    stage_id      TEXT    NOT NULL,
    attempt       INTEGER NOT NULL,
    size          INTEGER NOT NULL,
    is_full       INTEGER NOT NULL,
    PRIMARY KEY (project_id, deployment_id, stage_id, attempt)
) STRICT, WITHOUT ROWID;
CREATE TABLE chunks (
    id            INTEGER PRIMARY KEY,
    project_id    TEXT    NOT NULL,
    deployment_id TEXT    NOT NULL,
    stage_id      TEXT    NOT NULL,
    attempt       INTEGER NOT NULL,
    epoch         INTEGER NOT NULL,
    sent          INTEGER NOT NULL,
    start         INTEGER NOT NULL,
    data          BLOB    NOT NULL,
    UNIQUE (project_id, deployment_id, stage_id, attempt, epoch, sent),
    UNIQUE (project_id, deployment_id, stage_id, attempt, start)
) STRICT;
CREATE TABLE side (
    project_id TEXT NOT NULL,
    kind       TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    at         TEXT NOT NULL,
    value      BLOB NOT NULL,
    PRIMARY KEY (project_id, kind, "key")
) STRICT;
INSERT INTO "goose_db_version" VALUES (1, 0, 1, '2026-11-24 00:06:17');
INSERT INTO "goose_db_version" VALUES (2, 1, 1, '2026-11-24 00:06:17');
INSERT INTO "logs" VALUES ('p', 'd1', 's', 1, 5, 0);
INSERT INTO "chunks" VALUES (1, 'p', 'd1', 's', 1, 1, 0, 0, x'006c696e650a');
INSERT INTO "side" VALUES ('p', 'live', 'a1', '2026-11-23T12:00:00.000000000Z', x'006c697665');
