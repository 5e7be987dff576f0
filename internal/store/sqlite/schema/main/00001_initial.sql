-- +goose Up

-- What the database says of itself.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The truth. AUTOINCREMENT keeps a position from being given out again after the newest events were removed.
-- The data comes last, so that a reader of changes, who leaves it out, does not touch its overflow pages.
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

CREATE INDEX events_since ON events (project_id, pos);

-- The collections. Where bodies are a line or two the row lives in the tree of its key (WITHOUT ROWID).

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
CREATE INDEX credentials_by_owner ON credentials (project_id, "owner", "key");

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
CREATE INDEX deployments_by_application_id ON deployments (project_id, "application_id", "key");
CREATE INDEX deployments_by_status ON deployments (project_id, "status", "key");
CREATE INDEX deployments_by_open ON deployments (project_id, "open", "key");
CREATE INDEX deployments_by_timer ON deployments (project_id, "timer", "key");
CREATE INDEX deployments_by_name ON deployments (project_id, "name", "key");

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
CREATE INDEX applications_by_name ON applications (project_id, "name", "key");
CREATE INDEX applications_by_agent_id ON applications (project_id, "agent_id", "key");
CREATE INDEX applications_by_repo_id ON applications (project_id, "repo_id", "key");
CREATE INDEX applications_by_kind ON applications (project_id, "kind", "key");

CREATE TABLE agents (
    project_id TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    body       BLOB NOT NULL,
    "name"     TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT;
CREATE INDEX agents_by_name ON agents (project_id, "name", "key");

CREATE TABLE sessions (
    project_id TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    body       BLOB NOT NULL,
    "agent_id" TEXT NOT NULL,
    "expires"  TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_agent_id ON sessions (project_id, "agent_id", "key");
CREATE INDEX sessions_by_expires ON sessions (project_id, "expires", "key");

CREATE TABLE assignments (
    project_id   TEXT NOT NULL,
    "key"        TEXT NOT NULL,
    body         BLOB NOT NULL,
    "session_id" TEXT NOT NULL,
    "agent_id"   TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT, WITHOUT ROWID;
CREATE INDEX assignments_by_session_id ON assignments (project_id, "session_id", "key");
CREATE INDEX assignments_by_agent_id ON assignments (project_id, "agent_id", "key");

CREATE TABLE journal (
    project_id      TEXT NOT NULL,
    "key"           TEXT NOT NULL,
    body            BLOB NOT NULL,
    "deployment_id" TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT;
CREATE INDEX journal_by_deployment_id ON journal (project_id, "deployment_id", "key");

CREATE TABLE claims (
    project_id      TEXT NOT NULL,
    "key"           TEXT NOT NULL,
    body            BLOB NOT NULL,
    "deployment_id" TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_by_deployment_id ON claims (project_id, "deployment_id", "key");

CREATE TABLE triggers (
    project_id       TEXT NOT NULL,
    "key"            TEXT NOT NULL,
    body             BLOB NOT NULL,
    "application_id" TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT, WITHOUT ROWID;
CREATE INDEX triggers_by_application_id ON triggers (project_id, "application_id", "key");

CREATE TABLE discovered (
    project_id TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    body       BLOB NOT NULL,
    "agent_id" TEXT NOT NULL,
    "repo_id"  TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT;
CREATE INDEX discovered_by_agent_id ON discovered (project_id, "agent_id", "key");
CREATE INDEX discovered_by_repo_id ON discovered (project_id, "repo_id", "key");

CREATE TABLE heads (
    project_id TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    body       BLOB NOT NULL,
    "repo_id"  TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT, WITHOUT ROWID;
CREATE INDEX heads_by_repo_id ON heads (project_id, "repo_id", "key");

CREATE TABLE requests (
    project_id TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    body       BLOB NOT NULL,
    "at"       TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT;
CREATE INDEX requests_by_at ON requests (project_id, "at", "key");
