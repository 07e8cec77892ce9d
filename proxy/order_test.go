package proxy

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sys/unix"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// What a client sends to an interception isn't forwarded as it came, too.
func TestCompressedInfile(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		local(t, s)
		_, addr := intercepting(t, s, func(ctx context.Context, c *Conn, q Query) error {
			_, err := c.RelayAs(ctx, q.Text, false)
			return err
		})
		name := s.NewDatabase(t)
		s.Exec(t, "CREATE TABLE "+name+".t (a INT PRIMARY KEY, b VARCHAR(100))")
		mysql.RegisterReaderHandler("numbers", func() io.Reader {
			var b strings.Builder
			for i := range 1000 {
				fmt.Fprintf(&b, "%d\trow %d\n", i, i)
			}
			return strings.NewReader(b.String())
		})
		for _, addr := range []string{s.Addr, addr} {
			db, err := sql.Open("mysql", "root@tcp("+addr+")/"+name+"?compress=true")
			if err != nil {
				t.Fatal(err)
			}
			db.SetMaxOpenConns(1)
			conn, _ := db.Conn(t.Context())
			r, err := conn.ExecContext(t.Context(), "LOAD /* ALTER */ DATA LOCAL INFILE 'Reader::numbers' REPLACE INTO TABLE t")
			var n int64
			if err == nil {
				n, _ = r.RowsAffected()
			}
			if n != 1000 || err != nil {
				t.Errorf("%s: loaded %d, %v", addr, n, err)
			}
			var k int
			err = conn.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM t").Scan(&k)
			if err != nil {
				t.Errorf("%s: after the file: %v", addr, err)
			}
			db.Close()
		}
	})
}

// A hold that is released after Serve has returned finds nobody to wake, and doesn't
// write to a descriptor that may be another's by now.
func TestReleaseAfterServe(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	srv := New(Config{Server: s.Addr})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- srv.Serve(ctx, l) }()
	c := dialRaw(t, l.Addr().String(), "", 0)
	c.query("DO 1")
	h := srv.Hold([]string{"orders"}, time.Hour)
	c.sendSeq(wire.AppendQuery(nil, "SELECT * FROM orders", c.s), 0)
	awaitHeld(t, h, 1)
	cancel()
	<-done
	fd := srv.loops.list[0].event
	var p [2]int
	unix.Pipe(p[:])
	unix.Dup2(p[1], fd) // somebody opens a file
	h.Release()
	unix.SetNonblock(p[0], true)
	var b [16]byte
	n, _ := unix.Read(p[0], b[:])
	if n > 0 {
		t.Errorf("somebody else's file got % x", b[:n])
	}
}

// tcpPair is a TCP connection with small buffers.
func tcpPair(t *testing.T, small bool) (ours, theirs net.Conn) {
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	defer l.Close()
	if small {
		rc, _ := l.(*net.TCPListener).SyscallConn()
		rc.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
	}
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if small {
		ours.(*net.TCPConn).SetWriteBuffer(4096)
	}
	theirs, _ = l.Accept()
	return ours, theirs
}

// An interception writes behind the commands before its own, though they have no
// answer that would be waited for and the server doesn't take them yet.
func TestOfferBehindOut(t *testing.T) {
	client, clientEnd := tcpPair(t, false)
	server, serverEnd := tcpPair(t, true)
	srv := New(Config{Server: "x", Candidate: isAlter, Intercept: func(ctx context.Context, c *Conn, q Query) error {
		return c.RelayOriginal(ctx)
	}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := srv.loops.open(ctx); err != nil {
		t.Fatal(err)
	}
	ran, over := make(chan struct{}), make(chan struct{})
	go func() {
		srv.loops.run()
		close(ran)
	}()
	ses := newSession(srv, clientEnd, func() { close(over) })
	defer func() {
		ses.abort(BlameProxy, errShutdown)
		<-over
		srv.loops.stop()
		<-ran
	}()
	ses.wire = wire.Session{Caps: rawCaps}
	ses.walker = wire.NewWalker(ses.wire, wire.StatusAutocommit)
	srv.add(ses)
	if !srv.loops.carry(ses, ses.conns[0], newSocket(server)) {
		t.Fatal("not carried")
	}
	var sent []byte
	for i := range 60 {
		sent, _ = wire.AppendPacket(sent, append([]byte{wire.ComStmtSendLong, 1, 0, 0, 0, 0, 0}, bytes.Repeat([]byte{'A' + byte(i)}, 1000)...), 0)
	}
	sent, _ = wire.AppendPacket(sent, []byte("\x03ALTER TABLE t ADD x INT"), 0)
	client.Write(sent)
	await(t, func() bool { // the server's side takes no more
		ses.mu.Lock()
		defer ses.mu.Unlock()
		return ses.writing
	})
	got := make([]byte, len(sent))
	serverEnd.SetReadDeadline(time.Now().Add(3 * time.Second))
	n, err := io.ReadFull(serverEnd, got)
	if !bytes.Equal(got[:n], sent) {
		at := 0
		for at < n && got[at] == sent[at] {
			at++
		}
		t.Errorf("got %d bytes, %v; wrong from %d on: %.60q; want %.60q; ALTER is at %d, not %d", n, err, at, got[at:], sent[at:], bytes.Index(got, []byte("ALTER")), bytes.Index(sent, []byte("ALTER")))
	}
}

// A long candidate is offered also when its first segment is short.
func TestShortFirstSegment(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		n := 0
		srv, addr := startProxy(t, Config{Server: s.Addr, Candidate: func(b []byte, _ bool) bool { return bytes.HasPrefix(b, []byte("ALTER TABLE")) },
			Intercept: func(ctx context.Context, c *Conn, q Query) error { n++; return c.ReplyOK(wire.OK{}, false) }})
		c := dialRaw(t, addr, "", 0)
		b, _ := wire.AppendPacket(nil, []byte("\x03ALTER TABLE mysql.nothing COMMENT '"+strings.Repeat("x", 20000)+"'"), 0)
		c.Write(b[:12])
		await(t, func() bool { return srv.Stats().FromClients == 12 })
		c.Write(b[12:])
		c.answer(wire.ComQuery)
		if n != 1 {
			t.Errorf("not intercepted")
		}
	})
}

// Idle sessions have no pipe.
func TestPipes(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	local(t, s)
	srv, addr := startProxy(t, Config{Server: s.Addr})
	before := countPipes()
	for range 20 {
		c := dialRaw(t, addr, "", 0)
		c.Conn.(*net.TCPConn).SetReadBuffer(256 << 10)
		c.sendSeq([]byte("\x03SELECT REPEAT('x', 12000000)"), 0)
		await(t, func() bool { // it doesn't read yet, so the pipe fills
			for _, ses := range srv.all() {
				ses.mu.Lock()
				blocked := ses.id == c.greeting.ConnectionID && ses.writing
				ses.mu.Unlock()
				if blocked {
					return true
				}
			}
			return false
		})
		c.answer(wire.ComQuery)
		c.query("DO 1")
	}
	if n := countPipes(); n > before+2 {
		t.Errorf("%d ends of pipes in idle sessions, before %d", n, before)
	}
}

func countPipes() int {
	n := 0
	for fd := range 1000 {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO {
			n++
		}
	}
	return n
}
