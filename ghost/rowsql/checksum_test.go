package rowsql

import (
	"fmt"
	"testing"

	"midflight/ghost/chunk"
	"midflight/ghost/plan"
	"midflight/internal/testmysql"
	"midflight/schema"
)

// Whatever two rows may have exchanged, lost or got, the range's numbers differ; and the
// greatest and smallest values there are don't overflow.
func TestSumsTellRowsApart(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		db := s.DB(t)
		name := schema.Name{Schema: s.NewDatabase(t), Table: "t"}
		const definition = "(id BIGINT %s NOT NULL PRIMARY KEY, a INT NULL, b BIGINT UNSIGNED NOT NULL, c BIGINT NULL, d TINYINT NOT NULL, x VARCHAR(20) NULL, y VARCHAR(20) NOT NULL, e DATETIME NULL, f DATE NOT NULL, z VARBINARY(9) NOT NULL)"
		columns := []schema.Column{
			{Name: "a", Type: "int", FullType: "int", Nullable: true}, {Name: "b", Type: "bigint", FullType: "bigint unsigned"},
			{Name: "c", Type: "bigint", FullType: "bigint", Nullable: true}, {Name: "d", Type: "tinyint", FullType: "tinyint"},
			{Name: "x", Type: "varchar", FullType: "varchar(20)", Charset: "utf8mb4", Nullable: true}, {Name: "y", Type: "varchar", FullType: "varchar(20)", Charset: "utf8mb4"},
			{Name: "e", Type: "datetime", FullType: "datetime", Nullable: true}, {Name: "f", Type: "date", FullType: "date"},
			{Name: "z", Type: "varbinary", FullType: "varbinary(9)"},
		}
		for _, sign := range []string{"", "unsigned"} {
			id := schema.Column{Name: "id", Type: "bigint", FullType: "bigint " + sign}
			tables := Tables{ID: 1, Original: name, Shadow: name.With("s"), Key: plan.Key{Index: "PRIMARY", Original: []schema.Column{id}, Shadow: []schema.Column{id}}}
			for _, c := range append(columns, id) {
				tables.Columns = append(tables.Columns, plan.Mapping{From: c, To: c})
			}
			// 65521 is a prime that is used; what it leaves of the key is 0, of -1 it isn't.
			keys := []string{"1", "65521", "2147483647", "9223372036854775807"}
			if sign == "" {
				keys = append(keys, "-1", "-65521", "-9223372036854775808")
			}
			for _, what := range []string{
				"SELECT 1", // equal
				"UPDATE s SET a = a + 1 WHERE id = 65521", "UPDATE s SET d = -d WHERE id = 1", "UPDATE s SET c = NULL WHERE id = 1", "UPDATE s SET a = NULL",
				"UPDATE s SET a = 4, c = 3 WHERE id = 1", "UPDATE s SET x = NULL WHERE id = 1", "UPDATE s SET x = y, y = x WHERE id = 1",
				"UPDATE s JOIN t ON t.id = IF(s.id = 1, 65521, 1) SET s.a = t.a WHERE s.id IN (1, 65521)", "UPDATE s JOIN t ON t.id = IF(s.id = 1, 65521, 1) SET s.y = t.y WHERE s.id IN (1, 65521)",
				"UPDATE s SET e = e + INTERVAL 1 SECOND", "UPDATE s SET e = NULL WHERE id = 1", "UPDATE s SET f = f - INTERVAL 1 DAY WHERE id = 65521", "UPDATE s SET e = '0000-00-00 00:00:00' WHERE id = 1",
				"UPDATE s SET z = x'ff00ff' WHERE id = 1", "UPDATE s SET z = x'fe00fe' WHERE id = 1", "UPDATE s SET a = a + IF(id = 1, 1, -1) WHERE id IN (1, 65521)",
				"UPDATE s SET a = a + IF(id IN (1, 4), 1, -1) WHERE id IN (1, 3, 4, 65521)",
				"DELETE FROM s WHERE id = 65521", "UPDATE s SET id = 2 WHERE id = 1", "INSERT INTO s SELECT 7, a, b, c, d, x, y, e, f, z FROM t WHERE id = 1",
			} {
				s.Exec(t, "SET sql_mode = ''", "USE "+name.Schema, "DROP TABLE IF EXISTS t, s", "CREATE TABLE t "+fmt.Sprintf(definition, sign))
				for i, k := range keys {
					s.Exec(t, fmt.Sprintf("INSERT INTO %s VALUES (%s, %d, %d, %d, %d, 'x%d', 'y%d', '2026-01-01' + INTERVAL %d DAY, '2026-01-01' + INTERVAL %d DAY, x'ff00fe')", name.Quoted(), k, i+3, i, i+4, 5-i, i, i, i, 2*i))
				}
				s.Exec(t, "SET sql_mode = ''", "USE "+name.Schema, "INSERT INTO t SELECT 3, 2147483647, 18446744073709551615, 9223372036854775807, 127, NULL, '', '9999-12-31 23:59:59', '9999-12-31', x''",
					"INSERT INTO t SELECT 4, -2147483648, 0, -9223372036854775808, -128, '', '', '0000-00-00 00:00:00', '0000-00-00', x'00'", "CREATE TABLE s LIKE t", "INSERT INTO s SELECT * FROM t", what)
				var sides [2][2]string
				rows, err := db.Query(tables.Checksums(chunk.Range{}, nil))
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; rows.Next(); i++ {
					if err := rows.Scan(&sides[i][0], &sides[i][1]); err != nil {
						t.Fatal(err)
					}
				}
				if err := rows.Err(); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if equal := sides[0] == sides[1]; equal != (what == "SELECT 1") {
					t.Errorf("key %s, after %s: %v and %v", sign, what, sides[0], sides[1])
				}
			}
		}
	})
}
