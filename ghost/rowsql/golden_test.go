package rowsql

import (
	"flag"
	"os"
	"strings"
	"testing"

	"midflight/binlog"
	"midflight/ghost/chunk"
	"midflight/ghost/plan"
	"midflight/schema"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func column(name, fullType string) schema.Column {
	c := schema.Column{Name: name, FullType: fullType}
	c.Type, _, _ = strings.Cut(strings.Fields(fullType)[0], "(")
	return c
}

func in(c schema.Column, charset string) schema.Column {
	c.Charset, c.Collation = charset, charset+"_general_ci"
	return c
}

func withPrecision(c schema.Column, n int) schema.Column {
	c.Precision = n
	return c
}

func same(cs ...schema.Column) (ms []plan.Mapping) {
	for _, c := range cs {
		ms = append(ms, plan.Mapping{From: c, To: c})
	}
	return ms
}

func converted(from, to schema.Column) plan.Mapping {
	return plan.Mapping{From: from, To: to, Converted: true}
}

func keyOf(index string, cs ...schema.Column) plan.Key {
	return plan.Key{Index: index, Original: cs, Shadow: cs}
}

// Each file has every statement for one kind of table.
var goldens = []struct {
	name       string
	why        string
	key        plan.Key
	columns    []plan.Mapping
	low, high  binlog.Key
	statements bool // all of them; else what depends on the columns only
}{
	{"integer", "One integer is the key; all types as they are.",
		keyOf("PRIMARY", column("id", "int")),
		same(column("id", "int"), in(column("note", "varchar(20)"), "utf8mb4"), column("n", "int(5) unsigned zerofill"),
			column("price", "decimal(10,2)"), column("f", "float"), column("d", "double"), column("b", "bit(8)"),
			in(column("e", "enum('a','b')"), "latin1"), in(column("s", "set('a','b')"), "latin1"),
			column("blob_", "blob"), column("bin", "binary(4)"), column("day", "date"), column("at", "datetime(6)"),
			column("ts", "timestamp"), column("t", "time"), column("y", "year"), column("j", "json"), column("g", "geometry")),
		"-5", "10", true},
	{"composite", "A unique key of three columns, its names quoted.",
		keyOf("by`who", column("tenant", "int"), in(column("code", "char(3)"), "latin1"), column("day`s", "date")),
		same(column("tenant", "int"), in(column("code", "char(3)"), "latin1"), column("day`s", "date")),
		binlog.MakeKey("1", "_latin1 x'61'", "'2026-01-01'"), binlog.MakeKey("2", "_latin1 x'62'", "0"), true},
	{"text_latin1", "The key is a text: literals name their character set, whatever the connection's is.",
		keyOf("PRIMARY", in(column("code", "varchar(20)"), "latin1")),
		same(in(column("code", "varchar(20)"), "latin1")),
		"_latin1 x'e4'", "_latin1 x'fc'", true},
	{"text_utf8mb4", "The same, and the ALTER renames the column: the shadow's statements have the new name.",
		plan.Key{Index: "PRIMARY", Original: []schema.Column{in(column("code", "varchar(20)"), "utf8mb4")},
			Shadow: []schema.Column{in(column("sku", "varchar(20)"), "utf8mb4")}},
		[]plan.Mapping{{From: in(column("code", "varchar(20)"), "utf8mb4"), To: in(column("sku", "varchar(20)"), "utf8mb4")}},
		"_utf8mb4 x'f09f9880'", "", true},
	{"helper", "No index of the shadow begins with the key: it has one of ours.",
		plan.Key{Index: "PRIMARY", Original: []schema.Column{column("id", "int"), column("a", "int")}, Shadow: []schema.Column{column("id", "int"), column("b", "int")}, Helper: true},
		[]plan.Mapping{same(column("id", "int"))[0], {From: column("a", "int"), To: column("b", "int")}},
		binlog.MakeKey("1", "2"), binlog.MakeKey("3", "4"), true},
	{"members", "ENUM and SET: what is behind a number is a list of numbers.",
		keyOf("PRIMARY", in(column("e", "enum('a','b','c','d','e')"), "latin1"), in(column("s", "set('x','y')"), "latin1")),
		same(in(column("e", "enum('a','b','c','d','e')"), "latin1"), in(column("s", "set('x','y')"), "latin1"), in(column("n", "char(9)"), "latin1")),
		binlog.MakeKey("2", "3"), binlog.MakeKey("4", "0"), true},
	{"number", "FLOAT, and TIMESTAMP of either kind.",
		keyOf("PRIMARY", column("f", "float"), column("ts", "timestamp"), withPrecision(column("ts6", "timestamp(6)"), 6)),
		same(column("f", "float"), column("ts", "timestamp"), withPrecision(column("ts6", "timestamp(6)"), 6)),
		binlog.MakeKey("1.0000000149011612e-01", "FROM_UNIXTIME(1792888200)", "0"), binlog.MakeKey("0e+00", "0", "FROM_UNIXTIME(1792888200.000001)"), true},
	{"downwards", "A key of mixed directions: chunks follow the index.",
		plan.Key{Index: "PRIMARY", Original: []schema.Column{column("a", "int"), column("e", "enum('x','y','z')"), column("c", "int")},
			Shadow: []schema.Column{column("a", "int"), column("e", "enum('x','y','z')"), column("c", "int")}, Desc: []bool{false, true, true}},
		same(column("a", "int"), column("e", "enum('x','y','z')"), column("c", "int")),
		binlog.MakeKey("1", "3", "5"), binlog.MakeKey("2", "1", "-5"), true},
	{"prefix", "The primary key has the beginning of a value; values decide, and are read in its order.",
		plan.Key{Index: "PRIMARY", Original: []schema.Column{in(column("name", "varchar(60)"), "utf8mb4")},
			Shadow: []schema.Column{in(column("name", "varchar(60)"), "utf8mb4")}, Prefix: []int{10}, Helper: true},
		same(in(column("name", "varchar(60)"), "utf8mb4")),
		"_utf8mb4 x'61'", "_utf8mb4 x'62'", true},
	{"computed", "A column of the key is converted: the shadow gets one with the original's order and equality.",
		plan.Key{Index: "PRIMARY", Original: []schema.Column{column("id", "int"), in(column("name", "varchar(60)"), "latin1")},
			Shadow:   []schema.Column{column("id", "int"), in(column("_midflight_key2", "varchar(60)"), "latin1")},
			Computed: []schema.Column{{}, in(column("na`me", "varchar(60)"), "utf8mb4")}, Helper: true},
		[]plan.Mapping{converted(in(column("name", "varchar(60)"), "latin1"), in(column("na`me", "varchar(60)"), "utf8mb4")), same(column("id", "int"))[0]},
		binlog.MakeKey("1", "_latin1 x'61'"), binlog.MakeKey("2", "_latin1 x'62'"), true},
	{"renamed", "CHANGE a b INT, CHANGE b a INT: the names are exchanged, the values stay.",
		keyOf("PRIMARY", column("id", "int")),
		[]plan.Mapping{same(column("id", "int"))[0],
			{From: column("b", "int"), To: column("a", "int")}, {From: column("a", "int"), To: column("b", "int")}},
		"", "10", false},
	{"converted", "Every kind of conversion that can be compared, and two that can't.",
		keyOf("PRIMARY", column("id", "int")),
		[]plan.Mapping{same(column("id", "int"))[0],
			converted(column("wider", "int"), column("wider", "bigint")),
			converted(in(column("text1", "varchar(20)"), "latin1"), in(column("text1", "text"), "utf8mb4")),
			converted(in(column("enum1", "enum('a','b')"), "utf8mb4"), in(column("enum1", "enum('b','a')"), "utf8mb4")),
			converted(in(column("enum2", "enum('a','b')"), "utf8mb4"), in(column("enum2", "varchar(9)"), "utf8mb4")),
			converted(column("spelled", "int"), in(column("spelled", "varchar(20)"), "utf8mb4")),
			converted(column("bytes1", "binary(4)"), column("bytes1", "varbinary(8)")),
			converted(column("dec1", "decimal(10,4)"), column("dec1", "decimal(8,2) unsigned zerofill")),
			converted(column("at1", "datetime(6)"), column("at1", "timestamp")),
			converted(column("notnull", "double"), column("notnull", "double")),
			converted(column("float1", "double"), column("float1", "float")),
			converted(in(column("json1", "text"), "utf8mb4"), column("json1", "json")),
			converted(column("json2", "decimal(5,2)"), column("json2", "json"))},
		"", "", false},
	{"added", "NOT NULL columns without a default get the type's zero, the clock's default the ALTER's own time.",
		keyOf("PRIMARY", column("id", "int")),
		append(same(column("id", "int")),
			added(column("n", "bigint")), added(column("price", "decimal(10,2)")), added(column("f", "double")), added(column("b", "bit(8)")),
			added(column("note", "varchar(20)")), added(column("body", "longtext")), added(column("bin", "varbinary(4)")),
			added(column("day", "date")), added(column("at", "datetime")), added(column("ts", "timestamp")), added(column("t", "time")), added(column("y", "year")),
			added(column("e", "enum('a')")), added(column("s", "set('a')")), added(column("j", "json")),
			plan.Mapping{To: column("made", "datetime"), Literal: plan.StartTime}),
		"1", "2", false},
}

func added(c schema.Column) plan.Mapping { return plan.Mapping{To: c, Literal: plan.ImplicitDefault} }

func TestStatements(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			original := schema.Name{Schema: "shop", Table: "orders"}
			tables := Tables{ID: 7, Original: original, Shadow: original.With("_orders_shadow"), Key: g.key, Columns: g.columns, Started: Start{"2026-01-01 00:00:00.654321", "1767225600.654321"}}
			r := chunk.Range{Lo: g.low, Hi: g.high}
			keys := []binlog.Key{g.low, g.high}
			if g.low == "" || g.high == "" {
				keys = []binlog.Key{max(g.low, g.high, "1")}
			}
			var b strings.Builder
			b.WriteString("# " + g.why + "\n")
			say := func(what, sql string) { b.WriteString("\n== " + what + "\n" + sql + "\n") }
			say("copy", tables.Copy(r))
			say("insert", tables.Insert(keys))
			say("checksums", tables.Checksums(r, nil))
			if add := tables.AddHelper(); len(add) > 0 {
				say("add helper", strings.Join(add, "\n"))
				say("drop helper", strings.Join(tables.DropHelper(), "\n"))
			}
			say("not compared", strings.Join(tables.Uncompared(), ", "))
			if g.statements {
				say("delete", tables.Delete(keys))
				say("delete range", tables.DeleteRange(r))
				say("in range", tables.InRange(r))
				say("in range: all", tables.InRange(chunk.Range{}))
				say("match one", tables.Match(keys[:1]))
				say("bound: first", tables.Bound("", 1000))
				say("bound", tables.Bound(keys[0], 1))
				say("keys", tables.Keys(r))
				say("colliding", tables.Colliding(keys[0]))
				say("forget colliding", tables.ForgetColliding())
				say("collided", tables.Collided())
				say("row checksums", tables.RowChecksums(keys))
				say("row checksums of a range", tables.RangeRowChecksums(r, nil))
				say("checksums without", tables.Checksums(r, keys))
				say("last", tables.Last())
			}
			compare(t, "testdata/"+g.name+".txt", b.String())
		})
	}
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(data), "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			t.Fatalf("%s:%d: got\n%s", path, i+1, strings.Join(g[max(0, i-3):min(len(g), i+4)], "\n"))
		}
	}
	if len(g) != len(w) {
		t.Errorf("%s: %d lines, want %d", path, len(g), len(w))
	}
}

// A row too long for max_allowed_packet has a NULL for its text: it must still
// have a number, and its key must still be read.
func TestLongRowsHaveAChecksum(t *testing.T) {
	tables := Tables{Key: keyOf("PRIMARY", column("id", "int")), Columns: same(column("id", "int"), column("b", "longblob"))}
	if !strings.Contains(tables.RowChecksums([]binlog.Key{"1"}), "COALESCE(CRC32(") {
		t.Error("CONCAT_WS beyond max_allowed_packet is NULL, so is its CRC32, and differentRows scans it into a uint64: " +
			"a changed row of that size fails the migration, and Checksums compares such rows by their number only")
	}
}
