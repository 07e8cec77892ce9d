package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"

	"midflight/ghost"
	"midflight/mysqld"
)

// NotDone is why a procedure does not do what it was called for, in its own words.
type NotDone string

func (r NotDone) Error() string { return string(r) }

// ErrNoProcedure: the schema was made by a version that doesn't have it.
var ErrNoProcedure = errors.New("the server has no such procedure: restart Midflight, which makes it")

// Steer calls a procedure for a migration and records who did, both or neither.
func Steer(ctx context.Context, db *sql.DB, procedure string, id int64, args []any, who, what string) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}) // as begin
	if err != nil {
		return fmt.Errorf("%s migration %d: %w", procedure, id, err)
	}
	defer tx.Rollback()
	call := fmt.Sprintf("CALL /* midflight */ midflight.%s(?%s)", procedure, strings.Repeat(", ?", len(args)))
	if _, err := tx.ExecContext(ctx, call, append([]any{id}, args...)...); err != nil {
		return fmt.Errorf("%s migration %d: %w", procedure, id, refusal(err))
	}
	if err := log(ctx, tx, id, ghost.Entry{Kind: ghost.EntryControl, By: who, Text: what}); err != nil {
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
		return NotDone(e.Message)
	}
	return err
}
