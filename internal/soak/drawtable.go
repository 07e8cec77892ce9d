package soak

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"midflight/internal/localserver"
)

func drawTable(r *rand.Rand, f localserver.Flavor) Table {
	t := Table{Name: "t", Number: "n"}
	if one(r, 4) {
		t.Name = pick(r, nasty)
	}
	names := &namer{taken: map[string]bool{}}
	if one(r, 6) {
		t.Number = pick(r, nasty)
	}
	names.taken[strings.ToLower(t.Number)] = true
	number := Column{Name: t.Number, Type: Type{Kind: Integer, SQL: pick(r, []string{"INT", "INT", "BIGINT", "INT UNSIGNED", "BIGINT UNSIGNED"}), Lo: "0", Hi: "2147483647"}, NotNull: true}
	for range r.IntN(15) {
		t.Columns = append(t.Columns, drawColumn(r, f, names))
	}
	if len(t.Columns) > 0 && one(r, 3) {
		for range 1 + r.IntN(2) {
			if c, ok := drawGenerated(r, f, t, names); ok {
				t.Columns = append(t.Columns, c)
			}
		}
	}
	auto := one(r, 4)
	if auto && one(r, 2) {
		number.Auto, auto = true, false
	}
	t.Columns = slices.Insert(t.Columns, pick(r, []int{0, 0, 0, len(t.Columns)}), number)
	if auto {
		t.Columns = append(t.Columns, Column{Name: names.name(r, "id"), Type: Type{Kind: Integer, SQL: pick(r, []string{"INT", "BIGINT UNSIGNED"}), Lo: "1", Hi: "2147483647"}, NotNull: true, Auto: true})
	}
	t.Keys = drawKeys(r, f, t, names)
	if !one(r, 3) {
		return finish(r, f, t, names)
	}
	for range 1 + r.IntN(2) {
		t.Checks = append(t.Checks, drawCheck(r, f, t, names))
	}
	return finish(r, f, t, names)
}

func finish(r *rand.Rand, f localserver.Flavor, t Table, names *namer) Table {
	var options []string
	if one(r, 4) {
		options = append(options, "ROW_FORMAT="+pick(r, []string{"DYNAMIC", "COMPACT", "REDUNDANT", "COMPRESSED"}))
	}
	if one(r, 4) {
		options = append(options, "COMMENT="+quoteText(pick(r, nastyComments)))
	}
	if one(r, 3) {
		c := pick(r, collations[f])
		options = append(options, "DEFAULT CHARSET="+c[0]+" COLLATE="+c[1])
	}
	if one(r, 10) {
		options = append(options, pick(r, []string{"STATS_PERSISTENT=0", "AUTO_INCREMENT=7", "MAX_ROWS=1000", "STATS_SAMPLE_PAGES=9", "CHECKSUM=1"}))
	}
	t.Options = strings.Join(options, " ")
	if one(r, 10) && primaryHas(t, t.Number) && !slices.ContainsFunc(t.Keys, func(k Key) bool {
		return k.Kind == "UNIQUE KEY" || strings.HasPrefix(k.Kind, "FULLTEXT") || strings.HasPrefix(k.Kind, "SPATIAL")
	}) {
		t.Partition = partition(r, t)
	}
	if one(r, 5) {
		for range 1 + r.IntN(3) {
			t.Triggers = append(t.Triggers, drawTrigger(r, t, names))
		}
	}
	return t
}

func quoteText(s string) string {
	return "'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(s) + "'"
}

func primaryHas(t Table, column string) bool {
	return slices.ContainsFunc(t.Keys, func(k Key) bool {
		return k.Kind == "PRIMARY KEY" && slices.ContainsFunc(k.Parts, func(p Part) bool { return p.Column == column })
	})
}

