-- +goose up
SELECT 1;
-- +goose statementbegin
SELECT 2;
-- +goose statementend
