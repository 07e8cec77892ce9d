// Package rows compares rows of two tables byte by byte, for tests and the soak.
package rows

import (
	"fmt"
	"slices"

	"midflight/mysqld"
	"midflight/schema"
)

// Exact is an expression for a column's value as a text: equal texts are equal
// values to the last bit, the kind of a JSON value included.
func Exact(c schema.Column) string {
	name := mysqld.QuoteName(c.Name)
	switch c.Type {
	case "double": // with + 0e0 MySQL cuts what is longer than 22 characters
		return "CAST(" + name + " AS CHAR)"
	case "float": // of which CAST shows six digits
		return "CONCAT(CAST(" + name + " + 0e0 AS CHAR), IF(" + name + " = 0, HEX(CAST(" + name + " AS CHAR)), ''))"
	case "enum", "set":
		return "CONCAT(" + name + " + 0, ':', HEX(" + name + "))"
	case "bit", "year", "tinyint", "smallint", "mediumint", "int", "bigint":
		return "CAST(" + name + " + 0 AS CHAR)"
	case "decimal", "date", "time", "datetime", "timestamp", "uuid", "inet6", "inet4":
		return "CAST(" + name + " AS CHAR)"
	case "json":
		return "CONCAT(JSON_TYPE(" + name + "), ':', COALESCE(JSON_TYPE(JSON_EXTRACT(" + name + ", '$.v')), ''), ':', HEX(CAST(" + name + " AS CHAR)))"
	}
	return "HEX(" + name + ")"
}

// Difference shows some rows that are on one side only; "" is none.
func Difference(ours, theirs []string) string {
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
	for i := range min(3, max(len(a), len(b))) {
		if i < len(a) {
			text += fmt.Sprintf("\n  Midflight's:  %.1500s", a[i])
		}
		if i < len(b) {
			text += fmt.Sprintf("\n  the server's: %.1500s", b[i])
		}
	}
	return text
}
