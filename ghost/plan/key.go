package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"midflight/mysqld"
	"midflight/schema"
)

// A Key is the chunk key: the columns that tell the original's rows apart, and
// find each in the shadow.
type Key struct {
	Index            string          // its name on the original
	Original, Shadow []schema.Column // the same columns by both names, in key order
	Desc             []bool          // by column: the index goes downwards, and so do the chunks
	// Prefix, by column, is how many characters the index has, 0: all. Its order is
	// then not quite that of the values, which decide what belongs to a chunk.
	Prefix []int
	// Computed, by column, is the shadow's own column that Shadow is computed from,
	// where that is a column of ours: the ALTER converts the key, and order and
	// equality have to be the original's. Else it has no name.
	Computed []schema.Column
	// Helper: no index of the shadow finds its rows by this key, so it gets one
	// of ours until the swap.
	Helper bool
	// Enforced: a unique index of the shadow refuses a second row of a key. Where
	// nothing does, no statement may be committed whose answer can get lost.
	Enforced bool
}

// Prefixed: the index has but the beginning of some column.
func (k Key) Prefixed() bool {
	return slices.ContainsFunc(k.Prefix, func(n int) bool { return n > 0 })
}

// HelperIndex is the name of the index that a shadow gets for the time of the
// copy. It is not unique: the server would make a unique one of NOT NULL columns
// the clustered index of a table without a primary key, and then rebuild the
// table to drop it.
const HelperIndex = "_midflight_key"

// Integers tells whether every literal is a whole number and no column goes
// downwards, so that Go orders keys as the chunks are.
func (k Key) Integers() bool { return k.Exact() && !slices.Contains(k.Desc, true) }

// Exact tells whether every literal is a whole number, so that a row has one key.
func (k Key) Exact() bool {
	return !slices.ContainsFunc(k.Original, func(c schema.Column) bool {
		switch c.Type {
		case "enum", "set", "bit", "year":
			return false
		}
		return !c.Integer()
	})
}

// chooseKey takes the unique key of the original that costs least to follow to
// the altered table: one that has an index there if there is any. Among equals
// it is the primary key, since row images of every binlog_row_image have it.
//
// zones: the rows are copied in the user's time zone.
func chooseKey(original, altered *schema.Table, names map[string]string, strict, zones bool) (Key, *Refusal) {
	var best *Key
	var nobody, reasons []string // keys that don't identify, or can't be followed
	for _, k := range original.Keys {
		if !k.Unique {
			continue
		}
		if why := identifies(original, k); why != "" {
			nobody = append(nobody, fmt.Sprintf("of the key %s, %s", k.Name, why))
			continue
		}
		key, why := followed(k, original, altered, names, strict, zones)
		if why != "" {
			reasons = append(reasons, fmt.Sprintf("of the key %s, %s", k.Name, why))
			continue
		}
		if best == nil || key.cost() < best.cost() {
			best = &key
		}
	}
	switch {
	case best != nil:
		return *best, nil
	case len(reasons) > 0:
		return Key{}, refuse("no key tells which row of the new table is which of %s: %s", original.Name, strings.Join(slices.Concat(reasons, nobody), "; "))
	}
	why := original.Name.String() + " has no primary key and no unique key of NOT NULL columns"
	if len(nobody) > 0 {
		why += " (" + strings.Join(nobody, "; ") + ")"
	}
	return Key{}, &Refusal{
		Reason: why + ", so its rows can't be told apart",
		Hint:   "Add a primary key. " + AskDirect,
	}
}

// cost of following a key: nothing, an index, or a column and an index.
func (k Key) cost() int {
	switch {
	case slices.ContainsFunc(k.Computed, func(c schema.Column) bool { return c.Name != "" }):
		return 2
	case k.Helper:
		return 1
	}
	return 0
}

// identifies tells why a unique key is not one value for each row. A primary key
// of the beginnings of values is, since what is unique in its beginning is unique.
//
// Other such indexes won't do: chunks are found by reading in the order of the
// index (rowsql, Bound), which nothing but the clustered one promises without
// sorting.
func identifies(t *schema.Table, k schema.Key) (why string) {
	switch {
	case k.Hidden:
		return "no statement may use it"
	case k.Type != "BTREE":
		return "it is " + k.Type
	}
	for _, kc := range k.Columns {
		c, ok := t.Column(kc.Name)
		switch {
		case !ok:
			return "it is of an expression"
		case c.Nullable:
			return "column " + c.Name + " may be NULL"
		case kc.Prefix > 0 && k.Name != "PRIMARY":
			return "it has but the beginning of column " + c.Name
		}
	}
	return ""
}

// followed finds the key's columns in the altered table, or tells why it can't.
func followed(k schema.Key, original, altered *schema.Table, names map[string]string, strict, zones bool) (key Key, why string) {
	key.Index = k.Name
	for _, kc := range k.Columns {
		from, _ := original.Column(kc.Name)
		to, ok := altered.Column(names[fold(kc.Name)])
		if !ok || names[fold(kc.Name)] == "" {
			return Key{}, "column " + kc.Name + " is dropped"
		}
		if (from.Generated || to.Generated) && !sameResult(from, to, original, altered, names) {
			return Key{}, "column " + kc.Name + " is generated, and may come out otherwise"
		}
		if why := exact(from, zones); why != "" {
			return Key{}, why
		}
		if kc.Prefix > 0 && length(from) > longestPrefixed {
			return Key{}, fmt.Sprintf("column %s is longer than %d characters", from.Name, longestPrefixed)
		}
		var computed schema.Column
		switch {
		case comparable(from, to, strict):
		case reversible(from, to, strict):
			to, computed = from, to
			to.Name = helperColumn(len(key.Computed))
		default:
			return Key{}, fmt.Sprintf("column %s becomes %s", from.Name, described(to))
		}
		key.Original, key.Shadow, key.Computed = append(key.Original, from), append(key.Shadow, to), append(key.Computed, computed)
		key.Desc, key.Prefix = append(key.Desc, kc.Desc), append(key.Prefix, kc.Prefix)
	}
	serves := false
	for _, a := range altered.Keys {
		serves = serves || key.servedBy(a)
		key.Enforced = key.Enforced || key.enforcedBy(a)
	}
	key.Helper = !serves
	return key, ""
}

