package main

import (
	"context"
	"fmt"
	"time"
)

const (
	settled  = 100 // what may be left: transactions to purge, and pages to write
	settling = 15 * time.Second
)

// settle drops what earlier runs have left and waits, within bounds, until the server
// has nothing to do, so that nothing of one run is done in the next.
func (s *site) settle(ctx context.Context) error {
	if err := s.dropOld(ctx); err != nil {
		return err
	}
	for _, statement := range []string{"FLUSH BINARY LOGS", "PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY"} {
		if _, err := s.root.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	for deadline := time.Now().Add(settling); ; {
		var left int
		if err := s.root.QueryRowContext(ctx, `SELECT MAX(m.count) FROM information_schema.innodb_metrics m
WHERE name IN ('trx_rseg_history_len', 'buffer_pool_pages_dirty')`).Scan(&left); err != nil {
			return fmt.Errorf("ask what the server has to do: %w", err)
		}
		done := left <= settled || time.Now().After(deadline)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
		if done {
			return nil
		}
	}
}

// dropOld drops the tables that Midflight has kept.
func (s *site) dropOld(ctx context.Context) error {
	rows, err := s.root.QueryContext(ctx, `SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables
WHERE table_name LIKE '\_%\_old' AND table_type = 'BASE TABLE'`)
	if err != nil {
		return fmt.Errorf("list the old tables: %w", err)
	}
	defer rows.Close()
	var old []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return fmt.Errorf("list the old tables: %w", err)
		}
		old = append(old, name)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("list the old tables: %w", err)
	}
	for _, name := range old {
		if _, err := s.root.ExecContext(ctx, "DROP TABLE "+name); err != nil {
			return fmt.Errorf("drop the old table %s: %w", name, err)
		}
	}
	return nil
}
