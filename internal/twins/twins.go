// Package twins compares a table that was altered through Midflight with its
// twin, which the server altered itself.
package twins

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"midflight/internal/rows"
	"midflight/internal/testmysql"
	"midflight/mysqld"
	"midflight/schema"
)

var counter = regexp.MustCompile(` AUTO_INCREMENT=(\d+)`)

// Definition is SHOW CREATE TABLE without the next AUTO_INCREMENT value, which
// comes apart.
func Definition(t testing.TB, db *sql.DB, n schema.Name) (text string, next uint64) {
	t.Helper()
	text, err := schema.CreateStatement(context.Background(), db, n)
	if err != nil {
		t.Fatal(err)
	}
	if m := counter.FindStringSubmatch(text); m != nil {
		fmt.Sscan(m[1], &next)
	}
	return counter.ReplaceAllString(text, ""), next
}

// Contents are a table's rows, each as one text that is the same for equal
// values only, sorted; without the columns of leaveOut.
func Contents(t testing.TB, db *sql.DB, f testmysql.Flavor, n schema.Name, leaveOut string) []string {
	t.Helper()
	table, err := schema.Read(context.Background(), db, n)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, c := range table.Columns {
		if !slices.Contains(strings.Fields(leaveOut), c.Name) {
			parts = append(parts, "'"+strings.ReplaceAll(c.Name, "'", "''")+"=', COALESCE("+exact(c, f)+", 'NULL')")
		}
	}
	all := List(t, db, "SELECT CONCAT_WS(' ', "+strings.Join(parts, ", ")+") FROM "+n.Quoted())
	slices.Sort(all)
	return all
}

func exact(c schema.Column, f testmysql.Flavor) string {
	if f == testmysql.MariaDB && c.Type == "longtext" && c.Name == "js" {
		name := mysqld.QuoteName(c.Name)
		return "CONCAT(COALESCE(JSON_TYPE(" + name + "), ''), ':', HEX(" + name + "))"
	}
	return rows.Exact(c)
}

// Image is the table's definition and rows.
func Image(t testing.TB, db *sql.DB, f testmysql.Flavor, n schema.Name) []string {
	t.Helper()
	text, _ := Definition(t, db, n)
	return append([]string{text}, Contents(t, db, f, n, "")...)
}

// SameContents compares two lists of rows, and shows some that are on one side
// only.
func SameContents(t testing.TB, got, want []string) {
	t.Helper()
	if d := rows.Difference(got, want); d != "" {
		t.Error(d)
	}
}

var (
	rowNumber = regexp.MustCompile(`\brow \d+`)
	temporary = regexp.MustCompile(`#sql-[a-z0-9_-]+`) // the server's own new table
)

// OfAnyRow leaves out of an error's text what differs between two runs.
func OfAnyRow(text string) string {
	return temporary.ReplaceAllString(rowNumber.ReplaceAllString(text, "row N"), "#sql")
}

// SameError compares the error of the table's ALTER with that of its twin's, but
// for the number of the row and the name of the schema. Where it depends on the
// order of reading which of two rows is named, loose counts the number only.
func SameError(t testing.TB, ours, native error, on [2]schema.Name, loose bool) {
	t.Helper()
	text := func(err error, n schema.Name) string {
		var e *mysql.MySQLError
		if !errors.As(err, &e) {
			return fmt.Sprint(err)
		}
		if loose {
			return fmt.Sprint(e.Number)
		}
		return strings.ReplaceAll(OfAnyRow(e.Error()), n.Schema, "db")
	}
	if got, want := text(ours, on[0]), text(native, on[1]); got != want {
		t.Errorf("the error is\n%s\nthe server's\n%s", got, want)
	}
}

// NothingLeft checks that only the table, what else the test has made, and after
// a copy the table's old self remain of a migration.
func NothingLeft(t testing.TB, db *sql.DB, n schema.Name, swapped bool, others ...string) {
	t.Helper()
	want := append([]string{n.Table}, others...)
	claimed := List(t, db, "SELECT table_name FROM midflight.tables WHERE schema_name = ?", n.Schema)
	// The old table of one with CHECK constraints is in a schema of its own (MySQL).
	apart := List(t, db, `SELECT table_schema FROM information_schema.tables JOIN midflight.migrations ON table_schema LIKE CONCAT('\_midflight\_', id, '%') WHERE schema_name = ? AND information_schema.tables.table_name = ?`, n.Schema, n.Table)
	if swapped && len(apart) == 1 && strings.HasSuffix(apart[0], "_old") {
		if kept := List(t, db, "SELECT table_name FROM midflight.tables WHERE schema_name = ?", apart[0]); !slices.Equal(kept, []string{n.Table}) {
			t.Errorf("rows in midflight.tables: %q", kept)
		}
	} else if swapped && len(claimed) == 1 && strings.HasPrefix(claimed[0], "_") && strings.HasSuffix(claimed[0], "_old") {
		want = append(want, claimed[0])
	} else if swapped || len(claimed) > 0 {
		t.Errorf("rows in midflight.tables: %q", claimed)
	}
	slices.Sort(want)
	got := List(t, db, "SELECT table_name FROM information_schema.tables WHERE table_schema = ?", n.Schema)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("tables in the schema: %q, want %q", got, want)
	}
	for _, id := range List(t, db, "SELECT id FROM midflight.migrations WHERE schema_name = ?", n.Schema) {
		if s := List(t, db, "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE ?", `\_midflight\_`+id+"%"); !slices.Equal(s, apart) {
			t.Errorf("schemas left: %q", s)
		}
	}
}

// History shows what Midflight has to say about the migrations of a schema.
func History(t testing.TB, db *sql.DB, schema string) {
	t.Helper()
	for _, line := range List(t, db, `SELECT CONCAT_WS(' ', e.happened_at, m.id, e.event) FROM midflight.events e JOIN midflight.migrations m ON m.id = e.migration_id WHERE m.schema_name = ? ORDER BY e.id DESC LIMIT 20`, schema) {
		t.Log(line)
	}
	for _, line := range List(t, db, `SELECT CONCAT_WS(' ', id, phase, strategy, rows_copied, 'backlog', backlog, waiting_for, error) FROM midflight.migrations WHERE schema_name = ?`, schema) {
		t.Log(line)
	}
}

// List is a query's first column.
func List(t testing.TB, db mysqld.Queryer, query string, args ...any) []string {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
