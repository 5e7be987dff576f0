-- +goose Up

-- What lists filter, sort and count by stands beside the bodies.

ALTER TABLE applications ADD COLUMN "provider" TEXT NOT NULL DEFAULT '';
ALTER TABLE applications ADD COLUMN "sync" TEXT NOT NULL DEFAULT '';
ALTER TABLE applications ADD COLUMN "health" TEXT NOT NULL DEFAULT '';
ALTER TABLE applications ADD COLUMN "display" TEXT NOT NULL DEFAULT '';
ALTER TABLE applications ADD COLUMN "enabled" TEXT NOT NULL DEFAULT '';
ALTER TABLE applications ADD COLUMN "last_at" TEXT NOT NULL DEFAULT '';
ALTER TABLE applications ADD COLUMN "text" TEXT NOT NULL DEFAULT '';
ALTER TABLE applications ADD COLUMN "by_health" TEXT NOT NULL DEFAULT '';
ALTER TABLE applications ADD COLUMN "by_sync" TEXT NOT NULL DEFAULT '';
ALTER TABLE applications ADD COLUMN "by_display" TEXT NOT NULL DEFAULT '';
ALTER TABLE applications ADD COLUMN "by_kind" TEXT NOT NULL DEFAULT '';
ALTER TABLE applications ADD COLUMN "attention" TEXT NOT NULL DEFAULT '';
CREATE INDEX applications_by_provider ON applications (project_id, "provider", "key");
CREATE INDEX applications_by_sync ON applications (project_id, "sync", "key");
CREATE INDEX applications_by_health ON applications (project_id, "health", "key");
CREATE INDEX applications_by_display ON applications (project_id, "display", "key");
CREATE INDEX applications_by_enabled ON applications (project_id, "enabled", "key");
CREATE INDEX applications_by_last_at ON applications (project_id, "last_at", "key");
CREATE INDEX applications_by_by_health ON applications (project_id, "by_health", "key");
CREATE INDEX applications_by_by_sync ON applications (project_id, "by_sync", "key");
CREATE INDEX applications_by_by_display ON applications (project_id, "by_display", "key");
CREATE INDEX applications_by_by_kind ON applications (project_id, "by_kind", "key");
CREATE INDEX applications_by_attention ON applications (project_id, "attention", "key");

ALTER TABLE deployments ADD COLUMN "display" TEXT NOT NULL DEFAULT '';
ALTER TABLE deployments ADD COLUMN "kind" TEXT NOT NULL DEFAULT '';
ALTER TABLE deployments ADD COLUMN "trigger" TEXT NOT NULL DEFAULT '';
ALTER TABLE deployments ADD COLUMN "agent_id" TEXT NOT NULL DEFAULT '';
ALTER TABLE deployments ADD COLUMN "provider" TEXT NOT NULL DEFAULT '';
ALTER TABLE deployments ADD COLUMN "commit" TEXT NOT NULL DEFAULT '';
ALTER TABLE deployments ADD COLUMN "text" TEXT NOT NULL DEFAULT '';
CREATE INDEX deployments_by_display ON deployments (project_id, "display", "key");
CREATE INDEX deployments_by_kind ON deployments (project_id, "kind", "key");
CREATE INDEX deployments_by_trigger ON deployments (project_id, "trigger", "key");
CREATE INDEX deployments_by_agent_id ON deployments (project_id, "agent_id", "key");
CREATE INDEX deployments_by_provider ON deployments (project_id, "provider", "key");
CREATE INDEX deployments_by_commit ON deployments (project_id, "commit", "key");

-- Conditions on several columns are looked at here, without the bodies.
CREATE INDEX applications_wide ON applications (project_id, "name", "key", "text", "kind", "provider", "agent_id", "sync", "health", "display", "enabled", "last_at", "by_health", "by_sync", "by_display", "by_kind", "attention", "repo_id");
CREATE INDEX deployments_wide ON deployments (project_id, "key", "text", "display", "kind", "trigger", "agent_id", "provider", "status", "application_id");

