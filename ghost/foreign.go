package ghost

import (
	"slices"
	"strings"

	"midflight/binlog"
	"midflight/schema"
)

// effect is what a statement that the binlog has as text does to a table.
type effect int

const (
	nothing     effect = iota
	rowsUnknown        // changes rows, and nobody can tell which
	definition         // replaces the table or its definition
)

// touches tells what a logged statement does to one of our two tables. It goes
// by words: too careful is safe, the migration ends and the original is whole.
func touches(st binlog.Statement, tables ...schema.Name) (effect, schema.Name) {
	words := words(st.SQL)
	if len(words) == 0 {
		return nothing, schema.Name{}
	}
	what := nothing
	switch strings.ToUpper(words[0]) {
	case "INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "WITH", "TRUNCATE", "IMPORT":
		what = rowsUnknown
	case "ALTER", "RENAME", "OPTIMIZE", "REPAIR":
		what = definition
	case "CREATE", "DROP":
		// A view, routine, event or account may well mention the table.
		for _, w := range words[1:min(len(words), 6)] {
			switch strings.ToUpper(w) {
			case "TABLE", "TABLES", "INDEX", "TRIGGER", "DATABASE", "SCHEMA", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR":
				what = definition
			}
		}
	}
	if what == nothing {
		return nothing, schema.Name{}
	}
	if strings.EqualFold(words[0], "CREATE") && what == definition {
		// CREATE TABLE x LIKE t and … SELECT FROM t only read t. An index or a
		// trigger is named before its table.
		if i := indexFold(words, "TABLE"); i > 0 && i < 5 {
			words = words[:min(len(words), nameAfter(words, i+1))]
		}
	}
	dropsSchema := what == definition && len(words) > 1 && strings.EqualFold(words[0], "DROP") &&
		(strings.EqualFold(words[1], "DATABASE") || strings.EqualFold(words[1], "SCHEMA"))
	for _, t := range tables {
		for i, w := range words {
			if dropsSchema && strings.EqualFold(w, t.Schema) {
				return definition, t
			}
			if !strings.EqualFold(w, t.Table) {
				continue
			}
			// schema . table, or the table alone in its own schema
			if i >= 2 && words[i-1] == "." && !strings.EqualFold(words[i-2], t.Schema) {
				continue
			}
			if (i < 2 || words[i-1] != ".") && !strings.EqualFold(st.Schema, t.Schema) {
				continue
			}
			return what, t
		}
	}
	return nothing, schema.Name{}
}

func indexFold(words []string, w string) int {
	return slices.IndexFunc(words, func(o string) bool { return strings.EqualFold(o, w) })
}

// nameAfter is where a table's name that begins at i ends: IF NOT EXISTS, and
// schema . table, are passed over.
func nameAfter(words []string, i int) int {
	if i+2 < len(words) && strings.EqualFold(words[i], "IF") {
		i += 3
	}
	if i+1 < len(words) && words[i+1] == "." {
		i += 2
	}
	return i + 1
}

// words cuts a text into names, unquoted, and the dots between them.
func words(text string) []string {
	var out []string
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '.':
			out = append(out, ".")
			i++
		case c == '`' || c == '"':
			var b strings.Builder
			for i++; i < len(text); i++ {
				if text[i] == c {
					if i+1 < len(text) && text[i+1] == c {
						i++
					} else {
						break
					}
				}
				b.WriteByte(text[i])
			}
			i++
			out = append(out, b.String())
		case c == '\'':
			for i++; i < len(text) && text[i] != '\''; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			i++
		case strings.HasPrefix(text[i:], "/*") && !strings.HasPrefix(text[i:], "/*!"):
			end := strings.Index(text[i+2:], "*/")
			if end < 0 {
				return out
			}
			i += end + 4
		case isWord(c):
			from := i
			for i < len(text) && isWord(text[i]) {
				i++
			}
			out = append(out, text[from:i])
		default:
			i++
		}
	}
	return out
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
