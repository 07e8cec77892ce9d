package binlog

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"midflight/schema"

	"midflight/internal/testmysql"
)

func TestLiteral(t *testing.T) {
	at := time.Date(2026, 10, 25, 0, 30, 0, 123456000, time.UTC)
	for _, c := range []struct {
		column schema.Column
		value  any
		want   string
	}{
		{schema.Column{Type: "int"}, int64(-5), "-5"},
		{schema.Column{Type: "bigint", FullType: "bigint unsigned"}, uint64(1<<64 - 1), "18446744073709551615"},
		{schema.Column{Type: "year"}, uint64(0), "0"},
		{schema.Column{Type: "decimal"}, "-0.10", "-0.10"},
		{schema.Column{Type: "varchar", Charset: "utf8mb4"}, []byte("a\x00'\\"), "_utf8mb4 x'6100275c'"},
		{schema.Column{Type: "varchar", Charset: "utf16"}, []byte{0, 'a'}, "_utf16 x'0061'"},
		{schema.Column{Type: "char", Charset: "latin1"}, []byte{}, "_latin1 x''"},
		{schema.Column{Type: "binary", FullType: "binary(4)"}, []byte{1}, "x'01000000'"},
		{schema.Column{Type: "varbinary", FullType: "varbinary(4)"}, []byte{1, 0}, "x'0100'"},
		{schema.Column{Type: "date"}, "2026-02-28", "'2026-02-28'"},
		{schema.Column{Type: "date"}, "0000-01-01", "'0000-01-01'"},
		{schema.Column{Type: "date"}, "0000-00-00", "0"},
		{schema.Column{Type: "date"}, "2026-00-10", "20260010"},
		{schema.Column{Type: "datetime"}, "0000-00-00 00:00:00", "0"},
		{schema.Column{Type: "datetime"}, "2026-02-00 01:02:03.500", "20260200010203.500"},
		{schema.Column{Type: "time"}, "-838:59:59.5", "'-838:59:59.5'"},
		{schema.Column{Type: "timestamp"}, at, "FROM_UNIXTIME(1792888200)"},
		{schema.Column{Type: "timestamp", Precision: 6}, at, "FROM_UNIXTIME(1792888200.123456)"},
		{schema.Column{Type: "timestamp"}, time.Time{}, "0"},
		{schema.Column{Type: "double"}, 0.1, "1e-01"},
		{schema.Column{Type: "float"}, float64(float32(0.1)), "1.0000000149011612e-01"},
		{schema.Column{Type: "double"}, math.Copysign(0, -1), "0e+00"},
		{schema.Column{Type: "double"}, -2.2250738585072014e-308, "-2.2250738585072014e-308"},
		{schema.Column{Type: "enum"}, uint64(3), "3"},
		{schema.Column{Type: "set"}, uint64(255), "255"},
	} {
		if got, err := Literal(c.column, c.value); err != nil || got != c.want {
			t.Errorf("%s %v: %s, %v; want %s", c.column.Type, c.value, got, err, c.want)
		}
	}
	for _, c := range []struct {
		column schema.Column
		value  any
	}{
		{schema.Column{Type: "int"}, 1.5},
		{schema.Column{Type: "json"}, []byte("{}")},
		{schema.Column{Type: "varchar"}, []byte("no charset")},
		{schema.Column{Type: "int"}, "1"},
		{schema.Column{Type: "int"}, at},
		{schema.Column{Type: "int"}, nil},
	} {
		if got, err := Literal(c.column, c.value); err == nil {
			t.Errorf("%s %v: %s, want an error", c.column.Type, c.value, got)
		}
	}
}

