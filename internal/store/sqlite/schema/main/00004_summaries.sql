-- +goose Up

-- What lists show of a deployment stands beside its body.
ALTER TABLE deployments ADD COLUMN summary BLOB NOT NULL DEFAULT x'00';
