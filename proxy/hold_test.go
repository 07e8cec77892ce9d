package proxy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// awaitHeld waits until a hold holds n statements.
func awaitHeld(t *testing.T, h *Hold, n int) {
	t.Helper()
	await(t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.waiting) == n
	})
}

func TestHold(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		srv, addr := startProxy(t, Config{Server: s.Addr})
		db := s.NewDatabase(t)
		s.Exec(t, "CREATE TABLE "+db+".orders (a INT PRIMARY KEY)", "INSERT INTO "+db+".orders VALUES (1)",
			"CREATE TABLE "+db+".other (a INT PRIMARY KEY)")
		dial := func() *rawConn { return dialRaw(t, addr, db, wire.ClientMultiStatements) }
		inTrx, prepared, plain, second, lockers := dial(), dial(), dial(), dial(), dial()
		inTrx.query("BEGIN")
		inTrx.query("SELECT * FROM orders")
		prepared.do("\x16SELECT * FROM orders")
		prepared.do("\x16SELECT * FROM other")
		lockers.query("LOCK TABLES orders READ")

		busy := srv.Busy([]string{"orders"})
		if len(busy) != 2 || busy[0].ID != inTrx.greeting.ConnectionID || !busy[0].InTransaction || !busy[0].Touches ||
			busy[0].Statement != "SELECT * FROM orders" || busy[0].User != "root" || !busy[1].Touches {
			t.Errorf("busy: %+v", busy)
		}
		if busy := srv.Busy([]string{"nothing"}); len(busy) != 2 || busy[0].Touches || busy[1].Touches {
			t.Errorf("busy with nothing: %+v", busy)
		}

		h := srv.Hold([]string{"orders"}, time.Hour)
		drained := make(chan error, 1)
		go func() { drained <- h.Drained(context.Background()) }()

		// What doesn't touch the table passes, and so does who may have locks.
		plain.query("SELECT * FROM other")
		prepared.do(prepared.execute(2, 0))
		plain.query("SELECT 'a' UNION SELECT 2 -- 3")
		inTrx.query("SELECT COUNT(*) FROM orders")
		lockers.query("SELECT COUNT(*) FROM orders")

		// What may touch it waits.
		plain.sendSeq(wire.AppendQuery(nil, "SELECT * FROM `orders`", plain.s), 0)
		awaitHeld(t, h, 1)
		prepared.sendSeq([]byte(prepared.execute(1, 0)), 0)
		awaitHeld(t, h, 2)
		second.sendSeq(wire.AppendQuery(nil, "EXECUTE nothing", second.s), 0)
		awaitHeld(t, h, 3)
		leaver := dial()
		leaver.sendSeq(wire.AppendQuery(nil, "INSERT INTO orders VALUES (99)", leaver.s), 0)
		awaitHeld(t, h, 4)
		leaver.Close()

		select {
		case err := <-drained:
			t.Fatalf("drained while a transaction is open: %v", err)
		default:
		}
		inTrx.query("COMMIT")
		lockers.query("UNLOCK TABLES")
		if err := <-drained; err != nil {
			t.Errorf("drained: %v", err)
		}
		held := h.Release()
		if held.Statements != 4 || held.Longest <= 0 || h.Release() != held {
			t.Errorf("held: %+v", held)
		}
		if got := plain.answer(wire.ComQuery); !strings.Contains(got, `"\x011"`) {
			t.Errorf("held query: %s", got)
		}
		if got := prepared.answer(wire.ComStmtExecute); !strings.Contains(got, `"\x00\x00\x01\x00\x00\x00"`) {
			t.Errorf("held execute: %s", got)
		}
		if got := second.answer(wire.ComQuery); !strings.Contains(got, "Unknown prepared statement handler") {
			t.Errorf("held dynamic SQL: %s", got)
		}
		if got := plain.query("SELECT COUNT(*), '!' FROM orders"); !strings.Contains(got, `\x011\x01!`) {
			t.Errorf("the statement of a client that left: %s", got)
		}
	})
}

func TestHoldOpensByItself(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		srv, addr := startProxy(t, Config{Server: s.Addr})
		c := dialRaw(t, addr, "", 0)
		const bound = 50 * time.Millisecond
		start := time.Now()
		h := srv.Hold([]string{"orders"}, bound)
		if got := c.query("SELECT 'orders'"); !strings.Contains(got, "orders") {
			t.Errorf("got %s", got)
		}
		if d := time.Since(start); d < bound {
			t.Errorf("held for %v only", d)
		}
		if held := h.Release(); held.Statements != 1 || held.Longest < bound/2 {
			t.Errorf("%+v", held)
		}
		if srv.holds.Load() != nil {
			t.Error("still in force")
		}
	})
}

