package soak

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"midflight/internal/localserver"
)

// drawAlter makes one statement; some of what it draws no server takes.
func drawAlter(r *rand.Rand, f localserver.Flavor, t Table) Alter {
	names := &namer{taken: map[string]bool{}}
	for _, c := range t.Columns {
		names.taken[strings.ToLower(c.Name)] = true
	}
	for _, k := range t.Keys {
		names.taken[strings.ToLower(k.Name)] = true
	}
	switch r.IntN(24) {
	case 0:
		return Alter{Head: pick(r, []string{"OPTIMIZE TABLE {t}", "OPTIMIZE LOCAL TABLE {t}", "OPTIMIZE NO_WRITE_TO_BINLOG TABLE {t}"})}
	case 1:
		if text, ok := keyParts(r, f, t); ok {
			return Alter{Head: fmt.Sprintf("CREATE %sINDEX %s ON {t} (%s)", pick(r, []string{"", "", "UNIQUE "}), q(names.name(r, "i")), text)}
		}
	case 2:
		if k, ok := plainKey(r, t); ok {
			return Alter{Head: fmt.Sprintf("DROP INDEX %s ON {t}", q(k.Name))}
		}
	}
	d := alterDraw{r, f, t, names}
	a := Alter{Head: "ALTER TABLE {t}"}
	if one(r, 12) {
		a.Head = pick(r, []string{"ALTER /* c; */ TABLE {t} -- x\n", "alter table {t}", "ALTER TABLE {t} # c\n"})
	}
	for range pick(r, []int{1, 1, 1, 2, 2, 3, 4}) {
		a.Actions = append(a.Actions, d.action()...)
	}
	if t.Partition != "" && one(r, 4) {
		a.Tail = "REMOVE PARTITIONING"
	} else if one(r, 25) {
		a.Tail = partition(r, t)
		if one(r, 2) {
			a.Actions = nil
		}
	}
	if len(a.Actions) > 0 && one(r, 12) {
		a.Actions = append(a.Actions, pick(r, []string{"ALGORITHM=COPY", "LOCK=NONE", "ALGORITHM=DEFAULT", "LOCK=DEFAULT", "ALGORITHM=COPY, LOCK=SHARED"}))
	}
	return a
}

type alterDraw struct {
	r     *rand.Rand
	f     localserver.Flavor
	t     Table
	names *namer
}

