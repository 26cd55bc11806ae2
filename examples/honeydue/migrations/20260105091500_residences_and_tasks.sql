-- +goose Up
CREATE TABLE residences (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_id   bigint      NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name       text        NOT NULL,
    address    text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX residences_owner_id_idx ON residences (owner_id);

CREATE TABLE tasks (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    residence_id bigint      NOT NULL REFERENCES residences (id) ON DELETE CASCADE,
    title        text        NOT NULL,
    notes        text        NOT NULL DEFAULT '',
    due_on       date        NOT NULL,
    every_days   integer     CHECK (every_days BETWEEN 1 AND 3650),
    done_on      date,
    created_at   timestamptz NOT NULL DEFAULT now(),
    -- A repeating task is never done: it falls due again.
    CHECK (every_days IS NULL OR done_on IS NULL)
);

CREATE INDEX tasks_residence_id_idx ON tasks (residence_id);

CREATE TABLE task_completions (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id  bigint NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    due_on   date   NOT NULL,
    done_on  date   NOT NULL,
    done_at  timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX task_completions_task_id_idx ON task_completions (task_id, done_on);

-- +goose Down
DROP TABLE task_completions;
DROP TABLE tasks;
DROP TABLE residences;
