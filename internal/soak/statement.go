package soak

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// A statement of a writer, in which {t} is the table. It names rows by numbers
// of the writer's own, and nothing that depends on the order of rows: it does
// the same to two equal tables.
type statement struct {
	text string
	args []any  // makes it a prepared one
	load string // rows for LOAD DATA LOCAL
	// lock comes first where the statement reads rows that it does not change:
	// below REPEATABLE READ it would not lock them, and another writer's REPLACE
	// of one could come between the twins.
	lock string
	// withID is the same statement with the number that the server has given to
	// the first twin's row.
	withID string
}

// A source makes a writer's statements.
type source struct {
	table Table
	r     *rand.Rand
	base  int // of the writer's numbers
	size  int // of the rows at the start
	next  int
}

func (s *source) fresh() int {
	s.next++
	return s.base + s.size + s.next%(ownRows/2-s.size)
}

// some is a number that is likely to be there.
func (s *source) some() int { return s.base + s.r.IntN(s.size+min(s.next, 300)+1) }

func (s *source) writable() []Column {
	return slices.DeleteFunc(slices.Clone(s.table.Columns), func(c Column) bool { return c.Generated != "" })
}

func (s *source) literal(c Column, n int) string {
	switch {
	case c.Name == s.table.Number:
		return fmt.Sprint(n)
	case c.Auto:
		return fmt.Sprint(n + 1)
	case !c.NotNull && one(s.r, 6):
		return "NULL"
	case c.Default != "" && one(s.r, 6):
		return "DEFAULT"
	}
	return c.Type.value(s.r, n+s.r.IntN(2)*s.r.IntN(50))
}

func (s *source) row(columns []Column, n int) string {
	var values []string
	for _, c := range columns {
		values = append(values, s.literal(c, n))
	}
	return "(" + strings.Join(values, ", ") + ")"
}

func names(columns []Column) string {
	var list []string
	for _, c := range columns {
		list = append(list, q(c.Name))
	}
	return strings.Join(list, ", ")
}

// mine are rows of the writer's; a few or one.
func (s *source) mine() string {
	n := s.some()
	if one(s.r, 3) {
		return fmt.Sprintf("%s BETWEEN %d AND %d", q(s.table.Number), n, min(n+s.r.IntN(12), s.base+ownRows/2-1))
	}
	return fmt.Sprintf("%s = %d", q(s.table.Number), n)
}

// change is col = value, sometimes of a key's column. With a prefix it is for an
// UPDATE of a join, in which MySQL takes DEFAULT for 0, no text or NULL if the default
// must be computed and the plan collects the rows first (EXPLAIN FORMAT=TREE:
// buffered). Statistics choose the plan, and the twins' are not from the same
// moment: so the statement says what DEFAULT stands for. (Seen on 9.7.4 without
// Midflight.)
func (s *source) change(prefix string) (string, bool) {
	var sets []string
	for _, c := range s.writable() {
		if c.Name == s.table.Number || c.Auto && !one(s.r, 20) {
			continue
		}
		if len(sets) > 0 && !one(s.r, 3) {
			continue
		}
		v := s.literal(c, s.some())
		if prefix != "" && v == "DEFAULT" && c.computed() != "" {
			v = c.computed()
		}
		x := prefix + q(c.Name)
		switch {
		case c.Type.Kind == Integer && one(s.r, 4):
			v = x + " + 1"
		case c.Type.Kind == Char && one(s.r, 8):
			v = "UPPER(" + x + ")"
		case c.Type.Kind == JSON && one(s.r, 3):
			v = fmt.Sprintf("JSON_SET(%s, '$.v', %d)", x, s.r.IntN(100))
		case c.Type.Kind == JSON && one(s.r, 6):
			v = "JSON_REMOVE(" + x + ", '$.w')"
		case (c.Type.Kind == Datetime || c.Type.Kind == Timestamp) && one(s.r, 3):
			v = "NOW(6)"
		}
		sets = append(sets, x+" = "+v)
	}
	s.r.Shuffle(len(sets), func(i, j int) { sets[i], sets[j] = sets[j], sets[i] })
	return strings.Join(sets, ", "), len(sets) > 0
}

