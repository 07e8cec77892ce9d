package main

import (
	"database/sql"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
)

func TestFrontFlags(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, key, "us")
	s := testmysql.Shared(t, testmysql.MySQL)
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"--server-tls perhaps", 2, "want match, on or off"},
		{"--server-proxy-protocol v3", 2, "want off, v1 or v2"},
		{"--proxy-protocol-networks 10.0.0.0/33", 2, "--proxy-protocol-networks"},
		{"--max-connections -1", 2, "--max-connections"},
		{"--max-handshakes 0", 2, "--max-handshakes"},
		{"--tls-cert " + cert, 2, "--tls-cert and --tls-key go together"},
		{"--server-key " + key, 2, "--server-cert and --server-key go together"},
		{"--tls-client-ca " + cert, 2, "--tls-client-ca needs --tls-cert"},
		{"--tls-cert " + key + " --tls-key " + key, 1, "read the certificate"},
		{"--server-ca " + key, 1, "there is no certificate"},
		{"--server-private-key " + key, 1, "want an RSA key"},
		{"--listen 127.0.0.1:0," + cert, 1, "is not a socket"},
	} {
		args := append([]string{"serve", "--server", s.Addr, "--user", "root", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"}, strings.Fields(c.args)...)
		if stdout, stderr, status := runs(t, nil, args...); status != c.status || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: status %d, want %d with %q\n%s%s", c.args, status, c.status, c.says, stdout, stderr)
		}
	}
}

// TCP and a socket at once, everything between encrypted or not, and a second
// Midflight that is told of the true client.
func TestFront(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		dir, err := os.MkdirTemp("", "m") // a socket's path must be short
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		socket, cert, key := filepath.Join(dir, "s"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		writePair(t, cert, key, "us")
		leaveStale(t, socket)
		args := []string{"--listen", "127.0.0.1:0," + socket, "--tls-cert", cert, "--tls-key", key,
			"--max-connections", "3", "--proxy-protocol-networks", "10.0.0.0/8, 192.0.2.1"}
		if s.Flavor == testmysql.MySQL {
			args = append(args, "--server-tls", "on", "--server-ca", filepath.Join(s.Datadir, "ca.pem"),
				"--server-private-key", filepath.Join(s.Datadir, "private_key.pem"))
		} else {
			args = append(args, "--server-tls", "off")
		}
		m := testmidflight.Start(t, s, args...)
		tcp, path, ok := strings.Cut(m.Addr, ",")
		if !ok || path != socket {
			t.Fatalf("it listens on %s", m.Addr)
		}
		info, err := os.Stat(socket)
		if err != nil || info.Mode() != fs.ModeSocket|0o777 {
			t.Errorf("the socket: %v, %v", info, err)
		}
		var idle []*sql.DB
		for _, dsn := range []string{"root@tcp(" + tcp + ")/", "root@tcp(" + tcp + ")/?tls=skip-verify", "root@unix(" + socket + ")/"} {
			db, err := sql.Open("mysql", dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := db.Ping(); err != nil {
				t.Errorf("%s: %v", dsn, err)
			}
			idle = append(idle, db)
		}
		db, err := sql.Open("mysql", "root@tcp("+tcp+")/")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Ping(); err == nil || !strings.Contains(err.Error(), "1040") {
			t.Errorf("the fourth connection: %v", err)
		}
		if _, page := get(t, m, "/metrics"); !strings.Contains(page, `midflight_handshakes_failed_total{blame="proxy",reason="limit"} `) {
			t.Error("it is not counted")
		}
		idle[0].Close()
	})
}

// leaveStale leaves a socket that nobody listens on.
func leaveStale(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
}
