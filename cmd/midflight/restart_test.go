package main

import (
	"database/sql"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
)

// with is each, with more arguments.
func with(t *testing.T, args string, fn func(t *testing.T, s site)) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) { fn(t, newSite(t, s, strings.Fields(args)...)) })
}

// begun is a connection with a transaction that has changed a row.
func (s site) begun() *sql.Conn {
	s.t.Helper()
	c, err := s.m.DB(s.t, s.db).Conn(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	for _, q := range []string{"BEGIN", "INSERT INTO t (v) VALUES ('begun')"} {
		if _, err := c.ExecContext(s.t.Context(), q); err != nil {
			s.t.Fatal(err)
		}
	}
	return c
}

func (s site) endsWithin(bound time.Duration) {
	s.t.Helper()
	select {
	case <-s.m.Done():
	case <-time.After(bound):
		s.t.Errorf("it has not ended within %s", bound)
	}
}

func TestDrain(t *testing.T) {
	with(t, "--drain 30s", func(t *testing.T, s site) {
		c := s.begun()
		idle := s.m.DB(t, s.db)
		if err := idle.Ping(); err != nil {
			t.Fatal(err)
		}
		s.m.Signal(syscall.SIGTERM)
		await(t, "nobody is accepted any more", func() bool {
			conn, err := net.Dial("tcp", s.m.Addr)
			if err == nil {
				conn.Close()
			}
			return err != nil
		})
		if status, body := get(t, s.m, "/readyz"); status != 503 || !strings.Contains(body, "stopped") {
			t.Errorf("/readyz: %d %s", status, body)
		}
		await(t, "the idle session has left", func() bool {
			return s.value("SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()") == "1"
		})
		ctx := t.Context()
		if _, err := c.ExecContext(ctx, "INSERT INTO t (v) VALUES ('more')"); err != nil {
			t.Errorf("within the transaction: %v", err)
		}
		if _, err := c.ExecContext(ctx, "ALTER TABLE t ADD COLUMN x INT, ALGORITHM=COPY"); err == nil || !strings.Contains(err.Error(), "1053") || !strings.Contains(err.Error(), "send the statement again") {
			t.Errorf("a schema change: %v", err)
		}
		if _, err := c.ExecContext(ctx, "COMMIT"); err != nil {
			t.Errorf("COMMIT: %v", err)
		}
		s.endsWithin(5 * time.Second)
		if got := s.value("SELECT COUNT(*) FROM t WHERE v IN ('begun', 'more')"); got != "2" {
			t.Errorf("%s rows are there, want 2", got)
		}
	})
}

func TestDrainBound(t *testing.T) {
	with(t, "--drain 700ms", func(t *testing.T, s site) {
		c := s.begun()
		began := time.Now()
		s.m.Signal(syscall.SIGTERM)
		s.endsWithin(5 * time.Second)
		if took := time.Since(began); took < 700*time.Millisecond {
			t.Errorf("it has ended after %s", took)
		}
		if _, err := c.ExecContext(t.Context(), "COMMIT"); err == nil {
			t.Error("the transaction goes on")
		}
		await(t, "the server has rolled back", func() bool { return s.value("SELECT COUNT(*) FROM t WHERE v = 'begun'") == "0" })
	})
}

func TestDrainAtOnce(t *testing.T) {
	with(t, "--drain 1h", func(t *testing.T, s site) {
		s.begun()
		s.m.Signal(syscall.SIGTERM)
		await(t, "it drains", func() bool { return strings.Contains(s.m.Log(), "no new clients") })
		s.m.Signal(syscall.SIGTERM)
		s.endsWithin(5 * time.Second)
	})
}

// An upgrade under a load, by TCP, TLS and a socket: nobody is refused, nothing is lost.
func TestUpgrade(t *testing.T) {
	dir, err := os.MkdirTemp("", "m") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket, cert, key := filepath.Join(dir, "s"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, key, "us")
	with(t, "--drain 6s --server-tls off --listen 127.0.0.1:0,"+socket+" --tls-cert "+cert+" --tls-key "+key, func(t *testing.T, s site) {
		l := newLoad(t, s)
		tcp := "root@tcp(" + strings.Split(s.m.Addr, ",")[0] + ")/" + s.db
		l.use(tcp, 6, 0, true)
		l.use(tcp+"?tls=skip-verify", 6, 0, true)
		l.use(tcp+"?interpolateParams=true", 10, 300*time.Millisecond, true)
		l.use(tcp, 4, 0, false)
		l.use("root@unix("+socket+")/"+s.db, 6, 300*time.Millisecond, true)
		l.use("root@unix("+socket+")/"+s.db, 2, 0, false)
		l.browse("http://" + s.m.HTTP + "/healthz")
		await(t, "the load runs", func() bool { return l.committed.Load() > 500 })
		began := time.Now()
		next := s.m.Upgrade(t)
		if next.Addr != s.m.Addr || next.HTTP != s.m.HTTP {
			t.Errorf("the new process serves %s and %s, the old one %s and %s", next.Addr, next.HTTP, s.m.Addr, s.m.HTTP)
		}
		s.endsWithin(10 * time.Second)
		t.Logf("the old one has ended after %s", time.Since(began))
		log := s.m.Log()
		if n := strings.Count(log, `"reason":"drained"`); n < 20 {
			t.Errorf("%d sessions have left it", n)
		}
		if n := strings.Count(log, `"reason":"shutdown"`); n > 0 {
			t.Errorf("%d sessions were cut", n)
		}
		then := l.committed.Load()
		await(t, "the load goes on", func() bool { return l.committed.Load() > then+500 })
		l.ends(s)
		if _, err := os.Stat(socket); err != nil {
			t.Errorf("the old process has removed what the new one listens on: %v", err)
		}
		next.Stop()
		if _, err := os.Stat(socket); err == nil {
			t.Errorf("nobody has removed %s", socket)
		}
	})
}

// The new process takes a migration over while the old one still has sessions, and who
// sends the statement again is answered by what becomes of it.
func TestUpgradeWithAMigration(t *testing.T) {
	with(t, "--drain 1h", func(t *testing.T, s site) {
		s.Exec("CREATE TABLE other (id INT PRIMARY KEY)")
		c, err := s.m.DB(t, s.db).Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, q := range []string{"BEGIN", "INSERT INTO other VALUES (1)"} {
			if _, err := c.ExecContext(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		id, done := s.hold()
		next := s.m.Upgrade(t)
		if err := <-done; err == nil || !strings.Contains(err.Error(), "1053") || !strings.Contains(err.Error(), "Migration "+id+" goes on") {
			t.Errorf("the client of the ALTER hears %v", err)
		}
		await(t, "the migration is taken over and in sync", func() bool {
			return s.value("SELECT COUNT(*) FROM midflight.events WHERE migration_id = ? AND event LIKE 'gone on from a checkpoint%'", id) == "1" && s.row(id) == "ready"
		})
		s.Exec("CALL midflight.cutover(?)", id)
		await(t, "the migration is completed", func() bool { return s.row(id) == "completed" })
		if _, err := c.ExecContext(t.Context(), "COMMIT"); err != nil {
			t.Errorf("COMMIT in the old process: %v", err)
		}
		s.endsWithin(5 * time.Second)
		if _, err := next.DB(t, s.db).Exec("ALTER TABLE /* midflight: strategy=copy */ t DROP COLUMN held"); err != nil {
			t.Errorf("an ALTER in the new process: %v", err)
		}
	})
}

// A new process that doesn't get ready changes nothing.
func TestUpgradeFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "midflight.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log-level: debug\n")
	with(t, "--drain 30s --config "+file, func(t *testing.T, s site) {
		c := s.begun()
		write("nonsense: 1\n")
		s.m.Signal(syscall.SIGUSR2)
		await(t, "it says that nothing has become of it", func() bool { return strings.Contains(s.m.Log(), "no new process has taken over, this one goes on") })
		if log := s.m.Log(); !strings.Contains(log, `no setting \"nonsense\"`) && !strings.Contains(log, `no setting "nonsense"`) {
			t.Errorf("the reason is not in\n%s", log)
		}
		if _, err := c.ExecContext(t.Context(), "COMMIT"); err != nil {
			t.Errorf("a transaction of before: %v", err)
		}
		if _, err := s.m.DB(t, s.db).Exec("ALTER TABLE /* midflight: strategy=copy */ t ADD COLUMN x INT"); err != nil {
			t.Errorf("a new session: %v", err)
		}
		if status, _ := get(t, s.m, "/readyz"); status != 200 {
			t.Errorf("/readyz: %d", status)
		}
		write("log-level: debug\n")
		next := s.m.Upgrade(t)
		s.endsWithin(5 * time.Second)
		if err := next.DB(t, s.db).Ping(); err != nil {
			t.Errorf("when it can: %v", err)
		}
	})
}

// systemd's part: the sockets, and what it is told.
func TestSystemd(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	path, err := testmidflight.Binary()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "m")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	said, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	hears := func(want string) (value int) {
		t.Helper()
		b := make([]byte, 200)
		said.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, err := said.Read(b); err != nil || !strings.HasPrefix(string(b[:n]), want) {
			t.Errorf("systemd hears %q, %v; want %s", b[:n], err, want)
		} else {
			value, _ = strconv.Atoi(string(b[len(want):n]))
		}
		return value
	}
	var addrs []string
	cmd := midflight(t, nil)
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", path, "serve", "--server", s.Addr, "--user", "root", "--listen", "127.0.0.1:1", "--http", "127.0.0.1:1"}
	for _, at := range [][2]string{{"tcp", "127.0.0.1:0"}, {"tcp", "127.0.0.1:0"}, {"unix", filepath.Join(dir, "s")}} {
		l, err := net.Listen(at[0], at[1])
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		addrs = append(addrs, l.Addr().String())
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	cmd.Env = append(cmd.Env, "LISTEN_FDS=3", "LISTEN_FDNAMES=midflight.socket:http:midflight.socket", "NOTIFY_SOCKET="+said.LocalAddr().String())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hears("READY=1")
	for _, dsn := range []string{"root@tcp(" + addrs[0] + ")/", "root@unix(" + addrs[2] + ")/"} {
		db, err := sql.Open("mysql", dsn)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Ping(); err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
		db.Close()
	}
	if status, _ := get(t, &testmidflight.Midflight{HTTP: addrs[1]}, "/readyz"); status != 200 {
		t.Errorf("/readyz: %d", status)
	}
	cmd.Process.Signal(syscall.SIGUSR2)
	hears("READY=1") // the new one's, which systemd doesn't know yet
	pid := hears("MAINPID=")
	cmd.Wait()
	if _, err := os.Stat(addrs[2]); err != nil {
		t.Errorf("systemd's socket: %v", err)
	}
	if next, err := os.FindProcess(pid); err == nil {
		next.Signal(syscall.SIGTERM)
	}
	hears("STOPPING=1")
}

func TestReadWill(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want will
	}{
		{nil, will{}},
		{map[string]string{"LISTEN_FDS": "2"}, will{}},
		{map[string]string{"LISTEN_FDS": "2", "LISTEN_PID": "8"}, will{}},
		{map[string]string{"LISTEN_FDS": "2", "LISTEN_PID": "7"}, will{sockets: []bequest{{"clients", false}, {"clients", false}}}},
		{map[string]string{"LISTEN_FDS": "2", "LISTEN_PID": "7", "LISTEN_FDNAMES": "a-file:http"}, will{sockets: []bequest{{"a-file", false}, {"http", false}}}},
		{map[string]string{"LISTEN_FDS": "2", handoverFrom: "6", "LISTEN_FDNAMES": "clients-file:http"}, will{sockets: []bequest{{"clients", true}, {"http", false}}, pipe: true}},
		{map[string]string{"LISTEN_FDS": "2", handoverFrom: "5"}, will{}},
	} {
		got := readWill(func(k string) string { return c.env[k] }, 7, 6)
		if got.pipe != c.want.pipe || !slices.Equal(got.sockets, c.want.sockets) {
			t.Errorf("%v: %+v, want %+v", c.env, got, c.want)
		}
	}
}