// A pipelined statement is judged by what its forerunners leave behind.
func TestHoldAfterPipelinedBegin(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		srv, addr := startProxy(t, Config{Server: s.Addr})
		c := dialRaw(t, addr, "", 0)
		h := srv.Hold([]string{"orders"}, time.Hour)
		defer h.Release()
		var b []byte
		for _, q := range []string{"BEGIN", "SELECT 1", "SELECT 'orders'", "COMMIT"} {
			b, _ = wire.AppendPacket(b, wire.AppendQuery(nil, q, c.s), 0)
		}
		c.Write(b)
		for range 4 {
			c.answer(wire.ComQuery)
		}
	})
}

// A transaction that has only begun holds nothing, so it waits like a statement
// outside of one; with a snapshot it would later read the table of before.
func TestHoldOfTransactionsThatHaveOnlyBegun(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		srv, addr := startProxy(t, Config{Server: s.Addr})
		begun, snapshot := dialRaw(t, addr, "", 0), dialRaw(t, addr, "", 0)
		h := srv.Hold([]string{"orders"}, time.Hour)
		defer h.Release()
		begun.query("START TRANSACTION")
		begun.sendSeq(wire.AppendQuery(nil, "SELECT 'orders'", begun.s), 0)
		awaitHeld(t, h, 1)
		snapshot.query("START TRANSACTION WITH CONSISTENT SNAPSHOT")
		snapshot.query("SELECT 'orders'")
		h.Release()
		begun.answer(wire.ComQuery)
	})
}

func TestDrainedEndsWithItsContext(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		srv, addr := startProxy(t, Config{Server: s.Addr})
		c := dialRaw(t, addr, "", 0)
		c.query("BEGIN")
		c.query("SELECT 'orders'")
		h := srv.Hold([]string{"orders"}, time.Hour)
		defer h.Release()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if err := h.Drained(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		done := make(chan error, 1)
		go func() { done <- h.Drained(context.Background()) }()
		c.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A deadlock's victim has no transaction any more, though no flag says so: nobody is to
// wait for it.
func TestDeadlockEndsTheTransaction(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		for _, begin := range []string{"BEGIN", "SET autocommit = 0"} {
			srv, addr := startProxy(t, Config{Server: s.Addr})
			db := s.NewDatabase(t)
			s.Exec(t, "CREATE TABLE "+db+".orders (a INT PRIMARY KEY, b INT)", "INSERT INTO "+db+".orders VALUES (1, 1), (2, 2), (3, 3), (4, 4)")
			victim, other := dialRaw(t, addr, db, 0), dialRaw(t, addr, db, 0)
			victim.query(begin)
			other.query(begin)
			victim.query("UPDATE orders SET b = 0 WHERE a = 1")
			other.query("UPDATE orders SET b = 0 WHERE a > 1") // more of them: the other is rolled back
			other.sendSeq(wire.AppendQuery(nil, "UPDATE orders SET b = 0 WHERE a = 1", other.s), 0)
			await(t, func() bool {
				for _, b := range srv.Busy([]string{"orders"}) {
					if b.ID == other.greeting.ConnectionID && b.Statement == "UPDATE orders SET b = 0 WHERE a = 1" {
						return true
					}
				}
				return false
			})
			if got := victim.query("UPDATE orders SET b = 0 WHERE a = 2"); !strings.Contains(got, "#40001") {
				t.Fatalf("no deadlock: %s", got)
			}
			other.answer(wire.ComQuery)
			if busy := srv.Busy([]string{"orders"}); len(busy) != 1 || busy[0].ID != other.greeting.ConnectionID {
				t.Errorf("%s: busy: %+v", begin, busy)
			}
			other.query("ROLLBACK")
			victim.query(begin)
			victim.query("UPDATE orders SET b = 0 WHERE a = 4")
			if busy := srv.Busy([]string{"orders"}); len(busy) != 1 || busy[0].ID != victim.greeting.ConnectionID {
				t.Errorf("%s: busy afterwards: %+v", begin, busy)
			}
		}
	})
}
