package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"midflight/internal/localserver"
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
	if err := s.tell(ctx, "FLUSH BINARY LOGS", "PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY"); err != nil {
		return err
	}
	if s.server.Flavor == localserver.MySQL {
		return s.awaitSettled(ctx)
	}
	// By itself MariaDB keeps its pages, and writes 200 of them a second.
	if err := s.tell(ctx, "SET GLOBAL innodb_max_dirty_pages_pct = 0, GLOBAL innodb_io_capacity = 2000"); err != nil {
		return err
	}
	return errors.Join(s.awaitSettled(ctx),
		s.tell(ctx, "SET GLOBAL innodb_max_dirty_pages_pct = DEFAULT, GLOBAL innodb_io_capacity = DEFAULT"))
}

func (s *site) awaitSettled(ctx context.Context) error {
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
	old, err := s.texts(ctx, `SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables
WHERE table_name LIKE '\_%\_old' AND table_type = 'BASE TABLE'`)
	if err != nil {
		return fmt.Errorf("list the old tables: %w", err)
	}
	for _, name := range old {
		if err := s.tell(ctx, "DROP TABLE "+name); err != nil {
			return err
		}
	}
	return nil
}
