package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

func isAlter(text []byte, _ bool) bool { return bytes.Contains(text, []byte("ALTER")) }

// intercepting is a proxy that has fn answer each ALTER.
func intercepting(t *testing.T, s *testmysql.Server, fn func(ctx context.Context, c *Conn, q Query) error) (*Server, string) {
	t.Helper()
	return startProxy(t, Config{Server: s.Addr, Candidate: isAlter, Intercept: fn})
}

func TestInterceptOriginalIsTransparent(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		relays := map[string]func(ctx context.Context, c *Conn, q Query) error{
			"original": func(ctx context.Context, c *Conn, q Query) error { return c.RelayOriginal(ctx) },
			"original answer": func(ctx context.Context, c *Conn, q Query) error {
				_, err := c.RelayOriginalAnswer(ctx)
				return err
			},
			"relay": func(ctx context.Context, c *Conn, q Query) error {
				_, err := c.RelayAs(ctx, q.Text, false)
				return err
			},
			"after queries of ours": func(ctx context.Context, c *Conn, q Query) error {
				r, err := c.Query(ctx, "SELECT 1 AS a, NULL AS b, REPEAT('x', 100000) AS c UNION ALL SELECT 2, 3, 4")
				if err != nil {
					return err
				}
				if len(r.Rows) != 2 || r.Rows[0][0].String != "1" || r.Rows[0][1].Valid || len(r.Rows[0][2].String) != 100000 {
					return fmt.Errorf("got %d rows, %v", len(r.Rows), r.Columns)
				}
				var we *wire.Err
				if _, err := c.Query(ctx, "nonsense"); !errors.As(err, &we) || we.Number != 1064 {
					return fmt.Errorf("nonsense: %v", err)
				}
				if err := c.Prepare(ctx, "ALTER TABLE t nonsense"); !errors.As(err, &we) || we.Number != 1064 {
					return fmt.Errorf("prepare nonsense: %v", err)
				}
				if err := c.Prepare(ctx, "SELECT ?"); err != nil {
					return err
				}
				if _, err := c.Query(ctx, "DO 1"); err != nil {
					return err
				}
				return c.RelayOriginal(ctx)
			},
		}
		for name, fn := range relays {
			t.Run(name, func(t *testing.T) {
				for _, caps := range []wire.Caps{0, wire.ClientDeprecateEOF | wire.ClientSessionTrack | wire.ClientQueryAttributes | wire.ClientOptionalMetadata} {
					local(t, s)
					var intercepted atomic.Int32
					_, addr := intercepting(t, s, func(ctx context.Context, c *Conn, q Query) error {
						intercepted.Add(1)
						return fn(ctx, c, q)
					})
					db := s.NewDatabase(t)
					say := func(addr string) string {
						s.Exec(t, "DROP TABLE IF EXISTS "+db+".t")
						c := dialRaw(t, addr, db, caps)
						var out strings.Builder
						out.WriteString(c.query("CREATE TABLE t (a INT PRIMARY KEY, b INT)"))
						out.WriteString(c.query("INSERT INTO t VALUES (1,1),(2,2)"))
						out.WriteString(c.query("ALTER TABLE t ADD UNIQUE (b)"))
						out.WriteString(c.query("ALTER TABLE t ADD UNIQUE (b)"))
						out.WriteString(c.query("ALTER TABLE nowhere ADD x INT"))
						out.WriteString(c.query("SELECT 'ALTER', a FROM t"))
						out.WriteString(c.do("\x16SELECT 'ALTER', a FROM t"))
						out.WriteString(c.do(c.execute(1, 0)))
						out.WriteString(c.do("\x16ALTER TABLE t ADD c INT"))
						out.WriteString(c.do(c.execute(2, 0)))
						out.WriteString(c.do(c.execute(2, 0)))
						out.WriteString(c.query("LOAD /* ALTER */ DATA LOCAL INFILE 'x' IGNORE INTO TABLE t (a, @x)"))
						out.WriteString(c.query("BEGIN"))
						out.WriteString(c.query("SELECT 'ALTER'"))
						out.WriteString(c.query("COMMIT"))
						return out.String()
					}
					if d, p := say(s.Addr), say(addr); d != p {
						t.Errorf("caps %#x: direct\n%s\nthrough\n%s", caps, d, p)
					}
					if n := intercepted.Load(); n != 9 {
						t.Errorf("intercepted %d", n)
					}
				}
			})
		}
	})
}

