-- +goose NO TRANSACTION
-- Built concurrently, so that nobody's page waits for it; Postgres does that outside a transaction only.

-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_open_due_idx ON tasks (due_on) WHERE done_on IS NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS tasks_open_due_idx;
