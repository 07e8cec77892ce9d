package ghost

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"midflight/mysqld"
	"midflight/parser"
	"midflight/schema"
)

// A twin is an empty table with the original's definition.

// apart: the names of CHECK constraints count, so a twin needs a schema without
// the original, and the original's own CREATE TABLE: LIKE gives the constraints
// other names. Tables with foreign keys are never copied; their text names other
// tables of its schema.
func (r *run) apart() bool {
	t := r.original
	if r.Flavor.MariaDB || len(t.ForeignKeys) > 0 || len(t.ReferencedBy) > 0 {
		return false
	}
	return len(t.Checks) > 0 || addsCheck(r.request.Statement)
}

func addsCheck(s parser.Statement) bool {
	for _, a := range s.Actions {
		if a.Kind == parser.AddCheck || a.Check {
			return true
		}
	}
	return false
}

// makeTwin creates one on db, whose session's settings don't matter where the
// server makes it LIKE the original.
func (r *run) makeTwin(ctx context.Context, db mysqld.Queryer, made schema.Name) error {
	if !r.apart() {
		_, err := db.ExecContext(ctx, "CREATE TABLE /* midflight */ "+made.Quoted()+" LIKE "+r.original.Name.Quoted())
		return wrap(err, "create %s like %s", made, r.original.Name)
	}
	plain := &worker{db: r.DB, init: []string{
		// As mysqldump reads its texts: everything that the server has is taken.
		"SET /* midflight */ SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', innodb_strict_mode = 0, foreign_key_checks = 0, sql_require_primary_key = 0, sql_generate_invisible_primary_key = 0, show_gipk_in_create_table_and_information_schema = 1",
	}}
	defer plain.close()
	return plain.use(ctx, func(conn *sql.Conn) error {
		text, err := schema.CreateStatement(ctx, conn, r.original.Name)
		if err != nil {
			return err
		}
		head := "CREATE TABLE " + mysqld.QuoteName(r.original.Name.Table)
		rest, ok := strings.CutPrefix(text, head)
		if !ok {
			return fmt.Errorf("create %s as %s: the server's text begins with %.100q", made, r.original.Name, text)
		}
		_, err = conn.ExecContext(ctx, "CREATE TABLE /* midflight */ "+made.Quoted()+rest)
		return wrap(err, "create %s as %s", made, r.original.Name)
	})
}

// makeApart makes the schemas of an apart shadow and old table. Both are claimed,
// so that what is left of them after a crash is found.
func (r *run) makeApart(ctx context.Context, shadow, old schema.Name) error {
	if err := r.Store.Claim(ctx, r.status.ID, old); err != nil {
		return err
	}
	for _, t := range []schema.Name{shadow, old} {
		if _, err := r.DB.ExecContext(ctx, "CREATE DATABASE /* midflight */ IF NOT EXISTS "+mysqld.QuoteName(t.Schema)); err != nil {
			return fmt.Errorf("create the schema %s: %w", t.Schema, err)
		}
	}
	return nil
}

// freeCheckNames: a new CHECK constraint's name may be another table's, which
// would show when the shadow comes into the original's schema.
func (r *run) freeCheckNames(ctx context.Context, altered *schema.Table) error {
	if !r.apart() {
		return nil
	}
	for _, name := range altered.Checks {
		if slices.Contains(r.original.Checks, name) {
			continue
		}
		var there int
		err := r.DB.QueryRowContext(ctx, "SELECT /* midflight */ COUNT(*) FROM information_schema.check_constraints WHERE constraint_schema = ? AND constraint_name = ?",
			r.original.Name.Schema, name).Scan(&there)
		if err != nil {
			return fmt.Errorf("ask whether the name %s is free: %w", name, err)
		}
		if there > 0 {
			return &mysql.MySQLError{Number: mysqld.ErrDupCheckName, SQLState: [5]byte([]byte("HY000")), Message: "Duplicate check constraint name '" + name + "'."}
		}
	}
	return nil
}
