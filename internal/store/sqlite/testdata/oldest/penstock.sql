CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')));
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE events (
    pos         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id  TEXT    NOT NULL,
    stream_kind TEXT    NOT NULL,
    stream_id   TEXT    NOT NULL,
    seq         INTEGER NOT NULL,
    topic       TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    schema      INTEGER NOT NULL,
    at          TEXT    NOT NULL,
    actor       TEXT    NOT NULL,
    cause       TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    data        BLOB    NOT NULL,
    UNIQUE (project_id, id),
    UNIQUE (project_id, stream_kind, stream_id, seq)
) STRICT;
CREATE TABLE projects (
    project_id TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    body       BLOB NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT;
CREATE TABLE credentials (
    project_id TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    body       BLOB NOT NULL,
    "owner"    TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT, WITHOUT ROWID;
CREATE TABLE deployments (
    project_id       TEXT NOT NULL,
    "key"            TEXT NOT NULL,
    body             BLOB NOT NULL,
    "application_id" TEXT NOT NULL,
    "status"         TEXT NOT NULL,
    "open"           TEXT NOT NULL,
    "timer"          TEXT NOT NULL,
    "name"           TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT;
CREATE TABLE applications (
    project_id TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    body       BLOB NOT NULL,
    "name"     TEXT NOT NULL,
    "agent_id" TEXT NOT NULL,
    "repo_id"  TEXT NOT NULL,
    "kind"     TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT;
CREATE TABLE agents (
    project_id TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    body       BLOB NOT NULL,
    "name"     TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT;
CREATE TABLE sessions (
    project_id TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    body       BLOB NOT NULL,
    "agent_id" TEXT NOT NULL,
    "expires"  TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT, WITHOUT ROWID;
CREATE TABLE assignments (
    project_id   TEXT NOT NULL,
    "key"        TEXT NOT NULL,
    body         BLOB NOT NULL,
    "session_id" TEXT NOT NULL,
    "agent_id"   TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT, WITHOUT ROWID;
CREATE TABLE journal (
    project_id      TEXT NOT NULL,
    "key"           TEXT NOT NULL,
    body            BLOB NOT NULL,
    "deployment_id" TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT;
CREATE TABLE claims (
    project_id      TEXT NOT NULL,
    "key"           TEXT NOT NULL,
    body            BLOB NOT NULL,
    "deployment_id" TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT, WITHOUT ROWID;
CREATE TABLE triggers (
    project_id       TEXT NOT NULL,
    "key"            TEXT NOT NULL,
    body             BLOB NOT NULL,
    "application_id" TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT, WITHOUT ROWID;
CREATE TABLE discovered (
    project_id TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    body       BLOB NOT NULL,
    "agent_id" TEXT NOT NULL,
    "repo_id"  TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT;
CREATE TABLE heads (
    project_id TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    body       BLOB NOT NULL,
    "repo_id"  TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT, WITHOUT ROWID;
CREATE TABLE requests (
    project_id TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    body       BLOB NOT NULL,
    "at"       TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT;
INSERT INTO "goose_db_version" VALUES (1, 0, 1, '2026-11-24 00:06:17');
INSERT INTO "goose_db_version" VALUES (2, 1, 1, '2026-11-24 00:06:17');
INSERT INTO "meta" VALUES ('incarnation', '30133fd5-b112-42c3-9926-400ace16ce5e');
INSERT INTO "events" VALUES (1, 'p', 'application', 'w0', 1, '', 'w0-1', 'STEP_DONE', 1, '', 'agent:a', '', '', x'007b227374616765223a2273222c22617474656d7074223a312c2273746570223a327d');
INSERT INTO "events" VALUES (2, 'p', 'application', 'w0-twin', 1, '', 'w0-twin-1-7', 'STEP_DONE', 1, '', 'agent:a', '', '', x'007b227374616765223a2273222c22617474656d7074223a312c2273746570223a327d');
INSERT INTO "events" VALUES (3, 'p', 'application', 'w0', 2, '', 'w0-2', 'STEP_DONE', 1, '', 'agent:a', '', '', x'007b227374616765223a2273222c22617474656d7074223a312c2273746570223a327d');
INSERT INTO "events" VALUES (4, 'p', 'application', 'w0-twin', 2, '', 'w0-twin-2-7', 'STEP_DONE', 1, '', 'agent:a', '', '', x'007b227374616765223a2273222c22617474656d7074223a312c2273746570223a327d');
INSERT INTO "events" VALUES (5, 'p', 'application', 'w0', 3, '', 'w0-3', 'STEP_DONE', 1, '', 'agent:a', '', '', x'007b227374616765223a2273222c22617474656d7074223a312c2273746570223a327d');
INSERT INTO "events" VALUES (6, 'p', 'application', 'w0-twin', 3, '', 'w0-twin-3-7', 'STEP_DONE', 1, '', 'agent:a', '', '', x'007b227374616765223a2273222c22617474656d7074223a312c2273746570223a327d');
INSERT INTO "deployments" VALUES ('p', 'd1', x'0128b52ffd64a6124d0100f4017b226964223a226431222c22737461747573223a2252554e4e494e4722207d0154150230120e018df5661e', 'a1', 'RUNNING', '1', '2026-11-23T12:00:00.000000000Z', 'web');
INSERT INTO "requests" VALUES ('p', 'w0', x'0033', '');
CREATE INDEX events_since ON events (project_id, pos);
CREATE INDEX credentials_by_owner ON credentials (project_id, "owner", "key");
CREATE INDEX deployments_by_application_id ON deployments (project_id, "application_id", "key");
CREATE INDEX deployments_by_status ON deployments (project_id, "status", "key");
CREATE INDEX deployments_by_open ON deployments (project_id, "open", "key");
CREATE INDEX deployments_by_timer ON deployments (project_id, "timer", "key");
CREATE INDEX deployments_by_name ON deployments (project_id, "name", "key");
CREATE INDEX applications_by_name ON applications (project_id, "name", "key");
CREATE INDEX applications_by_agent_id ON applications (project_id, "agent_id", "key");
CREATE INDEX applications_by_repo_id ON applications (project_id, "repo_id", "key");
CREATE INDEX applications_by_kind ON applications (project_id, "kind", "key");
CREATE INDEX agents_by_name ON agents (project_id, "name", "key");
CREATE INDEX sessions_by_agent_id ON sessions (project_id, "agent_id", "key");
CREATE INDEX sessions_by_expires ON sessions (project_id, "expires", "key");
CREATE INDEX assignments_by_session_id ON assignments (project_id, "session_id", "key");
CREATE INDEX assignments_by_agent_id ON assignments (project_id, "agent_id", "key");
CREATE INDEX journal_by_deployment_id ON journal (project_id, "deployment_id", "key");
CREATE INDEX claims_by_deployment_id ON claims (project_id, "deployment_id", "key");
CREATE INDEX triggers_by_application_id ON triggers (project_id, "application_id", "key");
CREATE INDEX discovered_by_agent_id ON discovered (project_id, "agent_id", "key");
CREATE INDEX discovered_by_repo_id ON discovered (project_id, "repo_id", "key");
CREATE INDEX heads_by_repo_id ON heads (project_id, "repo_id", "key");
CREATE INDEX requests_by_at ON requests (project_id, "at", "key");
