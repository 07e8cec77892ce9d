package proxy

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

func testCertificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// certificateFiles makes a server that has no certificate have one.
func certificateFiles(t *testing.T) []string {
	t.Helper()
	c := testCertificate(t).Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), 0o644)
	os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
	return []string{"--ssl-cert=" + cert, "--ssl-key=" + key}
}

// connect opens one connection with the Go driver.
func connect(t *testing.T, addr, user, password, tlsMode string, db ...string) (*sql.Conn, error) {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.DBName = strings.Join(db, "")
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd, cfg.TLSConfig = "tcp", addr, user, password, tlsMode
	if strings.HasPrefix(addr, "/") {
		cfg.Net = "unix"
	}
	cfg.Timeout, cfg.ReadTimeout = 10*time.Second, 20*time.Second
	pool, err := sql.Open("mysql", cfg.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return pool.Conn(context.Background())
}

func mustConnect(t *testing.T, addr, user, password, tlsMode string) *sql.Conn {
	t.Helper()
	c, err := connect(t, addr, user, password, tlsMode)
	if err != nil {
		t.Fatalf("connect as %s: %v", user, err)
	}
	return c
}

func scan(t *testing.T, c *sql.Conn, query string) string {
	t.Helper()
	var v sql.NullString
	if err := c.QueryRowContext(context.Background(), query).Scan(new(any), &v); err != nil {
		if err := c.QueryRowContext(context.Background(), query).Scan(&v); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	return v.String
}

func number(err error) uint16 {
	var me *mysql.MySQLError
	if errors.As(err, &me) {
		return me.Number
	}
	return 0
}

func TestLogins(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		if s.Flavor == testmysql.MariaDB {
			s = testmysql.Start(t, testmysql.MariaDB, certificateFiles(t)...)
		}
		plugin := "mysql_native_password"
		if s.Flavor == testmysql.MySQL {
			plugin = "caching_sha2_password"
		}
		user := "login_" + string(s.Flavor)
		create := fmt.Sprintf("CREATE USER %s@'%%' IDENTIFIED BY 'secret'", user)
		if s.Flavor == testmysql.MySQL {
			create = fmt.Sprintf("CREATE USER %s@'%%' IDENTIFIED WITH %s BY 'secret'", user, plugin)
		}
		s.Exec(t, create)
		t.Cleanup(func() { s.Exec(t, "DROP USER "+user+"@'%'") })
		for mode, conf := range map[string]*tls.Config{"plain": nil, "tls": testCertificate(t)} {
			t.Run(mode, func(t *testing.T) {
				driverTLS := "false"
				if conf != nil {
					driverTLS = "skip-verify"
				}
				_, addr := startProxy(t, Config{Server: s.Addr, TLS: conf})
				s.Exec(t, "FLUSH PRIVILEGES") // empties caching_sha2's cache
				for _, cache := range []string{"cold", "warm"} {
					c := mustConnect(t, addr, user, "secret", driverTLS)
					if got := scan(t, c, "SHOW STATUS LIKE 'Ssl_cipher'"); (got != "") != (conf != nil) {
						t.Errorf("%s: cipher towards the server: %q", cache, got)
					}
					c.Close()
				}
				_, err := connect(t, addr, user, "wrong", driverTLS)
				_, direct := connect(t, s.Addr, user, "wrong", "false")
				if err == nil || direct == nil || err.Error() != direct.Error() {
					t.Errorf("wrong password: %v, directly: %v", err, direct)
				}
				mustConnect(t, addr, "root", "", driverTLS)
				if conf == nil {
					if _, err := connect(t, addr, user, "secret", "skip-verify"); err == nil {
						t.Error("TLS without a certificate")
					}
				}
			})
		}
	})
}

func TestConnectionIDAndKill(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		_, addr := startProxy(t, Config{Server: s.Addr})
		victim := dialRaw(t, addr, "", 0)
		id := fmt.Sprint(victim.greeting.ConnectionID)
		if got := victim.query("SELECT CONNECTION_ID()"); !strings.Contains(got, id) {
			t.Errorf("greeting says %s, server %q", id, got)
		}
		killer := dialRaw(t, addr, "", 0)
		victim.sendSeq(wire.AppendQuery(nil, "SELECT SLEEP(60)", victim.s), 0)
		await(t, func() bool {
			return strings.Contains(killer.query("SELECT COUNT(*), '!' FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"), "\\x011\\x01!")
		})
		killer.query("KILL QUERY " + id)
		if got := victim.answer(wire.ComQuery); !strings.Contains(got, "\\x011") && !strings.Contains(got, "interrupted") {
			t.Errorf("after KILL QUERY: %s", got)
		}
		killer.query("KILL " + id)
		for { // the server's last words, then the end
			if _, err := victim.readErr(); err != nil {
				if !errors.Is(err, io.EOF) {
					t.Errorf("after KILL: %v", err)
				}
				break
			}
		}
	})
}