// sameResult: a generated column has the same value in both tables. The server's
// text of its expression has each column's name between backticks.
func sameResult(from, to schema.Column, original, altered *schema.Table, names map[string]string) bool {
	if from.Generated != to.Generated || from.Expression != to.Expression {
		return false
	}
	return !slices.ContainsFunc(original.Columns, func(c schema.Column) bool {
		now, ok := altered.Column(names[fold(c.Name)])
		return strings.Contains(from.Expression, mysqld.QuoteName(c.Name)) && ok && names[fold(c.Name)] != "" && !sameValues(c, now)
	})
}

// servedBy: the index finds rows by the key, and ranges of them. It begins with
// the key's columns, or is unique and no longer than that.
func (k Key) servedBy(index schema.Key) bool {
	if index.Type != "BTREE" || index.Hidden {
		return false
	}
	for i, kc := range index.Columns {
		if i == len(k.Shadow) {
			return true
		}
		if !strings.EqualFold(kc.Name, k.Shadow[i].Name) || kc.Prefix > 0 && (k.Prefix[i] == 0 || kc.Prefix < k.Prefix[i]) {
			return false
		}
	}
	return index.Unique || len(index.Columns) == len(k.Shadow)
}

// enforcedBy: no two rows can be equal in the key's columns. (They come from
// columns that are NOT NULL.)
func (k Key) enforcedBy(index schema.Key) bool {
	return index.Unique && !slices.ContainsFunc(index.Columns, func(kc schema.KeyColumn) bool {
		return !slices.ContainsFunc(k.Shadow, func(c schema.Column) bool { return strings.EqualFold(c.Name, kc.Name) })
	})
}

// NoHelper: the server does not give the shadow the index, or doesn't take it
// back without copying the table.
func NoHelper(err error) *Refusal {
	return refuse("the new table can't have an index for the time of the copy by which its rows are found: %v", err)
}

// What is behind a value of an ENUM or SET, the servers find by its index only as
// a list of all the numbers: rowsql, compared.
const (
	mostMembers    = 1000
	mostSetMembers = 8 // 256 numbers
)

// A batch of keys must fit into max_allowed_packet, as literals of two digits for
// each byte. Where the index has all of the value, it is short enough.
const longestPrefixed = 2048

// exact tells why no literal finds exactly the rows with a value of the column.
func exact(c schema.Column, zones bool) (why string) {
	why = fmt.Sprintf("column %s is %s", c.Name, described(c))
	switch c.Type {
	case "decimal", "float", "double", "char", "varchar", "binary", "varbinary", "bit", "year", "date", "time", "datetime":
		return ""
	case "timestamp":
		if zones { // one local time may be two moments
			return why + ", and the statement converts between local and universal time"
		}
		return ""
	case "enum", "set":
		most := mostMembers
		if c.Type == "set" {
			most = mostSetMembers
		}
		switch c.Charset {
		case "utf16", "utf16le", "utf32", "ucs2": // the catalogues don't show their members
			return why
		}
		if members, err := c.Members(); err != nil || len(members) > most {
			return fmt.Sprintf("column %s is %s of more than %d members", c.Name, map[string]string{"enum": "an ENUM", "set": "a SET"}[c.Type], most)
		}
		return ""
	}
	if c.Integer() {
		return ""
	}
	return why + ", of which Midflight makes no literal"
}

// described is a column's type for people: a long list of members is cut.
func described(c schema.Column) string {
	d := c.FullType
	if runes := []rune(d); len(runes) > 40 {
		d = string(runes[:40]) + "…"
	}
	if c.Collation != "" {
		d += " " + c.Collation
	}
	return d
}

// comparable: the two columns tell the same values apart and a literal of one
// finds the row in the other. With another collation 'a' and 'A' may be two
// keys before and one after.
//
// strict: what doesn't fit fails the ALTER, so that a narrower column holds all
// of the values. Outside the strict modes it would cut keys without an error,
// and the original's literal would no longer find the shadow's row.
func comparable(from, to schema.Column, strict bool) bool {
	if to.Generated && !from.Generated {
		return false
	}
	if from.Integer() && to.Integer() {
		return strict || holdsIntegers(from, to)
	}
	if from.Type == to.Type && (from.Type == "enum" || from.Type == "set") {
		return appended(from, to)
	}
	if from.Type == to.Type && (from.Type == "varchar" || from.Type == "varbinary") {
		return from.Collation == to.Collation && (strict || length(from) <= length(to))
	}
	return from.FullType == to.FullType && from.Collation == to.Collation
}

// appended: every member has the number that it had. (The character set is of no
// importance to a number.)
func appended(from, to schema.Column) bool {
	before, err := from.Members()
	after, errAfter := to.Members()
	return err == nil && errAfter == nil && len(before) <= len(after) && slices.Equal(before, after[:len(before)])
}

// holdsIntegers: every value of from is one of to.
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

// length is the n of varchar(n) and of decimal(n,2).
func length(c schema.Column) int {
	_, rest, _ := strings.Cut(c.FullType, "(")
	digits, _, _ := strings.Cut(rest, ")")
	digits, _, _ = strings.Cut(digits, ",")
	n, _ := strconv.Atoi(digits)
	return n
}