func TestInterceptReplies(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		_, addr := intercepting(t, s, func(ctx context.Context, c *Conn, q Query) error {
			if c.User() != "root" || c.ID() == 0 || c.InTransaction() {
				return fmt.Errorf("user %s, id %d", c.User(), c.ID())
			}
			switch {
			case strings.Contains(q.Text, "err"):
				return c.ReplyErr(&wire.Err{Number: 1062, State: "23000", Message: "Duplicate"})
			case strings.Contains(q.Text, "several"):
				if !c.MultiStatements() {
					return errors.New("several statements are allowed")
				}
				if _, err := c.Relay(ctx, "SELECT 'first'", true); err != nil {
					return err
				}
				if err := c.ReplyOK(wire.OK{Affected: 2}, true); err != nil {
					return err
				}
				if _, err := c.Relay(ctx, "DO 3", true); err != nil {
					return err
				}
				_, err := c.Relay(ctx, "SELECT 'last'", false)
				return err
			}
			return c.ReplyOK(wire.OK{Affected: 70000, Warnings: 2, Info: "Records: 70000  Duplicates: 0  Warnings: 2"}, false)
		})
		for _, caps := range []wire.Caps{0, wire.ClientSessionTrack | wire.ClientDeprecateEOF} {
			c := dialRaw(t, addr, "", caps|wire.ClientMultiStatements)
			want := "1 " + fmt.Sprintf("%q", wire.AppendOK(nil, wire.OK{Affected: 70000, Warnings: 2, Status: 2, Info: "Records: 70000  Duplicates: 0  Warnings: 2"}, c.s)) + "\n"
			if got := c.query("ALTER ok"); got != want {
				t.Errorf("got %s want %s", got, want)
			}
			if got := c.query("ALTER err"); got != "1 \"\\xff&\\x04#23000Duplicate\"\n" {
				t.Errorf("got %s", got)
			}
			got := c.query("ALTER several; x")
			if !strings.Contains(got, "first") || !strings.Contains(got, "last") {
				t.Errorf("got %s", got)
			}
			if n := strings.Count(got, "\n"); !strings.HasPrefix(got[strings.LastIndex(got[:len(got)-1], "\n")+1:], fmt.Sprint(n)+" ") {
				t.Errorf("not numbered through: %s", got)
			}
			// Pipelined behind others, and others behind it.
			var b []byte
			for _, q := range []string{"SELECT SLEEP(0.1), 'before'", "ALTER ok", "ALTER err", "SELECT 'after'"} {
				b, _ = wire.AppendPacket(b, wire.AppendQuery(nil, q, c.s), 0)
			}
			c.Write(b)
			got = ""
			for range 4 {
				got += c.answer(wire.ComQuery)
			}
			at := -1
			for _, part := range []string{"before", "Records", "Duplicate\"", "after"} {
				i := strings.Index(got, part)
				if i <= at {
					t.Errorf("%q is out of order in %s", part, got)
				}
				at = i
			}
			c.do("\x16ALTER TABLE mysql.nowhere COMMENT 'x'")
			if got := c.do(c.execute(1, 0)); got != want {
				t.Errorf("prepared: got %s want %s", got, want)
			}
			c.do(c.stmt(wire.ComStmtClose, 1, ""))
			if got := c.do(c.execute(1, 0)); !strings.Contains(got, "Unknown prepared statement") {
				t.Errorf("closed: %s", got)
			}
		}
	})
}

// An intercepted text longer than the read buffer is seen whole.
func TestInterceptLongTexts(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		seen := make(chan int, 10)
		_, addr := intercepting(t, s, func(ctx context.Context, c *Conn, q Query) error {
			seen <- len(q.Text)
			return c.ReplyOK(wire.OK{}, false)
		})
		c := dialRaw(t, addr, "", wire.ClientMultiStatements)
		for _, text := range []string{
			"ALTER " + strings.Repeat("x", 3*bufSize),
			"SELECT '" + strings.Repeat("x", 3*bufSize) + "'; ALTER",
		} {
			c.query(text)
			if n := <-seen; n != len(text) {
				t.Errorf("saw %d of %d bytes", n, len(text))
			}
		}
		// Not a candidate, but collected to be looked at.
		if got := c.query("SELECT LENGTH('" + strings.Repeat("x", 3*bufSize) + "')"); !strings.Contains(got, "49152") {
			t.Errorf("got %s", got)
		}
		if len(seen) > 0 {
			t.Error("intercepted what is no ALTER")
		}
	})
}

