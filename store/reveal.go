package store

import (
	"context"
	"encoding/json"
	"fmt"

	"midflight/ghost"
)

// Invisible implements ghost.Store.
func (s *Store) Invisible(ctx context.Context, id int64, columns []string) error {
	list, err := json.Marshal(columns)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, "UPDATE /* midflight */ midflight.migrations SET invisible_columns = ? WHERE id = ?", string(list), id)
	return err
}

// Reveals implements ghost.Store.
func (s *Store) Reveals(ctx context.Context) ([]ghost.Reveal, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT /* midflight */ id, schema_name, table_name, invisible_columns, user, host FROM midflight.migrations
WHERE reveal_requested = TRUE AND phase = 'completed' AND invisible_columns IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var wishes []ghost.Reveal
	for rows.Next() {
		var w ghost.Reveal
		var list []byte
		if err := rows.Scan(&w.ID, &w.Table.Schema, &w.Table.Table, &list, &w.User, &w.Host); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(list, &w.Columns); err != nil {
			return nil, fmt.Errorf("read invisible_columns of migration %d: %w", w.ID, err)
		}
		wishes = append(wishes, w)
	}
	return wishes, rows.Err()
}

// Grant implements ghost.Store.
func (s *Store) Grant(ctx context.Context, id int64, r ghost.Request) (by int64, err error) {
	tx, err := s.begin(ctx)
	if err != nil {
		return 0, fmt.Errorf("record the migration: %w", err)
	}
	defer tx.end(ctx)
	granted, err := withdraw(ctx, tx, id)
	if err != nil || !granted {
		return 0, err
	}
	if by, err = s.create(ctx, tx, r, randomText()); err != nil {
		return 0, fmt.Errorf("record the migration: %w", err)
	}
	return by, wrap(tx.Commit(), "record the migration")
}

// Withdraw implements ghost.Store.
func (s *Store) Withdraw(ctx context.Context, id int64) error {
	_, err := withdraw(ctx, s.db, id)
	return err
}

func withdraw(ctx context.Context, db execer, id int64) (was bool, err error) {
	result, err := db.ExecContext(ctx, "UPDATE /* midflight */ midflight.migrations SET reveal_requested = FALSE WHERE id = ? AND reveal_requested = TRUE", id)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}
