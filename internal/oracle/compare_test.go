package oracle

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"midflight/internal/testmysql"
	"midflight/mysqld"
	"midflight/schema"
)

var counter = regexp.MustCompile(` AUTO_INCREMENT=(\d+)`)

// definition is SHOW CREATE TABLE without the next AUTO_INCREMENT value, which
// comes apart.
func definition(t *testing.T, db *sql.DB, n schema.Name) (text string, next uint64) {
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

// contents are a table's rows, each as one text that is the same for equal
// values only, sorted.
func contents(t *testing.T, db *sql.DB, f testmysql.Flavor, n schema.Name, leaveOut string) []string {
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
	rows, err := db.Query("SELECT CONCAT_WS(' ', " + strings.Join(parts, ", ") + ") FROM " + n.Quoted())
	if err != nil {
		t.Fatalf("read %s: %v", n, err)
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
	slices.Sort(all)
	return all
}

func exact(c schema.Column, f testmysql.Flavor) string {
	name := mysqld.QuoteName(c.Name)
	switch c.Type {
	case "float", "double":
		return "CAST(" + name + " + 0e0 AS CHAR), IF(" + name + " = 0, HEX(CAST(" + name + " AS CHAR)), '')"
	case "enum", "set":
		return "CONCAT(" + name + " + 0, ':', HEX(" + name + "))"
	case "bit", "year", "tinyint", "smallint", "mediumint", "int", "bigint":
		return "CAST(" + name + " + 0 AS CHAR)"
	case "decimal", "date", "time", "datetime", "timestamp":
		return "CAST(" + name + " AS CHAR)"
	case "json":
		return "CONCAT(JSON_TYPE(" + name + "), ':', COALESCE(JSON_TYPE(JSON_EXTRACT(" + name + ", '$.v')), ''), ':', HEX(CAST(" + name + " AS CHAR)))"
	}
	if f == testmysql.MariaDB && c.Type == "longtext" && c.Name == "js" {
		return "CONCAT(COALESCE(JSON_TYPE(" + name + "), ''), ':', HEX(" + name + "))"
	}
	return "HEX(" + name + ")"
}

// sameContents compares two lists of rows, and shows some that are on one side
// only.
func sameContents(t *testing.T, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	only := func(a, b []string) []string {
		n := map[string]int{}
		for _, s := range b {
			n[s]++
		}
		var rest []string
		for _, s := range a {
			if n[s]--; n[s] < 0 {
				rest = append(rest, s)
			}
		}
		return rest
	}
	ours, theirs := only(got, want), only(want, got)
	t.Errorf("%d rows instead of %d; %d are Midflight's only, %d are the server's only", len(got), len(want), len(ours), len(theirs))
	for i := range min(3, max(len(ours), len(theirs))) {
		if i < len(ours) {
			t.Logf("Midflight's:  %.1500s", ours[i])
		}
		if i < len(theirs) {
			t.Logf("the server's: %.1500s", theirs[i])
		}
	}
}

// nothingLeft checks that only the table and, after a copy, its old self remain
// of a migration.
func nothingLeft(t *testing.T, db *sql.DB, n schema.Name, swapped bool) {
	t.Helper()
	want := []string{n.Table}
	if len(list(t, db, "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_name = 'audit'", n.Schema)) > 0 {
		want = append(want, "audit")
		slices.Sort(want)
	}
	claimed := list(t, db, "SELECT table_name FROM midflight.tables WHERE schema_name = ?", n.Schema)
	apart := list(t, db, `SELECT table_schema FROM information_schema.tables JOIN midflight.migrations ON table_schema LIKE CONCAT('\_midflight\_', id, '%') WHERE schema_name = ? AND information_schema.tables.table_name = ?`, n.Schema, n.Table)
	if swapped && len(apart) == 1 && strings.HasSuffix(apart[0], "_old") {
		if kept := list(t, db, "SELECT table_name FROM midflight.tables WHERE schema_name = ?", apart[0]); !slices.Equal(kept, []string{n.Table}) {
			t.Errorf("rows in midflight.tables: %q", kept)
		}
	} else if swapped && len(claimed) == 1 && strings.HasPrefix(claimed[0], "_") && strings.HasSuffix(claimed[0], "_old") {
		want = append(want, claimed[0])
		slices.Sort(want)
	} else if swapped || len(claimed) > 0 {
		t.Errorf("rows in midflight.tables: %q", claimed)
	}
	got := list(t, db, "SELECT table_name FROM information_schema.tables WHERE table_schema = ? ORDER BY CAST(table_name AS BINARY)", n.Schema)
	if !slices.Equal(got, want) {
		t.Errorf("tables in the schema: %q, want %q", got, want)
	}
	for _, id := range list(t, db, "SELECT id FROM midflight.migrations WHERE schema_name = ?", n.Schema) {
		if s := list(t, db, "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE ?", `\_midflight\_`+id+"%"); !slices.Equal(s, apart) {
			t.Errorf("schemas left: %q", s)
		}
	}
}

func list(t *testing.T, db *sql.DB, query string, args ...any) []string {
	t.Helper()
	rows, err := db.Query(query, args...)
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
