package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

var stressTime = flag.Duration("stress", 4*time.Second, "how long TestStress runs, all its parts together")

// TestStress has clients say random things in random pieces, pipelined, and
// leave at random moments, while statements are intercepted, held and killed.
// Each answer is checked for what was asked, each acknowledged row is looked for,
// and at the end nothing must be left: no goroutine, no descriptor.
func TestStress(t *testing.T) {
	links := []string{"plain", "compressed", "tls", onGoroutines}
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		for _, link := range links {
			t.Run(link, func(t *testing.T) {
				local(t, s)
				newStress(t, s, link).run(*stressTime / time.Duration(2*len(links)))
			})
		}
	})
}

type stress struct {
	t        *testing.T
	s        *testmysql.Server
	srv      *Server
	sql      *sql.DB
	link     string
	addr     string
	db       string
	stopping atomic.Bool
	ids      atomic.Int64

	mu       sync.Mutex
	sessions map[uint32]*stressClient
	sent     map[int64]string // rows
	acked    map[int64]bool
	commands int
}

func newStress(t *testing.T, s *testmysql.Server, link string) *stress {
	x := &stress{
		t: t, s: s, sql: s.DB(t), link: link, db: s.NewDatabase(t), sessions: make(map[uint32]*stressClient),
		sent: make(map[int64]string), acked: make(map[int64]bool),
	}
	s.Exec(t, "CREATE TABLE "+x.db+".held (id BIGINT PRIMARY KEY, v LONGTEXT)")
	return x
}

