package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// A draining is a proxy whose Serve is to return by itself.
type draining struct {
	*Server
	t      *testing.T
	addr   string
	closed closedSessions
	served chan error
}

// eachWay runs a test on every flavor and way of being connected, with the carrier that
// sessions of the way have.
func eachWay(t *testing.T, fn func(t *testing.T, s *testmysql.Server, d *draining, dial func() *rawConn)) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		db := s.NewDatabase(t)
		s.Exec(t, "CREATE TABLE "+db+".t (a INT PRIMARY KEY AUTO_INCREMENT)", "INSERT INTO "+db+".t VALUES (1), (2), (3)", "CREATE TABLE "+db+".locked (a INT)")
		for _, w := range ways {
			if w.tls && s.Flavor == testmysql.MariaDB || (w.compress != 0 || w.tls) && !strings.Contains(t.Name(), onGoroutines) {
				continue
			}
			t.Run(w.name, func(t *testing.T) {
				d := &draining{t: t, served: make(chan error, 1)}
				d.Server = New(Config{Server: s.Addr, TLS: testCertificate(t), Observe: d.closed.observe, Candidate: isAlter,
					Intercept: func(ctx context.Context, c *Conn, q Query) error {
						if _, err := c.Query(ctx, "DO SLEEP(0.3)"); err != nil {
							return err
						}
						return c.ReplyOK(wire.OK{Info: "altered"}, false)
					}})
				if strings.Contains(t.Name(), onGoroutines) {
					d.loops = loops{}
				}
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				d.addr = l.Addr().String()
				go func() { d.served <- d.Serve(t.Context(), l) }()
				fn(t, s, d, func() *rawConn { return dialWay(t, d.addr, db, 0, 0, w) })
			})
		}
	})
}

// ends checks that Serve has returned, and why its sessions have ended.
func (d *draining) ends(sessions int, why Reason) {
	d.t.Helper()
	if err := <-d.served; err != nil {
		d.t.Errorf("Serve: %v", err)
	}
	for range sessions {
		if e := d.closed.next(d.t); e.Reason != why {
			d.t.Errorf("a session has ended by %s (%v), want %s", e.Reason, e.Err, why)
		}
	}
}

// leaves checks that the connection is closed in order, without a word more.
func leaves(t *testing.T, what string, c *rawConn) {
	t.Helper()
	if p, err := c.readErr(); err != io.EOF {
		t.Errorf("%s: it reads %q, %v; want its end", what, p, err)
	}
	c.Close()
}

