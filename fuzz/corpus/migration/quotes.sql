-- +goose Up
INSERT INTO a VALUES ('-- +goose Down', ';');
SELECT ';
';
