-- +goose Up
-- +skep contract
DROP TABLE a;