func (d alterDraw) action() []string {
	r, t := d.r, d.t
	one1 := func(s string) []string { return []string{s} }
	c := pick(r, t.Columns)
	if c.Name == t.Number && !one(r, 3) && len(t.Columns) > 1 {
		c = pick(r, t.Columns)
	}
	switch n := r.IntN(100); {
	case n < 14:
		made := drawColumn(r, d.f, d.names)
		return one1("ADD " + pick(r, []string{"COLUMN ", ""}) + made.definition(d.f) + d.place())
	case n < 17:
		if made, ok := drawGenerated(r, d.f, t, d.names); ok {
			return one1("ADD COLUMN " + made.definition(d.f) + d.place())
		}
	case n < 19:
		return one1("ADD COLUMN " + q(d.names.name(r, "ai")) + " " + pick(r, []string{"INT", "BIGINT UNSIGNED"}) + " NOT NULL AUTO_INCREMENT " + pick(r, []string{"UNIQUE", "PRIMARY KEY", "UNIQUE FIRST"}))
	case n < 24:
		return one1("DROP COLUMN " + q(c.Name))
	case n < 27: // a name used again
		if c.Generated == "" && c.Name != t.Number {
			made := drawColumn(r, d.f, d.names)
			made.Name = c.Name
			return []string{"DROP COLUMN " + q(c.Name), "ADD COLUMN " + made.definition(d.f) + d.place()}
		}
	case n < 48:
		return one1("MODIFY " + d.changed(c).definition(d.f) + d.place())
	case n < 54:
		other := d.changed(c)
		other.Name = d.names.name(r, "r")
		if one(r, 5) {
			other.Name = strings.ToUpper(c.Name)
		}
		return one1("CHANGE " + q(c.Name) + " " + other.definition(d.f) + d.place())
	case n < 57:
		return one1("RENAME COLUMN " + q(c.Name) + " TO " + q(d.names.name(r, "r")))
	case n < 59: // two exchange their names
		other := pick(r, t.Columns)
		if other.Name != c.Name {
			return []string{"RENAME COLUMN " + q(c.Name) + " TO " + q(other.Name), "RENAME COLUMN " + q(other.Name) + " TO " + q(c.Name)}
		}
	case n < 65:
		if text, ok := keyParts(r, d.f, t); ok {
			return one1(fmt.Sprintf("ADD %s %s (%s)", pick(r, []string{"INDEX", "KEY", "UNIQUE", "UNIQUE KEY"}), q(d.names.name(r, "i")), text))
		}
	case n < 67:
		if text, ok := keyParts(r, d.f, t); ok {
			return one1("ADD INDEX (" + text + ")")
		}
	case n < 69:
		if c, ok := anyOf(r, t, func(c Column) bool { return c.Type.Kind == Char || c.Type.Kind == Text }); ok {
			return one1("ADD FULLTEXT INDEX " + q(d.names.name(r, "ft")) + " (" + q(c.Name) + ")")
		}
		if c, ok := anyOf(r, t, func(c Column) bool { return c.Type.Kind == Point }); ok {
			return one1("ADD SPATIAL INDEX " + q(d.names.name(r, "sp")) + " (" + q(c.Name) + ")")
		}
	case n < 73:
		if k, ok := plainKey(r, t); ok {
			switch r.IntN(3) {
			case 0:
				return one1("RENAME INDEX " + q(k.Name) + " TO " + q(d.names.name(r, "i")))
			case 1:
				return one1("DROP KEY " + q(k.Name))
			}
			if d.f == localserver.MySQL {
				return one1("ALTER INDEX " + q(k.Name) + " INVISIBLE")
			}
			return one1("DROP INDEX " + q(k.Name))
		}
	case n < 77:
		if !slices.ContainsFunc(t.Keys, func(k Key) bool { return k.Kind == "PRIMARY KEY" }) {
			if text, ok := keyParts(r, d.f, t); ok {
				return one1("ADD PRIMARY KEY (" + text + ")")
			}
			break
		}
		parts := q(t.Number)
		if one(r, 2) {
			if text, ok := keyParts(r, d.f, t); ok {
				parts = text
			}
		}
		if one(r, 5) {
			return one1("DROP PRIMARY KEY")
		}
		return []string{"DROP PRIMARY KEY", "ADD PRIMARY KEY (" + parts + ")"}
	case n < 80:
		return one1("ADD " + drawCheck(r, d.f, t, d.names).Text)
	case n < 82:
		return one1(d.check())
	case n < 85:
		cs := pick(r, collations[d.f])
		return one1(pick(r, []string{"CONVERT TO CHARACTER SET " + cs[0], "CONVERT TO CHARACTER SET " + cs[0] + " COLLATE " + cs[1], "DEFAULT CHARACTER SET " + cs[0], "CONVERT TO CHARACTER SET utf8mb4"}))
	case n < 93:
		return one1(pick(r, []string{"ENGINE=InnoDB", "FORCE", "ROW_FORMAT=" + pick(r, []string{"DYNAMIC", "COMPACT", "REDUNDANT", "COMPRESSED"}), "COMMENT=" + quoteText(pick(r, nastyComments)),
			fmt.Sprintf("AUTO_INCREMENT=%d", r.IntN(1000000)), "STATS_PERSISTENT=1", "KEY_BLOCK_SIZE=8", "ENGINE=InnoDB ROW_FORMAT=DYNAMIC", "MAX_ROWS=5"}))
	case n < 95:
		return one1(pick(r, []string{"ALTER COLUMN " + q(c.Name) + " DROP DEFAULT", "ALTER COLUMN " + q(c.Name) + " SET DEFAULT '1'"}))
	case n < 98:
		return one1("FORCE")
	case !one(r, 3):
		return one1("ENGINE=InnoDB")
	}
	return one1(pick(r, []string{"DROP COLUMN " + q("no such"), "DROP INDEX nothing", "ADD INDEX (nothing)", "MODIFY " + q(c.Name) + " INT UNSIGNED NOT", "ADD COLUMN " + q(c.Name) + " INT", "CONVERT TO CHARACTER SET klingon", "FORCE"}))
}

