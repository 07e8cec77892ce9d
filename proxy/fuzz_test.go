package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"midflight/proxy/wire"
)

// sayings splits what is fuzzed into what is said: a byte with who says it (1: the
// client), one with its length, and so many bytes.
func sayings(b []byte) (list []saying) {
	for len(b) >= 2 {
		n := min(int(b[1]), len(b)-2)
		list, b = append(list, saying{b[0]&1 == 1, b[2 : 2+n]}), b[2+n:]
	}
	return list
}

type saying struct {
	client bool
	bytes  []byte
}

// encode is the inverse of sayings.
func encode(list ...saying) (b []byte) {
	for _, s := range list {
		who := byte(0)
		if s.client {
			who = 1
		}
		b = append(append(b, who, byte(len(s.bytes))), s.bytes...)
	}
	return b
}

func framed(payload string) []byte {
	b, _ := wire.AppendPacket(nil, []byte(payload), 0)
	return b
}

// flowOf carries what is said as a route does, with the client's bytes cut by piece, and
// tells what happens: what is forwarded, and what is offered to Intercept. The server's
// sayings are packets, and where the session must be idle it answers all with errors.
func flowOf(t *testing.T, ws wire.Session, may stoppable, list []saying, piece func(int) int) string {
	conn, _ := net.Pipe()
	s := newSession(fuzzed, conn, func() {})
	s.wire, s.walker = ws, wire.NewWalker(ws, wire.StatusAutocommit)
	s.multi, s.mysql = ws.Caps&wire.ClientMultiStatements != 0, ws.Caps&wire.ClientMySQL != 0
	var out strings.Builder
	fromServer := func(payload []byte) {
		p, _ := wire.AppendPacket(nil, payload, 1)
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.fromServer(p, clock()) {
			t.Fatal("diverted without an interception")
		}
		s.written()
	}
	var forwarded, said []byte
	var pend []byte
	for _, saying := range list {
		if !saying.client {
			fromServer(saying.bytes)
			continue
		}
		for rest := saying.bytes; len(rest) > 0; {
			n := min(max(piece(len(rest)), 1), len(rest))
			pend, said, rest = append(slices.Clip(pend), rest[:n]...), append(said, rest[:n]...), rest[n:]
			for again := true; again && !s.aborted; {
				m := s.advance(pend, clock(), may)
				forwarded, pend = append(forwarded, pend[:m.forward]...), pend[m.forward:]
				again = false
				switch m.then {
				case stepRead:
				case stepCollect:
					if len(pend) >= m.cmd.collect {
						t.Fatalf("%d bytes are wanted, and %d there", m.cmd.collect, len(pend))
					}
				case stepIdle:
					for range s.walker.InFlight() {
						fromServer([]byte("\xff\x01\x02#HY000no"))
					}
					if s.walker.InFlight() > 0 {
						t.Fatalf("%d commands are not ended by an error", s.walker.InFlight())
					}
					again = s.idle()
				case stepOffer:
					if !s.idle() || !bytes.HasPrefix(pend, m.cmd.packet) || may == stopAlone && len(pend) > len(m.cmd.packet) {
						t.Fatalf("offered: %q of %q, idle %t", m.cmd.packet, pend, s.idle())
					}
					fmt.Fprintf(&out, "offer %q\n", m.cmd.text)
					forwarded, pend = append(forwarded, m.cmd.packet...), pend[len(m.cmd.packet):]
					again = true
				case stepHold:
					t.Fatal("held, and there is no hold")
				}
			}
		}
		fmt.Fprintf(&out, "- %d bytes, %d in flight, %d statements\n", len(forwarded), s.walker.InFlight(), len(s.stmts))
	}
	if !bytes.Equal(append(forwarded, pend...), said) && !s.aborted {
		t.Fatalf("forwarded %q and kept %q of %q", forwarded, pend, said)
	}
	fmt.Fprintf(&out, "aborted %t, transaction %t, sticky %v", s.aborted, s.inTransaction(), s.sticky)
	return out.String()
}

