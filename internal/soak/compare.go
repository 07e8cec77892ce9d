package soak

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"midflight/internal/localserver"
	"midflight/mysqld"
	"midflight/schema"
)

// contents are a table's rows, each as one text that is the same for equal
// values only, sorted.
func (s *Site) contents(ctx context.Context, n schema.Name, leaveOut []string) ([]string, error) {
	table, err := schema.Read(ctx, s.direct, n)
	if err != nil {
		return nil, err
	}
	var parts []string
	for _, c := range table.Columns {
		value := "COALESCE(" + exact(c, s.Flavor) + ", 'NULL')"
		if slices.Contains(leaveOut, c.Name) {
			value = "CASE WHEN " + q(c.Name) + " IS NULL THEN 'NULL' WHEN " + q(c.Name) + " = 0 THEN 'zero' ELSE 'some' END"
		}
		parts = append(parts, mysqld.QuoteString(c.Name+"="), value)
	}
	rows, err := list(ctx, s.direct, "SELECT CONCAT_WS(' ', "+strings.Join(parts, ", ")+") FROM "+n.Quoted())
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", n, err)
	}
	slices.Sort(rows)
	return rows, nil
}

func exact(c schema.Column, f localserver.Flavor) string {
	name := q(c.Name)
	switch c.Type {
	case "float", "double":
		return "CONCAT(CAST(" + name + " + 0e0 AS CHAR), IF(" + name + " = 0, HEX(CAST(" + name + " AS CHAR)), ''))"
	case "enum", "set":
		return "CONCAT(" + name + " + 0, ':', HEX(" + name + "))"
	case "bit", "year", "tinyint", "smallint", "mediumint", "int", "bigint":
		return "CAST(" + name + " + 0 AS CHAR)"
	case "decimal", "date", "time", "datetime", "timestamp":
		return "CAST(" + name + " AS CHAR)"
	case "json":
		return "CONCAT(JSON_TYPE(" + name + "), ':', COALESCE(JSON_TYPE(JSON_EXTRACT(" + name + ", '$.v')), ''), ':', HEX(CAST(" + name + " AS CHAR)))"
	case "uuid", "inet6", "inet4":
		return "CAST(" + name + " AS CHAR)"
	}
	return "HEX(" + name + ")"
}

// difference shows some rows that are on one side only; "" is none.
func difference(ours, theirs []string) string {
	if slices.Equal(ours, theirs) {
		return ""
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
	a, b := only(ours, theirs), only(theirs, ours)
	text := fmt.Sprintf("%d rows instead of %d; %d are Midflight's only, %d are the server's only", len(ours), len(theirs), len(a), len(b))
	for i := range min(2, max(len(a), len(b))) {
		if i < len(a) {
			text += fmt.Sprintf("\n  Midflight's:  %.1500s", a[i])
		}
		if i < len(b) {
			text += fmt.Sprintf("\n  the server's: %.1500s", b[i])
		}
	}
	return text
}

// triggers are a table's in the order in which they run, with all that the
// server keeps of them.
func (s *Site) triggers(ctx context.Context, n schema.Name) ([]string, error) {
	return list(ctx, s.direct, `SELECT trigger_name, event_manipulation, action_timing, action_order, action_statement, sql_mode, definer, character_set_client, collation_connection, database_collation
FROM information_schema.triggers WHERE event_object_schema = ? AND event_object_table = ? ORDER BY event_manipulation, action_timing, action_order`, n.Schema, n.Table)
}

func (s *Site) audited(ctx context.Context, n schema.Name) ([]string, error) {
	return list(ctx, s.direct, "SELECT what, n, COUNT(*) FROM "+n.With("soak_audit").Quoted()+" GROUP BY what, n ORDER BY what, n")
}