func (s *source) draw() statement {
	columns := s.writable()
	number := q(s.table.Number)
	if !one(s.r, 4) { // some columns come from their defaults
		var kept []Column
		for _, c := range columns {
			if c.NotNull && c.Default == "" || c.Name == s.table.Number || c.Auto || !one(s.r, 4) {
				kept = append(kept, c)
			}
		}
		columns = kept
	}
	switch n := s.r.IntN(100); {
	case n < 12:
		return s.insert(columns)
	case n < 18:
		var rows []string
		for range 2 + s.r.IntN(20) {
			rows = append(rows, s.row(columns, s.fresh()))
		}
		return statement{text: "INSERT INTO {t} (" + names(columns) + ") VALUES " + strings.Join(rows, ", ")}
	case n < 23:
		var values []string
		for _, c := range columns {
			switch {
			case c.Name == s.table.Number:
				values = append(values, fmt.Sprintf("%s + %d", number, ownRows/2))
			case c.Auto:
				values = append(values, fmt.Sprintf("%s + %d", number, ownRows/2))
			default:
				values = append(values, q(c.Name))
			}
		}
		mine := s.mine()
		return statement{lock: mine, text: "INSERT INTO {t} (" + names(columns) + ") SELECT " + strings.Join(values, ", ") + " FROM {t} AS source WHERE " + mine}
	case n < 30:
		return statement{text: "REPLACE INTO {t} (" + names(columns) + ") VALUES " + s.row(columns, s.some())}
	case n < 37:
		if set, ok := s.change(""); ok {
			return statement{text: "INSERT INTO {t} (" + names(columns) + ") VALUES " + s.row(columns, s.some()) + " ON DUPLICATE KEY UPDATE " + set}
		}
	case n < 62:
		if set, ok := s.change(""); ok {
			return statement{text: "UPDATE {t} SET " + set + " WHERE " + s.mine()}
		}
	case n < 66:
		return s.swap()
	case n < 76:
		return statement{text: "DELETE FROM {t} WHERE " + s.mine()}
	case n < 80: // another number: of a key, in most tables
		return statement{text: fmt.Sprintf("UPDATE {t} SET %s = %d WHERE %s = %d", number, s.fresh(), number, s.some())}
	case n < 84:
		if set, ok := s.change("a."); ok {
			return statement{text: fmt.Sprintf("UPDATE {t} AS a JOIN (SELECT %d AS x UNION SELECT %d) AS b ON a.%s = b.x SET %s", s.some(), s.some(), number, set)}
		}
	case n < 87:
		return statement{text: fmt.Sprintf("DELETE a FROM {t} AS a JOIN (SELECT %d AS x UNION SELECT %d) AS b ON a.%s = b.x", s.some(), s.some(), number)}
	case n < 91 && !slices.ContainsFunc(columns, func(c Column) bool { return c.Type.Kind == Vector && c.NotNull }):
		// LOAD DATA makes a VECTOR of no bytes, which no other statement takes.
		return s.load(columns)
	case n < 97:
		for _, c := range s.writable() {
			if c.Type.Kind == Char && c.Name != s.table.Number {
				return statement{text: "UPDATE {t} SET " + q(c.Name) + " = ? WHERE " + number + " = ?", args: []any{string(rune('a' + s.r.IntN(26))), s.some()}}
			}
		}
		return statement{text: "DELETE FROM {t} WHERE " + number + " = ?", args: []any{s.some()}}
	}
	return s.insert(columns)
}

// insert leaves an AUTO_INCREMENT value to the server, sometimes.
func (s *source) insert(columns []Column) statement {
	n := s.fresh()
	full := "INSERT INTO {t} (" + names(columns) + ") VALUES " + s.row(columns, n)
	i := slices.IndexFunc(columns, func(c Column) bool { return c.Auto })
	if i < 0 || one(s.r, 2) {
		return statement{text: full}
	}
	var values, withID []string
	for j, c := range columns {
		v := s.literal(c, n)
		values, withID = append(values, v), append(withID, v)
		if j == i {
			values[j], withID[j] = "NULL", "{id}"
		}
	}
	head := "INSERT INTO {t} (" + names(columns) + ") VALUES ("
	return statement{text: head + strings.Join(values, ", ") + ")", withID: head + strings.Join(withID, ", ") + ")"}
}

// swap lets two rows exchange the value of a column.
func (s *source) swap() statement {
	var some []Column
	for _, k := range s.table.Keys {
		for _, p := range k.Parts {
			if c, ok := s.table.column(p.Column); ok && c.Name != s.table.Number && !c.Auto && c.Generated == "" {
				some = append(some, c)
			}
		}
	}
	if len(some) == 0 {
		return statement{text: "DELETE FROM {t} WHERE " + s.mine()}
	}
	c, n, number := q(pick(s.r, some).Name), s.some(), q(s.table.Number)
	m := s.some()
	return statement{lock: fmt.Sprintf("%s IN (%d, %d)", number, n, m), text: fmt.Sprintf("UPDATE {t} AS a JOIN {t} AS b ON a.%[1]s = %[2]d AND b.%[1]s = %[3]d SET a.%[4]s = b.%[4]s", number, n, m, c)}
}

func (s *source) load(columns []Column) statement {
	var plain []Column
	for _, c := range columns {
		if c.Name == s.table.Number || c.Auto || c.Type.Kind == Integer || c.Type.Kind == Char {
			plain = append(plain, c)
		}
	}
	var b strings.Builder
	for range 1 + s.r.IntN(10) {
		n := s.fresh()
		for i, c := range plain {
			if i > 0 {
				b.WriteByte('\t')
			}
			if c.Name == s.table.Number || c.Auto {
				fmt.Fprint(&b, n)
			} else {
				fmt.Fprint(&b, n%100)
			}
		}
		b.WriteByte('\n')
	}
	return statement{text: "LOAD DATA LOCAL INFILE 'Reader::{load}' INTO TABLE {t} CHARACTER SET utf8mb4 (" + names(plain) + ")", load: b.String()}
}
