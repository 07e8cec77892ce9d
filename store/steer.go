package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"

	"midflight/mysqld"
)

// Refused is why a procedure does not do what it was called for, in its own words.
type Refused string

func (r Refused) Error() string { return string(r) }

// ErrNoProcedure: the schema was made by a version that doesn't have it.
var ErrNoProcedure = errors.New("the server has no such procedure: restart Midflight, which makes it")

// Steer calls a procedure for a migration and records who did, both or neither.
func Steer(ctx context.Context, db *sql.DB, procedure string, id int64, args []any, who string) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}) // as begin
	if err != nil {
		return fmt.Errorf("%s migration %d: %w", procedure, id, err)
	}
	defer tx.Rollback()
	call := fmt.Sprintf("CALL /* midflight */ midflight.%s(?%s)", procedure, strings.Repeat(", ?", len(args)))
	if _, err := tx.ExecContext(ctx, call, append([]any{id}, args...)...); err != nil {
		return fmt.Errorf("%s migration %d: %w", procedure, id, refusal(err))
	}
	if _, err := tx.ExecContext(ctx, "INSERT /* midflight */ INTO midflight.events (migration_id, happened_at, event) VALUES (?, UTC_TIMESTAMP(6), ?)", id, who); err != nil {
		return fmt.Errorf("record who has called %s: %w", procedure, err)
	}
	return tx.Commit()
}

func refusal(err error) error {
	var e *mysql.MySQLError
	switch {
	case mysqld.Number(err) == mysqld.ErrNoSuchProcedure:
		return ErrNoProcedure
	case mysqld.Number(err) == mysqld.ErrSignaled && errors.As(err, &e):
		return Refused(e.Message)
	}
	return err
}
