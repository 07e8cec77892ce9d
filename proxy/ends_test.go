package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// closedSessions collects what is told of sessions that have ended.
type closedSessions struct {
	mu   sync.Mutex
	list []SessionClosed
}

func (c *closedSessions) observe(e Event) {
	if e, ok := e.(SessionClosed); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.list = append(c.list, e)
	}
}

func (c *closedSessions) next(t *testing.T) (e SessionClosed) {
	t.Helper()
	await(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.list) == 0 {
			return false
		}
		e, c.list = c.list[0], c.list[1:]
		return true
	})
	return e
}

// running tells whether the server has a connection with this id.
func running(t *testing.T, s *testmysql.Server, id uint32) bool {
	t.Helper()
	var n int
	err := s.DB(t).QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE id = ?", id).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}

func TestEnds(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		var closed closedSessions
		_, addr := startProxy(t, Config{Server: s.Addr, Observe: closed.observe})
		check := func(reasons ...Reason) {
			t.Helper()
			if e := closed.next(t); !slices.Contains(reasons, e.Reason) || e.Commands == 0 || e.FromClient == 0 || e.FromServer == 0 {
				t.Errorf("want %s; got %+v", reasons, e)
			}
		}
		dial := func() *rawConn {
			c := dialRaw(t, addr, "", 0)
			c.query("DO 1")
			return c
		}
		gone := func(c *rawConn) {
			t.Helper()
			await(t, func() bool { return !running(t, s, c.greeting.ConnectionID) })
		}

		c := dial() // quits
		c.sendSeq([]byte{wire.ComQuit}, 0)
		if _, err := c.readErr(); err != io.EOF {
			t.Errorf("after COM_QUIT: %v", err)
		}
		check(ReasonQuit)

		c = dial() // leaves
		c.Close()
		check(ReasonClientClosed)
		gone(c)

		c = dial() // resets
		c.Conn.(*net.TCPConn).SetLinger(0)
		c.Close()
		check(ReasonClientBroken)
		gone(c)

		// closes its side, and still gets its answers
		half := func(c *rawConn) string {
			c.query("DO 1")
			c.sendSeq(wire.AppendQuery(nil, "SELECT SLEEP(0.2), 'answer'", c.s), 0)
			c.Conn.(*net.TCPConn).CloseWrite()
			return c.answer(wire.ComQuery) + c.rest()
		}
		c = dial()
		if d, p := half(dialRaw(t, s.Addr, "", 0)), half(c); d != p {
			t.Errorf("half closed: direct\n%s\nthrough\n%s", d, p)
		}
		c.Close()
		check(ReasonClientClosed)
		gone(c)

		c = dial() // killed while idle
		s.Exec(t, fmt.Sprintf("KILL %d", c.greeting.ConnectionID))
		c.rest()
		c.Close()
		check(ReasonServerClosed)

		c = dial() // the server ends an idle session, with its own words
		direct := dialRaw(t, s.Addr, "", 0)
		last := func(c *rawConn) string {
			c.query("SET wait_timeout = 1")
			return c.rest()
		}
		if d, p := last(direct), last(c); d != p {
			t.Errorf("wait_timeout: direct\n%s\nthrough\n%s", d, p)
		}
		c.Close()
		check(ReasonServerClosed, ReasonServerFailed) // MariaDB resets it
	})
}

// A client that stops reading holds the server back, and costs buffers only.
func TestSlowReader(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		local(t, s)
		db := s.NewDatabase(t)
		const rows, size = 300, 1 << 20
		s.Exec(t, "USE "+db, "CREATE TABLE t (a INT PRIMARY KEY, b LONGTEXT)")
		for i := range 3 {
			s.Exec(t, fmt.Sprintf("INSERT INTO %s.t VALUES (%d, REPEAT('x', %d))", db, i, size))
		}
		_, addr := startProxy(t, Config{Server: s.Addr})
		c := dialRaw(t, addr, db, 0)
		c.SetDeadline(time.Now().Add(time.Minute))
		other := dialRaw(t, addr, db, 0)
		other.query("SELECT 1") // what is set aside for samples, once for all sessions
		var before, during runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		c.sendSeq(wire.AppendQuery(nil, fmt.Sprintf("SELECT b FROM t, (WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x+1 FROM n WHERE x < %d) SELECT x FROM n) AS n", rows/3), c.s), 0)
		blocked := func() bool {
			var state string
			s.DB(t).QueryRow("SELECT state FROM information_schema.processlist WHERE id = ?", c.greeting.ConnectionID).Scan(&state)
			return strings.Contains(strings.ToLower(state), "sending to client") || strings.Contains(strings.ToLower(state), "writing to net")
		}
		await(t, blocked)
		for range 100 { // others go on
			other.query("SELECT 1")
		}
		runtime.GC()
		runtime.ReadMemStats(&during)
		if used := int64(during.HeapAlloc) - int64(before.HeapAlloc); used > 2<<20 {
			t.Errorf("a blocked session of a %d MB result uses %d KB", rows*size>>20, used>>10)
		}
		if !blocked() {
			t.Error("the server isn't held back")
		}
		if n := countRows(t, c); n != rows {
			t.Errorf("%d rows", n)
		}
		if got := c.query("SELECT 'next'"); !strings.Contains(got, "next") {
			t.Errorf("got %s", got)
		}
	})
}

