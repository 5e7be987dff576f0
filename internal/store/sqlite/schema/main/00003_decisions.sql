-- +goose Up

-- What people asked for, and what agents are asked.
CREATE TABLE commands (
    project_id       TEXT NOT NULL,
    "key"            TEXT NOT NULL,
    body             BLOB NOT NULL,
    "actor"          TEXT NOT NULL,
    "application_id" TEXT NOT NULL,
    "deployment_id"  TEXT NOT NULL,
    "at"             TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT;
CREATE INDEX commands_by_actor ON commands (project_id, "actor", "key");
CREATE INDEX commands_by_application_id ON commands (project_id, "application_id", "key");
CREATE INDEX commands_by_deployment_id ON commands (project_id, "deployment_id", "key");
CREATE INDEX commands_by_at ON commands (project_id, "at", "key");

CREATE TABLE questions (
    project_id       TEXT NOT NULL,
    "key"            TEXT NOT NULL,
    body             BLOB NOT NULL,
    "application_id" TEXT NOT NULL,
    "open"           TEXT NOT NULL,
    "at"             TEXT NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT;
CREATE INDEX questions_by_application_id ON questions (project_id, "application_id", "key");
CREATE INDEX questions_by_open ON questions (project_id, "open", "key");
CREATE INDEX questions_by_at ON questions (project_id, "at", "key");