func TestInterceptPeersGone(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		began := make(chan *Conn)
		proceed := make(chan struct{})
		result := make(chan error, 1)
		_, addr := intercepting(t, s, func(ctx context.Context, c *Conn, q Query) error {
			began <- c
			<-proceed
			if strings.Contains(q.Text, "client") {
				if !c.ClientGone() {
					t.Error("the client's absence is not noticed")
				}
				_, err := c.Query(ctx, "SELECT 1")
				result <- err
				return c.ReplyOK(wire.OK{}, false)
			}
			_, err := c.Query(ctx, "DO SLEEP(60)")
			if err == nil || !errors.Is(err, ErrServerGone) {
				<-c.ServerGone()
				_, err = c.Query(ctx, "DO 1")
			}
			result <- err
			return c.ReplyErr(&wire.Err{Number: 1317, State: "70100", Message: "told"})
		})
		c := dialRaw(t, addr, "", 0)
		c.sendSeq(wire.AppendQuery(nil, "ALTER client", c.s), 0)
		if conn := <-began; conn.ClientGone() {
			t.Error("the client is still there")
		}
		c.Close()
		proceed <- struct{}{}
		if err := <-result; err != nil {
			t.Errorf("the server is still ours: %v", err)
		}

		c = dialRaw(t, addr, "", 0)
		c.sendSeq(wire.AppendQuery(nil, "ALTER server", c.s), 0)
		id := (<-began).ID()
		proceed <- struct{}{}
		s.Exec(t, fmt.Sprintf("KILL %d", id))
		if err := <-result; !errors.Is(err, ErrServerGone) {
			t.Errorf("got %v", err)
		}
		if got := c.answer(wire.ComQuery); !strings.Contains(got, "told") {
			t.Errorf("got %s", got)
		}
	})
}

// An interception that forgets to answer, or fails, ends its session only.
func TestInterceptFails(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		closed := make(chan SessionClosed, 10)
		_, addr := startProxy(t, Config{
			Server: s.Addr, Candidate: isAlter,
			Intercept: func(ctx context.Context, c *Conn, q Query) error { return nil },
			Observe: func(e Event) {
				if e, ok := e.(SessionClosed); ok {
					closed <- e
				}
			},
		})
		c := dialRaw(t, addr, "", 0)
		c.sendSeq(wire.AppendQuery(nil, "ALTER", c.s), 0)
		if _, err := c.readErr(); err == nil {
			t.Error("an answer from nowhere")
		}
		if e := <-closed; e.Blame != BlameProxy || !errors.Is(e.Err, errUnanswered) {
			t.Errorf("%+v", e)
		}
	})
}

// The answer to a statement of an interception that has failed, which shutting down
// does to it, is never the client's: he would take it for his own statement's.
func TestInterceptFailsWhileTheServerAnswers(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		_, addr := intercepting(t, s, func(ctx context.Context, c *Conn, q Query) error {
			soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			_, err := c.Query(soon, "SELECT 'ours', SLEEP(0.1)")
			if err == nil {
				t.Error("a query that lasts longer than its context has ended well")
			}
			await(t, func() bool {
				c.s.mu.Lock()
				defer c.s.mu.Unlock()
				return len(c.s.inbox) > 0
			})
			return err
		})
		c := dialRaw(t, addr, "", 0)
		c.sendSeq(wire.AppendQuery(nil, "ALTER", c.s), 0)
		if p, err := c.readErr(); err == nil {
			t.Errorf("the client was told %q", p)
		}
	})
}

// With autocommit off MySQL may keep locks that no flag shows. A schema change
// gives them back: the session that waits for it must not be waited for.
func TestInterceptedSessionIsNotBusy(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		db := s.NewDatabase(t)
		s.Exec(t, "CREATE TABLE "+db+".orders (a INT PRIMARY KEY)")
		var srv *Server
		var busy []Busy
		var transaction bool
		srv, addr := intercepting(t, s, func(ctx context.Context, c *Conn, q Query) error {
			if _, err := c.Query(ctx, "/* ours */ ALTER TABLE orders"); err != nil {
				return err
			}
			busy, transaction = srv.Busy([]string{"orders"}), c.InTransaction()
			return c.ReplyOK(wire.OK{}, false)
		})
		c := dialRaw(t, addr, db, 0)
		c.query("SET autocommit = 0")
		c.query("DESC orders")
		c.query("ALTER TABLE orders ADD b INT")
		if len(busy) != 0 || transaction {
			t.Errorf("in a transaction: %v; busy: %+v", transaction, busy)
		}
		if busy := srv.Busy([]string{"orders"}); len(busy) != 0 {
			t.Errorf("afterwards: %+v", busy)
		}
	})
}
