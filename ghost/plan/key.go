package plan

import (
	"slices"
	"strconv"
	"strings"

	"midflight/schema"
)

// A Key is the chunk key: the columns that identify a row in both tables.
type Key struct {
	Index            string          // its name on the original
	Original, Shadow []schema.Column // the same columns by both names, in key order
}

// Integers tells whether every column is an integer, so that Go orders keys as
// the server does.
func (k Key) Integers() bool {
	return !slices.ContainsFunc(k.Original, func(c schema.Column) bool { return !c.Integer() })
}

// chooseKey takes the first key that identifies rows before and after: the
// primary key if it can, since row images of every binlog_row_image have it.
func chooseKey(original, altered *schema.Table, names map[string]string) (Key, *Refusal) {
	identifying := false
	for _, k := range original.Keys {
		if !original.Identifies(k) {
			continue
		}
		identifying = true
		if key, ok := shared(k, original, altered, names); ok {
			return key, nil
		}
	}
	if !identifying {
		return Key{}, &Refusal{
			Reason: original.Name.String() + " has no primary key and no unique key of NOT NULL columns, so its rows can't be told apart",
			Hint:   "Add a primary key. " + AskDirect,
		}
	}
	return Key{}, refuse("no unique key of NOT NULL columns of %s is still there, unchanged, after the statement", original.Name)
}

func shared(k schema.Key, original, altered *schema.Table, names map[string]string) (Key, bool) {
	key := Key{Index: k.Name}
	var after []string
	for _, kc := range k.Columns {
		from, _ := original.Column(kc.Name)
		to, ok := altered.Column(names[fold(kc.Name)])
		if !ok || names[fold(kc.Name)] == "" || !comparable(from, to) {
			return Key{}, false
		}
		key.Original, key.Shadow = append(key.Original, from), append(key.Shadow, to)
		after = append(after, fold(to.Name))
	}
	for _, a := range altered.Keys {
		if altered.Identifies(a) && slices.Equal(foldAll(a.Names()), after) {
			return key, true
		}
	}
	return Key{}, false
}

// comparable: the two columns tell the same values apart and a literal of one
// finds the row in the other. With another collation 'a' and 'A' may be two
// keys before and one after.
func comparable(from, to schema.Column) bool {
	switch from.Type {
	case "decimal", "char", "varchar", "binary", "varbinary", "bit", "year", "date", "time", "datetime":
	case "timestamp": // a literal of it depends on the session's time zone
		return false
	case "enum", "set": // sorted by number, compared with a literal by text (Vitess #9546)
		return false
	default: // floating point has no exact literal; others none that binlog decodes
		if !from.Integer() {
			return false
		}
	}
	if from.Integer() && to.Integer() {
		return holdsIntegers(from, to)
	}
	if from.Type == to.Type && (from.Type == "varchar" || from.Type == "varbinary") {
		return from.Collation == to.Collation && length(from) <= length(to)
	}
	return from.FullType == to.FullType && from.Collation == to.Collation
}

// holdsIntegers: every value of from is one of to. Outside the strict modes a
// narrower column would cut keys without an error, and the original's literal
// would no longer find the shadow's row.
func holdsIntegers(from, to schema.Column) bool {
	width := map[string]int{"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8}
	f, t := width[from.Type], width[to.Type]
	switch {
	case from.Unsigned() == to.Unsigned():
		return f <= t
	case from.Unsigned():
		return f < t
	}
	return false
}

// length is the n of varchar(n).
func length(c schema.Column) int {
	_, rest, _ := strings.Cut(c.FullType, "(")
	digits, _, _ := strings.Cut(rest, ")")
	n, _ := strconv.Atoi(digits)
	return n
}

func foldAll(names []string) []string {
	folded := make([]string, len(names))
	for i, n := range names {
		folded[i] = strings.ToLower(n)
	}
	return folded
}
