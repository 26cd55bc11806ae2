-- +goose Up
SELECT 'café';
