package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"midflight/internal/testmysql"
)

// A front is a proxy that listens on TCP and on a socket.
type front struct {
	srv          *Server
	addr, socket string
	failed       chan HandshakeFailed
}

func startFront(t *testing.T, cfg Config) front {
	t.Helper()
	dir, err := os.MkdirTemp("", "p") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := front{socket: filepath.Join(dir, "s"), failed: make(chan HandshakeFailed, 10000)}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = tcp.Addr().String()
	unix, err := net.Listen("unix", f.socket)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Observe = func(e Event) {
		if e, ok := e.(HandshakeFailed); ok {
			f.failed <- e
		}
	}
	f.srv = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f.srv.Serve(ctx, tcp, unix); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return f
}

// links are the ways to a server, or to a proxy.
var links = []struct {
	name string
	link link
	tls  string // the driver's
}{{"tcp", linkTCP, "false"}, {"tls", linkTLS, "skip-verify"}, {"socket", linkSocket, "false"}}

func place(l link, addr, socket string) string {
	if l == linkSocket {
		return socket
	}
	return addr
}

// serverSide is how a proxy reaches a server over a link.
func serverSide(t *testing.T, l link, s *testmysql.Server) Config {
	c := Config{Server: place(l, s.Addr, s.Socket), TLS: testCertificate(t), ServerTLSMode: TLSOff}
	if l == linkTLS {
		c.ServerTLSMode = TLSOn
	}
	return c
}

type account struct {
	name, create   string
	password       string // what is given at login
	cold           bool   // the server has forgotten the password's digest
	serverDecides  bool   // what counts is the server's link
	mysql, mariadb bool
}

var accounts = []account{
	{name: "sha2", create: "IDENTIFIED WITH caching_sha2_password BY 'se cret'", password: "se cret", cold: true, mysql: true},
	{name: "sha2", password: "se cret", mysql: true},
	{name: "sha2", password: "wrong", mysql: true},
	{name: "sha2", password: "wrong", cold: true, mysql: true},
	{name: "sha2", password: "", cold: true, mysql: true},
	{name: "sha256", create: "IDENTIFIED WITH sha256_password BY 'secret'", password: "secret", mysql: true},
	{name: "sha256", password: "wrong", mysql: true},
	{name: "sha256", password: "", mysql: true},
	{name: "open", create: "", password: "", cold: true, mysql: true, mariadb: true},
	{name: "open", password: "wrong", cold: true, mysql: true, mariadb: true},
	{name: "open256", create: "IDENTIFIED WITH sha256_password BY ''", password: "", mysql: true},
	{name: "tls", create: "IDENTIFIED BY 'secret' REQUIRE SSL", password: "secret", cold: true, serverDecides: true, mysql: true, mariadb: true},
	{name: "native", create: "IDENTIFIED VIA mysql_native_password USING PASSWORD('secret')", password: "secret", mariadb: true},
	{name: "native", password: "wrong", mariadb: true},
	{name: "ed", create: "IDENTIFIED VIA ed25519 USING PASSWORD('secret')", password: "secret", mariadb: true},
	{name: "ed", password: "wrong", mariadb: true},
	{name: "two", create: "IDENTIFIED VIA ed25519 USING PASSWORD('first') OR mysql_native_password USING PASSWORD('second')", password: "first", mariadb: true},
}

// Every way to the proxy, times every way to the server, times every kind of
// account: what comes out is what comes out without a proxy.
func TestMatrix(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		if s.Flavor == testmysql.MariaDB {
			s = testmysql.Start(t, testmysql.MariaDB, append(certificateFiles(t), "--plugin-load-add=auth_ed25519")...)
		}
		var mine []account
		for _, a := range accounts {
			if a.mysql && s.Flavor == testmysql.MySQL || a.mariadb && s.Flavor == testmysql.MariaDB {
				mine = append(mine, a)
			}
		}
		seen := map[string]bool{}
		for i := range mine {
			a := &mine[i]
			user := "matrix_" + a.name
			if !seen[user] {
				s.Exec(t, fmt.Sprintf("CREATE USER %s@'%%' %s", user, a.create))
				t.Cleanup(func() { s.Exec(t, "DROP USER "+user+"@'%'") })
			}
			seen[user] = true
			a.name = user
		}
		malformed := 0 // logins that the driver broke off
		login := func(a account, addr, driverTLS string) uint16 {
			t.Helper()
			if a.cold {
				s.Exec(t, "FLUSH PRIVILEGES") // empties caching_sha2's cache
			}
			c, err := connect(t, addr, a.name, a.password, driverTLS)
			for range 3 {
				// MariaDB's ed25519 nonce ends with a zero byte once in 256 times, which
				// the driver cuts off.
				if !errors.Is(err, mysql.ErrMalformPkt) {
					break
				}
				malformed++
				c, err = connect(t, addr, a.name, a.password, driverTLS)
			}
			if err != nil {
				if number(err) == 0 {
					t.Errorf("%s, password %q: %v", a.name, a.password, err)
				}
				return number(err)
			}
			defer c.Close()
			if got := scan(t, c, "SELECT CURRENT_USER()"); got != a.name+"@%" {
				t.Errorf("%s is %s", a.name, got)
			}
			return 0
		}
		direct := map[string]uint16{}
		for _, l := range links {
			for _, a := range mine {
				direct[fmt.Sprint(l.link, a)] = login(a, place(l.link, s.Addr, s.Socket), l.tls)
			}
		}
		for _, server := range links {
			t.Run("server by "+server.name, func(t *testing.T) {
				f := startFront(t, serverSide(t, server.link, s))
				malformed = 0
				for _, client := range links {
					for _, a := range mine {
						want := direct[fmt.Sprint(client.link, a)]
						if a.serverDecides {
							want = direct[fmt.Sprint(server.link, a)]
						}
						if got := login(a, place(client.link, f.addr, f.socket), client.tls); got != want {
							t.Errorf("client by %s, %s, password %q: %d, directly: %d", client.name, a.name, a.password, got, want)
						}
					}
				}
				left := 0
				for range len(f.failed) {
					switch e := <-f.failed; {
					case e.Reason == ReasonClientLeft && left < malformed:
						left++
					case e.Reason != ReasonAuthFailed || e.Blame != BlameClient:
						t.Errorf("%s, blame %s: %v", e.Reason, e.Blame, e.Err)
					}
				}
			})
		}
	})
}
