package proxy

import (
	"bytes"
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// capture keeps what is written while it is on.
type capture struct {
	net.Conn
	mu  sync.Mutex
	on  bool
	buf bytes.Buffer
}

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.on {
		return c.buf.Write(p)
	}
	return c.Conn.Write(p)
}

func dialTLS(t *testing.T, addr string) (*rawConn, *capture) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	cap := &capture{Conn: conn}
	c, b := dialSSL(t, cap)
	c.Conn = tls.Client(cap, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	b = append(b, "root\x00\x00"...)
	b = append(b, "\x00"+c.greeting.Plugin+"\x00"...)
	c.sendSeq(b, 2)
	for {
		p := c.read()
		switch p[0] {
		case 0:
			return c, cap
		case 0xff:
			e, _ := wire.ParseErr(p)
			t.Fatalf("login: %v", e)
		case 0xfe:
			c.sendSeq(nil, c.seq+1)
		}
	}
}

// A TLS 1.2 alert that is cut by a read doesn't take along the bytes before it:
// crypto/tls.Conn.Read returns them together with errWouldBlock.
func TestCutAlert(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	_, addr := startProxy(t, Config{Server: s.Addr, TLS: testCertificate(t)})
	name := s.NewDatabase(t)
	s.Exec(t, "CREATE TABLE "+name+".t (a VARCHAR(20))")
	for _, where := range []string{s.Addr, addr} {
		c, cap := dialTLS(t, where)
		c.query("DO 1")
		cap.mu.Lock()
		cap.on = true
		cap.mu.Unlock()
		c.sendSeq(wire.AppendQuery(nil, "INSERT INTO "+name+".t VALUES ('"+where+"')", c.s), 0)
		c.Conn.(*tls.Conn).CloseWrite()
		b := cap.buf.Bytes()
		cap.Conn.SetDeadline(time.Now().Add(2 * time.Second))
		cap.Conn.Write(b[:len(b)-10]) // the alert is cut
		cap.Conn.SetDeadline(time.Now().Add(2 * time.Second))
		c.readErr()
		cap.Conn.SetDeadline(time.Now().Add(2 * time.Second))
		cap.Conn.Write(b[len(b)-10:])
		c.readErr()
		await(t, func() bool { // the INSERT isn't lost
			var n int
			s.DB(t).QueryRow("SELECT COUNT(*) FROM "+name+".t WHERE a = ?", where).Scan(&n)
			return n == 1
		})
	}
}
