-- a note

-- +goose Up
-- first
SELECT 1; -- why

SELECT 2
  -- inside
  , 3;
