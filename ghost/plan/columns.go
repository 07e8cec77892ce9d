package plan

import (
	"slices"
	"strings"

	"midflight/parser"
	"midflight/schema"
)

// A Mapping is one column that is copied: To of the shadow table gets From of
// the original, or, for a column that the ALTER adds, the fixed Literal.
type Mapping struct {
	From, To  schema.Column
	Literal   Literal
	Converted bool // From and To differ in type, character set or collation
}

// CrossesZones: what the value becomes depends on the session's time zone.
func (m Mapping) CrossesZones() bool {
	return m.Literal == FromColumn && (m.From.Type == "timestamp") != (m.To.Type == "timestamp")
}

// A Literal names a value that the copy has to give because the column's own
// default isn't what the server's ALTER would fill in.
type Literal int

const (
	FromColumn      Literal = iota // not a literal
	ImplicitDefault                // NOT NULL without DEFAULT: the type's zero value, as ALTER TABLE does
	StartTime                      // DEFAULT CURRENT_TIMESTAMP: the ALTER's own time, not each chunk's
	Number                         // a new AUTO_INCREMENT column: 1, 2, 3 … in the order of the chunk key
)

// FitsRowsOf tells whether what the binlog has of a row of the original means the same in the
// altered table: columns have no names there, but places and types.
func FitsRowsOf(s parser.Statement, original, altered *schema.Table) bool {
	names, refusal := newNames(s, original, altered)
	if refusal != nil || len(altered.Columns) < len(original.Columns) {
		return false
	}
	for i, from := range original.Columns {
		to := altered.Columns[i]
		if fold(names[fold(from.Name)]) != fold(to.Name) || from.FullType != to.FullType || from.Charset != to.Charset || from.Generated != to.Generated {
			return false
		}
	}
	return true
}

// newNames gives for each column of the original its name after the ALTER, ""
// when it is dropped. It comes from the statement and must agree with what the
// server made of it: a renaming that we misread would leave a column empty.
func newNames(s parser.Statement, original, altered *schema.Table) (map[string]string, *Refusal) {
	names := make(map[string]string, len(original.Columns))
	for _, c := range original.Columns {
		names[fold(c.Name)] = c.Name
	}
	had := func(column string) bool { _, ok := names[fold(column)]; return ok }
	for _, a := range s.Actions {
		switch a.Kind {
		case parser.DropColumn:
			if had(a.Column) {
				names[fold(a.Column)] = ""
			}
		case parser.ChangeColumn, parser.RenameColumn:
			if had(a.Column) {
				names[fold(a.Column)] = a.NewColumn
			}
		}
	}
	want := map[string]bool{}
	for _, n := range names {
		if n != "" {
			want[fold(n)] = true
		}
	}
	for _, a := range s.Actions {
		if a.Kind == parser.AddColumn {
			want[fold(a.Column)] = true
		}
	}
	for _, c := range altered.Columns {
		if !want[fold(c.Name)] {
			return nil, refuse("Midflight does not see where column %s comes from", c.Name)
		}
		delete(want, fold(c.Name))
	}
	for n := range want {
		return nil, refuse("Midflight does not see what becomes of column %s", n)
	}
	return names, nil
}

func mapColumns(original, altered *schema.Table, names map[string]string, mariaDB bool) ([]Mapping, *Refusal) {
	var columns []Mapping
	for _, to := range altered.Columns {
		if to.Generated {
			continue
		}
		i := slices.IndexFunc(original.Columns, func(c schema.Column) bool {
			n := names[fold(c.Name)]
			return n != "" && strings.EqualFold(n, to.Name)
		})
		if i >= 0 {
			from := original.Columns[i]
			columns = append(columns, Mapping{From: from, To: to, Converted: !sameValues(from, to)})
			continue
		}
		switch {
		case to.AutoInc:
			columns = append(columns, Mapping{To: to, Literal: Number})
		case isNow(to):
			columns = append(columns, Mapping{To: to, Literal: StartTime})
		case !to.Nullable && (!to.HasDefault || !mariaDB && to.Spatial()): // MySQL has no use for the default: 1138
			if to.Type == "vector" || mariaDB && to.Spatial() {
				return nil, refuse("it adds column %s NOT NULL without a default, for which there is no value", to.Name)
			}
			columns = append(columns, Mapping{To: to, Literal: ImplicitDefault})
		}
	}
	return columns, nil
}

// isNow: only of temporal types, since information_schema has a text's default
// 'now()' without quotes.
func isNow(c schema.Column) bool {
	switch c.Type {
	case "datetime", "timestamp", "date", "time":
		d := strings.TrimRight(strings.ToLower(c.Default), "()0123456789")
		return d == "current_timestamp" || d == "now" || d == "localtimestamp" ||
			c.Type == "date" && (d == "curdate" || d == "current_date") ||
			c.Type == "time" && (d == "curtime" || d == "current_time")
	}
	return false
}

// sameValues: a value of from is, byte for byte, a value of to. A member
// appended to an ENUM or a longer VARCHAR converts nothing either, but telling
// so is only worth it for identical definitions.
func sameValues(from, to schema.Column) bool {
	return from.FullType == to.FullType && from.Charset == to.Charset && from.Collation == to.Collation &&
		(from.Nullable == to.Nullable || to.Nullable)
}

func fold(name string) string { return strings.ToLower(name) }
