package soak

import (
	"cmp"
	"context"
	"strings"
	"testing"

	"midflight/internal/localserver"
)

// A found case is one that has failed.
type found struct {
	why      string
	only     localserver.Flavor
	table    []string // of the table t
	settings []string
	alter    string
	strategy string // "": copy
	class    string // what it comes to now
}

// TestFound: what has failed once. Nobody writes, so the verdict is exact.
func TestFound(t *testing.T) {
	eachSite(t, func(t *testing.T, s *Site) {
		for _, f := range foundCases {
			if f.only != "" && f.only != s.Flavor {
				continue
			}
			t.Run(f.why, func(t *testing.T) {
				c := Case{Flavor: s.Flavor, Table: Table{Name: "t", Typed: f.table}, Settings: f.settings, Strategy: cmp.Or(f.strategy, "copy"), Alters: []Alter{{Head: f.alter}}}
				o, err := s.Run(context.Background(), c)
				if err != nil {
					t.Fatal(err)
				}
				for _, what := range o.Findings {
					t.Error(what)
				}
				if got := strings.Join(o.Classes, ", "); got != f.class {
					t.Errorf("it came to %q, want %q", got, f.class)
				}
				if t.Failed() {
					t.Log(strings.Join(o.History, "\n"))
				}
			})
		}
	})
}

