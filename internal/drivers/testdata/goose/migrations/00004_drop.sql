-- +goose Up
ALTER TABLE accounts DROP COLUMN old;
-- +goose StatementBegin
ALTER TABLE accounts MODIFY name VARCHAR(60) CHARACTER SET utf8mb4 NOT NULL, ADD UNIQUE KEY both_of (name, id);
-- +goose StatementEnd
-- +goose Down
ALTER TABLE accounts DROP KEY both_of, MODIFY name VARCHAR(50) NOT NULL;
ALTER TABLE accounts ADD COLUMN old INT;
