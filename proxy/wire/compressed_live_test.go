package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmysql"
)

// A liveConn is a client of a real server's, compressed or not.
type liveConn struct {
	net.Conn
	t       testing.TB
	s       Session
	in      io.Reader // content
	c       *CompressedReader
	seq     byte // of the next compressed packet, either way
	inner   byte // of the next ordinary packet sent
	packer  *packer
	raw     bytes.Buffer // what came from the socket, until checked
	relayed bytes.Buffer // what a relay would have sent
	jumps   int          // of the ordinary packets' numbers
	packed  int          // compressed packets that came and were compressed
}

const liveCaps = ClientMySQL | ClientProtocol41 | ClientTransactions | ClientSecureConnection | ClientPluginAuth | ClientMultiResults

// dialLive logs in as root. The level is for the server to compress with zstd.
func dialLive(t testing.TB, addr string, caps Caps, level byte) (*liveConn, Algorithm) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	l := &liveConn{Conn: conn, t: t, in: conn}
	g, err := ParseGreeting(l.packet())
	if err != nil {
		t.Fatal(err)
	}
	caps |= liveCaps
	l.s.Caps = caps & (g.Caps | ClientMySQL)
	b := binary.LittleEndian.AppendUint32(nil, uint32(caps))
	b = binary.LittleEndian.AppendUint32(b, 1<<30)
	b = append(append(b, 45), make([]byte, 23)...)
	b = append(b, "root\x00\x00"+g.Plugin+"\x00"...)
	if caps&ClientZstd != 0 {
		b = append(b, level)
	}
	l.inner = 1
	l.send(b)
	l.authenticate()
	a := Agreed(caps, g.Caps)
	if a != Uncompressed {
		l.packer = newPacker(t, a, 3)
		l.c = NewCompressedReader(io.TeeReader(conn, &l.raw), a)
		l.in = l
	}
	return l, a
}

// Read returns content as a relay walks it, and checks what the relay sends.
func (l *liveConn) Read(p []byte) (int, error) {
	if l.c == nil {
		return l.Conn.Read(p)
	}
	for {
		began := l.c.Done()
		n, err := l.c.Read(p)
		if err != nil {
			return n, err
		}
		if began {
			if l.c.Seq() != l.seq {
				l.t.Errorf("compressed packet number %d, want %d", l.c.Seq(), l.seq)
			}
			l.seq++
			if l.c.content != nil || l.c.Done() && l.c.head[4]|l.c.head[5]|l.c.head[6] != 0 {
				l.packed++
			}
		}
		l.relayed.Write(l.c.Raw())
		if !l.c.Done() && l.c.left == 0 && l.relayed.Len() >= l.raw.Len() {
			l.t.Fatal("the last byte was lent before the content was read")
		}
		if l.c.Done() {
			if !bytes.Equal(l.relayed.Bytes(), l.raw.Bytes()) {
				l.t.Fatalf("%d raw bytes, want %d, or they differ", l.relayed.Len(), l.raw.Len())
			}
			l.relayed.Reset()
			l.raw.Reset()
		}
		if n > 0 {
			return n, nil
		}
	}
}

// send sends one packet.
func (l *liveConn) send(payload []byte) {
	l.t.Helper()
	var b []byte
	b, l.inner = AppendPacket(nil, payload, l.inner)
	if l.packer != nil {
		if len(b) < 50 || l.packer.algorithm == Stored {
			b, l.seq = AppendStored(nil, b, l.seq)
		} else {
			b = l.packer.append(nil, b, l.seq)
			l.seq++
		}
	}
	if _, err := l.Write(b); err != nil {
		l.t.Fatal(err)
	}
}

func (l *liveConn) command(payload string) {
	l.seq, l.inner = 0, 0
	l.send([]byte(payload))
}

// packet reads a packet with all its frames.
func (l *liveConn) packet() (p []byte) {
	l.t.Helper()
	for {
		var h [4]byte
		if _, err := io.ReadFull(l.in, h[:]); err != nil {
			l.t.Fatal(err)
		}
		n, seq := ParseHeader(h[:])
		if seq != l.inner {
			l.jumps++
		}
		l.inner = seq + 1
		at := len(p)
		p = append(p, make([]byte, n)...)
		if _, err := io.ReadFull(l.in, p[at:]); err != nil {
			l.t.Fatal(err)
		}
		if n < MaxFrame {
			return p
		}
	}
}

func (l *liveConn) authenticate() {
	l.t.Helper()
	for {
		switch p := l.packet(); p[0] {
		case 0:
			return
		case 0xff:
			e, _ := ParseErr(p)
			l.t.Fatal(e)
		case 0xfe:
			l.send(nil)
		}
	}
}

