package proxy

import (
	"context"
	"database/sql"
	"net"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// A swapStage is a table whose rows were copied after the client's snapshot, and who swaps it.
type swapStage struct {
	*rawConn
	db   string
	swap func()
}

func newSwapStage(t *testing.T, s *testmysql.Server, caps wire.Caps) *swapStage {
	t.Helper()
	srv, addr := startProxy(t, Config{Server: s.Addr})
	db := s.NewDatabase(t)
	s.Exec(t, "USE "+db, "CREATE TABLE orders (a INT PRIMARY KEY)", "INSERT INTO orders VALUES (1), (2)", "CREATE TABLE shadow LIKE orders",
		"CREATE TABLE other (a INT PRIMARY KEY, b LONGTEXT)", "INSERT INTO other VALUES (1, '')", "CREATE FUNCTION f() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM orders)")
	return &swapStage{dialRaw(t, addr, db, caps), db, func() {
		t.Helper()
		s.Exec(t, "USE "+db, "INSERT INTO shadow SELECT * FROM orders")
		h := srv.Hold([]string{"orders", "f"}, time.Hour)
		defer h.Release()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := h.Drained(ctx); err != nil || !h.Commit() {
			t.Fatal("not committed:", err)
		}
		s.Exec(t, "RENAME TABLE "+db+".orders TO "+db+".was, "+db+".shadow TO "+db+".orders")
		h.Outdate(nil)
	}}
}

const outdatedAnswer = "Table definition has changed"

// Whatever a transaction with an older snapshot sends, it is never shown a part of the table.
func TestNoPartOfASwappedTable(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		both := []string{
			"SAVEPOINT a|ROLLBACK TO a; SELECT COUNT(*), 'rows' FROM orders",
			"SELECT 1; SELECT COUNT(*), 'rows' FROM orders",
			"INSERT INTO other VALUES (5, '" + strings.Repeat("x", 20<<10) + "'), (6, (SELECT CONCAT(COUNT(*), 'rows') FROM orders)); SELECT b, 'rows' FROM other WHERE a = 6",
			"INSERT INTO other VALUES (5, '" + strings.Repeat("x", 2<<20) + "'); SELECT COUNT(*), 'rows' FROM orders",
			"/*!99999 COMMIT */ SELECT COUNT(*), 'rows' FROM orders",
			"/*!99999 COMMIT */ SELECT 1|SELECT COUNT(*), 'rows' FROM orders",
			"INSERT INTO other VALUES (6, (SELECT COUNT(*) FROM orders))",
			"PREPARE s FROM 'SELECT COUNT(*), ''rows'' FROM orders'|EXECUTE s",
			"HANDLER orders OPEN AS h|HANDLER h READ FIRST",
			"SET @n = f()|SELECT @n, 'rows'",
			"DO (SELECT COUNT(*) INTO @m FROM orders)|SELECT @m, 'rows'",
			"SAVEPOINT a|RELEASE SAVEPOINT a; SELECT COUNT(*), 'rows' FROM orders",
			"XA END 'x'|SELECT COUNT(*), 'rows' FROM orders",
			"ROLLBACK TO SAVEPOINT a|SELECT COUNT(*), 'rows' FROM orders",
			"START NOTHING|SELECT COUNT(*), 'rows' FROM orders",
			"ANALYZE NOTHING|SELECT COUNT(*), 'rows' FROM orders",
			"SELECT COUNT(*), 'rows' FROM`orders`", "SELECT COUNT(*), 'rows' FROM/*!50000orders*/",
			"SELECT COUNT(*), 'rows' FROM " + "\xa0orders|latin1",
			"TABLE orders", "WITH q AS (TABLE orders) SELECT COUNT(*), 'rows' FROM q",
			"(SELECT COUNT(*), 'rows' FROM orders)", "VALUES ROW((SELECT COUNT(*) FROM orders), 'rows')",
			"SHOW TABLES WHERE (SELECT COUNT(*) FROM orders) = 0",
			"SHOW TABLES WHERE (SELECT COUNT(*) FROM orders) <> 2",
			"CHECKSUM TABLE orders",
		}
		if s.Flavor == testmysql.MariaDB {
			both = append(both,
				"ANALYZE SELECT * FROM other|SELECT COUNT(*), 'rows' FROM orders",
				"BEGIN NOT ATOMIC SELECT COUNT(*), 'rows' FROM orders; END",
				"BEGIN NOT ATOMIC END|SELECT COUNT(*), 'rows' FROM orders",
				"SET STATEMENT max_statement_time = 5 FOR SELECT COUNT(*), 'rows' FROM orders",
				"EXECUTE IMMEDIATE 'SELECT COUNT(*), ''rows'' FROM orders'",
				"/*M!100101 SELECT COUNT(*), 'rows' FROM orders */",
			)
		}
		for _, script := range both {
			c := newSwapStage(t, s, wire.ClientMultiStatements)
			if strings.HasSuffix(script, "|latin1") {
				script = strings.TrimSuffix(script, "|latin1")
				c.query("SET NAMES latin1")
			}
			c.query("BEGIN")
			c.query("SELECT * FROM other")
			s.Exec(t, "CREATE TABLE "+c.db+".nothing (a INT)")
			c.swap()
			said := ""
			for _, q := range strings.Split(script, "|") {
				said += c.query(q) + "\n"
			}
			c.Close()
			if !strings.Contains(said, outdatedAnswer) && !strings.Contains(said, "insufficient history") {
				t.Errorf("%.100s: %.300s", script, said)
			}
		}
	})
}