func partition(r *rand.Rand, t Table) string {
	switch r.IntN(3) {
	case 0:
		return fmt.Sprintf("PARTITION BY HASH (%s) PARTITIONS 3", q(t.Number))
	case 1:
		return fmt.Sprintf("PARTITION BY KEY (%s) PARTITIONS 2", q(t.Number))
	}
	return fmt.Sprintf("PARTITION BY RANGE (%s) (PARTITION p0 VALUES LESS THAN (%d), PARTITION p1 VALUES LESS THAN (%d), PARTITION p9 VALUES LESS THAN MAXVALUE)", q(t.Number), ownRows/2, 2*ownRows)
}

func drawColumn(r *rand.Rand, f localserver.Flavor, names *namer) Column {
	c := Column{Name: names.name(r, "c"), Type: drawType(r, f), NotNull: one(r, 3), Invisible: one(r, 25)}
	if one(r, 12) {
		c.Comment = pick(r, nastyComments)
	}
	if one(r, 3) {
		c.Default = drawDefault(r, f, c)
	}
	if c.Invisible && c.NotNull && c.Default == "" {
		c.NotNull = false
	}
	return c
}

func drawDefault(r *rand.Rand, f localserver.Flavor, c Column) string {
	if !c.NotNull && one(r, 4) {
		return "DEFAULT NULL"
	}
	now := "CURRENT_TIMESTAMP"
	if c.Type.Scale > 0 {
		now += fmt.Sprintf("(%d)", c.Type.Scale)
	}
	switch c.Type.Kind {
	case Text, Blob, JSON, Geometry, Point, Vector:
		if c.Type.Kind == Vector {
			return ""
		}
		return "DEFAULT (" + c.Type.value(r, r.IntN(100)) + ")"
	case Timestamp, Datetime:
		switch r.IntN(4) {
		case 0:
			return "DEFAULT " + now
		case 1:
			return "DEFAULT " + now + " ON UPDATE " + now
		case 2:
			return "ON UPDATE " + now
		}
		return "DEFAULT '2024-01-02 03:04:05'"
	case Integer, Decimal, Float, Double:
		if one(r, 3) {
			return "DEFAULT (1 + 2)"
		}
		return "DEFAULT " + pick(r, []string{"0", "1", "7"})
	case Char:
		return pick(r, []string{"DEFAULT ''", "DEFAULT 'd'", "DEFAULT 'x'", "DEFAULT (LEFT('ab', 1))"})
	case Enum, Set:
		return "DEFAULT '" + strings.ReplaceAll(c.Type.Members[0], "'", "''") + "'"
	case Date:
		return "DEFAULT '2024-01-02'"
	case Time:
		return "DEFAULT '01:02:03'"
	case Bit:
		return "DEFAULT b'1'"
	case Binary:
		return "DEFAULT 'd'"
	case Year:
		return "DEFAULT 2024"
	case UUID:
		return "DEFAULT '11111111-1111-2222-3333-444444444444'"
	case Inet6:
		return "DEFAULT '::1'"
	}
	return ""
}

// drawGenerated makes a column whose expression fails for no row.
func drawGenerated(r *rand.Rand, f localserver.Flavor, t Table, names *namer) (Column, bool) {
	from := pick(r, t.Columns)
	if from.Generated != "" {
		return Column{}, false
	}
	type choice struct{ sql, expression string }
	x := q(from.Name)
	choices := []choice{{"INT", "(" + x + " IS NULL)"}, {"TINYINT", "IF(" + x + " IS NULL, 1, 0)"}}
	switch from.Type.Kind {
	case Char, Text:
		choices = append(choices, choice{"VARCHAR(10)", "LEFT(" + x + ", 3)"}, choice{"INT", "CHAR_LENGTH(" + x + ")"}, choice{"VARCHAR(300)", "UPPER(LEFT(" + x + ", 200))"})
	case Integer:
		choices = append(choices, choice{"BIGINT", "(" + x + " % 7)"}, choice{"INT", "(" + x + " > 5)"})
	case Date, Datetime:
		choices = append(choices, choice{"INT", "YEAR(" + x + ")"})
	case JSON:
		choices = append(choices, choice{"VARCHAR(60)", "LEFT(JSON_UNQUOTE(JSON_EXTRACT(" + x + ", '$.v')), 50)"})
	}
	ch := pick(r, choices)
	c := Column{Name: names.name(r, "g"), Uses: from.Name, Type: Type{Kind: Integer, SQL: ch.sql}}
	if strings.HasPrefix(ch.sql, "VARCHAR") {
		c.Type = Type{Kind: Char, SQL: ch.sql, Size: 60}
	}
	c.Generated = "GENERATED ALWAYS AS (" + ch.expression + ") " + pick(r, []string{"VIRTUAL", "STORED"})
	return c, true
}

