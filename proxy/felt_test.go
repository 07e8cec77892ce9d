package proxy

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

func TestFelt(t *testing.T) {
	eachWay(t, func(t *testing.T, s *testmysql.Server, d *draining, dial func() *rawConn) {
		c, holder := dial(), dial()
		holder.query("BEGIN")
		holder.query("SELECT * FROM t FOR UPDATE")
		const slow = 30 * time.Millisecond
		names := []string{"locked"}
		begin := time.Now()
		c.query("SELECT SLEEP(0.03) FROM DUAL WHERE NOT EXISTS (SELECT * FROM locked)")
		c.query("SELECT 'locked' /* locked */")
		c.query("SELECT SLEEP(0.03) FROM (SELECT 1) one LEFT JOIN `locked` ON 1 = 0")
		middle := time.Now()
		for range 5 {
			c.query("SELECT COUNT(*) FROM t")
		}
		c.query("SELECT nothing FROM locked") // its own fault
		c.query("SELECT t.* FROM t LEFT JOIN locked ON 1 = 0 FOR UPDATE NOWAIT")
		holder.query("ROLLBACK")
		c.do("\x16SELECT SLEEP(0.03) FROM (SELECT 1) one LEFT JOIN locked ON 1 = 0")
		c.do(c.execute(1, 0))
		c.do(c.execute(1, 0))
		c.query("INSERT INTO t VALUES (1)") // there is one
		c.query("SELECT REPEAT('x', 3 << 20) FROM (SELECT 1) one LEFT JOIN locked ON 1 = 0")
		end := time.Now()

		before := d.Felt(names, begin, middle)
		if l := before.Latency; l.Count != 2 || before.Suffered != 0 || l.Sum < slow || l.Slots[len(l.Slots)-1].End < slow {
			t.Errorf("before: %+v", before)
		}
		after := d.Felt(names, middle, end)
		if l := after.Latency; l.Count != 5 || after.Suffered != 1 || l.Sum < 2*slow {
			t.Errorf("after: %+v", after)
		}
		if other := d.Felt([]string{"t"}, middle, end); other.Latency.Count != 7 || other.Suffered != 1 {
			t.Errorf("the other table: %+v", other)
		}
		if both := d.Felt([]string{"locked", "t"}, begin, end); both.Latency.Count != 13 || both.Suffered != 1 {
			t.Errorf("both: %+v", both)
		}
		if none := d.Felt([]string{"lock"}, begin, end); none.Latency.Count != 0 {
			t.Errorf("none: %+v", none)
		}

		// One that waits is seen before it ends. When its session ends it has failed, or
		// is nobody's any more: servers that kill answer, or don't.
		begin = time.Now()
		felt := func() Felt { return d.Felt(names, begin, time.Now()) }
		waiting := dial()
		waiting.sendSeq(wire.AppendQuery(nil, "SELECT SLEEP(5) FROM (SELECT 1) one LEFT JOIN locked ON 1 = 0", waiting.s), 0)
		await(t, func() bool { f := felt(); return f.Latency.Count == 1 && f.Latency.Sum > slow })
		s.Exec(t, fmt.Sprint("KILL ", waiting.greeting.ConnectionID))
		await(t, func() bool { f := felt(); return f.Latency.Count == f.Suffered })

		// A hold is felt.
		begin = time.Now()
		h := d.Hold(names, time.Hour)
		c.sendSeq(wire.AppendQuery(nil, "SELECT COUNT(*) FROM locked", c.s), 0)
		awaitHeld(t, h, 1)
		held := time.Now()
		await(t, func() bool { return time.Since(held) > slow })
		h.Release()
		c.answer(wire.ComQuery)
		if f := felt(); f.Latency.Count != 1 || f.Latency.Sum < slow {
			t.Errorf("held: %+v", f)
		}
	})
}

