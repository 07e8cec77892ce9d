package soak

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"midflight/internal/rows"
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
		if c.Generated && slices.Contains(leaveOut, c.Name) {
			continue
		}
		value := "COALESCE(" + rows.Exact(c) + ", 'NULL')"
		if slices.Contains(leaveOut, c.Name) {
			value = "CASE WHEN " + q(c.Name) + " IS NULL THEN 'NULL' WHEN " + q(c.Name) + " = 0 THEN 'zero' ELSE 'some' END"
		}
		parts = append(parts, mysqld.QuoteString(c.Name+"="), value)
	}
	all, err := list(ctx, s.direct, "SELECT CONCAT_WS(' ', "+strings.Join(parts, ", ")+") FROM "+n.Quoted())
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", n, err)
	}
	slices.Sort(all)
	return all, nil
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
