-- +goose Up

-- How often the texts, the tags or the set of a collection's records changed: what is kept of them in memory is of one such number.
CREATE TABLE generations (
    project_id TEXT NOT NULL,
    collection TEXT NOT NULL,
    n          INTEGER NOT NULL,
    PRIMARY KEY (project_id, collection)
) STRICT, WITHOUT ROWID;
