package ghost

import (
	"testing"

	"midflight/binlog"
	"midflight/schema"
)

func TestTouches(t *testing.T) {
	original := schema.Name{Schema: "shop", Table: "orders"}
	shadow := original.With("_orders_shadow")
	for _, c := range []struct {
		sql, in string
		want    effect
	}{
		{sql: "ALTER TABLE orders ADD a INT", want: definition},
		{sql: "alter table `shop`.`orders` add a int", in: "other", want: definition},
		{sql: "ALTER TABLE \"orders\" ADD a INT", want: definition},
		{sql: "ALTER TABLE shop . orders ADD a INT", in: "other", want: definition},
		{sql: "ALTER TABLE _orders_shadow ADD a INT", want: definition},
		{sql: "ALTER TABLE orders ADD a INT", in: "other", want: nothing},
		{sql: "ALTER TABLE other.orders ADD a INT", want: nothing},
		{sql: "ALTER TABLE orders2 ADD a INT", want: nothing},
		{sql: "ALTER TABLE customers COMMENT 'orders'", want: nothing},
		{sql: "/* app */ ALTER TABLE orders ADD a INT", want: definition},
		{sql: "DROP TABLE IF EXISTS a, orders", want: definition},
		{sql: "RENAME TABLE orders TO o", want: definition},
		{sql: "RENAME TABLE o TO orders", want: definition},
		{sql: "TRUNCATE TABLE orders", want: definition},
		{sql: "CREATE UNIQUE INDEX i ON orders (a)", want: definition},
		{sql: "DROP INDEX i ON orders", want: definition},
		{sql: "CREATE DEFINER=`root`@`localhost` TRIGGER tr BEFORE INSERT ON orders FOR EACH ROW SET @a = 1", want: definition},
		{sql: "OPTIMIZE TABLE orders", want: definition},
		{sql: "DROP DATABASE shop", want: definition},
		{sql: "DROP SCHEMA `shop`", in: "other", want: definition},
		{sql: "DROP DATABASE shop2", want: nothing},
		{sql: "UPDATE orders SET a = 1", want: rowsUnknown},
		{sql: "INSERT INTO `shop`.`orders` VALUES (1)", in: "", want: rowsUnknown},
		{sql: "WITH x AS (SELECT 1) DELETE FROM orders", want: rowsUnknown},
		{sql: "LOAD DATA INFILE 'x' INTO TABLE orders", want: rowsUnknown},
		{sql: "CREATE TABLE copy LIKE orders", want: nothing},
		{sql: "CREATE TABLE copy SELECT * FROM orders", want: nothing},
		{sql: "CREATE TABLE IF NOT EXISTS shop.orders (a INT)", want: definition},
		{sql: "CREATE VIEW v AS SELECT * FROM orders", want: nothing},
		{sql: "CREATE PROCEDURE p() UPDATE orders SET a = 1", want: nothing},
		{sql: "GRANT SELECT ON orders TO u", want: nothing},
		{sql: "ANALYZE TABLE orders", want: nothing},
		{sql: "", want: nothing},
		{sql: "BEGIN", want: nothing},
		{sql: "ALTER TABLE customers ADD orders INT", want: nothing},
		{sql: "ALTER TABLE `shop`.`orders`", want: nothing},
		{sql: "ALTER TABLE orders FORCE", want: definition},
		{sql: "ALTER TABLE pp EXCHANGE PARTITION p0 WITH TABLE orders", want: definition},
		{sql: "CREATE TABLE kid (a INT, FOREIGN KEY (a) REFERENCES orders (id))", want: definition},
		{sql: "UPDATE a_view SET a = 1", in: "other", want: rowsUnknown},
		{sql: "SELECT `shop`.`f`()", in: "other", want: rowsUnknown},

		{sql: "/*!80000 ALTER TABLE orders ADD a INT */", want: definition},
		{sql: "/*M!100600 ALTER TABLE orders ADD a INT */", want: definition},
		{sql: "-- from a migration tool\nALTER TABLE orders ADD a INT", want: definition},
		{sql: "# from a migration tool\nALTER TABLE orders ADD a INT", want: definition},
		{sql: "ALTER TABLE -- it's\n orders ADD a INT", want: definition},
		{sql: "SET STATEMENT lock_wait_timeout=5 FOR ALTER TABLE orders ADD a INT", want: definition},
		{sql: "CREATE OR REPLACE DEFINER=`root`@`localhost` TRIGGER tr BEFORE INSERT ON orders FOR EACH ROW SET @a = 1", want: definition},
		{sql: "CREATE DEFINER=`root`@`10.0.0.1` TRIGGER tr BEFORE INSERT ON orders FOR EACH ROW SET @a = 1", want: definition},
	} {
		t.Run(c.sql, func(t *testing.T) {
			in := "shop"
			if c.in != "" {
				in = c.in
			}
			got, table := touches(binlog.Statement{Schema: in, SQL: c.sql}, original, shadow)
			if got != c.want || got != nothing && table != original && table != shadow {
				t.Errorf("%v %s, want %v", got, table, c.want)
			}
		})
	}
}

// The tables that explain.go makes to get the server's verdict are ours.
func TestOwnStatementsAreNotForeign(t *testing.T) {
	s := &syncer{run: &run{attempt: attempt{original: &schema.Table{Name: schema.Name{Schema: "shop", Table: "orders"}}}}}
	s.status.ID, s.shadow = 7, s.original.Name.With("_orders_shadow")
	made := rowsScratch(7, s.original.Name).table
	for _, sql := range []string{
		"ALTER /* midflight m7 */ TABLE `shop`.`_orders_shadow` AUTO_INCREMENT = 7",
		"DROP DATABASE /* midflight */ IF EXISTS `_midflight_7_rows`",
		"ALTER TABLE " + made.Quoted() + " ADD a INT",
		"CREATE TABLE /* midflight */ " + made.Quoted() + " LIKE " + s.original.Name.Quoted(),
	} {
		if err := s.foreign(binlog.TxID{}, binlog.Statement{Schema: "", SQL: sql}); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	theirs := binlog.Statement{SQL: "ALTER TABLE /* midflight: cutover=manual */ shop.orders ENGINE=InnoDB"}
	if s.foreign(binlog.TxID{}, theirs) == nil {
		t.Error("a user's hint makes his statement ours")
	}
}

func FuzzTouches(f *testing.F) {
	for _, s := range []string{"ALTER TABLE `a", "/*", "'\\", "\"\"", "/*!"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		touches(binlog.Statement{Schema: "s", SQL: sql}, schema.Name{Schema: "s", Table: "t"})
	})
}