// drawKeys: most tables have a primary key that holds the rows that are drawn.
func drawKeys(r *rand.Rand, f localserver.Flavor, t Table, names *namer) []Key {
	var keys []Key
	direct := func(name string) Part { return Part{Column: name, Text: q(name)} }
	switch n := r.IntN(20); {
	case n < 9:
		keys = append(keys, Key{Kind: "PRIMARY KEY", Parts: []Part{direct(t.Number)}})
	case n < 17:
		k := Key{Kind: "PRIMARY KEY"}
		for range 1 + r.IntN(3) {
			if p, ok := drawPart(r, f, t, k, true); ok {
				k.Parts = append(k.Parts, p)
			}
		}
		if !slices.ContainsFunc(k.Parts, func(p Part) bool { return p.Column == t.Number }) && (len(k.Parts) == 0 || one(r, 2)) {
			k.Parts = slices.Insert(k.Parts, r.IntN(len(k.Parts)+1), direct(t.Number))
		}
		for _, p := range k.Parts {
			for i := range t.Columns {
				if t.Columns[i].Name == p.Column && !t.Columns[i].NotNull {
					t.Columns[i].NotNull = true
					if t.Columns[i].Default == "DEFAULT NULL" {
						t.Columns[i].Default = ""
					}
				}
			}
		}
		keys = append(keys, k)
	case n < 19:
		keys = append(keys, Key{Kind: "UNIQUE KEY", Name: names.name(r, "u"), Parts: []Part{direct(t.Number)}})
	}
	for range r.IntN(4) {
		k := Key{Kind: "KEY", Name: names.name(r, "k")}
		switch r.IntN(9) {
		case 0, 1:
			k.Kind = "UNIQUE KEY"
		case 2:
			if c, ok := anyOf(r, t, func(c Column) bool {
				return (c.Type.Kind == Char || c.Type.Kind == Text) && c.Type.Charset != "utf16" && c.Type.Charset != "ucs2"
			}); ok && c.Generated == "" {
				keys = append(keys, Key{Kind: "FULLTEXT KEY", Name: k.Name, Parts: []Part{direct(c.Name)}})
			}
			continue
		case 3:
			if c, ok := anyOf(r, t, func(c Column) bool { return (c.Type.Kind == Point || c.Type.Kind == Geometry) && c.NotNull }); ok {
				keys = append(keys, Key{Kind: "SPATIAL KEY", Name: k.Name, Parts: []Part{direct(c.Name)}})
			}
			continue
		case 4:
			if f == localserver.MySQL {
				if c, ok := anyOf(r, t, func(c Column) bool { return !c.Auto && (c.Type.Kind == Integer || c.Type.Kind == Char) }); ok {
					e := "((" + q(c.Name) + " IS NULL))"
					if c.Type.Kind == Char {
						e = "((LEFT(" + q(c.Name) + ", 5)))"
					}
					keys = append(keys, Key{Kind: "KEY", Name: k.Name, Parts: []Part{{Text: e, Uses: c.Name}}})
				}
			}
			continue
		}
		for range 1 + r.IntN(2) {
			if p, ok := drawPart(r, f, t, k, false); ok {
				k.Parts = append(k.Parts, p)
			}
		}
		if len(k.Parts) > 0 {
			keys = append(keys, k)
		}
	}
	// AUTO_INCREMENT must begin a key.
	for _, c := range t.Columns {
		if c.Auto && !slices.ContainsFunc(keys, func(k Key) bool { return k.Parts[0].Column == c.Name }) {
			kind := "UNIQUE KEY"
			if one(r, 3) {
				kind = "KEY"
			}
			keys = append(keys, Key{Kind: kind, Name: names.name(r, "a"), Parts: []Part{direct(c.Name)}})
		}
	}
	return keys
}

