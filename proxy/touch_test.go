package proxy

import "testing"

func TestMayTouch(t *testing.T) {
	for _, c := range []struct {
		text, name string
		want       bool
	}{
		{"SELECT * FROM orders", "orders", true},
		{"select * from `ORDERS`", "Orders", true},
		{"SELECT * FROM order_s", "orders", false},
		{"oorders", "orders", false},
		{"SELECT * FROM orders_2025", "orders", false},
		{"SELECT * FROM orders_2025, orders", "orders", true},
		{"SELECT * FROM a,orders WHERE orders$=1", "orders", true},
		{"SELECT 1 FROM bücherorders", "orders", false},
		{"SELECT 1 FROM\xa0orders\xa0", "orders", true},
		{`SELECT * FROM "a""bcd"`, `a"bcd`, true},
		{"SELECT * FROM ````", "`", true},
		{"SELECT 1", "`", false},
		{"/*!99999 SELECT */ CALL p()", "orders", true},
		{"SELECT 1 FROM(orders)", "orders", true},
		{"SELECT 1 FROM db.orders", "orders", true},
		{"SELECT 1 FROM`orders`", "orders", true},
		{"SELECT 1 FROM `old orders`", "orders", true},
		{"SELECT 1 FROM /*!50000orders */", "orders", true},
		{"SELECT 1 FROM /*M!100101orders */", "orders", true},
		{"SELECT 1 FROM `x-orders`", "-orders", true},
		{"SELECT 1 FROM orders\x00", "orders", true},
		{"SELECT 1", "orders", false},
		{"", "orders", false},
		{"SELECT 'é'", "orders", false},
		{"SELECT 'é'", "bücher", true},
		{"SELECT 'e'", "bücher", false},
		{"SELECT * FROM `a``bcd`", "a`bcd", true},
		{"EXECUTE s", "orders", true},
		{"  /* x */ -- y\n (execute s", "orders", true},
		{"/*!50000 CALL p() */", "orders", true},
		{"SELECT 'call execute'", "orders", false},
		{"SELECT 1; EXECUTE s", "orders", true},
		{"SELECT 1;  ", "orders", false},
		{"SET STATEMENT x=1 FOR EXECUTE s", "orders", true},
		{"SET NAMES utf8mb4", "orders", false},
		{"FLUSH TABLES", "orders", true},
		{"DROP DATABASE d", "orders", true},
		{"ALTER TABLE t ADD x INT", "orders", false},
		{"/* only a comment", "orders", true},
	} {
		if got := mayTouch([]byte(c.text), []string{"zzz", c.name}); got != c.want {
			t.Errorf("%q and %q: %v", c.text, c.name, got)
		}
	}
}

func TestSticky(t *testing.T) {
	var k sticky
	for _, c := range []struct {
		text string
		want sticky
	}{
		{"SELECT 1", 0},
		{"lock tables t read", stickyTables},
		{"SELECT 1", stickyTables},
		{"unlock tables", 0},
		{"LOCK TABLES t WRITE", stickyTables},
		{"FLUSH TABLES t FOR EXPORT", stickyTables | stickyFlush},
		{"BEGIN", stickyFlush},
		{"UNLOCK TABLES", 0},
		{"FLUSH STATUS", 0},
		{"XA PREPARE 'x'", stickyXA},
		{"XA COMMIT 'x'", 0},
		{"SELECT 1; LOCK TABLES t READ", stickyTables},
		{"HANDLER t OPEN", stickyTables | stickyHandler},
	} {
		text := []byte(c.text)
		if k = k&^gives(text) | takes(text, false); k != c.want {
			t.Errorf("after %q: %b", c.text, k)
		}
	}
}

func BenchmarkMayTouch(b *testing.B) {
	text := []byte("SELECT c FROM sbtest1 WHERE id=5047")
	names := []string{"orders", "order_items", "v_orders"}
	b.ReportAllocs()
	for b.Loop() {
		mayTouch(text, names)
	}
}

func BenchmarkSticky(b *testing.B) {
	text := []byte("SELECT c FROM sbtest1 WHERE id=5047")
	var k sticky
	b.ReportAllocs()
	for b.Loop() {
		k |= takes(text, false)
	}
}