func (x *stress) run(d time.Duration) {
	t := x.t
	x.sql.SetMaxIdleConns(0)
	goroutines, files := runtime.NumGoroutine(), descriptors()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x.addr = l.Addr().String()
	cfg := Config{Server: x.s.Addr, Candidate: isAlter, Intercept: x.intercept}
	if x.link == "tls" {
		cfg.TLS = testCertificate(t)
		if x.s.Flavor == testmysql.MariaDB { // it has no certificate
			cfg.ServerTLSMode = TLSOff
		}
	}
	x.srv = New(cfg)
	if x.link == onGoroutines {
		x.srv.loops = loops{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- x.srv.Serve(ctx, l) }()

	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			for !x.stopping.Load() {
				x.client(rand.New(rand.NewPCG(uint64(i), uint64(time.Now().UnixNano()))))
			}
		})
	}
	var disturbers sync.WaitGroup
	disturbers.Go(x.hold)
	disturbers.Go(x.hold)
	disturbers.Go(x.kill)
	time.Sleep(d)
	x.stopping.Store(true)
	disturbers.Wait()
	cancel() // in the middle of it
	select {
	case err := <-served:
		if err != nil {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(20 * time.Second):
		buf := make([]byte, 1<<20)
		t.Fatalf("Serve does not return:\n%s", buf[:runtime.Stack(buf, true)])
	}
	x.mu.Lock()
	for _, c := range x.sessions {
		c.tcp().Close() // what it has not read yet may be much
	}
	x.mu.Unlock()
	wg.Wait()
	rows := len(x.acked)
	x.checkRows()
	x.checkStats()
	for range 100 {
		if runtime.NumGoroutine() <= goroutines+2 && descriptors() <= files+2 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if g, f := runtime.NumGoroutine(), descriptors(); g > goroutines+2 || f > files+2 {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines and %d descriptors, before %d and %d:\n%s", g, f, goroutines, files, buf[:runtime.Stack(buf, true)])
	}
	t.Logf("%d commands, %d rows", x.commands, rows)
}

// intercept answers in each of the ways that there are, and the client can't
// tell.
func (x *stress) intercept(ctx context.Context, c *Conn, q Query) error {
	if rand.IntN(2) == 0 {
		if r, err := c.Query(ctx, "SELECT 'ours'"); err != nil || len(r.Rows) != 1 || r.Rows[0][0].String != "ours" {
			return fmt.Errorf("our own query: %w", errors.Join(err, errors.New("wrong answer")))
		}
	}
	if rand.IntN(4) == 0 {
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
	}
	var err error
	switch rand.IntN(3) {
	case 0:
		err = c.RelayOriginal(ctx)
	case 1:
		_, err = c.RelayOriginalAnswer(ctx)
	default:
		_, err = c.RelayAs(ctx, q.Text, false)
	}
	return err
}

func (x *stress) hold() {
	for !x.stopping.Load() {
		bound := time.Duration(rand.IntN(20)) * time.Millisecond
		h := x.srv.Hold([]string{"held"}, bound)
		ctx, cancel := context.WithTimeout(context.Background(), bound)
		h.Drained(ctx)
		cancel()
		if rand.IntN(2) == 0 {
			h.Release()
		} else {
			time.Sleep(bound)
		}
		time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
		x.srv.Busy([]string{"held"})
		x.srv.Stats()
	}
}

func (x *stress) kill() {
	for !x.stopping.Load() {
		time.Sleep(20 * time.Millisecond)
		x.mu.Lock()
		var victim *stressClient
		for _, c := range x.sessions {
			victim = c
			break
		}
		x.mu.Unlock()
		if victim == nil {
			continue
		}
		victim.disturbed.Store(true)
		x.sql.Exec(fmt.Sprintf("KILL %d", victim.greeting.ConnectionID))
	}
}

func (x *stress) checkRows() {
	rows, err := x.sql.Query("SELECT id, v FROM " + x.db + ".held")
	if err != nil {
		x.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var v string
		if err := rows.Scan(&id, &v); err != nil {
			x.t.Fatal(err)
		}
		if want, ok := x.sent[id]; !ok || v != want {
			x.t.Errorf("row %d is %.40q… (%d bytes), want %.40q (%d bytes)", id, v, len(v), want, len(want))
		}
		delete(x.acked, id)
	}
	for id := range x.acked {
		x.t.Errorf("row %d was acknowledged and is lost", id)
	}
}

func (x *stress) checkStats() {
	for _, c := range x.srv.Stats().Commands {
		if c.Latency.Count > c.Begun || c.Latency.Sum < 0 || c.Latency.Count > 0 && c.Latency.Sum/time.Duration(c.Latency.Count) > time.Second {
			x.t.Errorf("stats: %+v", c)
		}
	}
}

// A stressClient is one session. What it says, and what must be the answer, are
// its asks.
type stressClient struct {
	*rawConn
	x         *stress
	r         *rand.Rand
	disturbed atomic.Bool // it may be killed, or cut itself: what fails then is no wonder
	prepared  []uint32
	tokens    []string // what the prepared ones select
	long      uint32   // a statement with a parameter
	resets    bool
}

// An ask is a command, or several with one answer, and what the answer is to be.
type ask struct {
	cmd    byte
	packet []byte
	rows   []string // what the rows are to contain, one for each
	check  func(ok bool, first []byte)
	fails  bool
}

func (x *stress) client(r *rand.Rand) {
	raw := x.dial(r)
	if raw == nil {
		return
	}
	defer raw.Close()
	c := &stressClient{rawConn: raw, x: x, r: r}
	x.mu.Lock()
	x.sessions[c.greeting.ConnectionID] = c
	x.mu.Unlock()
	defer func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		delete(x.sessions, c.greeting.ConnectionID)
	}()
	for range r.IntN(40) {
		if x.stopping.Load() && r.IntN(2) == 0 {
			break // the others are in the middle of it when Serve is ended
		}
		for list := c.batch(); len(list) > 0; {
			n := len(list)
			if _, ok := c.Conn.(*compressing); ok {
				n = together(r, list)
			}
			if !c.talk(list[:n]) {
				return
			}
			list = list[n:]
		}
	}
	c.leave()
}

