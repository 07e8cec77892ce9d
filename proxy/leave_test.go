package proxy

import (
	"crypto/tls"
	"database/sql"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// outerAddress is one of this machine's that is not the loopback: servers don't
// count the errors of that one.
func outerAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	t.Skip("NOT TESTED: there is no address but the loopback's")
	return ""
}

// startCounting starts a server that blocks an address after three errors.
func startCounting(t *testing.T, f testmysql.Flavor, args ...string) *counting {
	t.Helper()
	ip := outerAddress(t)
	args = append(args, "--bind-address=0.0.0.0", "--skip-name-resolve=OFF", "--max-connect-errors=3", "--performance-schema=ON")
	if f == testmysql.MariaDB {
		args = append(append(args, certificateFiles(t)...), "--plugin-load-add=auth_ed25519")
	}
	s := testmysql.Start(t, f, args...)
	s.Exec(t, "CREATE USER app@'%'", "CREATE USER secret@'%' IDENTIFIED BY 'secret'")
	if f == testmysql.MariaDB {
		s.Exec(t, "CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('secret')")
	}
	if f == testmysql.MySQL {
		s.Exec(t, "CREATE USER s256@'%' IDENTIFIED WITH sha256_password BY 'secret'")
	}
	_, port, _ := net.SplitHostPort(s.Addr)
	db, err := s.DB(t).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &counting{s, db, net.JoinHostPort(ip, port)}
}

// counting is a server that counts errors against our address.
type counting struct {
	*testmysql.Server
	root  *sql.Conn // whatever the server asks of new connections
	outer string    // its address
}

