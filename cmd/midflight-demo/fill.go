package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

const createOrders = `CREATE TABLE shop.orders (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  customer_id INT NOT NULL,
  amount BIGINT NOT NULL,
  version INT NOT NULL,
  details VARCHAR(160) NOT NULL,
  created_at DATETIME NOT NULL,
  KEY by_created (created_at)
)`

// fill makes the table with rows orders in it, on the server itself.
func fill(ctx context.Context, server *sql.DB, rows int64, progress func(done int64)) error {
	conn, err := server.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect to the server: %w", err)
	}
	defer conn.Close()
	do := func(statement string) error {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("fill the table: %.60s…: %w", statement, err)
		}
		return nil
	}
	for _, s := range []string{
		"SET SESSION sql_log_bin = 0", // nobody needs the filling twice
		"CREATE DATABASE shop", createOrders,
	} {
		if err := do(s); err != nil {
			return err
		}
	}
	last := time.Now()
	for n := int64(0); n < rows; {
		var b strings.Builder
		b.WriteString("INSERT INTO shop.orders (id, " + columns + ") VALUES ")
		for end := min(n+2000, rows); n < end; n++ {
			id := filledID(n)
			fmt.Fprintf(&b, "(%d,%s,", id, filled(id).values()[1:])
		}
		if err := do(strings.TrimSuffix(b.String(), ",")); err != nil {
			return err
		}
		if time.Since(last) > 200*time.Millisecond {
			last = time.Now()
			progress(n)
		}
	}
	progress(rows)
	return do("ANALYZE NO_WRITE_TO_BINLOG TABLE shop.orders")
}
