package ghost

import (
	"slices"
	"strings"

	"midflight/binlog"
	"midflight/parser"
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
	// Version comments of either family count.
	for _, mariaDB := range []bool{false, true} {
		if what, t := touchesBy(parser.Names(st.SQL, mariaDB), st.Schema, tables); what != nothing {
			return what, t
		}
	}
	return nothing, schema.Name{}
}

func touchesBy(words []string, in string, tables []schema.Name) (effect, schema.Name) {
	if len(words) > 2 && fold(words[0]) == "SET" && fold(words[1]) == "STATEMENT" { // MariaDB: SET STATEMENT … FOR …
		if i := indexFold(words, "FOR"); i > 0 {
			words = words[i+1:]
		}
	}
	if len(words) < 2 {
		return nothing, schema.Name{}
	}
	what := nothing
	switch fold(words[0]) {
	case "SELECT", "DO", "CALL", "INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "WITH":
		// Logged as text in a session with binlog_format=STATEMENT. Through a
		// view, a trigger or a function it may change our rows without naming
		// their table.
		return rowsUnknown, tables[0]
	case "TRUNCATE", "IMPORT", "RENAME", "OPTIMIZE", "REPAIR":
		what = definition
	case "ALTER", "CREATE", "DROP":
		what, words = definedObject(words)
	}
	if what == nothing {
		return nothing, schema.Name{}
	}
	for _, t := range tables {
		if mentions(words, in, t) {
			return what, t
		}
	}
	return nothing, schema.Name{}
}

// definedObject finds what kind of thing a CREATE, ALTER or DROP is about, and
// leaves of the words those that name the tables it changes. A view, routine,
// event or account may well mention the table.
func definedObject(words []string) (effect, []string) {
	for i, w := range words[1:] {
		switch i++; fold(w) {
		case "TABLE":
			end := min(len(words), nameEnd(words, i+1))
			if fold(words[0]) == "ALTER" && end == len(words) {
				// Changes nothing, but is logged: our own check of a user's
				// privileges is one (intercept, mayAlter).
				return nothing, nil
			}
			if fold(words[0]) == "DROP" {
				return definition, words
			}
			// CREATE TABLE x LIKE t, or SELECT FROM t, only reads t; a foreign
			// key and EXCHANGE PARTITION name a second table that they change.
			named := slices.Clone(words[:end])
			for j := end; j < len(words); j++ {
				if w := fold(words[j]); w == "REFERENCES" || w == "TABLE" {
					named = append(named, words[j:min(len(words), nameEnd(words, j+1))]...)
				}
			}
			return definition, named
		case "TABLES", "INDEX", "TRIGGER":
			return definition, words
		case "DATABASE", "SCHEMA":
			return definition, append(words, ".", "*")
		case "VIEW", "PROCEDURE", "FUNCTION", "EVENT", "USER", "ROLE", "SERVER", "SEQUENCE", "PACKAGE", "TABLESPACE", "INSTANCE", "RESOURCE", "LOGFILE", "UNDO":
			return nothing, nil
		}
	}
	return nothing, nil
}

// nameEnd is where a table's name that begins at i ends; IF NOT EXISTS and the
// schema before it are passed over.
func nameEnd(words []string, i int) int {
	for i < len(words) && slices.Contains([]string{"IF", "NOT", "EXISTS"}, fold(words[i])) {
		i++
	}
	if i+1 < len(words) && words[i+1] == "." {
		i += 2
	}
	return i + 1
}

// mentions tells whether words have the table's name: with its schema, or alone
// in its own schema. A last ".*" stands for a whole schema.
func mentions(words []string, in string, t schema.Name) bool {
	whole := len(words) > 1 && words[len(words)-1] == "*"
	for i, w := range words {
		if whole && strings.EqualFold(w, t.Schema) {
			return true
		}
		// The binlog has the text in its session's character set.
		if !strings.EqualFold(w, t.Table) && (isASCII(w) || isASCII(t.Table)) {
			continue
		}
		if i >= 2 && words[i-1] == "." {
			if strings.EqualFold(words[i-2], t.Schema) {
				return true
			}
		} else if strings.EqualFold(in, t.Schema) {
			return true
		}
	}
	return false
}

// mentionsAny goes by text, so rather too often.
func mentionsAny(sql string, names []string) bool {
	sql = strings.ToLower(sql)
	return slices.ContainsFunc(names, func(n string) bool { return strings.Contains(sql, strings.ToLower(n)) })
}

// makesReach: after it other names than before may reach the table.
func makesReach(sql string) bool {
	words := parser.Names(sql, true)
	if len(words) == 0 || fold(words[0]) != "CREATE" && fold(words[0]) != "ALTER" {
		return false
	}
	return slices.ContainsFunc(words, func(w string) bool {
		switch fold(w) {
		case "VIEW", "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE":
			return true
		}
		return false
	})
}

func indexFold(words []string, w string) int {
	return slices.IndexFunc(words, func(o string) bool { return fold(o) == w })
}

func fold(word string) string { return strings.ToUpper(word) }

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}
