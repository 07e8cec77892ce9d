package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"midflight/internal/testmysql"
	"midflight/mysqld"
)

// A table is what the writers know of a table under test.
type table struct {
	name    string
	columns []column
	keys    string // the index clauses
	options string // after the parenthesis
	rows    int
	extras  []string // run after CREATE TABLE

	key     []string                             // its columns
	newKey  func(n int64, r *rand.Rand) []string // literals; a new n is a new key
	variant func(key []string, r *rand.Rand) []string
	auto    bool // the server gives the key; newKey is for changes of it

	unique    string // another unique column, whose values move between rows
	newUnique func(n int64) string
	nullable  bool // the unique column may be NULL
}

type column struct {
	name, definition string
	values           values // nil: not for the writers
}

func (t table) create() string {
	var parts []string
	for _, c := range t.columns {
		parts = append(parts, mysqld.QuoteName(c.name)+" "+c.definition)
	}
	if t.keys != "" {
		parts = append(parts, t.keys)
	}
	return fmt.Sprintf("CREATE TABLE %s (%s) ENGINE=InnoDB %s", mysqld.QuoteName(t.name), strings.Join(parts, ", "), t.options)
}

// without leaves columns out of what the writers write: those that the ALTER
// renames or drops.
func (t table) without(names string) table {
	var kept []column
	for _, c := range t.columns {
		for _, n := range strings.Fields(names) {
			if c.name == n {
				c.values = nil
			}
		}
		kept = append(kept, c)
	}
	t.columns = kept
	return t
}

func (t table) with(name string, v values) table {
	t.columns = append([]column(nil), t.columns...)
	for i := range t.columns {
		if t.columns[i].name == name {
			t.columns[i].values = v
		}
	}
	return t
}

func sequence(n int64, _ *rand.Rand) []string { return []string{fmt.Sprint(n)} }
func negative(n int64, _ *rand.Rand) []string { return []string{fmt.Sprint(-n)} }

// orders is an everyday table.
func orders(testmysql.Flavor) table {
	return table{
		name: "orders", rows: 1500, auto: true, key: []string{"id"}, newKey: negative,
		columns: []column{
			{"id", "INT NOT NULL AUTO_INCREMENT", nil},
			{"a", "INT NULL", integers("-2147483648", "2147483647")},
			{"b", "INT NOT NULL DEFAULT 7", between(-5, 1000)},
			{"c", "INT NULL DEFAULT 3", integers("-2147483648", "2147483647")},
			{"name", "VARCHAR(50) NULL", utf8},
			{"code", "VARCHAR(40) CHARACTER SET latin1 NULL", latin1},
			{"flag", "CHAR(20) NULL", ascii},
			{"amount", "DECIMAL(10,4) NULL", decimals(2).orNull()},
			{"state", "ENUM('new','paid','','sent') NULL", oneOf("'new'", "'paid'", "''", "'sent'", "NULL")},
			{"happened", "DATETIME NULL", values(at).orNull()},
			{"changed", "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)", nil},
			{"note", "TEXT NULL", values(long).orNull()},
		},
		keys: "PRIMARY KEY (id), KEY by_a (a), KEY by_name (name(10), b)", options: "COMMENT='it''s 100% \"orders\"'",
	}
}

// zoo has every type.
func zoo(f testmysql.Flavor) table {
	t := table{
		name: "zoo", rows: 800, key: []string{"id"}, newKey: sequence,
		columns: []column{
			{"id", "INT NOT NULL", nil},
			{"i8", "TINYINT NULL", integers("-128", "127")},
			{"u8", "TINYINT UNSIGNED NULL", unsigned("255")},
			{"i16", "SMALLINT NULL", integers("-32768", "32767")},
			{"u24", "MEDIUMINT UNSIGNED NULL", unsigned("16777215")},
			{"z32", "INT(8) UNSIGNED ZEROFILL NULL", unsigned("4294967295")},
			{"i64", "BIGINT NULL", integers("-9223372036854775808", "9223372036854775807")},
			{"u64", "BIGINT UNSIGNED NULL", unsigned("18446744073709551615")},
			{"dec65", "DECIMAL(65,30) NULL", decimals(20).or(4, "99999999999999999999999999999999999.999999999999999999999999999999", "-0.000000000000000000000000000001").orNull()},
			{"f", "FLOAT NULL", floats},
			{"d", "DOUBLE NULL", doubles},
			{"b1", "BIT(1) NULL", oneOf("b'0'", "b'1'", "NULL")},
			{"b64", "BIT(64) NULL", bits64},
			{"ch", "CHAR(12) CHARACTER SET utf8mb4 NULL", utf8},
			{"l1", "VARCHAR(20) CHARACTER SET latin1 NULL", latin1},
			{"gb", "VARCHAR(20) CHARACTER SET gbk NULL", gbk},
			{"u16", "VARCHAR(20) CHARACTER SET utf16 NULL", utf8},
			{"bi", "BINARY(8) NULL", binary(8)},
			{"vb", "VARBINARY(30) NULL", binary(30)},
			{"tx", "TEXT NULL", utf8},
			{"mt", "MEDIUMTEXT NULL", values(long).orNull()},
			{"bl", "BLOB NULL", blobs},
			{"js", "JSON NULL", jsonTexts},
			{"en", "ENUM('a','b','','日') NULL", oneOf("'a'", "'b'", "''", "'日'", "NULL")},
			{"se", "SET('x','y','z') NULL", oneOf("''", "'x'", "'x,z'", "'x,y,z'", "NULL")},
			{"da", "DATE NULL", dates},
			{"ti", "TIME(6) NULL", times},
			{"dt", "DATETIME(6) NULL", datetimes},
			{"ts", "TIMESTAMP(6) NULL", stamps},
			{"up", "TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)", nil},
			{"ye", "YEAR NULL", years},
			{"ge", "GEOMETRY NULL", shapes},
		},
		keys: "PRIMARY KEY (id)",
	}
	if f == testmysql.MySQL {
		t = t.with("js", jsonValues)
	}
	return t
}

