package binlog

import (
	"strings"
	"testing"

	"midflight/internal/testmysql"
)

// Column.Position is the column's place in row images, whatever the table has.
func TestColumnsOfImages(t *testing.T) {
	type shape struct {
		name   string
		create string
		key    string
		sql    string // what comes before ## is done before the stream begins
		want   string
		only   string // flavor
	}
	shapes := []shape{
		{name: "plain", create: "(a TEXT, b DOUBLE, c FLOAT, d YEAR, e BLOB, f GEOMETRY, id INT PRIMARY KEY)", key: "id",
			sql: "INSERT INTO t VALUES ('x', 1, 2, 2000, 'y', POINT(1, 2), 3); UPDATE t SET a = NULL, id = 4; DELETE FROM t", want: "[+3]\n[3>4]\n[-4]"},
		{name: "virtual before the key", create: "(a INT, v INT AS (a + 1) VIRTUAL, s INT AS (a + 2) STORED, id INT PRIMARY KEY, w INT AS (a * 2) VIRTUAL, KEY (v))", key: "id",
			sql: "INSERT INTO t (a, id) VALUES (1000, 3), (NULL, 5); UPDATE t SET a = 7; DELETE FROM t WHERE id = 3", want: "[+3 +5]\n[3>3 5>5]\n[-3]"},
		{name: "stored key", create: "(a INT, k INT AS (a + 1) STORED, id INT PRIMARY KEY)", key: "id",
			sql: "INSERT INTO t (a, id) VALUES (1, 3)", want: "[+3]"},
		{name: "invisible", create: "(h INT INVISIBLE DEFAULT 77, a INT, id INT PRIMARY KEY)", key: "id",
			sql: "INSERT INTO t (a, id) VALUES (1, 3); UPDATE t SET h = 8", want: "[+3]\n[3>3]"},
		{name: "functional index", create: "(id INT PRIMARY KEY, a VARCHAR(9), KEY ((LOWER(a))), KEY ((id * 2)))", key: "id", only: "mysql",
			sql: "INSERT INTO t VALUES (3, 'A'); UPDATE t SET a = 'B'; DELETE FROM t", want: "[+3]\n[3>3]\n[-3]"},
		{name: "generated primary key", create: "(a INT)", key: "my_row_id", only: "mysql",
			sql: "INSERT INTO t VALUES (7), (8); UPDATE t SET a = 9 WHERE a = 7; DELETE FROM t", want: "[+1 +2]\n[1>1]\n[-1 -2]"},
		{name: "instant columns", create: "(a INT, id INT PRIMARY KEY, z INT)", key: "id",
			sql: "ALTER TABLE t ADD COLUMN f VARCHAR(300) DEFAULT 'dddddddddd' FIRST; ALTER TABLE t ADD COLUMN m INT DEFAULT 6 AFTER a; ALTER TABLE t DROP COLUMN z; ## INSERT INTO t (a, id) VALUES (1, 3); UPDATE t SET a = 5; DELETE FROM t", want: "[+3]\n[3>3]\n[-3]"},
		{name: "old rows after instant", create: "(a INT, id INT PRIMARY KEY, z INT)", key: "id",
			sql: "INSERT INTO t VALUES (1, 3, 4); ALTER TABLE t ADD COLUMN f VARCHAR(300) DEFAULT 'dddddddddd' FIRST; ## UPDATE t SET a = 5; DELETE FROM t", want: "[3>3]\n[-3]"},
		{name: "vector", create: "(v VECTOR(3), id INT PRIMARY KEY)", key: "id", only: "mysql",
			sql: "INSERT INTO t VALUES (STRING_TO_VECTOR('[1,2,3]'), 3); DELETE FROM t", want: "[+3]\n[-3]"},
		{name: "hash unique", create: "(b BLOB, UNIQUE (b), id INT PRIMARY KEY)", key: "id", only: "mariadb",
			sql: "INSERT INTO t VALUES ('x', 3); UPDATE t SET b = 'y'; DELETE FROM t", want: "[+3]\n[3>3]\n[-3]"},
		{name: "compressed columns", create: "(b BLOB COMPRESSED, c VARCHAR(500) COMPRESSED, id INT PRIMARY KEY, x TEXT COMPRESSED)", key: "id", only: "mariadb",
			sql: "INSERT INTO t VALUES (REPEAT('x', 1000), REPEAT('y', 400), 3, 'x'); UPDATE t SET x = 'y'; DELETE FROM t", want: "[+3]\n[3>3]\n[-3]"},
		{name: "inet and uuid beside the key", create: "(u UUID, i INET6, id INT PRIMARY KEY)", key: "id", only: "mariadb",
			sql: "INSERT INTO t VALUES (UUID(), '::1', 3); DELETE FROM t", want: "[+3]\n[-3]"},
		{name: "system versioned", create: "(a INT, id INT PRIMARY KEY, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START, e TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING", key: "id", only: "mariadb",
			sql: "INSERT INTO t (a, id) VALUES (1, 3)", want: "[+3]"},
		{name: "many columns", create: "(" + strings.Repeat("c@ INT NULL, ", 40) + "id INT PRIMARY KEY)", key: "id",
			sql: "INSERT INTO t (id, c7) VALUES (3, 9); UPDATE t SET c8 = 1, c39 = 2; DELETE FROM t", want: "[+3]\n[3>3]\n[-3]"},
		{name: "default in the key", create: "(a INT, b INT NOT NULL DEFAULT 5, c INT NOT NULL, PRIMARY KEY (a, b, c))", key: "a b c",
			sql: "SET SESSION sql_mode = ''; INSERT INTO t (a) VALUES (3)", want: "[+3,5,0]"},
		{name: "nothing but defaults", create: "(id INT NOT NULL DEFAULT 7 PRIMARY KEY, a INT NULL DEFAULT 5)", key: "id",
			sql: "INSERT INTO t VALUES (); DELETE FROM t; INSERT INTO t () VALUES ()", want: "[+7]\n[-7]\n[+7]"},
	}
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		for _, image := range []string{"FULL", "NOBLOB", "MINIMAL"} {
			for _, c := range shapes {
				t.Run(image+"/"+c.name, func(t *testing.T) {
					b := newBench(t, s)
					if c.only == "mysql" && b.flavor.MariaDB || c.only == "mariadb" && !b.flavor.MariaDB {
						t.Skip("only on " + c.only)
					}
					before, after, ok := strings.Cut(c.sql, "## ")
					if !ok {
						before, after = "", c.sql
					}
					create := c.create
					for i := 0; strings.Contains(create, "@"); i++ {
						create = strings.Replace(create, "@", string(rune('0'+i/10))+string(rune('0'+i%10)), 1)
					}
					after = strings.NewReplacer("c7", "c07", "c8", "c08").Replace(after)
					var setup []string
					if c.key == "my_row_id" {
						setup = append(setup, "SET sql_generate_invisible_primary_key = ON")
					}
					setup = append(setup, "CREATE TABLE t "+create)
					b.exec(append(setup, statements(before)...)...)
					st := b.open(b.start(), b.watch("t", strings.Fields(c.key)...))
					b.exec(append([]string{"SET SESSION binlog_row_image = " + image}, statements(after)...)...)
					b.check(keep(b.drain(st)), c.want)
				})
			}
		}
	})
}

func statements(sql string) (list []string) {
	for s := range strings.SplitSeq(sql, "; ") {
		if s != "" {
			list = append(list, s)
		}
	}
	return list
}