func (s *counting) do(t *testing.T, query string) {
	t.Helper()
	if _, err := s.root.ExecContext(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// hostErrors is how many errors the server counts against our address.
func (s *counting) errors(t *testing.T) (n int) {
	t.Helper()
	if err := s.root.QueryRowContext(t.Context(), "SELECT COALESCE(SUM(sum_connect_errors), 0) FROM performance_schema.host_cache").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// response is a HandshakeResponse.
func response(caps wire.Caps, user, plugin string, auth []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(caps|wire.ClientMySQL|wire.ClientProtocol41|wire.ClientSecureConnection|wire.ClientPluginAuth))
	b = append(binary.LittleEndian.AppendUint32(b, 1<<24), 45)
	b = append(b, make([]byte, 23)...)
	b = append(append(b, user...), 0)
	b = append(append(b, byte(len(auth))), auth...)
	return append(append(b, plugin...), 0)
}

// leavers are ways to leave before one has logged in. Each returns when the
// client has done its part; the connection is then closed.
var leavers = []struct {
	name   string
	reason Reason
	do     func(c net.Conn)
}{
	{"at once", "", func(net.Conn) {}},
	{"after the greeting", ReasonClientLeft, func(c net.Conn) { readPacket(c) }},
	{"after the greeting, with a reset", ReasonClientLeft, func(c net.Conn) { readPacket(c); c.(*net.TCPConn).SetLinger(0) }},
	{"in a packet's header", ReasonClientLeft, func(c net.Conn) { readPacket(c); c.Write([]byte{1, 2}) }},
	{"in a packet", ReasonClientLeft, func(c net.Conn) { readPacket(c); c.Write([]byte{40, 0, 0, 1, 9}) }},
	{"with a packet too short", ReasonMalformed, func(c net.Conn) { readPacket(c); writePacket(c, []byte{1}, 1); readPacket(c) }},
	{"with a packet too long", "", func(c net.Conn) { readPacket(c); c.Write([]byte("GET / HTTP/1.1\r\n\r\n")) }},
	{"with a wrong number", ReasonMalformed, func(c net.Conn) { readPacket(c); writePacket(c, response(0, "app", "", nil), 7); readPacket(c) }},
	{"before TLS", ReasonClientLeft, func(c net.Conn) { wantTLS(c) }},
	{"in TLS", ReasonClientTLS, func(c net.Conn) {
		wantTLS(c)
		c.Write([]byte("this is no TLS record at all"))
		c.Read(make([]byte, 10))
	}},
	{"refusing our certificate", ReasonClientTLS, func(c net.Conn) { wantTLS(c); tls.Client(c, &tls.Config{ServerName: "elsewhere"}).Handshake() }},
	{"after TLS", ReasonClientLeft, func(c net.Conn) { useTLS(c) }},
	{"in TLS, in a packet", ReasonClientLeft, func(c net.Conn) { useTLS(c).Write([]byte{40, 0}) }},
	{"after the response", "", func(c net.Conn) { readPacket(c); writePacket(c, response(0, "secret", "other_plugin", nil), 1) }},
	{"after the response, over TLS", "", func(c net.Conn) { writePacket(useTLS(c), response(wire.ClientSSL, "secret", "other_plugin", nil), 2) }},
	{"asked for another plugin", ReasonClientLeft, func(c net.Conn) {
		readPacket(c)
		writePacket(c, response(0, "secret", "other_plugin", nil), 1)
		readPacket(c)
	}},
	{"asked for another plugin, over TLS", ReasonClientLeft, func(c net.Conn) {
		s := useTLS(c)
		writePacket(s, response(wire.ClientSSL, "secret", "other_plugin", nil), 2)
		readPacket(s)
	}},
	{"asked for the password", "", func(c net.Conn) {
		readPacket(c)
		writePacket(c, response(0, "secret", "caching_sha2_password", make([]byte, 32)), 1)
		readPacket(c)
	}},
	{"with the key", "", func(c net.Conn) {
		readPacket(c)
		writePacket(c, response(0, "secret", "caching_sha2_password", make([]byte, 32)), 1)
		_, seq, _ := readPacket(c)
		writePacket(c, []byte{2}, seq+1)
		readPacket(c)
	}},
	{"asked for a signature", "", func(c net.Conn) {
		readPacket(c)
		writePacket(c, response(0, "ed", "other_plugin", nil), 1)
		readPacket(c)
	}},
	{"with half a response", ReasonMalformed, func(c net.Conn) { readPacket(c); writePacket(c, response(0, "secret", "", nil)[:36], 1); readPacket(c) }},
	{"with half a password", ReasonMalformed, func(c net.Conn) {
		readPacket(c)
		writePacket(c, response(0, "secret", wire.NativePassword, []byte("abc")), 1)
		readPacket(c)
	}},
	{"with nonsense for a password", "", func(c net.Conn) { answerWith(c, "secret", "nonsense") }},
	{"with nonsense for a signature", "", func(c net.Conn) { answerWith(c, "ed", "nonsense") }},
	{"asked for the password itself", "", func(c net.Conn) {
		readPacket(c)
		writePacket(c, response(0, "s256", "other_plugin", nil), 1)
		readPacket(c)
	}},
	{"with nonsense for a cipher", "", func(c net.Conn) { answerWith(c, "s256", "nonsense") }},
	{"with nothing for a cipher", "", func(c net.Conn) { answerWith(c, "s256", "") }},
	{"with a wish for a key", "", func(c net.Conn) { answerWith(c, "s256", "\x01") }},
	{"with a very long password", "", func(c net.Conn) { answerWith(c, "secret", strings.Repeat("x", 70000)) }},
	{"before the OK", "", func(c net.Conn) { readPacket(c); writePacket(c, response(0, "app", "mysql_native_password", nil), 1) }},
}

func answerWith(c net.Conn, user, password string) {
	readPacket(c)
	writePacket(c, response(0, user, "other_plugin", nil), 1)
	_, seq, _ := readPacket(c)
	writePacket(c, []byte(password), seq+1)
	readPacket(c)
}

func wantTLS(c net.Conn) {
	readPacket(c)
	writePacket(c, response(wire.ClientSSL, "", "", nil)[:32], 1)
}

func useTLS(c net.Conn) *tls.Conn {
	wantTLS(c)
	s := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	s.Handshake()
	return s
}

// Clients that leave before they have logged in must not make the server block
// our address: max_connect_errors counts what looks like a broken handshake.
func TestLeavers(t *testing.T) {
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(f), func(t *testing.T) {
			s := startCounting(t, f)
			for _, mode := range []TLSMode{TLSMatch, TLSOn, TLSOff} {
				t.Run(string(mode), func(t *testing.T) { leaveAll(t, s, mode) })
			}
			s.do(t, "SET GLOBAL require_secure_transport = ON")
			t.Run("a server that requires TLS", func(t *testing.T) { leaveAll(t, s, TLSMatch) })
			s.do(t, "SET GLOBAL require_secure_transport = OFF")
			for range 2 { // or the test proves nothing
				c, err := net.Dial("tcp", s.outer)
				if err != nil {
					t.Fatal(err)
				}
				readPacket(c)
				c.Close()
			}
			await(t, func() bool { return s.errors(t) > 0 })
		})
	}
}

func leaveAll(t *testing.T, s *counting, mode TLSMode) {
	f := startFront(t, Config{Server: s.outer, TLS: testCertificate(t), ServerTLSMode: mode})
	for _, l := range leavers {
		for range 5 {
			c, err := net.Dial("tcp", f.addr)
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(10 * time.Second))
			l.do(c)
			c.Close()
			if l.name == "before the OK" {
				await(t, func() bool { return len(f.srv.all()) == 0 })
				for len(f.failed) > 0 { // or it has become a session
					<-f.failed
				}
				continue
			}
			if e := <-f.failed; l.reason != "" && e.Reason != l.reason && e.Reason != ReasonAuthFailed && e.Reason != ReasonServerRefused {
				t.Errorf("%s: %s, want %s: %v", l.name, e.Reason, l.reason, e.Err)
			} else if l.reason == "" && e.Blame != BlameClient && e.Reason != ReasonServerRefused {
				t.Errorf("%s: %s: %v", l.name, e.Reason, e.Err)
			}
		}
		if n := s.errors(t); n != 0 {
			t.Errorf("%s: the server counts %d errors of ours", l.name, n)
			s.do(t, "TRUNCATE performance_schema.host_cache")
		}
	}
	c, err := connect(t, f.addr, "app", "", map[TLSMode]string{TLSMatch: "skip-verify"}[mode])
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
