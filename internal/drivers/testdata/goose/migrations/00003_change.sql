-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE accounts MODIFY hits BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts RENAME COLUMN note TO remark;
-- +goose Down
ALTER TABLE accounts RENAME COLUMN remark TO note;
ALTER TABLE accounts MODIFY hits INT NOT NULL DEFAULT 0;