// dial is nil when the proxy is not there any more.
func (x *stress) dial(r *rand.Rand) (c *rawConn) {
	conn, err := net.Dial("tcp", x.addr)
	if err != nil {
		return nil
	}
	if r.IntN(3) == 0 {
		conn.(*net.TCPConn).SetReadBuffer(32 << (10 + r.IntN(4)))
	}
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if r.IntN(20) == 0 { // leaves in the handshake
		conn.Close()
		return nil
	}
	c = &rawConn{Conn: conn, t: x.t}
	defer func() {
		if c == nil {
			conn.Close()
		}
	}()
	hello, err := c.readErr()
	if err != nil || hello[0] == 0xff {
		return nil
	}
	c.greeting, _ = wire.ParseGreeting(hello)
	caps := rawCaps | wire.ClientMultiStatements
	if r.IntN(2) == 0 {
		caps |= wire.ClientDeprecateEOF
	}
	seq := byte(1)
	b := binary.LittleEndian.AppendUint32(nil, 1<<30)
	b = append(b, 45)
	b = append(b, make([]byte, 23)...)
	switch x.link {
	case "compressed":
		caps |= wire.ClientCompress
	case "tls":
		caps |= wire.ClientSSL
	}
	b = append(binary.LittleEndian.AppendUint32(nil, uint32(caps)), b...)
	c.s = wire.Session{Caps: caps & (c.greeting.Caps | wire.ClientMySQL)}
	send := func(p []byte, seq byte) {
		f, _ := wire.AppendPacket(nil, p, seq)
		c.Write(f)
	}
	if x.link == "tls" {
		send(b, seq)
		seq++
		conf := &tls.Config{InsecureSkipVerify: true}
		if r.IntN(2) == 0 {
			conf.MaxVersion = tls.VersionTLS12
		}
		c.Conn = tls.Client(conn, conf)
	}
	send(append(b, "root\x00\x00"+x.db+"\x00"+c.greeting.Plugin+"\x00"...), seq)
	for {
		p, err := c.readErr()
		if err != nil || p[0] == 0xff {
			if !x.stopping.Load() {
				x.t.Errorf("login: %q, %v", p, err)
			}
			return nil
		}
		if p[0] == 0 {
			break
		}
		if p[0] == 0xfe {
			send(nil, c.seq+1)
		}
	}
	if x.link == "compressed" {
		c.Conn = &compressing{Conn: conn, in: wire.NewCompressedReader(conn, wire.Zlib), r: r}
	}
	return c
}

// compressing is a client's end of a compressed session.
type compressing struct {
	net.Conn
	in *wire.CompressedReader
	r  *rand.Rand
}

func (c *compressing) Read(p []byte) (int, error) {
	for {
		if n, err := c.in.Read(p); n > 0 || err != nil {
			return n, err
		}
	}
}

// together is how many commands are said at once in a compressed session: the
// server expects the numbers of compressed packets to begin anew behind an
// answer, so what isn't answered goes with the next.
func together(r *rand.Rand, asks []ask) int {
	for i, a := range asks {
		if wire.Answered(a.cmd) {
			return i + 1
		}
	}
	return len(asks)
}

// pack puts commands into compressed packets: each into one or more.
func (c *compressing) pack(asks []ask) (b []byte) {
	for _, a := range asks {
		p, seq := a.packet, byte(0)
		for len(p) > 0 {
			n := len(p)
			if len(p) > 10 && seq < 50 && c.r.IntN(3) == 0 {
				n = 1 + c.r.IntN(len(p)-1)
			}
			b, seq = wire.AppendStored(b, p[:n], seq)
			p = p[n:]
		}
	}
	return b
}

func (c *stressClient) token() string { return fmt.Sprintf("<%d>", c.x.ids.Add(1)) }

func (c *stressClient) text(sql string, rows ...string) ask {
	p, _ := wire.AppendPacket(nil, wire.AppendQuery(nil, sql, c.s), 0)
	return ask{cmd: wire.ComQuery, packet: p, rows: rows}
}

func (c *stressClient) command(payload string, rows ...string) ask {
	p, _ := wire.AppendPacket(nil, []byte(payload), 0)
	return ask{cmd: payload[0], packet: p, rows: rows}
}

func (c *stressClient) length() int {
	switch c.r.IntN(12) {
	case 0:
		return 300<<10 + c.r.IntN(1<<20) // spliced
	case 1:
		return 15<<10 + c.r.IntN(3<<10) // about a buffer
	case 2, 3:
		return c.r.IntN(100 << 10)
	}
	return c.r.IntN(200)
}

// batch is what is said at once, before any answer is read.
func (c *stressClient) batch() (list []ask) {
	c.resets = false
	for range 1 + c.r.IntN(6) {
		list = append(list, c.ask()...)
		if c.resets {
			break // the ids of what is prepared are not known yet, or not valid any more
		}
	}
	return list
}

