-- +goose Up

-- What lists show of a deployment stands beside its body.
ALTER TABLE deployments ADD COLUMN summary BLOB NOT NULL DEFAULT x'00';

-- How many records with a tag there are of each combination of the columns that lists count by.
CREATE TABLE applications_tags (
    project_id TEXT NOT NULL,
    tag TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "agent_id" TEXT NOT NULL,
    "sync" TEXT NOT NULL,
    "health" TEXT NOT NULL,
    "display" TEXT NOT NULL,
    "enabled" TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (project_id, tag, "kind", "provider", "agent_id", "sync", "health", "display", "enabled")
) STRICT, WITHOUT ROWID;
INSERT INTO applications_tags SELECT c.project_id, t.tag, "kind", "provider", "agent_id", "sync", "health", "display", "enabled", count(*) FROM tags t JOIN applications c ON c.project_id = t.project_id AND c."key" = t."key" WHERE t.collection = 'applications' GROUP BY c.project_id, t.tag, "kind", "provider", "agent_id", "sync", "health", "display", "enabled";
CREATE TABLE deployments_tags (
    project_id TEXT NOT NULL,
    tag TEXT NOT NULL,
    "display" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "trigger" TEXT NOT NULL,
    "agent_id" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (project_id, tag, "display", "kind", "trigger", "agent_id", "provider")
) STRICT, WITHOUT ROWID;
INSERT INTO deployments_tags SELECT c.project_id, t.tag, "display", "kind", "trigger", "agent_id", "provider", count(*) FROM tags t JOIN deployments c ON c.project_id = t.project_id AND c."key" = t."key" WHERE t.collection = 'deployments' GROUP BY c.project_id, t.tag, "display", "kind", "trigger", "agent_id", "provider";