var foundCases = []found{
	{
		why: "nothing to compare", table: []string{"CREATE TABLE t (n INT UNSIGNED NOT NULL PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"},
		settings: []string{"SET sql_mode = ''"}, alter: "ALTER TABLE t MODIFY n BIGINT UNSIGNED NOT NULL COMMENT 'x'", class: "copy",
	},
	{
		why: "the only column converts outside strict mode", table: []string{"CREATE TABLE t (n INT UNSIGNED NOT NULL PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"},
		settings: []string{"SET sql_mode = ''"}, alter: "ALTER TABLE t MODIFY n BIGINT UNSIGNED NOT NULL", class: "copy",
	},
	{
		why: "a zero date where the server changes nothing", table: []string{"SET sql_mode = ''", "CREATE TABLE t (n INT NOT NULL PRIMARY KEY, d DATETIME NOT NULL, g INT AS (n + 1) STORED)", "INSERT INTO t (n, d) VALUES (1, '0000-00-00')"},
		alter: "ALTER TABLE t MODIFY g INT AS (n + 1) STORED", class: "copy",
	},
	{
		why: "a zero date where the server adds a column INSTANT", table: []string{"SET sql_mode = ''", "CREATE TABLE t (n INT NOT NULL PRIMARY KEY, d DATETIME NOT NULL)", "INSERT INTO t (n, d) VALUES (1, '0000-00-00')"},
		alter: "ALTER TABLE t ADD COLUMN x INT", class: "copy",
	},
	{
		why: "a zero date where the server is to copy", table: []string{"SET sql_mode = ''", "CREATE TABLE t (n INT NOT NULL PRIMARY KEY, d DATETIME NOT NULL)", "INSERT INTO t (n, d) VALUES (1, '0000-00-00')"},
		alter: "ALTER TABLE t ADD COLUMN x INT, ALGORITHM=COPY", only: localserver.MySQL, class: "error 1292",
	},
	{
		why: "a zero date and a FULLTEXT index", table: []string{"SET sql_mode = ''", "CREATE TABLE t (n INT NOT NULL PRIMARY KEY, d DATETIME NOT NULL, s TEXT)", "INSERT INTO t (n, d) VALUES (1, '0000-00-00')"},
		alter: "ALTER TABLE t ADD FULLTEXT INDEX f (s)", class: "copy",
	},
	{
		why: "the rows that PARTITION BY copies are counted", table: []string{"CREATE TABLE t (n INT NOT NULL, UNIQUE KEY u (n))", "INSERT INTO t VALUES (1)"},
		alter: "ALTER TABLE t PARTITION BY RANGE (n) (PARTITION p0 VALUES LESS THAN (50000), PARTITION p9 VALUES LESS THAN MAXVALUE)", class: "copy",
	},
	{
		why: "PARTITION BY is a copy", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY)", "INSERT INTO t VALUES (1)"}, strategy: "auto",
		alter: "ALTER TABLE t PARTITION BY HASH (n) PARTITIONS 3", class: "copy",
	},
	{
		why: "REMOVE PARTITIONING is a copy", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY) PARTITION BY HASH (n) PARTITIONS 3", "INSERT INTO t VALUES (1)"}, strategy: "auto",
		alter: "ALTER TABLE t REMOVE PARTITIONING", class: "copy",
	},
	{
		why: "other partitions are a copy", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY) PARTITION BY HASH (n) PARTITIONS 3", "INSERT INTO t VALUES (1)"}, strategy: "auto",
		alter: "ALTER TABLE t PARTITION BY KEY (n) PARTITIONS 2", class: "copy",
	},
	{
		why: "a rebuild of partitions is no change of the definition", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY) PARTITION BY HASH (n) PARTITIONS 3", "INSERT INTO t VALUES (1)"}, strategy: "auto",
		alter: "ALTER TABLE t FORCE", class: "copy",
	},
	{
		why: "an index of partitions is built", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, a INT) PARTITION BY HASH (n) PARTITIONS 3", "INSERT INTO t VALUES (1, 1)"}, strategy: "auto",
		alter: "CREATE INDEX i ON t (a)", class: "copy",
	},
	{
		why: "a partitioned table's column is added at once", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, a INT, KEY k (a)) PARTITION BY HASH (n) PARTITIONS 3", "INSERT INTO t VALUES (1, 1)"}, strategy: "auto",
		alter: "ALTER TABLE t ADD COLUMN b INT", class: "instant",
	},
	{
		why: "a named CHECK is added", only: localserver.MySQL, table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY)"},
		alter: "ALTER TABLE t ADD CONSTRAINT c CHECK (n <> 13)", class: "copy",
	},
	{
		why: "a named CHECK is added, not enforced", only: localserver.MySQL, table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY)"},
		alter: "ALTER TABLE t ADD CONSTRAINT c CHECK (n <> 13) NOT ENFORCED", class: "copy",
	},
	{
		why: "a VECTOR that stays", only: localserver.MySQL, table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, v VECTOR(3) NOT NULL)", "INSERT INTO t VALUES (1, STRING_TO_VECTOR('[1,2,3]'))"},
		alter: "ALTER TABLE t ADD x VARBINARY(30) NOT NULL", class: "copy",
	},
	{
		why: "a VECTOR's table is partitioned", only: localserver.MySQL, table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, v VECTOR(3) NOT NULL)", "INSERT INTO t VALUES (1, STRING_TO_VECTOR('[1,2,3]'))"},
		alter: "ALTER TABLE t PARTITION BY HASH (n) PARTITIONS 3", class: "copy",
	},
	{
		why: "a text becomes BIT as its number", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, c VARCHAR(9))", "INSERT INTO t VALUES (1, '7')"},
		alter: "ALTER TABLE t MODIFY c BIT(64)", class: "refused: ALTER TABLE makes other values",
	},
	{
		why: "a text becomes BIT as its number, small", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, c VARCHAR(9))", "INSERT INTO t VALUES (1, '7')"}, strategy: "auto",
		alter: "ALTER TABLE t MODIFY c BIT(64)", class: "direct",
	},
	{
		why: "a FLOAT becomes a text", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, c FLOAT)", "INSERT INTO t VALUES (1, 3.6)"}, strategy: "auto",
		alter: "ALTER TABLE t MODIFY c VARCHAR(30)", class: "direct",
	},
	{
		why: "a DOUBLE becomes a YEAR", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, c DOUBLE)", "INSERT INTO t VALUES (1, 3.6)"}, strategy: "auto",
		alter: "ALTER TABLE t MODIFY c YEAR", class: "direct",
	},
	{
		why: "an integer becomes a date", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, c INT)", "INSERT INTO t VALUES (1, 101)"}, strategy: "auto",
		alter: "ALTER TABLE t MODIFY c DATE", settings: []string{"SET sql_mode = ''"}, class: "direct",
	},
	{
		why: "an integer becomes an ENUM", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, c INT)", "INSERT INTO t VALUES (1, 7)"}, strategy: "auto",
		alter: "ALTER TABLE t MODIFY c ENUM('7','x')", settings: []string{"SET sql_mode = ''"}, class: "direct",
	},
	{
		why: "a SET's members change places", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, c SET('x','y','z'))", "INSERT INTO t VALUES (1, 'x,z')"},
		alter: "ALTER TABLE t MODIFY c SET('z','y','x')", class: "copy",
	},
	{
		why: "a SET gets members", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, c SET('x','y','z'))", "INSERT INTO t VALUES (1, 'x,z')"},
		alter: "ALTER TABLE t MODIFY c SET('x','y','z','a','b','c','d','e','f')", class: "copy",
	},
	{
		why: "a NULL becomes the time", only: localserver.MariaDB, table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, c TIMESTAMP(1) NULL)", "INSERT INTO t VALUES (1, NULL), (2, '2024-01-02')"},
		alter: "ALTER TABLE t MODIFY c TIMESTAMP(1) NOT NULL DEFAULT CURRENT_TIMESTAMP(1)", class: "copy",
	},
	{
		why: "a NULL becomes the time outside strict mode", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, c TIMESTAMP(1) NULL)", "INSERT INTO t VALUES (1, NULL), (2, '2024-01-02')"},
		alter: "ALTER TABLE t MODIFY c TIMESTAMP(1) NOT NULL DEFAULT CURRENT_TIMESTAMP(1)", settings: []string{"SET sql_mode = ''"}, class: "copy",
	},
	{
		why: "a NULL becomes no time in strict mode", only: localserver.MySQL, table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, c TIMESTAMP(1) NULL)", "INSERT INTO t VALUES (1, NULL), (2, '2024-01-02')"},
		alter: "ALTER TABLE t MODIFY c TIMESTAMP(1) NOT NULL DEFAULT CURRENT_TIMESTAMP(1)", class: "error 1138",
	},
	{
		why: "a sql_mode that pads", table: []string{"CREATE TABLE t (n INT NOT NULL PRIMARY KEY, c CHAR(3) NOT NULL DEFAULT 'x')", "INSERT INTO t (n) VALUES (1)"},
		settings: []string{"SET sql_mode = 'PAD_CHAR_TO_FULL_LENGTH,STRICT_TRANS_TABLES'"}, alter: "ALTER TABLE t FORCE", class: "copy",
	},
}