// await asks again until a fact of the server's is there.
func await(t *testing.T, fact func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !fact() {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestServerNotReachable(t *testing.T) {
	_, addr := startProxy(t, Config{Server: "127.0.0.1:1"})
	_, err := connect(t, addr, "root", "", "false")
	if number(err) != 2003 {
		t.Errorf("got %v", err)
	}
}

// A server that doesn't greet but refuses is heard by the client.
func TestRefusalInsteadOfGreeting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	refusal := wire.AppendErr(nil, &wire.Err{Number: 1040, Message: "Too many connections"})
	go func() {
		c, err := l.Accept()
		if err == nil {
			writePacket(c, refusal, 0)
			c.Close()
		}
	}()
	_, addr := startProxy(t, Config{Server: l.Addr().String()})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p, seq, err := readPacket(c)
	if err != nil || seq != 0 || !bytes.Equal(p, refusal) {
		t.Errorf("%q, %d, %v", p, seq, err)
	}
}

// Clients that leave before they have answered must not block our address.
func TestEarlyLeaversDoNotBlockUs(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		failed := make(chan HandshakeFailed, 1000)
		_, addr := startProxy(t, Config{Server: s.Addr, TLS: testCertificate(t), Observe: func(e Event) {
			if f, ok := e.(HandshakeFailed); ok {
				failed <- f
			}
		}})
		for i := range 150 { // max_connect_errors is 100
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			p, _, err := readPacket(c)
			if err != nil || p[0] == 0xff {
				t.Fatalf("greeting %d: %q, %v", i, p, err)
			}
			if i%3 == 1 { // in the middle of TLS
				b := []byte{0, 0xaa | 8, 0, 0}
				b[1] |= 0x80
				writePacket(c, append(b, make([]byte, 28)...), 1)
			}
			if i%3 == 2 {
				c.Write([]byte{1, 2})
			}
			c.Close()
			if f := <-failed; f.Blame != BlameClient {
				t.Errorf("blamed %s: %v", f.Blame, f.Err)
			}
		}
		mustConnect(t, addr, "root", "", "false")
	})
}

func TestUnixSockets(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		path := filepath.Join(t.TempDir(), "p.sock")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		srv := New(Config{Server: s.Addr})
		wg.Go(func() { srv.Serve(ctx, l) })
		defer wg.Wait()
		defer cancel()
		c := mustConnect(t, path, "root", "", "false")
		if err := c.PingContext(ctx); err != nil {
			t.Error(err)
		}
	})
}

// Serve leaves nothing behind, whatever its sessions were doing.
func TestServeEndsEverything(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		before := runtime.NumGoroutine()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		intercepted := make(chan struct{})
		srv := New(Config{
			Server:    s.Addr,
			Candidate: func(text []byte, _ bool) bool { return bytes.HasPrefix(text, []byte("ALTER")) },
			Intercept: func(ctx context.Context, c *Conn, q Query) error {
				close(intercepted)
				_, err := c.Query(ctx, "DO SLEEP(60)")
				return err
			},
		})
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { srv.Serve(ctx, l) })
		addr := l.Addr().String()
		dialRaw(t, addr, "", 0)
		running := dialRaw(t, addr, "", 0)
		running.sendSeq(wire.AppendQuery(nil, "SELECT SLEEP(60)", running.s), 0)
		altering := dialRaw(t, addr, "", 0)
		altering.sendSeq(wire.AppendQuery(nil, "ALTER", altering.s), 0)
		held := dialRaw(t, addr, "", 0)
		srv.Hold([]string{"orders"}, time.Hour)
		held.sendSeq(wire.AppendQuery(nil, "SELECT orders", held.s), 0)
		half, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer half.Close()
		readPacket(half)
		<-intercepted
		cancel()
		wg.Wait()
		await(t, func() bool { return runtime.NumGoroutine() <= before })
	})
}

func readTestKey(t *testing.T, file string) *rsa.PrivateKey {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		k, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	return key.(*rsa.PrivateKey)
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
