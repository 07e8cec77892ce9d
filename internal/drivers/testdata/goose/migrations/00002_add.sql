-- +goose Up
ALTER TABLE accounts ADD COLUMN state VARCHAR(10) NOT NULL DEFAULT 'new';
CREATE INDEX accounts_name ON accounts (name);
-- +goose Down
DROP INDEX accounts_name ON accounts;
ALTER TABLE accounts DROP COLUMN state;
