package store

import (
	"context"
	"database/sql"
	"fmt"

	"midflight/mysqld"
)

// widened are the columns that midflight.migrations did not have from the
// beginning, and what adds them to one that an earlier version has made.
var widened = []struct{ column, clause string }{
	{"invisible_columns", "ADD COLUMN invisible_columns TEXT NULL COMMENT 'published INVISIBLE by @midflight_new_columns: a JSON list'"},
	{"reveal_requested", "ADD COLUMN reveal_requested BOOLEAN NOT NULL DEFAULT FALSE, ADD KEY by_reveal (reveal_requested)"},
}

// widen brings the tables of an earlier version up to date. Two Midflights may do
// so at a time.
func widen(ctx context.Context, db *sql.DB) error {
	for _, w := range widened {
		var there int
		err := db.QueryRowContext(ctx, `SELECT /* midflight */ COUNT(*) FROM information_schema.columns
WHERE table_schema = 'midflight' AND table_name = 'migrations' AND column_name = ?`, w.column).Scan(&there)
		if err == nil && there == 0 {
			_, err = db.ExecContext(ctx, "ALTER TABLE /* midflight */ midflight.migrations "+w.clause)
		}
		if err != nil && mysqld.Number(err) != mysqld.ErrDupColumn {
			return fmt.Errorf("add the column %s to midflight.migrations: %w", w.column, err)
		}
	}
	return nil
}
