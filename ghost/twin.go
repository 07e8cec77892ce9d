package ghost

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

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

// makeTwin creates one. (By the original's own SHOW CREATE TABLE it would not be
// quite the same: a column that shows the table's own collation would then have one
// of its own, and show CHARACTER SET, too.)
//
// It is made whatever the user's session asks of new tables: a primary key, a
// strict row format. plain has a plainSession.
func (r *run) makeTwin(ctx context.Context, plain *worker, made schema.Name) error {
	named := made
	if r.apart() && utf8.RuneCountInString(made.Table) > maxName-len("_chk_999") {
		made = made.With("midflight") // else the names that LIKE gives are too long (3507)
	}
	err := plain.use(ctx, func(conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, "CREATE TABLE /* midflight */ "+made.Quoted()+" LIKE "+r.original.Name.Quoted())
		if err == nil && r.apart() && len(r.original.Checks) > 0 {
			err = r.nameChecks(ctx, conn, made)
		}
		if err == nil && named != made {
			_, err = conn.ExecContext(ctx, "RENAME TABLE /* midflight */ "+made.Quoted()+" TO "+named.Quoted())
		}
		return err
	})
	return wrap(err, "create %s like %s", named, r.original.Name)
}

func (r *run) plainWorker() *worker { return r.worker(plainSession(r.Flavor)...) }

// plainSession takes every table as it is.
func plainSession(f mysqld.Flavor) []string {
	set := "SET /* midflight */ SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', innodb_strict_mode = 0, foreign_key_checks = 0"
	if !f.MariaDB {
		set += ", sql_require_primary_key = 0, sql_generate_invisible_primary_key = 0"
	}
	return []string{set}
}

// nameChecks gives an empty twin the CHECK constraints as the original has them.
func (r *run) nameChecks(ctx context.Context, conn *sql.Conn, made schema.Name) error {
	text, err := schema.CreateStatement(ctx, conn, r.original.Name)
	if err != nil {
		return err
	}
	wanted := checkClauses(text)
	if len(wanted) != len(r.original.Checks) {
		return fmt.Errorf("give %s the CHECK constraints of %s: %d of %d understood", made, r.original.Name, len(wanted), len(r.original.Checks))
	}
	named, err := schema.Read(ctx, conn, made)
	if err != nil {
		return err
	}
	var changes []string
	for _, name := range named.Checks {
		changes = append(changes, "DROP CHECK "+mysqld.QuoteName(name))
	}
	for _, c := range wanted {
		changes = append(changes, "ADD "+c)
	}
	_, err = conn.ExecContext(ctx, "ALTER TABLE /* midflight */ "+made.Quoted()+" "+strings.Join(changes, ", "))
	return wrap(err, "give %s the CHECK constraints of %s", made, r.original.Name)
}

// checkClauses finds the CHECK constraints in a SHOW CREATE TABLE, which has each
// on a line of its own: CONSTRAINT `name` CHECK (…).
func checkClauses(create string) (clauses []string) {
	for line := range strings.Lines(create) {
		line = strings.TrimSuffix(strings.TrimSpace(line), ",")
		if strings.HasPrefix(line, "CONSTRAINT `") && strings.Contains(line, "` CHECK (") {
			clauses = append(clauses, line)
		}
	}
	return clauses
}

// makeApart makes the schemas of an apart shadow and old table. Both are claimed,
// so that what is left of them after a crash is found.
func (r *run) makeApart(ctx context.Context, shadow, old schema.Name) error {
	if err := r.Store.Claim(ctx, r.status.ID, old); err != nil {
		return err
	}
	w := r.worker()
	defer w.close()
	return w.use(ctx, func(conn *sql.Conn) error {
		for _, t := range []schema.Name{shadow, old} {
			if _, err := conn.ExecContext(ctx, "CREATE DATABASE /* midflight */ IF NOT EXISTS "+mysqld.QuoteName(t.Schema)); err != nil {
				return fmt.Errorf("create the schema %s: %w", t.Schema, err)
			}
		}
		return nil
	})
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