// countRows reads a result of rows of a megabyte of x.
func countRows(t *testing.T, c *rawConn) (rows int) {
	a := wire.NewAnswer(wire.ComQuery)
	for {
		p := c.read()
		switch a.Packet(p[:min(len(p), wire.HeadLen)], min(len(p), wire.MaxFrame), c.s) {
		case wire.StepRow:
			if p[len(p)-1] != 'x' || strings.Trim(string(p[4:]), "x") != "" {
				t.Fatal("a row is damaged")
			}
			rows++
		case wire.StepDone:
			return rows
		}
	}
}

// A server that stops reading holds the client back.
func TestSlowServer(t *testing.T) {
	for _, mode := range []string{"loops", onGoroutines} {
		t.Run(mode, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			_, addr := startProxy(t, Config{Server: l.Addr().String()})
			const size = 200 << 20
			read := make(chan struct{})
			got := make(chan int64, 1)
			go func() { // greets, says yes to everybody, and stops
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				greeting := "\x0a9.0\x00\x01\x00\x00\x0012345678\x00" + "\x00\x82" + "\x2d\x02\x00\x08\x00\x15" + strings.Repeat("\x00", 10) + "123456789012\x00mysql_native_password\x00"
				writePacket(c, []byte(greeting), 0)
				readPacket(c)
				writePacket(c, []byte("\x00\x00\x00\x02\x00\x00\x00"), 2)
				<-read
				n, _ := io.Copy(io.Discard, c)
				got <- n
			}()
			c := dialRaw(t, addr, "", 0)
			c.SetDeadline(time.Now().Add(30 * time.Second))
			var before, during runtime.MemStats
			packet, _ := wire.AppendPacket(nil, append([]byte{wire.ComStmtSendLong}, make([]byte, size)...), 0)
			runtime.GC()
			runtime.ReadMemStats(&before)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				c.Write(packet)
				c.Conn.(*net.TCPConn).CloseWrite()
			}()
			select {
			case <-sent:
				t.Fatal("all of it was taken, and nobody has read it")
			case <-time.After(300 * time.Millisecond): // nothing to await: that nothing happens is the point
			}
			runtime.ReadMemStats(&during)
			if used := int64(during.HeapAlloc) - int64(before.HeapAlloc); used > 2<<20 {
				t.Errorf("%d KB are used", used>>10)
			}
			close(read)
			<-sent
			if n := <-got; n != int64(len(packet)) {
				t.Errorf("sent %d, got %d", len(packet), n)
			}
		})
	}
}

// Whatever ends a session, at whatever moment, others go on and nothing is left.
func TestAbortsWhileBusy(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		var closed closedSessions
		srv, addr := startProxy(t, Config{
			Server: s.Addr, Observe: closed.observe, Candidate: isAlter,
			Intercept: func(ctx context.Context, c *Conn, q Query) error {
				_, err := c.Query(ctx, "SELECT SLEEP(0.05)")
				if err != nil {
					return err
				}
				return c.ReplyOK(wire.OK{}, false)
			},
		})
		const sessions = 60
		var wg sync.WaitGroup
		for i := range sessions {
			c := dialRaw(t, addr, "", wire.ClientMultiStatements)
			wg.Go(func() {
				var b []byte
				for _, q := range []string{"SELECT REPEAT('x', 300000)", "ALTER x", "SELECT SLEEP(0.02)", "SELECT REPEAT('y', 3000000)", "ALTER y", "SELECT 2"} {
					b, _ = wire.AppendPacket(b, wire.AppendQuery(nil, q, c.s), 0)
				}
				c.Write(b)
				switch i % 4 {
				case 0:
					io.CopyN(io.Discard, c, int64(i)*10000)
					c.Conn.(*net.TCPConn).SetLinger(0)
					c.Close()
				case 1:
					io.CopyN(io.Discard, c, int64(i)*60000)
					c.Close()
				case 2:
					s.Exec(t, fmt.Sprintf("KILL %d", c.greeting.ConnectionID))
					io.Copy(io.Discard, c)
					c.Close()
				case 3:
					c.Conn.(*net.TCPConn).CloseWrite()
					io.Copy(io.Discard, c)
					c.Close()
				}
			})
		}
		wg.Wait()
		for range sessions {
			closed.next(t)
		}
		await(t, func() bool { return len(srv.all()) == 0 })
		c := dialRaw(t, addr, "", 0)
		c.query("SELECT 1")
	})
}

// What an idle session costs is its memory: connection pools hold thousands.
func TestIdleSessionsAreSmall(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		_, addr := startProxy(t, Config{Server: s.Addr})
		const sessions = 100
		list := make([]*rawConn, 0, sessions)
		dial := func() {
			c := dialRaw(t, addr, "", 0)
			c.query("SELECT REPEAT('x', 100000)")
			c.do("\x16SELECT 1 FROM DUAL WHERE 1 = ?")
			list = append(list, c)
		}
		use := func() uint64 {
			var m runtime.MemStats
			runtime.GC() // twice: the first puts pools' buffers aside only
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc + m.StackInuse
		}
		dial()
		before := use()
		for range sessions {
			dial()
		}
		// The test's own side of a connection is in it, too.
		if each := int64(use()-before) / sessions; each > 20<<10 {
			t.Errorf("%d bytes for an idle session", each)
		} else {
			t.Logf("%d bytes", each)
		}
		for _, c := range list {
			c.query("SELECT 1")
		}
	})
}
