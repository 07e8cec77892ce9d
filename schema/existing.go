package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"midflight/mysqld"
)

// Existing are those of the names, each once, that are tables or views now. Nothing of
// them is opened, so it can be told of a table whose definition can't be read.
func Existing(ctx context.Context, db mysqld.Queryer, names ...Name) (there []Name, err error) {
	for _, n := range names {
		var one int
		err := db.QueryRowContext(ctx, "SELECT /* midflight */ 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?", n.Schema, n.Table).Scan(&one)
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return nil, fmt.Errorf("ask whether %s exists: %w", n, err)
		case !slices.Contains(there, n):
			there = append(there, n)
		}
	}
	return there, nil
}

// Exists tells of one.
func Exists(ctx context.Context, db mysqld.Queryer, name Name) (bool, error) {
	there, err := Existing(ctx, db, name)
	return len(there) > 0, err
}