// changed is a column of another type, most times one that is not far.
func (d alterDraw) changed(c Column) Column {
	r := d.r
	if c.Generated != "" {
		if one(r, 3) {
			c.Generated = strings.NewReplacer("VIRTUAL", "STORED", "STORED", "VIRTUAL").Replace(c.Generated)
		}
		return c
	}
	if one(r, 5) {
		c.NotNull = !c.NotNull
		if c.Default == "DEFAULT NULL" {
			c.Default = ""
		}
	}
	if one(r, 8) {
		c.Invisible = !c.Invisible
	}
	if one(r, 8) {
		c.Comment = pick(r, nastyComments)
	}
	if c.Auto && !one(r, 4) {
		if one(r, 2) {
			c.Type.SQL = "BIGINT"
		}
		return c
	}
	before := c.Type.Kind
	switch n := r.IntN(10); {
	case n < 6:
		c.Type = near(r, d.f, c.Type)
	case n < 9:
		c.Type = drawType(r, d.f)
	}
	if c.Type.Kind != before || one(r, 4) {
		c.Default = ""
		if one(r, 3) && !c.Auto {
			c.Default = drawDefault(r, d.f, c)
		}
	}
	return c
}

// near is a type of the same family: wider, narrower, or in other letters.
func near(r *rand.Rand, f localserver.Flavor, t Type) Type {
	switch t.Kind {
	case Integer:
		return drawInteger(r, r.IntN(5))
	case Char, Text:
		size := pick(r, []int{t.Size, t.Size, t.Size + 5, t.Size * 2, max(1, t.Size/2)})
		made := drawText(r, f)
		if one(r, 2) {
			made = Type{Kind: Char, Size: size, SQL: fmt.Sprintf("VARCHAR(%d)", size)}
			_, clause, ok := strings.Cut(t.SQL, " CHARACTER SET")
			if ok {
				made.SQL += " CHARACTER SET" + clause
			}
		}
		return made
	case Enum, Set:
		members := slices.Clone(t.Members)
		switch r.IntN(3) {
		case 0:
			members = append(members, "added")
		case 1:
			slices.Reverse(members)
		case 2:
			if len(members) > 1 {
				members = members[1:]
			}
		}
		name, _, _ := strings.Cut(t.SQL, "(")
		return Type{Kind: t.Kind, SQL: name + "(" + quoted(members) + ")", Members: members}
	case Date, Time, Datetime, Timestamp:
		for range 20 {
			if made := drawType(r, f); slices.Contains([]Kind{Date, Time, Datetime, Timestamp}, made.Kind) {
				return made
			}
		}
	case Binary, Blob, Bit, Decimal, Float, Double:
		for range 60 {
			if made := drawType(r, f); made.Kind == t.Kind {
				return made
			}
		}
	case Point:
		return Type{Kind: Geometry, SQL: "GEOMETRY"}
	}
	return t
}

func (d alterDraw) place() string {
	switch d.r.IntN(6) {
	case 0:
		return " FIRST"
	case 1:
		return " AFTER " + q(pick(d.r, d.t.Columns).Name)
	}
	return ""
}

// check drops or alters a CHECK constraint that the table may have.
func (d alterDraw) check() string {
	name := d.t.Name + "_chk_1"
	if d.f == localserver.MariaDB {
		name = "CONSTRAINT_1"
	}
	for _, c := range d.t.Checks {
		if rest, ok := strings.CutPrefix(c.Text, "CONSTRAINT "); ok {
			name = "\x00" + strings.SplitN(rest, " CHECK", 2)[0]
		}
	}
	quotedName, ok := strings.CutPrefix(name, "\x00")
	if !ok {
		quotedName = q(name)
	}
	if d.f == localserver.MySQL && one(d.r, 2) {
		return "ALTER CHECK " + quotedName + " NOT ENFORCED"
	}
	return "DROP CONSTRAINT " + quotedName
}

func plainKey(r *rand.Rand, t Table) (Key, bool) {
	var some []Key
	for _, k := range t.Keys {
		if k.Name != "" {
			some = append(some, k)
		}
	}
	if len(some) == 0 {
		return Key{}, false
	}
	return pick(r, some), true
}

func keyParts(r *rand.Rand, f localserver.Flavor, t Table) (string, bool) {
	k := Key{}
	for range 1 + r.IntN(3) {
		if p, ok := drawPart(r, f, t, k, false); ok {
			k.Parts = append(k.Parts, p)
		}
	}
	var texts []string
	for _, p := range k.Parts {
		texts = append(texts, p.Text)
	}
	return strings.Join(texts, ", "), len(texts) > 0
}
