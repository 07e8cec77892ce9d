package lint

import (
	"slices"
	"strings"
	"testing"

	"midflight/mysqld"
	"midflight/parser"
	"midflight/schema"
)

func column(name, full string, more ...func(*schema.Column)) schema.Column {
	typ, _, _ := strings.Cut(full, "(")
	typ, _, _ = strings.Cut(typ, " ")
	c := schema.Column{Name: name, Type: typ, FullType: full, Nullable: true}
	if slices.Contains([]string{"varchar", "char", "text", "enum"}, typ) {
		c.Charset, c.Collation = "utf8mb4", "utf8mb4_general_ci"
	}
	for _, f := range more {
		f(&c)
	}
	return c
}

func notNull(c *schema.Column) { c.Nullable = false }
func counts(c *schema.Column)  { c.AutoInc, c.Nullable = true, false }
func filled(c *schema.Column)  { c.HasDefault = true }
func mb3(c *schema.Column)     { c.Charset, c.Collation = "utf8mb3", "utf8mb3_general_ci" }

func key(name string, columns ...string) schema.Key {
	k := schema.Key{Name: name, Type: "BTREE", Unique: name == "PRIMARY" || strings.HasPrefix(name, "u")}
	for _, c := range columns {
		k.Columns = append(k.Columns, schema.KeyColumn{Name: c})
	}
	return k
}

func TestRules(t *testing.T) {
	id, a, b, name := column("id", "bigint", notNull), column("a", "int"), column("b", "int"), column("name", "varchar(50)")
	base := schema.Table{Columns: []schema.Column{id, a, b, name}, Keys: []schema.Key{key("PRIMARY", "id"), key("by_a", "a")}}
	with := func(columns []schema.Column, keys ...schema.Key) schema.Table {
		return schema.Table{Columns: columns, Keys: keys}
	}
	plus := func(columns ...schema.Column) schema.Table {
		return with(slices.Concat(base.Columns, columns), base.Keys...)
	}
	enum := func(members string) schema.Table { return plus(column("kind", "enum("+members+")")) }
	child := base
	child.ForeignKeys = []string{"fk_a"}
	seen := map[string]bool{}
	for _, c := range []struct {
		text          string
		before, after schema.Table
		rules         string
	}{
		{"ALTER TABLE t ADD COLUMN c INT", base, plus(column("c", "int")), ""},
		{"ALTER TABLE t ADD COLUMN c INT NOT NULL", base, plus(column("c", "int", notNull)), "not-null-without-default"},
		{"ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 1", base, plus(column("c", "int", notNull, filled)), ""},
		{"ALTER TABLE t ADD COLUMN unit_price DOUBLE", base, plus(column("unit_price", "double")), "inexact-money"},
		{"ALTER TABLE t ADD COLUMN priced DOUBLE", base, plus(column("priced", "double")), ""},
		{"ALTER TABLE t ADD COLUMN unit_price DECIMAL(10,2)", base, plus(column("unit_price", "decimal(10,2)")), ""},
		{"ALTER TABLE t ADD COLUMN c VARCHAR(9) CHARACTER SET utf8mb3", base, plus(column("c", "varchar(9)", mb3)), "utf8mb3 other-collation"},
		{"ALTER TABLE t CONVERT TO CHARACTER SET utf8mb3", base, base, "utf8mb3"},
		{"ALTER TABLE t MODIFY kind ENUM('a','c','b')", enum("'a','b'"), enum("'a','c','b'"), "reordered-members"},
		{"ALTER TABLE t MODIFY kind ENUM('a','b','c')", enum("'a','b'"), enum("'a','b','c'"), ""},
		{"ALTER TABLE t ADD COLUMN c VARCHAR(9000)", base, plus(column("c", "varchar(9000)")), "long-varchar"},
		{"ALTER TABLE t ADD COLUMN c TIMESTAMP NULL", base, plus(column("c", "timestamp")), "timestamp-2038"},
		{"ALTER TABLE t ADD COLUMN c INT AUTO_INCREMENT UNIQUE", base, plus(column("c", "int", counts)), "small-auto-increment"},
		{"ALTER TABLE t ADD COLUMN c BIGINT AUTO_INCREMENT UNIQUE", base, plus(column("c", "bigint", counts)), ""},
		{"ALTER TABLE t RENAME COLUMN a TO z", base, with([]schema.Column{id, column("z", "int"), b, name}, key("PRIMARY", "id"), key("by_a", "z")), "renamed-column"},
		{"ALTER TABLE t CHANGE a A INT", base, base, ""},
		{"ALTER TABLE t DROP PRIMARY KEY", base, with(base.Columns, key("by_a", "a")), "no-primary-key"},
		{"ALTER TABLE t DROP INDEX by_a", base, with(base.Columns, key("PRIMARY", "id")), "dropped-index"},
		{"ALTER TABLE t DROP INDEX by_a", child, with(base.Columns, key("PRIMARY", "id")), "foreign-key-needs-index dropped-index"},
		{"ALTER TABLE t DROP INDEX by_a, ADD INDEX by_ab (a, b)", base, with(base.Columns, key("PRIMARY", "id"), key("by_ab", "a", "b")), ""},
		{"ALTER TABLE t ADD INDEX by_ab (a, b)", base, with(base.Columns, key("PRIMARY", "id"), key("by_a", "a"), key("by_ab", "a", "b")), "redundant-index"},
		{"ALTER TABLE t ADD INDEX again (a)", base, with(base.Columns, key("PRIMARY", "id"), key("by_a", "a"), key("again", "a")), "redundant-index"},
		{"ALTER TABLE t ADD UNIQUE (a)", base, with(base.Columns, key("PRIMARY", "id"), key("by_a", "a"), key("ua", "a")), "redundant-index"},
		{"ALTER TABLE t DROP COLUMN a", base, with([]schema.Column{id, b, name}, key("PRIMARY", "id")), "dropped-column-in-index"},
		{"ALTER TABLE t DROP COLUMN b", with(base.Columns, key("PRIMARY", "id"), key("u", "a", "b")), with([]schema.Column{id, a, name}, key("PRIMARY", "id"), key("u", "a")), "dropped-column-in-index"},
	} {
		s, err := parser.Parse(c.text, parser.Mode{})
		if err != nil {
			t.Fatal(err)
		}
		var rules []string
		for _, f := range Check(Change{s, &c.before, &c.after, mysqld.Flavor{Version: 90000}}) {
			rules = append(rules, f.Rule)
			seen[f.Rule] = true
		}
		if got := strings.Join(rules, " "); got != c.rules {
			t.Errorf("%s: %q, want %q", c.text, got, c.rules)
		}
	}
	s, _ := parser.Parse("ALTER TABLE t ADD COLUMN c INT AFTER a, ADD COLUMN d INT FIRST, ADD COLUMN e INT", parser.Mode{})
	after := plus(column("c", "int"), column("d", "int"), column("e", "int"))
	for _, f := range []struct {
		flavor mysqld.Flavor
		n      int
	}{{mysqld.Flavor{Version: 80028}, 2}, {mysqld.Flavor{Version: 80029}, 0}, {mysqld.Flavor{MariaDB: true, Version: 100600}, 0}} {
		found := Check(Change{s, &base, &after, f.flavor})
		if len(found) != f.n {
			t.Errorf("%v: %v", f.flavor, found)
		}
		for _, w := range found {
			seen[w.Rule] = true
		}
	}
	for _, r := range Rules {
		if !seen[r.Name] {
			t.Errorf("no case for the rule %s", r.Name)
		}
	}
}
