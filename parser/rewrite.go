package parser

import (
	"slices"
	"strings"
)

// layout is where Rewrite has to put its hands.
type layout struct {
	name   []token // of the table, with the dot if there is one
	insert int     // where ALGORITHM and LOCK go
	comma  bool    // a comma must follow them there
	remove []token // the statement's own ALGORITHM and LOCK, and their commas
}

// Edit says what Rewrite changes. A zero field is left as written.
type Edit struct {
	Schema, Table string

	// Either one replaces both the ALGORITHM and the LOCK of the text: of two
	// the server would take the last one, and say nothing. To take them out,
	// write DEFAULT.
	Algorithm, Lock string

	// Invisible makes the columns of Statement.Hideable INVISIBLE.
	Invisible bool
}

// WithTable returns the text with the table's name replaced.
func (s Statement) WithTable(schema, table string) string {
	return s.Rewrite(Edit{Schema: schema, Table: table})
}

// WithAlgorithm returns the text with ALGORITHM, and LOCK unless it is empty.
func (s Statement) WithAlgorithm(algorithm, lock string) string {
	return s.Rewrite(Edit{Algorithm: algorithm, Lock: lock})
}

// Rewrite returns the text with the edit made, and all else as it was. OPTIMIZE
// TABLE has no algorithm; of its tables the first is replaced. A Direct one is
// nobody's to change. MariaDB has no
// ALGORITHM in DROP INDEX and none beside partition maintenance: it will refuse
// the text.
func (s Statement) Rewrite(e Edit) string {
	if s.Kind == Other || s.Kind.Direct() {
		return s.Text
	}
	var changes []change
	if e.Table != "" && len(s.layout.name) > 0 {
		name := quoteName(e.Schema, e.Table)
		if strings.HasPrefix(s.Text[s.layout.name[len(s.layout.name)-1].end:], "`") {
			name += " " // t`x` would read as one name
		}
		changes = append(changes, change{s.layout.name[0].pos, s.layout.name[0].end, name})
		// One by one: what is between the parts may open a version comment.
		for _, t := range s.layout.name[1:] {
			changes = append(changes, change{t.pos, t.end, ""})
		}
	}
	if (e.Algorithm != "" || e.Lock != "") && s.Kind != OptimizeTable {
		changes = append(changes, change{s.layout.insert, s.layout.insert, s.modifiers(e)})
		for _, t := range s.layout.remove {
			changes = append(changes, change{t.pos, t.end, ""})
		}
	}
	if e.Invisible {
		for _, a := range s.Actions {
			if a.hideable() {
				changes = append(changes, change{a.definition.end, a.definition.end, " INVISIBLE" + space(s.Text[a.definition.end:])})
			}
		}
	}
	return apply(s.Text, changes)
}

// Hideable are the columns that the statement adds without a word on whether
// they are visible.
func (s Statement) Hideable() []string {
	var names []string
	for _, a := range s.Actions {
		if a.hideable() {
			names = append(names, a.Column)
		}
	}
	return names
}

func (a Action) hideable() bool {
	return a.Kind == AddColumn && !a.Visible && !a.Invisible && a.definition.end > 0
}

// space keeps a word from running into the text behind it: DEFAULT 'x'FIRST is
// fine, INVISIBLEFIRST isn't.
func space(behind string) string {
	if behind != "" && isName(behind[0]) {
		return " "
	}
	return ""
}

func (s Statement) modifiers(e Edit) string {
	var parts []string
	if e.Algorithm != "" {
		parts = append(parts, "ALGORITHM="+e.Algorithm)
	}
	if e.Lock != "" {
		parts = append(parts, "LOCK="+e.Lock)
	}
	if s.Kind != AlterTable {
		return " " + strings.Join(parts, " ")
	}
	text := " " + strings.Join(parts, ", ")
	if s.layout.comma {
		return text + ","
	}
	// `t`PARTITION BY … is fine, ALGORITHM=COPYPARTITION isn't.
	return text + space(s.Text[s.layout.insert:])
}

func quoteName(schema, table string) string {
	q := func(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }
	if schema == "" {
		return q(table)
	}
	return q(schema) + "." + q(table)
}

type change struct {
	pos, end int
	text     string
}

// apply makes the changes, which don't overlap. Neighbours that are taken out
// take the blanks between them along.
func apply(text string, changes []change) string {
	slices.SortStableFunc(changes, func(a, b change) int {
		if a.pos != b.pos {
			return a.pos - b.pos
		}
		return a.end - b.end
	})
	var b strings.Builder
	at := 0
	for i, c := range changes {
		gap := text[at:c.pos]
		removed := i > 0 && c.text == "" && changes[i-1].text == "" && blank(gap)
		if !removed {
			b.WriteString(gap)
		}
		b.WriteString(c.text)
		at = c.end
	}
	b.WriteString(text[at:])
	return b.String()
}

func blank(s string) bool { return strings.Trim(s, " \t\n\v\f\r") == "" }
