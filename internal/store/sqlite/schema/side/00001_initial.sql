-- +goose Up

-- One row for each log: how much is stored, and whether the cap was reached.
CREATE TABLE logs (
    project_id    TEXT    NOT NULL,
    deployment_id TEXT    NOT NULL,
    stage_id      TEXT    NOT NULL,
    attempt       INTEGER NOT NULL,
    size          INTEGER NOT NULL,
    is_full       INTEGER NOT NULL,
    PRIMARY KEY (project_id, deployment_id, stage_id, attempt)
) STRICT, WITHOUT ROWID;

-- Chunks: (epoch, sent) is the writer's own offset, start the place in the log over all epochs.
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