// sessions has a key beyond what a signed integer holds.
func sessions(testmysql.Flavor) table {
	return table{
		name: "sessions", rows: 1200, key: []string{"id"},
		newKey: func(n int64, _ *rand.Rand) []string {
			return []string{fmt.Sprint(uint64(1<<64-1) - uint64(n)*1e12)}
		},
		columns: []column{
			{"id", "BIGINT UNSIGNED NOT NULL", nil},
			{"v", "DOUBLE NULL", doubles},
			{"t", "VARCHAR(30) CHARACTER SET gbk NULL", gbk},
			{"n", "INT UNSIGNED NULL", unsigned("4294967295")},
		},
		keys: "PRIMARY KEY (id)",
	}
}

// tokens has a binary key whose end is zero bytes, and bytes that are quotes.
func tokens(testmysql.Flavor) table {
	return table{
		name: "tokens", rows: 1200, key: []string{"id"},
		newKey: func(n int64, _ *rand.Rand) []string {
			return []string{fmt.Sprintf("x'%04X5C27%016X%04X0000'", n%7*0x2500, n, n%3*0x100)}
		},
		columns: []column{
			{"id", "BINARY(16) NOT NULL", nil},
			{"v", "VARBINARY(40) NULL", binary(40)},
			{"l1", "VARCHAR(20) NULL", latin1},
			{"n", "SMALLINT NULL", integers("-32768", "32767")},
		},
		keys: "PRIMARY KEY (id), KEY (v(5))", options: "DEFAULT CHARSET=latin1",
	}
}

// people has a string key, in which upper and lower case are one.
func people(f testmysql.Flavor) table {
	collation := "utf8mb4_0900_ai_ci"
	if f == testmysql.MariaDB {
		collation = "utf8mb4_unicode_ci"
	}
	prefixes := []string{"a", "A", "á", "Z", "é", "ß", "日", "_", "a b", "%"}
	return table{
		name: "people", rows: 1200, key: []string{"name"},
		newKey: func(n int64, r *rand.Rand) []string {
			return []string{fmt.Sprintf("'%s-%07dX'", prefixes[r.IntN(len(prefixes))], n*7919%1e7)}
		},
		variant: func(key []string, r *rand.Rand) []string {
			return []string{[]func(string) string{strings.ToUpper, strings.ToLower}[r.IntN(2)](key[0])}
		},
		columns: []column{
			{"name", "VARCHAR(60) NOT NULL", nil},
			{"v", "INT NULL", integers("-2147483648", "2147483647")},
			{"t", "TEXT NULL", utf8},
		},
		keys: "PRIMARY KEY (name)", options: "DEFAULT CHARSET=utf8mb4 COLLATE=" + collation,
	}
}

// accounts has a composite key and a second unique one.
func accounts(testmysql.Flavor) table {
	return table{
		name: "accounts", rows: 1500, key: []string{"tenant", "no"},
		newKey: func(n int64, r *rand.Rand) []string {
			tenant := 5
			if r.IntN(10) == 0 {
				tenant = r.IntN(10)
			}
			return []string{fmt.Sprint(tenant), fmt.Sprint(n * 7919 % 1000003)}
		},
		unique: "slot", nullable: true, newUnique: func(n int64) string { return fmt.Sprint(n) },
		columns: []column{
			{"tenant", "SMALLINT NOT NULL", nil},
			{"no", "INT UNSIGNED NOT NULL", nil},
			{"slot", "INT NULL", nil},
			{"v", "VARCHAR(30) NULL", utf8},
			{"w", "INT NULL", integers("-2147483648", "2147483647")},
		},
		keys: "PRIMARY KEY (tenant, no), UNIQUE KEY one_slot (slot)",
	}
}