// query returns the length and sum of an answer's payloads.
func (l *liveConn) query(sql string) (int, [32]byte) {
	l.t.Helper()
	l.command("\x03" + sql)
	a := NewAnswer(ComQuery)
	sum, length := sha256.New(), 0
	for {
		p := l.packet()
		fmt.Fprintf(sum, "%d ", len(p))
		sum.Write(p)
		length += len(p)
		if len(p) > 0 && p[0] == 0xff {
			e, _ := ParseErr(p)
			l.t.Fatal(e)
		}
		if a.Packet(p[:min(len(p), HeadLen)], min(len(p), MaxFrame), l.s) == StepDone {
			return length, [32]byte(sum.Sum(nil))
		}
	}
}

// liveQueries have answers of 10 bytes to 40 MB.
func liveQueries() []string {
	digits := "(SELECT 0 n UNION ALL SELECT 1" + strings.Repeat(" UNION ALL SELECT 2", 8) + ")"
	crossed := func(n int) string {
		var from []string
		for i := range n {
			from = append(from, fmt.Sprintf("%s d%d", digits, i))
		}
		return strings.Join(from, ", ")
	}
	return []string{
		"DO 1",
		"SELECT 1",
		"SELECT 'abc', 'a longer statement, which is worth being compressed on its way' -- " + strings.Repeat("x", 100),
		"SELECT REPEAT('a', 50)",
		"SELECT d0.n, SHA2(d1.n, 256) FROM " + crossed(3) + " ORDER BY d0.n, d1.n, d2.n",
		"SELECT d0.n, REPEAT(SHA2(d1.n * 7 + d4.n, 256), 2), UNHEX(SHA2(d2.n + d3.n, 512)) FROM " + crossed(5) + " ORDER BY d0.n, d1.n, d2.n, d3.n, d4.n",
		"SELECT REPEAT('xyz', 5000000)",
		"SELECT LENGTH('" + strings.Repeat("a long statement ", 100_000) + "')",
		"SELECT REPEAT(SHA2(1, 256), 160000), REPEAT(SHA2(2, 256), 160000), REPEAT(SHA2(3, 256), 160000), REPEAT(SHA2(4, 256), 160000)",
	}
}

func TestCompressedLive(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		plain, a := dialLive(t, s.Addr, 0, 0)
		if a != Uncompressed {
			t.Fatal(a)
		}
		clients := map[Caps]Algorithm{ClientCompress: Zlib, ClientCompress | ClientZstd: Zlib, ClientZstd: Zstd}
		if s.Flavor == testmysql.MariaDB {
			clients[ClientZstd] = Uncompressed
		}
		conns := map[Caps]*liveConn{}
		for caps, want := range clients {
			l, a := dialLive(t, s.Addr, caps, 3)
			if a != want {
				t.Fatalf("%x: %v, want %v", caps, a, want)
			}
			conns[caps] = l
		}
		for _, sql := range liveQueries() {
			length, sum := plain.query(sql)
			for caps, l := range conns {
				if n, got := l.query(sql); n != length || got != sum {
					t.Errorf("%x, %.60s: %d bytes, want %d, or they differ", caps, sql, n, length)
				}
			}
			t.Logf("%.60s: %d bytes", sql, length)
		}
		for caps, l := range conns {
			l.command("\x11root\x00\x00\x00\x2d\x00mysql_native_password\x00")
			l.authenticate()
			if n, _ := l.query("SELECT CURRENT_USER()"); n == 0 {
				t.Errorf("%x: no answer after COM_CHANGE_USER", caps)
			}
			if l.packed == 0 && l.c != nil {
				t.Errorf("%x: nothing was compressed", caps)
			}
			t.Logf("%v: %d packets were compressed, %d jumps of the numbers inside", clients[caps], l.packed, l.jumps)
		}
	})
}

// What MySQL is told to allow it agrees on, and nothing else.
func TestAgreedLive(t *testing.T) {
	s := testmysql.Start(t, testmysql.MySQL, "--protocol-compression-algorithms=zstd,uncompressed")
	for caps, want := range map[Caps]Algorithm{
		ClientCompress: Stored, ClientZstd: Zstd, ClientCompress | ClientZstd: Zstd, 0: Uncompressed,
	} {
		l, a := dialLive(t, s.Addr, caps, 3)
		if a != want {
			t.Errorf("%x: %v, want %v", caps, a, want)
		}
		l.query("SELECT REPEAT('a', 100), " + strings.Repeat("1 + ", 50) + "1")
	}
	s.Exec(t, "SET GLOBAL protocol_compression_algorithms = 'zlib,uncompressed'")
	l, a := dialLive(t, s.Addr, ClientZstd, 3)
	if a != Stored {
		t.Errorf("zstd, and zlib offered: %v", a)
	}
	l.query("SELECT 1")
}

// The levels differ in the window that is needed to decompress.
func TestZstdLevelsLive(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	sql := "SELECT REPEAT('xyz', 6000000)"
	plain, _ := dialLive(t, s.Addr, 0, 0)
	length, sum := plain.query(sql)
	for _, level := range []byte{1, 12, 19, 22} {
		l, _ := dialLive(t, s.Addr, ClientZstd, level)
		if n, got := l.query(sql); n != length || got != sum {
			t.Errorf("level %d: %d bytes, want %d, or they differ", level, n, length)
		}
	}
}