func TestDrain(t *testing.T) {
	eachWay(t, func(t *testing.T, s *testmysql.Server, d *draining, dial func() *rawConn) {
		aborted := func() (n int) {
			var name string
			if err := s.DB(t).QueryRow("SHOW GLOBAL STATUS LIKE 'Aborted_clients'").Scan(&name, &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := aborted()
		idle, transaction, off, locks, busy, cursor, alter, begun := dial(), dial(), dial(), dial(), dial(), dial(), dial(), dial()
		transaction.query("BEGIN")
		transaction.query("INSERT INTO t VALUES ()")
		off.query("SET autocommit = 0")
		off.query("SELECT * FROM t")
		locks.query("LOCK TABLES locked READ")
		cursor.do("\x16SELECT * FROM t")
		cursor.do(cursor.execute(1, 1))
		begun.query("BEGIN")
		busy.sendSeq(wire.AppendQuery(nil, "SELECT SLEEP(0.5), 'answer'", busy.s), 0)
		alter.sendSeq(wire.AppendQuery(nil, "ALTER", alter.s), 0)
		await(t, func() bool { return len(d.Busy([]string{"t"})) >= 4 })

		d.Drain(30 * time.Second)
		leaves(t, "an idle session", idle)
		await(t, func() bool { // it accepts no clients: another goroutine closes the socket
			c, err := net.Dial("tcp", d.addr)
			if err == nil {
				c.Close()
			}
			return err != nil
		})
		h := d.Hold([]string{"t"}, time.Hour)
		begun.sendSeq(wire.AppendQuery(nil, "SELECT * FROM t", begun.s), 0)
		awaitHeld(t, h, 1)
		if got := alter.answer(wire.ComQuery); !strings.Contains(got, "altered") {
			t.Errorf("an interception is answered by %s", got)
		}
		leaves(t, "after an interception", alter)
		if got := busy.answer(wire.ComQuery); !strings.Contains(got, "answer") {
			t.Errorf("a statement under way is answered by %s", got)
		}
		leaves(t, "after a statement", busy)
		h.Release()
		if got := begun.answer(wire.ComQuery); strings.Count(got, "\n") < 4 {
			t.Errorf("a held statement is answered by %s", got)
		}
		begun.query("ROLLBACK")
		leaves(t, "one that was held", begun)
		transaction.query("INSERT INTO t VALUES ()")
		transaction.query("ROLLBACK")
		leaves(t, "after a transaction", transaction)
		off.query("COMMIT")
		leaves(t, "without autocommit", off)
		locks.query("UNLOCK TABLES")
		leaves(t, "after UNLOCK TABLES", locks)
		cursor.do(cursor.stmt(wire.ComStmtFetch, 1, "\x64\x00\x00\x00"))
		leaves(t, "after a cursor", cursor)
		d.ends(8, ReasonDrained)
		if n := aborted() - before; n != 0 {
			t.Errorf("the server counts %d clients that left without a word", n)
		}
	})
}

// Clients that are never silent leave behind a transaction, and see so before they begin
// another: the end comes with the answer.
func TestDrainOfTheBusy(t *testing.T) {
	eachWay(t, func(t *testing.T, s *testmysql.Server, d *draining, dial func() *rawConn) {
		const clients = 2
		var all sync.WaitGroup
		var transactions atomic.Int64
		began := time.Now()
		for i := range clients {
			c := dial()
			ended := ended(t, c.Conn)
			if _, ok := c.Conn.(*net.TCPConn); ok {
				c.Conn = spinning{c.Conn.(*net.TCPConn)}
			}
			all.Go(func() {
				for ; !ended(); transactions.Add(1) {
					c.query("BEGIN")
					c.query(fmt.Sprintf("UPDATE t SET a = a WHERE a = %d", i))
					c.query("COMMIT")
				}
				leaves(t, "behind a transaction", c)
			})
		}
		d.Drain(2 * time.Second)
		all.Wait()
		if took := time.Since(began); took < 1500*time.Millisecond || took > 2*time.Second || transactions.Load() < 10*clients {
			t.Errorf("they have left after %s and %d transactions", took, transactions.Load())
		}
		d.ends(clients, ReasonDrained)
	})
}

// A spinning connection notices at once when there is something to read.
type spinning struct{ *net.TCPConn }

func (c spinning) Read(p []byte) (n int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	for err = unix.EAGAIN; err == unix.EAGAIN; {
		if e := raw.Control(func(fd uintptr) { n, err = unix.Read(int(fd), p) }); e != nil {
			return 0, e
		}
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

// ended tells whether there is something to read of a connection, as pools do before they use it.
func ended(t *testing.T, c net.Conn) func() bool {
	for {
		switch outer := c.(type) {
		case *packedConn:
			c = outer.Conn
			continue
		case *tls.Conn:
			c = outer.NetConn()
			continue
		}
		break
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return func() (is bool) {
		raw.Control(func(fd uintptr) { is = readable(int(fd)) })
		return is
	}
}

func TestDrainBound(t *testing.T) {
	eachWay(t, func(t *testing.T, s *testmysql.Server, d *draining, dial func() *rawConn) {
		c := dial()
		c.query("BEGIN")
		c.query("INSERT INTO t VALUES ()")
		began := time.Now()
		d.Drain(400 * time.Millisecond)
		c.rest()
		if took := time.Since(began); took < 400*time.Millisecond || took > 3*time.Second {
			t.Errorf("it was ended after %s", took)
		}
		d.ends(1, ReasonShutdown)
	})
}