func (c *stressClient) ask() []ask {
	k := c.token()
	switch c.r.IntN(17) {
	case 0:
		long := k + strings.Repeat("x", c.length())
		return []ask{c.text("SELECT '"+long+"'", long)}
	case 1:
		n := c.length()
		return []ask{c.text(fmt.Sprintf("SELECT CONCAT('%s', REPEAT('y', %d))", k, n), k+strings.Repeat("y", n))}
	case 2:
		return []ask{c.text("SELECT '"+k+"', COUNT(*) FROM held WHERE id < 0", k)}
	case 3, 4:
		return []ask{c.text("SELECT 'ALTER "+k+"'", "ALTER "+k)}
	case 5:
		return []ask{c.text("SELECT '"+k+"'; SELECT '"+k+" two', 'ALTER'; SELECT 3", k, k+" two", "3")}
	case 6:
		a := c.text("SELECT nonsense_" + k[1:len(k)-1])
		a.fails = true
		return []ask{a}
	case 7:
		return []ask{c.command("\x0e")} // COM_PING
	case 8:
		a := c.command("\x1f") // COM_RESET_CONNECTION
		c.resets = true
		a.check = func(bool, []byte) { c.prepared, c.tokens, c.long = nil, nil, 0 }
		return []ask{a}
	case 9, 10:
		word := ""
		if c.r.IntN(2) == 0 {
			word = " /* ALTER */"
		}
		a := c.command("\x16SELECT '" + k + "'" + word)
		a.check = func(ok bool, first []byte) {
			if ok {
				c.prepared = append(c.prepared, binary.LittleEndian.Uint32(first[1:]))
				c.tokens = append(c.tokens, k)
			}
		}
		return []ask{a}
	case 11, 12:
		if len(c.prepared) == 0 {
			return nil
		}
		i := c.r.IntN(len(c.prepared))
		id := binary.LittleEndian.AppendUint32(nil, c.prepared[i])
		return []ask{c.command("\x17"+string(id)+"\x00\x01\x00\x00\x00", c.tokens[i])}
	case 13:
		if c.long == 0 {
			a := c.command("\x16SELECT CONCAT('long', ?)")
			a.check = func(ok bool, first []byte) {
				if ok {
					c.long = binary.LittleEndian.Uint32(first[1:])
				}
			}
			return []ask{a}
		}
		id := string(binary.LittleEndian.AppendUint32(nil, c.long))
		one, two := strings.Repeat("1", c.length()), strings.Repeat("2", c.length())
		return []ask{
			c.command("\x18" + id + "\x00\x00" + one),
			c.command("\x18" + id + "\x00\x00" + two),
			c.command("\x17"+id+"\x00\x01\x00\x00\x00\x00\x01\xfd\x00", "long"+one+two),
		}
	case 14:
		_, insert, acked := c.insert(k)
		insert.check = func(ok bool, _ []byte) {
			if ok {
				acked()
			}
		}
		return []ask{insert}
	}
	id, insert, acked := c.insert(k)
	commit := c.text("COMMIT")
	commit.check = func(ok bool, _ []byte) {
		if ok {
			acked()
		}
	}
	return []ask{c.text("BEGIN"), insert, c.text(fmt.Sprintf("SELECT '%s', v FROM held WHERE id = %d", k, id), k), commit}
}

func (c *stressClient) insert(k string) (id int64, a ask, acked func()) {
	id, v := c.x.ids.Add(1), k+strings.Repeat("v", c.length())
	c.x.mu.Lock()
	c.x.sent[id] = v
	c.x.mu.Unlock()
	return id, c.text(fmt.Sprintf("INSERT INTO held VALUES (%d, '%s')", id, v)), func() {
		c.x.mu.Lock()
		defer c.x.mu.Unlock()
		c.x.acked[id] = true
	}
}

