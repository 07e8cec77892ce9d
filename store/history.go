package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"midflight/mysqld"
)

// A Change is a schema change that came through Midflight: a migration, or a statement
// that is none, or an operator's word about all of them.
type Change struct {
	ID                  int64 // of the migration; of a statement that none has left: 0
	At                  time.Time
	Took                sql.NullFloat64 // seconds; not valid: it runs, or nobody knows its end
	Table, Text         string          // a long statement's beginning
	Path, Outcome, Why  string          // Outcome is the migration's phase, or the statement's verdict
	ErrorNumber         sql.NullInt64
	Failure             string
	User, Host, Account string
	Session             int64
	Database, RanBy     string
}

// A Filter says which changes are meant.
type Filter struct {
	Table string    // TABLE or SCHEMA.TABLE, or those a name with dots may be; "": all
	Since time.Time // zero: from the beginning
	Limit int
}

// History reads the changes that came, the latest first. A statement that a migration has
// left to the server is there twice: as what the engine decided, and as what the server
// did.
func History(ctx context.Context, db *sql.DB, f Filter) ([]Change, error) {
	where := func(time string) (string, []any) {
		conditions, args := []string{"TRUE"}, []any(nil)
		if !f.Since.IsZero() {
			conditions, args = append(conditions, time+" >= ?"), append(args, f.Since.UTC())
		}
		if f.Table != "" {
			which, names := named(f.Table)
			conditions, args = append(conditions, which), append(args, names...)
		}
		return strings.Join(conditions, " AND "), append(args, f.Limit)
	}
	ours, args := where("created_at")
	others, more := where("happened_at")
	// Each part reads from an index's end, however long the history is.
	rows, err := db.QueryContext(ctx, fmt.Sprintf(`SELECT /* midflight */ * FROM (
(SELECT id, created_at AS at, TIMESTAMPDIFF(MICROSECOND, created_at, completed_at) / 1000000 AS took, CONCAT(schema_name, '.', table_name), LEFT(statement, 2000), strategy, phase, reason,
  error_number, COALESCE(error, ''), user, host, account, connection_id, database_name, ran_by
FROM midflight.migrations WHERE %s ORDER BY id DESC LIMIT ?)
UNION ALL
(SELECT COALESCE(migration_id, 0), happened_at, TIMESTAMPDIFF(MICROSECOND, happened_at, ended_at) / 1000000, IF(table_name = '', '', CONCAT(schema_name, '.', table_name)), LEFT(statement, 2000), IF(verdict = 'forwarded', 'direct', ''), verdict, reason,
  error_number, COALESCE(error, ''), user, host, account, connection_id, database_name, ran_by
FROM midflight.statements WHERE %s ORDER BY id DESC LIMIT ?)) AS trail ORDER BY at DESC LIMIT ?`, ours, others), append(append(args, more...), f.Limit)...)
	if neverOpened(err) || mysqld.Number(err) == mysqld.ErrBadField {
		_, err := migrations(ctx, db, "''", "LIMIT 1") // an older version has no statements
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	defer rows.Close()
	var list []Change
	for rows.Next() {
		var c Change
		if err := rows.Scan(&c.ID, &c.At, &c.Took, &c.Table, &c.Text, &c.Path, &c.Outcome, &c.Why,
			&c.ErrorNumber, &c.Failure, &c.User, &c.Host, &c.Account, &c.Session, &c.Database, &c.RanBy); err != nil {
			return nil, fmt.Errorf("read the history: %w", err)
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

// named is which tables a name may mean: a dot may be between a schema and its table, or in
// the name of either.
func named(name string) (condition string, args []any) {
	condition, args = "(table_name = ?", []any{name}
	for i := range name {
		if name[i] == '.' {
			condition, args = condition+" OR schema_name = ? AND table_name = ?", append(args, name[:i], name[i+1:])
		}
	}
	return condition + ")", args
}
