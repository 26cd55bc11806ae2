-- +goose Up
CREATE TABLE job_runs (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job           text        NOT NULL,
    scheduled_for timestamptz NOT NULL,
    worker        text        NOT NULL,
    state         text        NOT NULL CHECK (state IN ('running', 'done', 'failed', 'lost')),
    lease_until   timestamptz NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    note          text        NOT NULL DEFAULT '',
    -- One run for one tick of the clock, whichever worker claims it.
    UNIQUE (job, scheduled_for)
);

-- One run of a job at a time, even when an earlier tick's run takes longer than the gap between two ticks.
CREATE UNIQUE INDEX job_runs_one_running ON job_runs (job) WHERE state = 'running';

CREATE TABLE reminders (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id bigint      NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    due_on  date        NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (task_id, due_on)
);

CREATE TABLE digests (
    user_id    bigint  NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    week_of    date    NOT NULL,
    done       integer NOT NULL,
    due        integer NOT NULL,
    overdue    integer NOT NULL,
    PRIMARY KEY (user_id, week_of)
);

-- A completed or moved task needs no reminder any more.
-- +goose StatementBegin
CREATE FUNCTION forget_reminders() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM reminders WHERE task_id = NEW.id;
    RETURN NEW;
END;
$$;
-- +goose StatementEnd

CREATE TRIGGER tasks_forget_reminders
    AFTER UPDATE OF due_on, done_on ON tasks
    FOR EACH ROW EXECUTE FUNCTION forget_reminders();

-- +goose Down
DROP TRIGGER tasks_forget_reminders ON tasks;
DROP FUNCTION forget_reminders();
DROP TABLE digests;
DROP TABLE reminders;
DROP TABLE job_runs;
