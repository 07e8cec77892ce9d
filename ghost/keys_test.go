package ghost

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"midflight/binlog"
	"midflight/ghost/chunk"
	"midflight/ghost/plan"
	"midflight/ghost/rowsql"
	"midflight/internal/testmysql"
	"midflight/mysqld"
	"midflight/schema"
)

// A key that the server's SQL writes must be, to the letter, the key that the
// binlog gives for the same row: verification asks by the one whether the other
// is in the backlog.
func TestKeysFromSQLAndBinlogAreTheSame(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		db := s.DB(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		flavor, err := mysqld.ReadFlavor(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		name := s.NewDatabase(t)
		for i, c := range []struct{ column, values string }{
			{"INT", "(-5),(0),(2147483647)"},
			{"BIGINT UNSIGNED", "(0),(18446744073709551615)"},
			{"TINYINT(3) UNSIGNED ZEROFILL", "(0),(7),(255)"},
			{"DECIMAL(20,5)", "(-1.5),(0),(123456789012345.12345)"},
			{"DECIMAL(10,0)", "(-0),(10)"},
			{"VARCHAR(40) CHARACTER SET utf8mb4", "(''),('a'),('ö'),('日本'),('a b '),(CONCAT('q''', CHAR(92), CHAR(0 USING utf8mb4)))"},
			{"CHAR(10) CHARACTER SET latin1", "(''),('a'),(_latin1 x'e4'),('a b')"},
			{"VARCHAR(10) CHARACTER SET gbk", "(_gbk x'b0a1'),('x')"},
			{"VARCHAR(10) CHARACTER SET utf16", "('a'),('b')"},
			{"BINARY(4)", "(x'01'),(x'01020300'),(x'00')"},
			{"VARBINARY(10)", "(x''),(x'00'),(x'0100'),('0xab')"},
			{"BIT(17)", "(0),(1),(b'11111111111111111')"},
			{"YEAR", "(0),(1901),(2155)"},
			{"DATE", "('1000-01-01'),('2024-02-29')"},
			{"TIME(3)", "('-838:59:59'),('00:00:00.125'),('838:59:59')"},
			{"DATETIME", "('1000-01-01 00:00:00'),('2024-02-29 23:59:59')"},
			{"FLOAT", "(-0e0),(0.1),(-3.4028234663852886e38),(1e-45),(16777216)"},
			{"FLOAT(7,3)", "(0.1),(-1234.567)"},
			{"DOUBLE", "(-0e0),(0.1e0),(0.1e0+0.2e0),(-2.2250738585072014e-308),(5e-324),(1.7976931348623157e308),(-1.2345678901234567e-100),(1e20),(123456789012345680)"},
			{"TIMESTAMP", "('1970-01-01 00:00:01'),('2026-10-25 00:30:00'),('2038-01-19 03:14:07'),(0)"},
			{"TIMESTAMP(2)", "('2026-10-25 00:30:00.5'),('2026-10-25 00:30:00')"},
			{"TIMESTAMP(6)", "('2026-10-25 00:30:00.000001'),(0)"},
			{"ENUM('b','a','3','1','')", "('b'),('3'),(1+1),('')"},
			{"SET('b','a','3')", "(''),('b'),('b,a,3')"},
			{"BIT(64)", "(0),(1),(x'FFFFFFFFFFFFFFFF'),(x'8000000000000000')"},
			{"DECIMAL(65,30)", "(-99999999999999999999999999999999999.999999999999999999999999999999),(0),(0.000000000000000000000000000001)"},
			{"BINARY(16)", "(x'00'),(x'0102'),(x'5C2700FF00')"},
			{"DATE", "('0000-00-00'),('2026-00-10'),('2026-05-00'),('0000-01-01')"},
			{"DATETIME(3)", "('0000-00-00'),('2026-00-10 01:02:03.500'),('2026-02-28 23:59:59.123')"},
			{"DATETIME(6)", "('2024-02-29 23:59:59.000001'),('2024-02-29 23:59:59')"},
		} {
			t.Run(c.column, func(t *testing.T) {
				table := schema.Name{Schema: name, Table: fmt.Sprintf("k%d", i)}
				s.Exec(t, "CREATE TABLE "+table.Quoted()+" (k "+c.column+" NOT NULL PRIMARY KEY, n INT)")
				from, err := binlog.Start(ctx, db, flavor)
				if err != nil {
					t.Fatal(err)
				}
				described, err := schema.Read(ctx, db, table)
				if err != nil {
					t.Fatal(err)
				}
				stream, err := binlog.Open(ctx, binlog.Config{Server: mysqld.Config{Addr: s.Addr, User: "root"}, Flavor: flavor, From: from,
					Watch: []binlog.Watch{{Table: described, Key: described.Columns[:1]}}, Fences: schema.Name{Schema: name, Table: "none"}})
				if err != nil {
					t.Fatal(err)
				}
				defer stream.Close()
				s.Exec(t, "SET sql_mode = ''", "INSERT INTO "+table.Quoted()+" (k) VALUES "+c.values)
				var streamed []binlog.Key
				for len(streamed) == 0 {
					tx, err := stream.Next(ctx)
					if err != nil {
						t.Fatal(err)
					}
					for _, change := range tx.Changes {
						streamed = append(streamed, *change.After)
					}
				}
				conn, err := db.Conn(ctx)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				tables := rowsql.Tables{Original: table, Key: plan.Key{Index: "PRIMARY", Original: described.Columns[:1]}}
				read, err := readKeys(ctx, conn, tables.Keys(chunk.Range{}), tables)
				if err != nil {
					t.Fatal(err)
				}
				slices.Sort(streamed)
				slices.Sort(read)
				if !slices.Equal(streamed, read) {
					t.Errorf("binlog: %q\n   SQL: %q", streamed, read)
				}
			})
		}
	})
}
