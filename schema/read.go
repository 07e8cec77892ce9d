package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"midflight/mysqld"
)

// ErrNotFound: no such table, or nothing that the account may see.
var ErrNotFound = errors.New("no such table")

// Read asks the server's catalogue for a table.
func Read(ctx context.Context, db mysqld.Queryer, name Name) (*Table, error) {
	t := &Table{Name: name}
	if err := readAll(ctx, db, t); err != nil {
		return nil, fmt.Errorf("read the definition of %s: %w", name, err)
	}
	return t, nil
}

func readAll(ctx context.Context, db mysqld.Queryer, t *Table) error {
	if err := readTable(ctx, db, t); err != nil {
		return err
	}
	mariaDB, err := readColumns(ctx, db, t)
	if err != nil {
		return err
	}
	if err := readKeys(ctx, db, t, mariaDB); err != nil {
		return err
	}
	if err := readTriggers(ctx, db, t); err != nil {
		return err
	}
	return readConstraints(ctx, db, t, mariaDB)
}

func readTable(ctx context.Context, db mysqld.Queryer, t *Table) error {
	var engine, options sql.NullString
	var rows, bytes sql.NullInt64
	err := db.QueryRowContext(ctx, `SELECT /* midflight */ table_schema, table_name, engine, table_type, table_rows, data_length, create_options
FROM information_schema.tables WHERE table_schema = ? AND table_name = ?`, t.Name.Schema, t.Name.Table).
		Scan(&t.Name.Schema, &t.Name.Table, &engine, &t.Type, &rows, &bytes, &options)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	t.Engine, t.Rows, t.Bytes = engine.String, rows.Int64, bytes.Int64
	t.Partitioned = strings.Contains(options.String, "partitioned")
	return err
}

func readColumns(ctx context.Context, db mysqld.Queryer, t *Table) (mariaDB bool, err error) {
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ column_name, data_type, column_type, COALESCE(character_set_name, ''), COALESCE(collation_name, ''), COALESCE(datetime_precision, 0), is_nullable, extra, COALESCE(generation_expression, ''), column_default, VERSION() LIKE '%MariaDB%'
FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position`, t.Name.Schema, t.Name.Table)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		c := Column{Position: len(t.Columns)}
		var nullable, extra, expression string
		var def sql.NullString
		if err := rows.Scan(&c.Name, &c.Type, &c.FullType, &c.Charset, &c.Collation, &c.Precision, &nullable, &extra, &expression, &def, &mariaDB); err != nil {
			return false, err
		}
		extra = strings.ToLower(extra)
		// MariaDB writes DEFAULT NULL as the text NULL, and the string as 'NULL'.
		c.Default, c.HasDefault = def.String, def.Valid && !(mariaDB && def.String == "NULL")
		c.Type, c.FullType = strings.ToLower(c.Type), strings.TrimSpace(c.FullType)
		c.Nullable = nullable == "YES"
		// MySQL: "VIRTUAL GENERATED", but also "DEFAULT_GENERATED", which is an
		// expression default and no generated column.
		c.Generated = expression != "" && (strings.Contains(extra, "virtual") || strings.Contains(extra, "stored") || strings.Contains(extra, "persistent"))
		if c.Generated {
			c.Expression = expression
		}
		c.AutoInc = strings.Contains(extra, "auto_increment")
		c.OnUpdate = strings.Contains(extra, "on update")
		c.Invisible = strings.Contains(extra, "invisible")
		t.Columns = append(t.Columns, c)
	}
	return mariaDB, rows.Err()
}

func readKeys(ctx context.Context, db mysqld.Queryer, t *Table, mariaDB bool) error {
	expression, hidden := "COALESCE(expression, '')", "is_visible = 'NO'"
	if mariaDB { // no functional indexes there, and no column of that name
		expression, hidden = "''", "ignored = 'YES'"
	}
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ index_name, non_unique, index_type, COALESCE(column_name, ''), `+expression+`, COALESCE(sub_part, 0), COALESCE(collation, '') = 'D', `+hidden+`
FROM information_schema.statistics WHERE table_schema = ? AND table_name = ? ORDER BY index_name = 'PRIMARY' DESC, index_name, seq_in_index`, t.Name.Schema, t.Name.Table)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var k Key
		var kc KeyColumn
		var nonUnique bool
		if err := rows.Scan(&k.Name, &nonUnique, &k.Type, &kc.Name, &kc.Expression, &kc.Prefix, &kc.Desc, &k.Hidden); err != nil {
			return err
		}
		k.Unique = !nonUnique
		if n := len(t.Keys); n == 0 || t.Keys[n-1].Name != k.Name {
			t.Keys = append(t.Keys, k)
		}
		last := &t.Keys[len(t.Keys)-1]
		last.Columns = append(last.Columns, kc)
	}
	return rows.Err()
}

