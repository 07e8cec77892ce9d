package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// each runs a test on every flavor, with plain sessions carried by loops and
// carried by goroutines, as others than plain ones are. startProxy sees by the
// test's name which.
func each(t *testing.T, f func(t *testing.T, s *testmysql.Server)) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		t.Run("loops", func(t *testing.T) { f(t, s) })
		t.Run(onGoroutines, func(t *testing.T) { f(t, s) })
	})
}

const onGoroutines = "goroutines"

// startProxy serves in front of a server until the test ends, and then checks
// that Serve returns.
func startProxy(t *testing.T, cfg Config) (*Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := New(cfg)
	if strings.Contains(t.Name(), "/"+onGoroutines) {
		srv.loops = loops{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := srv.Serve(ctx, l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return srv, l.Addr().String()
}

// A rawConn speaks the protocol packet by packet, to see what drivers hide.
type rawConn struct {
	net.Conn
	t        testing.TB
	s        wire.Session
	greeting wire.Greeting
	seq      byte
	stmts    []uint32 // ids of the statements prepared, in order
	file     [][]byte // what it sends when it is asked for a file; nil: three lines
}

const rawCaps = wire.ClientMySQL | wire.ClientProtocol41 | wire.ClientTransactions | wire.ClientSecureConnection |
	wire.ClientPluginAuth | wire.ClientMultiResults | wire.ClientPSMultiResults | wire.ClientLocalFiles | wire.ClientConnectWithDB

// dialRaw logs in as root, without a password.
func dialRaw(t testing.TB, addr, db string, caps wire.Caps) *rawConn {
	t.Helper()
	return dialRawAs(t, addr, "root", db, caps)
}

func dialRawAs(t testing.TB, addr, user, db string, caps wire.Caps) *rawConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	c := &rawConn{Conn: conn, t: t}
	c.greeting, err = wire.ParseGreeting(c.read())
	if err != nil {
		t.Fatalf("greeting: %v", err)
	}
	caps |= rawCaps
	c.s = wire.Session{Caps: caps & (c.greeting.Caps | wire.ClientMySQL)}
	b := binary.LittleEndian.AppendUint32(nil, uint32(caps))
	b = binary.LittleEndian.AppendUint32(b, 1<<30)
	b = append(b, 45)
	b = append(b, make([]byte, 23)...)
	b = append(b, user+"\x00\x00"...)
	b = append(b, db+"\x00"+c.greeting.Plugin+"\x00"...)
	c.sendSeq(b, 1)
	for {
		p := c.read()
		switch p[0] {
		case 0:
			return c
		case 0xff:
			e, _ := wire.ParseErr(p)
			t.Fatalf("login: %v", e)
		case 0xfe:
			c.sendSeq(nil, c.seq+1)
		}
	}
}

func (c *rawConn) sendSeq(payload []byte, seq byte) {
	c.t.Helper()
	b, next := wire.AppendPacket(nil, payload, seq)
	c.seq = next - 1
	if _, err := c.Write(b); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// read reads a packet with all its frames.
func (c *rawConn) read() []byte {
	c.t.Helper()
	p, err := c.readErr()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return p
}

func (c *rawConn) readErr() ([]byte, error) {
	var p []byte
	for {
		var h [4]byte
		if _, err := io.ReadFull(c, h[:]); err != nil {
			return nil, err
		}
		n, seq := wire.ParseHeader(h[:])
		c.seq = seq
		at := len(p)
		p = append(p, make([]byte, n)...)
		if _, err := io.ReadFull(c, p[at:]); err != nil {
			return nil, err
		}
		if n < wire.MaxFrame {
			return p, nil
		}
	}
}

// rest reads what the server says until it closes the connection.
func (c *rawConn) rest() string {
	c.t.Helper()
	var out strings.Builder
	for {
		p, err := c.readErr()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatal("the connection stays open")
		}
		if err != nil {
			return out.String()
		}
		fmt.Fprintf(&out, "%d %q\n", c.seq, p)
	}
}

// do sends a command and returns its answer, a line for each packet.
func (c *rawConn) do(payload string) string {
	c.t.Helper()
	c.sendSeq([]byte(payload), 0)
	if !wire.Answered(payload[0]) {
		return "(no answer)\n"
	}
	return c.answer(payload[0])
}

func (c *rawConn) query(sql string) string {
	c.t.Helper()
	return c.do(string(wire.AppendQuery(nil, sql, c.s)))
}

// numbered are statement ids in messages, and those that count all of the server's.
var numbered = regexp.MustCompile(`\([0-9]+\)|statement_id\x04[0-9]{4}`)

func (c *rawConn) answer(cmd byte) string {
	c.t.Helper()
	var out strings.Builder
	a := wire.NewAnswer(cmd)
	noted := false
	for {
		p := c.read()
		step := a.Packet(p[:min(len(p), wire.HeadLen)], min(len(p), wire.MaxFrame), c.s)
		if cmd == wire.ComStmtPrepare && len(p) >= 12 && p[0] == 0 && a.Statement != 0 && !noted {
			// MariaDB counts on where the last session of the same thread stopped.
			noted = true
			c.stmts = append(c.stmts, a.Statement)
			binary.LittleEndian.PutUint32(p[1:], uint32(len(c.stmts)))
		}
		switch {
		case cmd == wire.ComStatistics:
			fmt.Fprintf(&out, "%d statistics\n", c.seq)
		case step == wire.StepAsk && p[0] == 0xfe:
			fmt.Fprintf(&out, "%d switch, salt\n", c.seq)
		case len(p) > 1000:
			fmt.Fprintf(&out, "%d %q… %d bytes %x\n", c.seq, p[:40], len(p), sha256.Sum256(p))
		default:
			fmt.Fprintf(&out, "%d %q\n", c.seq, numbered.ReplaceAll(p, []byte("(n)")))
		}
		switch step {
		case wire.StepDone:
			return out.String()
		case wire.StepInfile:
			file := c.file
			if file == nil {
				file = [][]byte{[]byte("1\tone\n2\ttwo\n"), []byte("3\tthree\n")}
			}
			for _, part := range file {
				c.sendSeq(part, c.seq+1)
			}
			c.sendSeq(nil, c.seq+1)
			a.FileSent()
		case wire.StepAsk:
			c.sendSeq(nil, c.seq+1)
		}
	}
}

// execute is a COM_STMT_EXECUTE, without parameters, of the n-th statement
// prepared.
func (c *rawConn) execute(n int, flags byte) string {
	return c.stmt(wire.ComStmtExecute, n, string([]byte{flags, 1, 0, 0, 0}))
}

func (c *rawConn) stmt(cmd byte, n int, rest string) string {
	id := uint32(77777) // unknown
	if n <= len(c.stmts) {
		id = c.stmts[n-1]
	}
	return string(binary.LittleEndian.AppendUint32([]byte{cmd}, id)) + rest
}

// local lets servers take files and long packets, for the length of a test.
func local(t *testing.T, s *testmysql.Server) {
	db := s.DB(t)
	for _, name := range []string{"local_infile", "max_allowed_packet"} {
		var old int64
		if err := db.QueryRow("SELECT @@GLOBAL." + name).Scan(&old); err != nil {
			t.Fatal(err)
		}
		s.Exec(t, fmt.Sprintf("SET GLOBAL %s = %d", name, map[string]int64{"local_infile": 1, "max_allowed_packet": 64 << 20}[name]))
		t.Cleanup(func() { s.Exec(t, fmt.Sprintf("SET GLOBAL %s = %d", name, old)) })
	}
}

// readPacket reads one packet of the handshake, and not a byte more.
func readPacket(r io.Reader) (payload []byte, seq byte, err error) {
	var h [wire.HeaderLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, 0, err
	}
	n, seq := wire.ParseHeader(h[:])
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return payload, seq, err
}

// dialSSL asks for TLS, and returns the response that is to be sent again,
// with a user's name and so on behind it, when TLS is there.
func dialSSL(t testing.TB, conn net.Conn) (c *rawConn, response []byte) {
	c = &rawConn{Conn: conn, t: t}
	c.greeting, _ = wire.ParseGreeting(c.read())
	caps := rawCaps | wire.ClientSSL
	c.s = wire.Session{Caps: caps & (c.greeting.Caps | wire.ClientMySQL)}
	response = binary.LittleEndian.AppendUint32(nil, uint32(caps))
	response = binary.LittleEndian.AppendUint32(response, 1<<30)
	response = append(response, 45)
	response = append(response, make([]byte, 23)...)
	c.sendSeq(response, 1)
	return c, response
}