-- How many applications there are of each combination of the columns that lists count by.
CREATE TABLE applications_tally (
    project_id TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "agent_id" TEXT NOT NULL,
    "sync" TEXT NOT NULL,
    "health" TEXT NOT NULL,
    "display" TEXT NOT NULL,
    "enabled" TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (project_id, "kind", "provider", "agent_id", "sync", "health", "display", "enabled")
) STRICT, WITHOUT ROWID;
INSERT INTO applications_tally SELECT project_id, "kind", "provider", "agent_id", "sync", "health", "display", "enabled", count(*) FROM applications GROUP BY project_id, "kind", "provider", "agent_id", "sync", "health", "display", "enabled";
-- +goose StatementBegin
CREATE TRIGGER applications_tally_add AFTER INSERT ON applications BEGIN
    INSERT INTO applications_tally VALUES (new.project_id, new."kind", new."provider", new."agent_id", new."sync", new."health", new."display", new."enabled", 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER applications_tally_remove AFTER DELETE ON applications BEGIN
    UPDATE applications_tally SET n = n - 1 WHERE project_id = old.project_id AND "kind" = old."kind" AND "provider" = old."provider" AND "agent_id" = old."agent_id" AND "sync" = old."sync" AND "health" = old."health" AND "display" = old."display" AND "enabled" = old."enabled";
    DELETE FROM applications_tally WHERE project_id = old.project_id AND "kind" = old."kind" AND "provider" = old."provider" AND "agent_id" = old."agent_id" AND "sync" = old."sync" AND "health" = old."health" AND "display" = old."display" AND "enabled" = old."enabled" AND n = 0;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER applications_tally_move AFTER UPDATE ON applications WHEN (old."kind", old."provider", old."agent_id", old."sync", old."health", old."display", old."enabled") IS NOT (new."kind", new."provider", new."agent_id", new."sync", new."health", new."display", new."enabled") BEGIN
    UPDATE applications_tally SET n = n - 1 WHERE project_id = old.project_id AND "kind" = old."kind" AND "provider" = old."provider" AND "agent_id" = old."agent_id" AND "sync" = old."sync" AND "health" = old."health" AND "display" = old."display" AND "enabled" = old."enabled";
    DELETE FROM applications_tally WHERE project_id = old.project_id AND "kind" = old."kind" AND "provider" = old."provider" AND "agent_id" = old."agent_id" AND "sync" = old."sync" AND "health" = old."health" AND "display" = old."display" AND "enabled" = old."enabled" AND n = 0;
    INSERT INTO applications_tally VALUES (new.project_id, new."kind", new."provider", new."agent_id", new."sync", new."health", new."display", new."enabled", 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd

-- How many deployments there are of each combination of the columns that lists count by.
CREATE TABLE deployments_tally (
    project_id TEXT NOT NULL,
    "display" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "trigger" TEXT NOT NULL,
    "agent_id" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (project_id, "display", "kind", "trigger", "agent_id", "provider")
) STRICT, WITHOUT ROWID;
INSERT INTO deployments_tally SELECT project_id, "display", "kind", "trigger", "agent_id", "provider", count(*) FROM deployments GROUP BY project_id, "display", "kind", "trigger", "agent_id", "provider";
-- +goose StatementBegin
CREATE TRIGGER deployments_tally_add AFTER INSERT ON deployments BEGIN
    INSERT INTO deployments_tally VALUES (new.project_id, new."display", new."kind", new."trigger", new."agent_id", new."provider", 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER deployments_tally_remove AFTER DELETE ON deployments BEGIN
    UPDATE deployments_tally SET n = n - 1 WHERE project_id = old.project_id AND "display" = old."display" AND "kind" = old."kind" AND "trigger" = old."trigger" AND "agent_id" = old."agent_id" AND "provider" = old."provider";
    DELETE FROM deployments_tally WHERE project_id = old.project_id AND "display" = old."display" AND "kind" = old."kind" AND "trigger" = old."trigger" AND "agent_id" = old."agent_id" AND "provider" = old."provider" AND n = 0;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER deployments_tally_move AFTER UPDATE ON deployments WHEN (old."display", old."kind", old."trigger", old."agent_id", old."provider") IS NOT (new."display", new."kind", new."trigger", new."agent_id", new."provider") BEGIN
    UPDATE deployments_tally SET n = n - 1 WHERE project_id = old.project_id AND "display" = old."display" AND "kind" = old."kind" AND "trigger" = old."trigger" AND "agent_id" = old."agent_id" AND "provider" = old."provider";
    DELETE FROM deployments_tally WHERE project_id = old.project_id AND "display" = old."display" AND "kind" = old."kind" AND "trigger" = old."trigger" AND "agent_id" = old."agent_id" AND "provider" = old."provider" AND n = 0;
    INSERT INTO deployments_tally VALUES (new.project_id, new."display", new."kind", new."trigger", new."agent_id", new."provider", 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd

-- Words under which records are found: labels, people. One record has many.
CREATE TABLE tags (
    project_id TEXT NOT NULL,
    collection TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    tag        TEXT NOT NULL,
    PRIMARY KEY (project_id, collection, "key", tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_tag ON tags (project_id, collection, tag, "key");

CREATE TABLE tags_tally (
    project_id TEXT NOT NULL,
    collection TEXT NOT NULL,
    tag        TEXT NOT NULL,
    n          INTEGER NOT NULL,
    PRIMARY KEY (project_id, collection, tag)
) STRICT, WITHOUT ROWID;
-- +goose StatementBegin
CREATE TRIGGER tags_tally_add AFTER INSERT ON tags BEGIN
    INSERT INTO tags_tally VALUES (new.project_id, new.collection, new.tag, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER tags_tally_remove AFTER DELETE ON tags BEGIN
    UPDATE tags_tally SET n = n - 1 WHERE project_id = old.project_id AND collection = old.collection AND tag = old.tag;
    DELETE FROM tags_tally WHERE project_id = old.project_id AND collection = old.collection AND tag = old.tag AND n = 0;
END;
-- +goose StatementEnd

CREATE TABLE preferences (
    project_id TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    body       BLOB NOT NULL,
    PRIMARY KEY (project_id, "key")
) STRICT;