// readTriggers may meet another session that moves them, or was killed at it: the list names
// one then that is no more (1360), on MariaDB that the table's file of them does not have
// (1602) or whose own file is not there (13, 29), for up to a tenth of a second; and MySQL may
// find a deadlock in its dictionary (1213). So both are read anew.
func readTriggers(ctx context.Context, db mysqld.Queryer, t *Table) error {
	for deadline := time.Now().Add(2 * time.Second); ; {
		triggers, err := readTriggersOnce(ctx, db, t.Name)
		n := mysqld.Number(err)
		if moving := n == mysqld.ErrNoSuchTrigger || n == mysqld.ErrCorruptTriggers || mysqld.IsFileError(err) || mysqld.IsLockConflict(err); !moving || time.Now().After(deadline) {
			t.Triggers = triggers
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func readTriggersOnce(ctx context.Context, db mysqld.Queryer, name Name) (triggers []Trigger, err error) {
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ trigger_name, COALESCE(CAST(UNIX_TIMESTAMP(created) AS CHAR), '') FROM information_schema.triggers
WHERE event_object_schema = ? AND event_object_table = ? ORDER BY event_manipulation, action_timing, action_order`, name.Schema, name.Table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var tr Trigger
		if err := rows.Scan(&tr.Name, &tr.Created); err != nil {
			return nil, err
		}
		triggers = append(triggers, tr)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for i := range triggers {
		tr := &triggers[i]
		var created any // in the session's time zone
		err := db.QueryRowContext(ctx, "SHOW /* midflight */ CREATE TRIGGER "+mysqld.QuoteTable(name.Schema, tr.Name)).
			Scan(&tr.Name, &tr.SQLMode, &tr.Statement, &tr.Client, &tr.Connection, &tr.Database, &created)
		if err != nil {
			return nil, fmt.Errorf("show create trigger %s: %w", tr.Name, err)
		}
	}
	return triggers, nil
}

// readConstraints asks in one statement, since each question of the catalogue has its price;
// but see ForeignKeys.
func readConstraints(ctx context.Context, db mysqld.Queryer, t *Table, mariaDB bool) error {
	query, args := `SELECT /* midflight */ 1 AS kind, constraint_name AS name FROM information_schema.referential_constraints WHERE constraint_schema = ? AND table_name = ?
UNION ALL SELECT 2, constraint_name FROM information_schema.table_constraints WHERE table_schema = ? AND table_name = ? AND constraint_type = 'CHECK'`,
		[]any{t.Name.Schema, t.Name.Table, t.Name.Schema, t.Name.Table}
	if !mariaDB {
		query += `
UNION ALL SELECT 3, CONCAT(constraint_schema, '.', table_name, '.', constraint_name) FROM information_schema.referential_constraints WHERE unique_constraint_schema = ? AND referenced_table_name = ?`
		args = append(args, t.Name.Schema, t.Name.Table)
	}
	rows, err := db.QueryContext(ctx, query+"\nORDER BY kind, name", args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var kind int
		var name string
		if err := rows.Scan(&kind, &name); err != nil {
			return err
		}
		of := []*[]string{1: &t.ForeignKeys, 2: &t.Checks, 3: &t.ReferencedBy}[kind]
		*of = append(*of, name)
	}
	if err := rows.Err(); err != nil || !mariaDB {
		return err
	}
	keys, err := ForeignKeys(ctx, db, mysqld.Flavor{MariaDB: true})
	for _, k := range keys {
		// The server may have the names in other letters (lower_case_table_names = 2).
		if strings.EqualFold(k.Parent.Schema, t.Name.Schema) && strings.EqualFold(k.Parent.Table, t.Name.Table) {
			t.ReferencedBy = append(t.ReferencedBy, k.Child.Schema+"."+k.Child.Table+"."+k.Name)
		}
	}
	return err
}

// CreateStatement is the server's own text of the definition.
func CreateStatement(ctx context.Context, db mysqld.Queryer, name Name) (string, error) {
	var n, text string
	if err := db.QueryRowContext(ctx, "SHOW /* midflight */ CREATE TABLE "+name.Quoted()).Scan(&n, &text); err != nil {
		return "", fmt.Errorf("show create table %s: %w", name, err)
	}
	return text, nil
}