// A statement in flight when the swap begins takes its transaction's snapshot before
// the server has told of a transaction.
func TestSnapshotInFlight(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		for _, script := range []string{
			"SET autocommit = 0|SELECT SLEEP(0.3) FROM other", "BEGIN||SELECT SLEEP(0.3) FROM other",
			"BEGIN; SELECT SLEEP(0.3) FROM other", "COMMIT||BEGIN||SELECT SLEEP(0.3) FROM other",
			"BEGIN|SELECT SLEEP(0.3) FROM other",
		} {
			c := newSwapStage(t, s, wire.ClientMultiStatements)
			parts := strings.Split(script, "||")
			if first, then, ok := strings.Cut(script, "|"); ok && !strings.HasPrefix(then, "|") {
				c.query(first)
				parts = []string{then}
			}
			var b []byte
			for _, q := range parts {
				b, _ = wire.AppendPacket(b, wire.AppendQuery(nil, q, c.s), 0)
			}
			c.Write(b)
			await(t, func() bool {
				var n int
				db := s.DB(t)
				if err := db.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE id = ? AND state = 'User sleep'", c.greeting.ConnectionID).Scan(&n); err != nil && err != sql.ErrNoRows {
					t.Fatal(err)
				}
				return n > 0
			})
			c.swap()
			for range parts {
				c.answer(wire.ComQuery)
			}
			if said := c.query("SELECT COUNT(*), 'rows' FROM orders"); !strings.Contains(said, outdatedAnswer) {
				t.Errorf("%s: %.300s", script, said)
			}
			c.Close()
		}
	})
}

// Refusing an execution leaves of it as little as the server's own refusal.
func TestRefusedLongData(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		c := newSwapStage(t, s, 0)
		c.do("\x16INSERT INTO other SELECT 9, CONCAT(?, COUNT(*)) FROM orders")
		execute := func() string {
			c.sendSeq([]byte(c.stmt(wire.ComStmtSendLong, 1, "\x00\x00x")), 0)
			return c.do(c.execute(1, 0) + "\x00\x01\xfc\x00")
		}
		c.query("BEGIN")
		c.query("SELECT * FROM other")
		c.swap()
		if said := execute(); !strings.Contains(said, outdatedAnswer) {
			t.Errorf("not refused: %s", said)
		}
		c.query("ROLLBACK")
		execute()
		if said := c.query("SELECT b FROM other WHERE a = 9"); !strings.Contains(said, `\x02x2`) {
			t.Errorf("got %s", said)
		}
	})
}

// Who goes on with COMMIT AND CHAIN has let the table go.
func TestDrainedOfChained(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		for _, q := range []string{"COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "BEGIN"} {
			c := newSwapStage(t, s, 0)
			c.query("BEGIN")
			c.query("SELECT COUNT(*) FROM orders")
			c.query(q)
			c.swap()
			if said := c.query("SELECT COUNT(*), 'rows' FROM orders"); !strings.Contains(said, `\x012\x04rows`) {
				t.Errorf("%s: %s", q, said)
			}
			c.Close()
		}
	})
}

// A transaction begun after the swap hears nothing of it.
func TestNotOutdatedAnyMore(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		for _, script := range []string{
			"COMMIT|BEGIN", "COMMIT AND CHAIN", "SET autocommit = 0|COMMIT|SELECT 1 FROM other", "BEGIN",
			"COMMIT||BEGIN||SELECT 1",
		} {
			c := newSwapStage(t, s, wire.ClientMultiStatements)
			c.query("BEGIN")
			c.query("SELECT * FROM other")
			c.swap()
			var b []byte
			parts := strings.Split(script, "||")
			if len(parts) == 1 {
				for _, q := range strings.Split(script, "|") {
					c.query(q)
				}
			} else {
				for _, q := range parts {
					b, _ = wire.AppendPacket(b, wire.AppendQuery(nil, q, c.s), 0)
				}
				c.Write(b)
				for range parts {
					c.answer(wire.ComQuery)
				}
			}
			if said := c.query("SELECT COUNT(*), 'rows' FROM orders"); !strings.Contains(said, `\x012\x04rows`) {
				t.Errorf("%s: %s", script, said)
			}
			c.Close()
		}
	})
}

// Of a client from before protocol 4.1 nothing is seen. (MySQL has none any more.)
func TestOldProtocolIsNotCarried(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		if s.Flavor != testmysql.MariaDB {
			t.Skip("no protocol but 4.1")
		}
		srv, addr := startProxy(t, Config{Server: s.Addr})
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		p, _, err := readPacket(conn)
		if err != nil {
			t.Fatal(err)
		}
		greeting, err := wire.ParseGreeting(p)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := wire.AppendPacket(nil, []byte("\x05\x80\xff\xff\xffroot\x00\x00\x00"), 1)
		conn.Write(b)
		if p, _, err := readPacket(conn); err != nil || len(p) == 0 || p[0] != 0 {
			t.Fatalf("login: %q %v", p, err)
		}
		if srv.Carries(greeting.ConnectionID) {
			t.Error("nobody would answer for what it reads")
		}
	})
}
