-- +goose ENVSUB ON
-- +goose Up
SELECT '${NAME:-x}' $$ ${A} $B;
