-- +goose Up
CREATE TABLE documents (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    residence_id bigint      NOT NULL REFERENCES residences (id) ON DELETE CASCADE,
    title        text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX documents_residence_id_idx ON documents (residence_id);

-- What a client may send, or has sent, and nobody keeps yet. The object's key is made from user and id.
CREATE TABLE pending_uploads (
    id              uuid PRIMARY KEY,
    -- Without a reference: what someone sent must be found after they are gone.
    user_id         bigint      NOT NULL,
    category        text        NOT NULL CHECK (category IN ('task_completion', 'document')),
    content_type    text        NOT NULL,
    content_length  bigint      NOT NULL CHECK (content_length BETWEEN 1 AND 10000000),
    sha256          text        CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    -- pending -> attaching -> attached -> clearing -> gone; pending -> reaping -> gone; attaching -> pending when it did not work out.
    state           text        NOT NULL DEFAULT 'pending'
                    CHECK (state IN ('pending', 'attaching', 'attached', 'reaping', 'clearing')),
    state_since     timestamptz NOT NULL DEFAULT now(),
    -- Who has it in hand: one request's attaching, or one reaper's batch.
    claim           uuid,
    created_at      timestamptz NOT NULL DEFAULT now(),
    -- Until then the signed form can be used; an upload that is attached by `expires_at` is kept.
    form_expires_at timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    CHECK ((claim IS NOT NULL) = (state IN ('attaching', 'reaping', 'clearing')))
);

CREATE INDEX pending_uploads_user_id_idx ON pending_uploads (user_id);
CREATE INDEX pending_uploads_expires_at_idx ON pending_uploads (expires_at);
CREATE INDEX pending_uploads_claim_idx ON pending_uploads (claim) WHERE claim IS NOT NULL;

-- What is kept. One that belongs to nothing any more is deleted by the worker, its object first.
CREATE TABLE files (
    -- Its upload's id.
    id             uuid PRIMARY KEY,
    owner_id       bigint      NOT NULL,
    content_type   text        NOT NULL,
    content_length bigint      NOT NULL,
    completion_id  bigint      REFERENCES task_completions (id) ON DELETE SET NULL,
    document_id    bigint      REFERENCES documents (id) ON DELETE SET NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    CHECK (completion_id IS NULL OR document_id IS NULL)
);

CREATE INDEX files_owner_id_idx ON files (owner_id);
CREATE INDEX files_completion_id_idx ON files (completion_id);
CREATE INDEX files_document_id_idx ON files (document_id);
CREATE INDEX files_of_nothing_idx ON files (id) WHERE completion_id IS NULL AND document_id IS NULL;

-- Opens an upload if the user has room for one: one round trip, and exact when many come at once, because they queue for the user's row.
-- +goose StatementBegin
CREATE FUNCTION open_upload(
    upload uuid, of_user bigint, of_category text, of_type text, of_length bigint, of_sha256 text,
    form_lives interval, upload_lives interval, most bigint
) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM users WHERE id = of_user FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'nobody';
    END IF;
    IF (SELECT count(*) FROM pending_uploads
        WHERE user_id = of_user AND state IN ('pending', 'attaching') AND expires_at > now()) >= most THEN
        RETURN 'full';
    END IF;
    INSERT INTO pending_uploads
        (id, user_id, category, content_type, content_length, sha256, form_expires_at, expires_at)
    VALUES (upload, of_user, of_category, of_type, of_length, of_sha256, now() + form_lives, now() + upload_lives);
    RETURN 'opened';
END;
$$;
-- +goose StatementEnd

-- What the reaper has done, run by run.
CREATE TABLE reaper_runs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    reaped      bigint NOT NULL DEFAULT 0,
    cleared     bigint NOT NULL DEFAULT 0,
    orphaned    bigint NOT NULL DEFAULT 0,
    refused     bigint NOT NULL DEFAULT 0,
    versions    bigint NOT NULL DEFAULT 0
);

-- People who are to be forgotten by the bucket too. A row stays as the proof that it was done.
CREATE TABLE erasures (
    user_id      bigint      PRIMARY KEY,
    requested_at timestamptz NOT NULL DEFAULT now(),
    -- No upload that was signed before can arrive after this.
    quiet_after  timestamptz NOT NULL,
    -- Those that were not tried for the longest time come first: one that can't end holds up no other.
    tried_at     timestamptz,
    attempts     bigint      NOT NULL DEFAULT 0,
    versions     bigint      NOT NULL DEFAULT 0,
    last_error   text        NOT NULL DEFAULT '',
    -- When the bucket was found empty of them after `quiet_after`.
    finished_at  timestamptz
);

-- +goose Down
DROP TABLE erasures;
DROP TABLE reaper_runs;
DROP FUNCTION open_upload(uuid, bigint, text, text, bigint, text, interval, interval, bigint);
DROP TABLE files;
DROP TABLE pending_uploads;
DROP TABLE documents;
