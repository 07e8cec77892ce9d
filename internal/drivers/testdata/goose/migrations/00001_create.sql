-- +goose Up
CREATE TABLE accounts (id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50) NOT NULL, hits INT NOT NULL DEFAULT 0, note VARCHAR(20), old INT);
-- +goose Down
DROP TABLE accounts;