// keyless has no primary key, but a unique one that can stand for it.
func keyless(testmysql.Flavor) table {
	return table{
		name: "keyless", rows: 1200, key: []string{"code"},
		newKey: func(n int64, _ *rand.Rand) []string { return []string{fmt.Sprintf("'c%08d'", n*7919%1e8)} },
		columns: []column{
			{"v", "INT NULL", integers("-2147483648", "2147483647")},
			{"code", "VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL", nil},
			{"t", "VARCHAR(20) NULL", utf8},
		},
		keys: "UNIQUE KEY by_code (code), KEY by_v (v)",
	}
}

// twoKeys can lose its primary key.
func twoKeys(testmysql.Flavor) table {
	return table{
		name: "two_keys", rows: 1200, key: []string{"id"}, newKey: sequence,
		unique: "code", newUnique: func(n int64) string { return fmt.Sprint(n * 3) },
		columns: []column{
			{"id", "INT NOT NULL", nil},
			{"code", "BIGINT NOT NULL", nil},
			{"v", "VARCHAR(20) NULL", utf8},
		},
		keys: "PRIMARY KEY (id), UNIQUE KEY by_code (code)",
	}
}

// facts has a YEAR, a DATE and a DECIMAL in its key.
func facts(testmysql.Flavor) table {
	return table{
		name: "facts", rows: 1200, key: []string{"season", "day", "size"},
		newKey: func(n int64, _ *rand.Rand) []string {
			return []string{[]string{"0", "1901", "2155"}[n%3], fmt.Sprintf("'20%02d-%02d-%02d'", n%90, 1+n%12, 1+n%28), fmt.Sprintf("%d.%03d", n-500, n%1000)}
		},
		columns: []column{
			{"season", "YEAR NOT NULL", nil},
			{"day", "DATE NOT NULL", nil},
			{"size", "DECIMAL(20,3) NOT NULL", nil},
			{"v", "FLOAT NULL", floats},
		},
		keys: "PRIMARY KEY (season, day, size)",
	}
}

// logs is partitioned.
func logs(testmysql.Flavor) table {
	return table{
		name: "logs", rows: 1200, key: []string{"id", "year"},
		newKey: func(n int64, _ *rand.Rand) []string { return []string{fmt.Sprint(n), fmt.Sprint(2018 + n%5)} },
		columns: []column{
			{"id", "BIGINT NOT NULL", nil},
			{"year", "SMALLINT NOT NULL", nil},
			{"t", "VARCHAR(60) NULL", utf8},
		},
		keys:    "PRIMARY KEY (id, year), KEY by_t (t(10))",
		options: "PARTITION BY RANGE (year) (PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN (2022), PARTITION p9 VALUES LESS THAN MAXVALUE)",
	}
}

// computed has generated and invisible columns.
func computed(f testmysql.Flavor) table {
	return table{
		name: "computed", rows: 1200, key: []string{"id"}, newKey: sequence,
		columns: []column{
			{"id", "INT NOT NULL", nil},
			{"total", "INT GENERATED ALWAYS AS (a + b) STORED", nil},
			{"a", "INT NULL", between(-1000, 1000).orNull()},
			{"upper_t", "VARCHAR(30) GENERATED ALWAYS AS (UPPER(t)) VIRTUAL", nil},
			{"b", "INT NOT NULL DEFAULT 0", between(0, 1000)},
			{"hidden", "INT NULL DEFAULT 5 INVISIBLE", integers("-2147483648", "2147483647")},
			{"t", "VARCHAR(30) NULL", utf8},
			{"js", "JSON NULL", jsonTexts},
		},
		keys: "PRIMARY KEY (id), KEY by_total (total), KEY by_upper (upper_t), CHECK (b >= 0)",
	}
}

// places has geometry and long texts.
func places(testmysql.Flavor) table {
	return table{
		name: "places", rows: 800, key: []string{"id"}, newKey: sequence,
		columns: []column{
			{"id", "INT NOT NULL", nil},
			{"p", "POINT NOT NULL", points},
			{"shape", "GEOMETRY NULL", shapes},
			{"about", "TEXT NULL", utf8},
			{"title", "VARCHAR(100) NULL", ascii},
		},
		keys: "PRIMARY KEY (id)",
	}
}

// oddName has a name of which most programs make a mistake.
func oddName(name string) func(testmysql.Flavor) table {
	return func(testmysql.Flavor) table {
		return table{
			name: name, rows: 600, auto: true, key: []string{"the `id`"}, newKey: negative,
			columns: []column{
				{"the `id`", "INT NOT NULL AUTO_INCREMENT", nil},
				{"it's 100% \"odd\"", "VARCHAR(30) NULL COMMENT 'a `comment`, it''s; -- 100% /* odd */'", utf8},
				{"SELECT", "INT NULL", integers("-2147483648", "2147483647")},
				{"größe", "INT NULL", integers("-2147483648", "2147483647")},
			},
			keys: "PRIMARY KEY (`the ``id```), KEY `by 'it'` (`SELECT`)",
		}
	}
}