// literalCases are types and values, written as SQL.
var literalCases = []struct {
	typ    string
	values string // separated by |
}{
	{"TINYINT", "-128|0|127"},
	{"TINYINT UNSIGNED", "0|128|255"},
	{"SMALLINT", "-32768|-1|32767"},
	{"SMALLINT UNSIGNED", "0|40000|65535"},
	{"MEDIUMINT", "-8388608|-1|8388607"},
	{"MEDIUMINT UNSIGNED", "0|8388608|16777215"},
	{"INT", "-2147483648|-1|2147483647"},
	{"INT UNSIGNED ZEROFILL", "0|2147483648|4294967295"},
	{"BIGINT", "-9223372036854775808|-1|0|9223372036854775807"},
	{"BIGINT UNSIGNED", "0|9223372036854775807|9223372036854775808|18446744073709551615"},
	{"DECIMAL(10,2)", "-99999999.99|-0.01|0|0.1|12345678.9"},
	{"DECIMAL(65,30)", "-12345678901234567890123456789012345.123456789012345678901234567890|0.000000000000000000000000000001|99999999999999999999999999999999999.999999999999999999999999999999"},
	{"DECIMAL(20,0)", "-1|0|12345678901234567890"},
	{"DECIMAL(5,5)", "0|-0.99999|0.00001"},
	{"BIT(1)", "0|1"},
	{"BIT(13)", "0|1|8191|4096"},
	{"BIT(64)", "0|1|18446744073709551615|9223372036854775808"},
	{"YEAR", "0|'2000'|1901|1999|2155|2001"},
	{"DATE", "0|'2026-02-28'|'1000-01-01'|'9999-12-31'|'0000-01-01'|'2026-00-10'|'2026-05-00'|'0001-02-03'"},
	{"DATETIME", "0|'2026-02-28 23:59:59'|'0000-01-01'|'2026-00-10 01:02:03'|'9999-12-31 23:59:59'"},
	{"DATETIME(3)", "0|'2026-02-28 23:59:59.123'|'2026-02-28 23:59:59'|'2026-05-00 01:02:03.5'"},
	{"DATETIME(6)", "0|'2026-02-28 23:59:59.000001'|'2026-02-28 23:59:59.999999'|'0099-12-31 00:00:00.1'|'2026-00-10 00:00:00.000001'"},
	{"DATETIME(1)", "'2026-02-28 23:59:59.9'|'2026-02-28 23:59:59'"},
	{"TIME", "'-838:59:59'|'838:59:59'|'00:00:00'|'-00:00:01'|'12:13:14'"},
	{"TIME(1)", "'-838:59:59'|'-00:00:00.1'|'-00:00:01.0'|'-00:00:01.1'|'0'|'00:00:00.9'"},
	{"TIME(3)", "'-10:11:12.345'|'-00:00:00.001'|'-00:00:00.999'|'0'|'838:59:58.999'"},
	{"TIME(6)", "'-10:11:12.345678'|'-00:00:00.000001'|'-00:00:01'|'0'|'01:02:03.000004'"},
	{"TIMESTAMP", "0|'2026-10-25 00:30:00'|'2026-10-25 01:30:00'|'1970-01-01 00:00:01'|'2038-01-19 03:14:07'"},
	{"TIMESTAMP(6)", "0|'2026-10-25 00:30:00.000001'|'2026-10-25 00:30:00'|'2038-01-19 03:14:07.999999'|'1970-01-01 00:00:01.1'"},
	{"TIMESTAMP(2)", "'2026-10-25 00:30:00.01'|'2026-10-25 00:30:00.99'"},
	{"FLOAT", "0|0.1|-0.1|1e-45|3.4028234e38|-3.4028234e38|16777216|0.3"},
	{"FLOAT(7,3)", "0|0.1|-1234.567"},
	{"DOUBLE", "0|0.1e0|-0.1e0|5e-324|1.7976931348623157e308|-2.2250738585072014e-308|0.1e0+0.2e0|1e20|123456789012345680"},
	{"DOUBLE UNSIGNED", "0|0.1e0|1e300"},
	{"CHAR(10) CHARACTER SET latin1", "''|'a'|x'e9'|'a b'|'B'"},
	{"CHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "''|'a'|'A'|_utf8mb4 x'f09f9880'|'0x41'"},
	{"CHAR(200) CHARACTER SET utf8mb4", "''|'a'|REPEAT('x', 200)"},
	{"VARCHAR(10) CHARACTER SET utf8mb4", "''|'a'|'it''s'|'\\\\'|'\"'"},
	{"VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "''|'a'|'A'|_utf8mb4 x'c3a9'|_utf8mb4 x'65cc81'|_utf8mb4 x'00'"},
	{"VARCHAR(100) CHARACTER SET utf8mb3", "'a'|REPEAT('b', 99)|_utf8mb4 x'c3a9'"},
	{"VARCHAR(10) CHARACTER SET utf16", "'a'|_utf8mb4 x'f09f9880'|''"},
	{"VARCHAR(10) CHARACTER SET utf16le", "'a'|_utf8mb4 x'f09f9880'|''"},
	{"VARCHAR(10) CHARACTER SET utf32", "'a'|_utf8mb4 x'f09f9880'"},
	{"VARCHAR(10) CHARACTER SET ucs2", "'a'|_utf8mb4 x'c3a9'"},
	{"VARCHAR(10) CHARACTER SET gbk", "'a'|_gbk x'9f5c'|_gbk x'd2bb'"},
	{"VARCHAR(10) CHARACTER SET sjis", "'a'|_sjis x'835c'"},
	{"VARCHAR(10) CHARACTER SET big5", "'a'|_big5 x'a55c'"},
	{"VARCHAR(10) CHARACTER SET cp1251", "'a'|x'c0'"},
	{"VARCHAR(10) CHARACTER SET ascii", "'a'|''"},
	{"BINARY(4)", "''|x'01'|x'0100ff'|x'000000ff'|x'61622000'|'ab'"},
	{"VARBINARY(10)", "''|x'00'|x'0000'|x'01'|x'0100'|'a'|'a '|x'ff'"},
	{"VARBINARY(700)", "''|x'00'|REPEAT('z', 700)"},
	{"BINARY(255)", "'a'|REPEAT('b', 255)"},
	{"ENUM('b','a','3','1','x y')", "'b'|'a'|'3'|'1'|'x y'"},
	{`ENUM('it''s','back\\slash','é','new\nline','A','(x),y') CHARACTER SET latin1`, `'it''s'|'back\\slash'|'é'|'new\nline'|'a'|'(x),y'`},
	{"ENUM('b','a') CHARACTER SET utf8mb4", "''|'b'|'a'"},
	{`SET('it''s','back\\slash','é') CHARACTER SET utf16`, `'it''s'|'back\\slash,é'|''`},
	{"SET('b','a','3','1')", "''|'b'|'a'|'3'|'1'|'b,1'|'b,a,3,1'"},
	{"SET('a1','a2','a3','a4','a5','a6','a7','a8','a9')", "''|'a9'|'a1,a9'|'a8'"},
}

func init() {
	// More than 255 members take two bytes.
	var members, bits []string
	for i := range 300 {
		members = append(members, fmt.Sprintf("'m%d'", i))
	}
	for i := range 63 { // above 2^63 neither server finds a SET by its number
		bits = append(bits, fmt.Sprintf("'s%d'", i))
	}
	literalCases = append(literalCases, literalCases[0], literalCases[0])
	n := len(literalCases)
	literalCases[n-2].typ, literalCases[n-2].values = "ENUM("+strings.Join(members, ",")+")", "'m0'|'m254'|'m255'|'m299'"
	literalCases[n-1].typ, literalCases[n-1].values = "SET("+strings.Join(bits, ",")+")", "'s0'|'s62'|'s0,s52'|'s31'"
}

var sqlModes = []string{"", "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO", "ANSI,NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE", "ALLOW_INVALID_DATES,PAD_CHAR_TO_FULL_LENGTH"}

// Every literal finds exactly its row, by the index, in every sql_mode and
// character set.
func TestLiteralsFindRows(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		b := newBench(t, s)
		// Enough rows that an index is worth it, in the table of each type.
		b.exec("CREATE TABLE n (n INT PRIMARY KEY)", "INSERT INTO n VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)")
		var watches []Watch
		for i, c := range literalCases {
			table := fmt.Sprintf("t%d", i)
			b.exec("SET sql_mode = ''", "SET NAMES utf8mb4",
				fmt.Sprintf("CREATE TABLE %s (pad JSON, k %s NOT NULL, n INT NOT NULL, x INT, PRIMARY KEY (k, n), KEY (n)) DEFAULT CHARSET utf8mb4", table, c.typ))
			watches = append(watches, b.watch(table))
		}
		st := b.open(b.start(), watches...)
		for i, c := range literalCases {
			stmts := []string{"SET sql_mode = 'ALLOW_INVALID_DATES'", "SET time_zone = '+00:00'", "SET NAMES utf8mb4"}
			for x, v := range strings.Split(c.values, "|") {
				stmts = append(stmts, fmt.Sprintf("INSERT IGNORE INTO t%d (k, n, x) SELECT %s, a.n + 10 * b.n, %d FROM n a, n b", i, v, x))
			}
			b.exec(stmts...)
		}
		keys := map[string][]Key{}
		for _, tx := range keep(b.drain(st)) {
			for _, c := range tx.Changes {
				keys[c.Table.Table] = append(keys[c.Table.Table], *c.After)
			}
		}
		conn, err := s.DB(t).Conn(b.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx := context.Background()
		exec := func(q string) {
			if _, err := conn.ExecContext(ctx, q); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
		}
		exec("USE " + b.schema)
		for i, c := range literalCases {
			table := fmt.Sprintf("t%d", i)
			if len(c.typ) > 60 {
				c.typ = c.typ[:60] + "…"
			}
			exec("ANALYZE TABLE " + table)
			values := strings.Split(c.values, "|")
			if len(keys[table]) != 100*len(values) {
				t.Fatalf("%s: %d keys", c.typ, len(keys[table]))
			}
			for m, mode := range sqlModes {
				if strings.HasPrefix(c.typ, "CHAR(200)") {
					mode = strings.ReplaceAll(mode, ",PAD_CHAR_TO_FULL_LENGTH", "") // see Literal
				}
				exec("SET sql_mode = '" + mode + "', time_zone = '" + []string{"+00:00", "+00:00", "+05:30", "+00:00"}[m] + "'")
				exec([]string{"SET NAMES utf8mb4", "SET NAMES latin1", "SET NAMES utf8mb4", "SET NAMES utf8mb4"}[m])
				var list, ks []string
				for x := range values {
					l := keys[table][100*x].Literals()
					ks = append(ks, l[0])
					list = append(list, "("+strings.Join(l, ", ")+")")
					var count, at int
					q := fmt.Sprintf("SELECT COUNT(*), COALESCE(MAX(x), -1) FROM %s WHERE k = %s AND n = %s", table, l[0], l[1])
					if err := conn.QueryRowContext(ctx, q).Scan(&count, &at); err != nil || count != 1 || at != x {
						t.Errorf("%s %s [%s]: %s: %d rows, x = %d: %v", c.typ, values[x], mode, q, count, at, err)
					}
					if m == 0 {
						if e := explain(t, ctx, b, q); e != "const" {
							t.Errorf("%s %s: EXPLAIN %s: %s", c.typ, values[x], q, e)
						}
					}
				}
				q := fmt.Sprintf("SELECT COUNT(*), SUM(x) FROM %s WHERE (k, n) IN (%s)", table, strings.Join(list, ", "))
				if strings.HasPrefix(c.typ, "ENUM") || strings.HasPrefix(c.typ, "SET") { // MySQL takes a number in a row for a text
					q = fmt.Sprintf("SELECT COUNT(*), SUM(x) FROM %s WHERE k IN (%s) AND n = %s", table, strings.Join(ks, ", "), keys[table][0].Literals()[1])
				}
				var count, sum int
				if err := conn.QueryRowContext(ctx, q).Scan(&count, &sum); err != nil || count != len(values) || sum != len(values)*(len(values)-1)/2 {
					t.Errorf("%s [%s]: %s: %d rows, sum %d: %v", c.typ, mode, q, count, sum, err)
				}
				// A number with a fraction, of a date with zero parts, is found but slowly.
				if e := explain(t, ctx, b, q); m == 0 && e != "range" && !fractional.MatchString(q) {
					t.Errorf("%s: EXPLAIN %s: %s", c.typ, q, e)
				}
			}
		}
	})
}

var fractional = regexp.MustCompile(`[(][0-9]{14}[.]`)

// explain returns the access type.
func explain(t *testing.T, ctx context.Context, b *bench, q string) string {
	t.Helper()
	format := "EXPLAIN FORMAT=TRADITIONAL "
	if b.flavor.MariaDB {
		format = "EXPLAIN "
	}
	q = strings.Replace(q, "FROM ", "FROM "+b.schema+".", 1)
	rows, err := b.db.QueryContext(ctx, format+q)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		for i, c := range columns {
			if c == "type" {
				if v, ok := (*values[i].(*any)).([]byte); ok {
					got += string(v)
				}
			}
		}
	}
	return got
}