// talk says it all, in pieces, and reads the answers meanwhile. false: the
// session is over.
func (c *stressClient) talk(asks []ask) bool {
	var b []byte
	if z, ok := c.Conn.(*compressing); ok {
		b = z.pack(asks)
	} else {
		for _, a := range asks {
			b = append(b, a.packet...)
		}
	}
	cut := c.r.IntN(60) == 0 // leaves in the middle
	if cut {
		c.disturbed.Store(true)
		b = b[:c.r.IntN(len(b)+1)]
	}
	pieces := rand.New(rand.NewPCG(c.r.Uint64(), 0))
	var wg sync.WaitGroup
	wg.Go(func() {
		for len(b) > 0 {
			n := len(b)
			if pieces.IntN(3) > 0 {
				n = min(n, 1+pieces.IntN(1<<(1+pieces.IntN(17))))
			}
			if _, err := c.sendRaw(b[:n]); err != nil {
				return
			}
			b = b[n:]
			if pieces.IntN(8) == 0 {
				time.Sleep(time.Duration(pieces.IntN(500)) * time.Microsecond)
			}
		}
		if cut {
			c.end(pieces)
		}
	})
	defer wg.Wait()
	for _, a := range asks {
		if !wire.Answered(a.cmd) {
			continue
		}
		if err := c.hear(a); err != nil {
			if !c.disturbed.Load() && !c.x.stopping.Load() {
				c.x.t.Errorf("session %d: %.80q: %v", c.greeting.ConnectionID, a.packet, err)
			}
			c.Close()
			return false
		}
	}
	return true
}

// sendRaw writes bytes that are packed already.
func (c *stressClient) sendRaw(b []byte) (int, error) {
	if z, ok := c.Conn.(*compressing); ok {
		return z.Conn.Write(b)
	}
	return c.Write(b)
}

// hear reads one answer and compares it.
func (c *stressClient) hear(a ask) error {
	w := wire.NewAnswer(a.cmd)
	var rows [][]byte
	var first []byte
	for n := 0; ; n++ {
		if c.r.IntN(50) == 0 {
			time.Sleep(time.Duration(c.r.IntN(2000)) * time.Microsecond)
		}
		p, err := c.readErr()
		if err != nil {
			return err
		}
		if n == 0 {
			first = p
		}
		if want := byte(n + 1); c.seq != want && c.x.link != "compressed" {
			return fmt.Errorf("packet number %d, want %d: %.60q", c.seq, want, p)
		}
		step := w.Packet(p[:min(len(p), wire.HeadLen)], min(len(p), wire.MaxFrame), c.s)
		if step == wire.StepRow {
			rows = append(rows, p)
		}
		if step != wire.StepDone {
			continue
		}
		if w.Err != a.fails {
			return fmt.Errorf("got %.200q", p)
		}
		break
	}
	if len(rows) != len(a.rows) {
		return fmt.Errorf("%d rows, want %d", len(rows), len(a.rows))
	}
	for i, r := range rows {
		// Text and binary rows of one column differ in what comes first.
		if !bytes.Contains(r, wire.AppendString(nil, a.rows[i])) {
			return fmt.Errorf("row %.60q (%d bytes), want %.60q (%d bytes)", r, len(r), a.rows[i], len(a.rows[i]))
		}
	}
	if a.check != nil {
		a.check(!w.Err, first)
	}
	c.x.mu.Lock()
	c.x.commands++
	c.x.mu.Unlock()
	return nil
}

func (c *stressClient) tcp() *net.TCPConn {
	switch conn := c.Conn.(type) {
	case *compressing:
		return conn.Conn.(*net.TCPConn)
	case *tls.Conn:
		return conn.NetConn().(*net.TCPConn)
	}
	return c.Conn.(*net.TCPConn)
}

// end closes the connection in one of three ways.
func (c *stressClient) end(r *rand.Rand) {
	switch r.IntN(3) {
	case 0:
		c.tcp().SetLinger(0)
		c.tcp().Close()
	case 1:
		c.tcp().CloseWrite()
	default:
		c.tcp().Close()
	}
}

// leave ends an idle session.
func (c *stressClient) leave() {
	switch c.r.IntN(4) {
	case 0:
		quit := c.command("\x01")
		if z, ok := c.Conn.(*compressing); ok {
			c.sendRaw(z.pack([]ask{quit}))
		} else {
			c.sendRaw(quit.packet)
		}
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if p, err := io.ReadAll(c); len(p) > 0 && !c.disturbed.Load() && !c.x.stopping.Load() || errors.Is(err, os.ErrDeadlineExceeded) {
			c.x.t.Errorf("after COM_QUIT: %q, %v", p, err)
		}
	case 1: // its answer crosses
		c.disturbed.Store(true)
		c.sendRaw(c.text("SELECT SLEEP(0.01)").packet)
		c.end(c.r)
	default:
		c.end(c.r)
	}
}

// descriptors counts the open ones.
func descriptors() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}
