package ghost

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"midflight/binlog"
	"midflight/ghost/chunk"
	"midflight/ghost/plan"
	"midflight/ghost/rowsql"
	"midflight/internal/testmysql"
	"midflight/parser"
	"midflight/schema"
)

// Whatever the key, the chunks have every row once, and each is found by reading
// a piece of the index, without sorting.
func TestChunksCoverOnce(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		db := s.DB(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		name := s.NewDatabase(t)
		s.Exec(t, "CREATE TABLE "+name+".n (n INT PRIMARY KEY)", "INSERT INTO "+name+".n VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)")
		for i, c := range []struct{ columns, values, key string }{
			{"k INT NOT NULL", "n - 700", "k"},
			{"k INT NOT NULL", "n", "k DESC"},
			{"k INT NOT NULL, j INT NOT NULL", "n MOD 3, n", "k, j DESC"},
			{"k INT NOT NULL, j INT NOT NULL", "n MOD 3, n", "k DESC, j"},
			{"k FLOAT NOT NULL", "(n - 700) / 10", "k"},
			{"k DOUBLE NOT NULL, j INT NOT NULL", "(n MOD 5 - 2) / 10, n", "k, j"},
			{"k DECIMAL(65,30) NOT NULL", "(n - 700) / 7", "k DESC"},
			{"k TIMESTAMP(6) NOT NULL", "FROM_UNIXTIME(1792888200 + n / 7)", "k"},
			{"k TIME(6) NOT NULL", "SEC_TO_TIME((n - 700) / 7)", "k"},
			{"k BIT(64) NOT NULL", "CAST(n AS UNSIGNED) * 9000000000000000", "k"},
			{"k ENUM('z','a','','m','3') NOT NULL, j INT NOT NULL", "1 + n MOD 5, n", "k, j"},
			{"k ENUM('z','a','','m','3') NOT NULL, j INT NOT NULL", "1 + n MOD 5, n", "k DESC, j"},
			{"j INT NOT NULL, k ENUM('z','a','m') NOT NULL, l INT NOT NULL", "n MOD 4, 1 + n MOD 3, n", "j, k, l"},
			{"k SET('z','a','m') NOT NULL, j INT NOT NULL", "n MOD 8, n", "k, j"},
			{"k VARBINARY(20) NOT NULL", "CONCAT(CHAR(n MOD 256), n)", "k"},
			{"k VARCHAR(20) NOT NULL", "CONCAT(ELT(1 + n MOD 4, 'a', 'B', 'ä', '日'), n)", "k"},
			{"k VARCHAR(60) NOT NULL", "CONCAT(ELT(1 + n MOD 4, 'a', 'B', 'ä', '日'), 10000 + n, REPEAT('x', 30))", "k(7)"},
			{"j INT NOT NULL, k VARCHAR(60) NOT NULL", "n MOD 3, CONCAT(10000 + n, REPEAT('x', 30))", "j DESC, k(5)"},
		} {
			t.Run(c.columns+" "+c.key, func(t *testing.T) {
				table := schema.Name{Schema: name, Table: fmt.Sprintf("t%d", i)}
				s.Exec(t, "SET time_zone = '+00:00'", "CREATE TABLE "+table.Quoted()+" ("+c.columns+", pad CHAR(50), PRIMARY KEY ("+c.key+")) DEFAULT CHARSET=utf8mb4",
					fmt.Sprintf("INSERT INTO %s SELECT %s, 'x' FROM (SELECT a.n + 10*b.n + 100*c.n + 1000*d.n AS n FROM %s.n a, %s.n b, %s.n c, %s.n d WHERE d.n < 2) AS numbers", table.Quoted(), c.values, name, name, name, name),
					"ANALYZE TABLE "+table.Quoted())
				described, err := schema.Read(ctx, db, table)
				if err != nil {
					t.Fatal(err)
				}
				statement, err := parser.Parse("ALTER TABLE t ENGINE=InnoDB", parser.Mode{})
				if err != nil {
					t.Fatal(err)
				}
				p, refusal := plan.Make(statement, described, described, plan.Probe{}, false)
				if refusal != nil {
					t.Fatal(refusal)
				}
				tables := rowsql.Tables{ID: 1, Original: table, Key: p.Key, Columns: p.Columns}
				conn, err := db.Conn(ctx)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				settings := "SET time_zone = '+00:00'"
				if s.Flavor == testmysql.MySQL {
					settings += ", explain_format = 'TRADITIONAL'"
				}
				if _, err := conn.ExecContext(ctx, settings); err != nil {
					t.Fatal(err)
				}
				var lo binlog.Key
				rows, chunks := 0, 0
				for last := false; !last; chunks++ {
					found, err := readKeys(ctx, conn, tables.Bound(lo, 150), tables)
					if err != nil {
						t.Fatal(err)
					}
					r := chunk.Range{Lo: lo}
					if last = len(found) == 0; !last {
						r.Hi = found[0]
					}
					keys, err := readKeys(ctx, conn, tables.Keys(r), tables)
					if err != nil {
						t.Fatal(err)
					}
					if !last && len(keys) != 150 {
						t.Errorf("a chunk of %d rows", len(keys))
					}
					if !last && !p.Key.Prefixed() && keys[len(keys)-1] != r.Hi {
						t.Errorf("a chunk to %s ends with %s", r.Hi, keys[len(keys)-1])
					}
					if chunks == 5 {
						mustReadIndex(t, conn, tables.Bound(lo, 150))
						mustReadIndex(t, conn, tables.Keys(r))
						mustReadIndex(t, conn, "SELECT * FROM "+table.Quoted()+" WHERE "+tables.Match(keys[:5]))
						if matched, err := readKeys(ctx, conn, "SELECT "+strings.TrimPrefix(tables.Keys(r)[:strings.Index(tables.Keys(r), "\nFROM")], "SELECT ")+" FROM "+table.Quoted()+" WHERE "+tables.Match(keys[:5]), tables); err != nil || len(matched) != 5 {
							t.Errorf("5 keys find %d rows, %v", len(matched), err)
						}
					}
					rows += len(keys)
					lo = r.Hi
				}
				if rows != 2000 || chunks < 14 {
					t.Errorf("%d rows in %d chunks", rows, chunks)
				}
			})
		}
	})
}

// mustReadIndex: a range of an index, no sorting.
func mustReadIndex(t *testing.T, conn *sql.Conn, query string) {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), "EXPLAIN "+query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values := make([]sql.NullString, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		if access, extra := values[slices.Index(columns, "type")].String, values[slices.Index(columns, "Extra")].String; access != "range" || strings.Contains(extra, "filesort") {
			t.Errorf("access by %s, %s: %s", access, extra, query)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