func anyOf(r *rand.Rand, t Table, fits func(Column) bool) (Column, bool) {
	var some []Column
	for _, c := range t.Columns {
		if fits(c) {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		return Column{}, false
	}
	return pick(r, some), true
}

func drawPart(r *rand.Rand, f localserver.Flavor, t Table, k Key, primary bool) (Part, bool) {
	c, ok := anyOf(r, t, func(c Column) bool {
		whole, prefix := c.Type.inKey()
		return (whole || prefix) && !(primary && (c.Generated != "" || c.Invisible && f == localserver.MariaDB)) && !slices.ContainsFunc(k.Parts, func(p Part) bool { return p.Column == c.Name })
	})
	if !ok {
		return Part{}, false
	}
	return part(r, c), true
}

func part(r *rand.Rand, c Column) Part {
	whole, prefix := c.Type.inKey()
	text := q(c.Name)
	if prefix && (!whole || one(r, 4)) {
		text += fmt.Sprintf("(%d)", 1+r.IntN(min(9, max(1, c.Type.Size-1))))
	}
	if one(r, 8) {
		text += " DESC"
	}
	return Part{Column: c.Name, Text: text}
}

func drawCheck(r *rand.Rand, f localserver.Flavor, t Table, names *namer) Check {
	c := pick(r, t.Columns)
	x := q(c.Name)
	condition := x + " IS NOT NULL OR " + q(t.Number) + " >= 0"
	switch {
	case c.Auto:
		c.Name, condition = t.Number, q(t.Number)+" IS NULL OR 1 = 1"
		if t.Columns[0].Auto || slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Name == t.Number && c.Auto }) {
			condition = "1 = 1"
		}
	case slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Name == t.Number && c.Auto }):
		condition = x + " IS NOT NULL OR 1 = 1"
	}
	switch {
	case c.Auto || c.Generated != "" && f == localserver.MySQL:
	case c.Type.Kind == Integer:
		condition = x + " <> 13"
	case c.Type.Kind == Char:
		condition = "CHAR_LENGTH(" + x + ") <> 17"
	}
	text := "CHECK (" + condition + ")"
	if one(r, 2) {
		text = "CONSTRAINT " + q(names.name(r, "chk")) + " " + text
	}
	if f == localserver.MySQL && one(r, 5) {
		text += " NOT ENFORCED"
	}
	return Check{Text: text, Uses: c.Name}
}

func drawTrigger(r *rand.Rand, t Table, names *namer) Trigger {
	when := pick(r, []string{"BEFORE INSERT", "AFTER INSERT", "BEFORE UPDATE", "AFTER UPDATE", "BEFORE DELETE", "AFTER DELETE"})
	row := "NEW"
	if strings.HasSuffix(when, "DELETE") {
		row = "OLD"
	}
	tr := Trigger{Name: names.name(r, "tr"), When: when}
	auto := slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Name == t.Number && c.Auto })
	what := row + "." + q(t.Number)
	if auto { // a number that the server gives isn't there yet, or is another for the twin
		what = "''"
	}
	tr.Body = fmt.Sprintf("INSERT INTO soak_audit (what, n) VALUES ('%s', %s)", when, what)
	if strings.HasPrefix(when, "BEFORE") && row == "NEW" && one(r, 2) {
		c, ok := anyOf(r, t, func(c Column) bool {
			return c.Name != t.Number && !c.Auto && c.Generated == "" && (c.Type.Kind == Integer || c.Type.Kind == Char)
		})
		if ok {
			tr.Uses = c.Name
			tr.Body = fmt.Sprintf("SET NEW.%s = COALESCE(NEW.%s, '1')", q(c.Name), q(c.Name))
			if one(r, 2) {
				tr.Body = "BEGIN INSERT INTO soak_audit (what, n) VALUES ('b', 'x'); " + tr.Body + "; END"
			}
		}
	}
	return tr
}