// A statement amid others that were sent with it is told from them.
func TestFeltPipelined(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		srv, addr := startProxy(t, Config{Server: s.Addr})
		db := s.NewDatabase(t)
		s.Exec(t, "CREATE TABLE "+db+".quick (a INT)", "CREATE TABLE "+db+".slow (a INT)", "INSERT INTO "+db+".slow VALUES (1)")
		c := dialRaw(t, addr, db, 0)
		begin := time.Now()
		for _, st := range srv.stats { // the third that begins is sampled
			q := &st.classes[classOf[wire.ComQuery]]
			q.due.Store(3)
			q.again.Store(1 << 62)
		}
		var b []byte
		texts := []string{"BEGIN", "SELECT * FROM quick", "SELECT SLEEP(0.1) FROM slow", "SELECT nothing FROM quick"}
		for _, q := range texts {
			b, _ = wire.AppendPacket(b, wire.AppendQuery(nil, q, c.s), 0)
		}
		c.Write(b)
		for range texts {
			c.answer(wire.ComQuery)
		}
		if f := srv.Felt([]string{"slow"}, begin, time.Now()); f.Latency.Count != 1 || f.Latency.Sum < 100*time.Millisecond || f.Suffered != 0 {
			t.Errorf("slow: %+v", f)
		}
		if f := srv.Felt([]string{"quick"}, begin, time.Now()); f.Latency.Count != 0 {
			t.Errorf("quick: %+v", f)
		}
	})
}

// What a statement costs the session's own code, both ways, without the sockets: not
// sampled, as at a high rate almost all are, and sampled.
func BenchmarkStatement(b *testing.B) {
	for _, text := range []string{
		"SELECT c FROM sbtest1 WHERE id=5012",
		"INSERT INTO orders (customer, note) VALUES (17, '" + string(bytes.Repeat([]byte("word "), 400)) + "')",
	} {
		for _, how := range []string{"never", "not this one", "each"} {
			b.Run(text[:6]+" sampled "+how, func(b *testing.B) {
				s := sessionOf(b, New(Config{}))
				q := &s.stats.classes[classOf[wire.ComQuery]]
				p := framed("\x03" + text)
				ok, _ := wire.AppendPacket(nil, []byte("\x00\x00\x00\x02\x00\x00\x00"), 1)
				for b.Loop() {
					switch how {
					case "never":
						q.due.Store(1 << 63)
						q.again.Store(1 << 62)
					case "not this one":
						s.srv.samples.gap = 100 // as at 20 000 a second
					case "each":
						q.due.Store(0)
						s.srv.samples.taken = 0
						s.srv.samples.gap = 1
					}
					now := clock()
					s.advance(p, now, stopAny)
					s.mu.Lock()
					s.fromServer(ok, now)
					s.mu.Unlock()
				}
			})
		}
	}
}

func TestOwnFault(t *testing.T) {
	for _, c := range []struct {
		number uint16
		state  string
		own    bool
	}{
		{1054, "42S22", true}, {1062, "23000", true}, {1142, "42000", true}, {1366, "HY000", true}, {1265, "01000", true}, {1644, "45000", true}, {4025, "23000", true}, {3819, "HY000", true},
		{1205, "HY000", false}, {1213, "40001", false}, {1040, "08004", false}, {1114, "HY000", false}, {1317, "70100", false}, {3024, "HY000", false},
		{1412, "HY000", false}, {1290, "HY000", false}, {2013, "HY000", false}, {1105, "HY000", false}, {1205, "", false},
	} {
		answer := wire.NewAnswer(wire.ComQuery)
		packet := wire.AppendErr(nil, &wire.Err{Number: c.number, State: c.state, Message: "so"})
		if answer.Packet(packet, len(packet), wire.Session{}); !answer.Err || ownFault(answer.Error) != c.own {
			t.Errorf("%d (%s): own %v, want %v", c.number, c.state, ownFault(answer.Error), c.own)
		}
	}
}