// What a session does with its client's bytes doesn't depend on where reads cut them,
// and nothing is lost, whatever the two say.
func FuzzFlow(f *testing.F) {
	q := func(sql string) saying { return saying{true, framed("\x03" + sql)} }
	answer := func(p string) saying { return saying{false, []byte(p)} }
	ok := "\x00\x00\x00\x02\x00\x00\x00"
	f.Add(encode(q("SELECT 1"), answer("\x01"), answer("def"), answer("\xfe\x00\x00\x02\x00"), answer("\x011"), answer("\xfe\x00\x00\x02\x00")), uint32(rawCaps), byte(0), uint64(1))
	f.Add(encode(q("BEGIN"), q("INSERT INTO t VALUES (1)"), q("ALTER TABLE t ADD a INT"), answer(ok)), uint32(rawCaps), byte(0), uint64(1))
	f.Add(encode(saying{true, framed("\x16ALTER TABLE t ADD a INT")}, answer("\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), saying{true, framed("\x17\x07\x00\x00\x00\x00\x01\x00\x00\x00")}), uint32(rawCaps), byte(0), uint64(2))
	f.Add(encode(saying{true, framed("\x11joe\x00\x00\x00")}, answer("\xfeplugin\x00salt"), saying{true, []byte("\x01\x00\x00\x02x")}, answer(ok)), uint32(rawCaps), byte(1), uint64(3))
	f.Add(encode(q("LOCK TABLES t READ"), answer(ok), q("SET autocommit = 0"), answer("\x00\x00\x00\x00\x00\x00\x00"), q("UNLOCK TABLES"), answer(ok)), uint32(rawCaps), byte(3), uint64(4))
	f.Add(encode(saying{true, bytes.Repeat(framed("\x0e"), 40)}, q("SELECT 1; ALTER TABLE t ADD a INT"), answer(ok)), uint32(rawCaps|wire.ClientMultiStatements|wire.ClientQueryAttributes), byte(2), uint64(5))
	f.Fuzz(func(t *testing.T, b []byte, caps uint32, may byte, seed uint64) {
		ws := wire.Session{Caps: wire.Caps(caps) | wire.ClientProtocol41}
		list := sayings(b)
		whole := flowOf(t, ws, stoppable(may%4), list, func(n int) int { return n })
		r := rand.New(rand.NewPCG(seed, 1))
		pieces := flowOf(t, ws, stoppable(may%4), list, func(int) int { return 1 + r.IntN(20) })
		if stoppable(may%4) == stopAny && pieces != whole {
			t.Fatalf("in pieces:\n%s\nwhole:\n%s", pieces, whole)
		}
	})
}

// A scripted server is both ends of an interception's session: what it says comes in
// pieces, each when the one before was taken.
type scripted struct {
	s      *session
	pieces [][]byte
	client bytes.Buffer // what the client was told
}

func (p *scripted) wake() {
	if len(p.s.inbox) > 0 || p.s.serverGone {
		return
	}
	if len(p.pieces) == 0 {
		p.s.serverGone = true
		return
	}
	p.s.inbox, p.pieces = p.pieces[0], p.pieces[1:]
}

func (p *scripted) abort() {}

func (p *scripted) leave() {}

type toServer struct{}

func (toServer) Read([]byte) (int, error)    { return 0, io.EOF }
func (toServer) Write(b []byte) (int, error) { return len(b), nil }
func (toServer) restart(int)                 {}
func (toServer) hungUp() bool                { return false }

type toClient struct{ *bytes.Buffer }

func (toClient) Read([]byte) (int, error) { return 0, io.EOF }
func (toClient) restart(int)              {}
func (toClient) hungUp() bool             { return false }

// scriptOf has an interception do what it does by these numbers with a server that says
// b in pieces, and tells what came of it.
func scriptOf(ws wire.Session, b []byte, do []byte, piece func(int) int) (out []any) {
	conn, _ := net.Pipe()
	s := newSession(fuzzed, conn, func() {})
	s.wire, s.walker = ws, wire.NewWalker(ws, wire.StatusAutocommit)
	p := &scripted{s: s}
	for len(b) > 0 {
		n := min(max(piece(len(b)), 1), len(b))
		p.pieces, b = append(p.pieces, b[:n:n]), b[n:]
	}
	s.carriedBy(p, toClient{&p.client}, toServer{})
	text := "ALTER TABLE t ADD a INT"
	c := s.divert(command{Command: wire.Command{Cmd: wire.ComQuery}, packet: framed("\x03" + text), text: []byte(text)})
	s.mu.Lock()
	p.wake()
	s.mu.Unlock()
	ctx := context.Background()
	for _, d := range do {
		var r any
		var err error
		var failed *wire.Err
		switch d % 5 {
		case 0:
			r, err = c.Query(ctx, "SELECT 1")
		case 1:
			err = c.Prepare(ctx, "SELECT 1")
		case 2:
			failed, err = c.RelayAs(ctx, "SELECT 1", true)
		case 3:
			failed, err = c.RelayOriginalAnswer(ctx)
		case 4:
			c.cmd.Cmd = wire.ComStmtExecute
			failed, err = c.RelayAs(ctx, "SELECT 1", true)
			c.cmd.Cmd = wire.ComQuery
		}
		out = append(out, r, fmt.Sprint(failed, err), s.inTransaction())
	}
	return append(out, p.client.String())
}

// The answers to an interception's own statements, of any bytes in any pieces: nobody
// panics or waits for ever, and the pieces make no difference.
func FuzzAnswers(f *testing.F) {
	ok := framed("\x00\x00\x00\x02\x00\x00\x00")
	var rows []byte
	for _, p := range []string{"\x01", "\x03def\x01s\x01t\x01t\x01c\x01c\x0c\x2d\x00\x00\x00\x00\x00\xfd\x00\x00\x1f\x00\x00", "\xfe\x00\x00\x02\x00", "\x03one", "\xfb", "\xfe\x00\x00\x02\x00"} {
		rows = append(rows, framed(p)...)
	}
	prepared := framed("\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	f.Add(slices.Concat(rows, ok, rows), uint32(rawCaps), []byte{0, 3}, uint64(1))
	f.Add(slices.Concat(prepared, prepared, ok, framed("\xff\x01\x02#HY000no")), uint32(rawCaps), []byte{1, 4, 2}, uint64(2))
	f.Add(framed("\xfb/etc/passwd"), uint32(rawCaps), []byte{0}, uint64(3))
	f.Fuzz(func(t *testing.T, b []byte, caps uint32, do []byte, seed uint64) {
		ws := wire.Session{Caps: wire.Caps(caps) | wire.ClientProtocol41}
		do = do[:min(len(do), 4)]
		whole := scriptOf(ws, b, do, func(n int) int { return n })
		r := rand.New(rand.NewPCG(seed, 1))
		pieces := scriptOf(ws, b, do, func(int) int { return 1 + r.IntN(20) })
		if !reflect.DeepEqual(whole, pieces) {
			t.Fatalf("in pieces:\n%q\nwhole:\n%q", pieces, whole)
		}
	})
}

// A heard connection has something to say, in pieces.
type heard struct {
	net.Conn
	io.Reader
}

func (h heard) Read(p []byte) (int, error)       { return h.Reader.Read(p) }
func (h heard) Write(p []byte) (int, error)      { return len(p), nil }
func (h heard) SetReadDeadline(time.Time) error  { return nil }
func (h heard) SetWriteDeadline(time.Time) error { return nil }
func (h heard) RemoteAddr() (a net.Addr)         { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)} }
func (h heard) LocalAddr() (a net.Addr)          { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2)} }
func (h heard) Close() error                     { return nil }

// A handshake with a client and a server that say anything. None of their packets is
// read beyond its end, and it ends when they do.
func FuzzHandshake(f *testing.F) {
	greeting := "\x0a8.4.0\x00\x01\x00\x00\x00abcdefgh\x00\xff\xf7\xff\x02\x00\xff\xdf\x15" + strings.Repeat("\x00", 10) + "ijklmnopqrst\x00caching_sha2_password\x00"
	one := func(seq byte, p []byte) []byte { b, _ := wire.AppendPacket(nil, p, seq); return b }
	login := one(1, response(0, "root", cachingSHA2, make([]byte, 32)))
	ok := []byte("\x00\x00\x00\x02\x00\x00\x00")
	f.Add(login, slices.Concat(one(0, []byte(greeting)), one(2, []byte("\x01\x03")), one(3, ok)), false)
	f.Add(slices.Concat(login, one(3, []byte("secret\x00"))), slices.Concat(one(0, []byte(greeting)), one(2, []byte("\x01\x04")), one(4, ok)), false)
	f.Add(slices.Concat([]byte("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n"), login), slices.Concat(one(0, []byte(greeting)), one(2, []byte("\xff\x15\x04#28000no"))), true)
	f.Add([]byte{}, one(0, []byte("\xff\x10\x04Too many connections")), false)
	f.Fuzz(func(t *testing.T, client, server []byte, header bool) {
		fromClient, fromServer := bytes.NewReader(client), bytes.NewReader(server)
		cfg := Config{}
		if header {
			cfg.ProxyNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}
		srv := New(cfg)
		h := newHandshake(srv, heard{Reader: fromClient}, nil, func(string) bool { return true })
		h.auth.key = testKey
		if h.readHeader() != nil {
			return
		}
		h.server.Conn = heard{Reader: fromServer}
		if h.run() != nil {
			return
		}
		// It has logged in: what is behind the server's OK is untouched.
		at, rest := 0, server
		for at < len(server)-fromServer.Len() {
			n, _ := wire.ParseHeader(rest)
			at += wire.HeaderLen + n
			rest = server[min(at, len(server)):]
		}
		if at != len(server)-fromServer.Len() {
			t.Fatalf("read %d of the server's bytes, a packet ends at %d", len(server)-fromServer.Len(), at)
		}
	})
}

// fuzzed is whom the sessions belong to; nobody carries them.
var fuzzed = New(Config{Candidate: isAlter, Intercept: func(context.Context, *Conn, Query) error { panic("there is no carrier") }})
