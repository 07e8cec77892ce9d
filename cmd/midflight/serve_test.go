package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
)

// A site is a server with a table, and a Midflight in front of it.
type site struct {
	t       *testing.T
	m       *testmidflight.Midflight
	s       *testmysql.Server
	db      string
	*sql.DB // root's, around Midflight
}

func each(t *testing.T, fn func(t *testing.T, s site)) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) { fn(t, newSite(t, s)) })
}

func newSite(t *testing.T, s *testmysql.Server, args ...string) site {
	t.Helper()
	db := s.NewDatabase(t)
	s.Exec(t, "USE "+db, "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20))", "INSERT INTO t (v) VALUES ('a'), ('b'), ('c')")
	pool, err := sql.Open("mysql", s.RootDSN(db))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return site{t, testmidflight.Start(t, s, args...), s, db, pool}
}

func (s site) value(query string, args ...any) string {
	s.t.Helper()
	var v sql.NullString
	if err := s.QueryRow(query, args...).Scan(&v); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	return v.String
}

// await polls: the server tells nobody when a row changes.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s in vain: %s", what)
		}
	}
}

// hold begins an ALTER that waits for its cut-over.
func (s site) hold() (id string, done <-chan error) {
	s.t.Helper()
	answer := make(chan error, 1)
	through := s.m.DB(s.t, s.db)
	go func() {
		_, err := through.Exec("ALTER TABLE /* midflight: strategy=copy, cutover=manual */ t ADD COLUMN held INT")
		answer <- err
	}()
	await(s.t, "the ALTER is held", func() bool {
		select {
		case err := <-answer:
			s.t.Fatalf("a held ALTER has ended: %v", err)
		default:
		}
		id = s.value("SELECT MAX(id) FROM midflight.migrations WHERE schema_name = ? AND phase = 'ready'", s.db)
		return id != ""
	})
	return id, answer
}

func (s site) row(id string) string {
	s.t.Helper()
	return s.value("SELECT CONCAT_WS(' ', phase, error_number, error) FROM midflight.migrations WHERE id = ?", id)
}

// command runs a command as root of the server.
func (s site) command(args ...string) (stdout, stderr string, status int) {
	s.t.Helper()
	return runs(s.t, []string{"MIDFLIGHT_USER=root", "MIDFLIGHT_SERVER=" + s.s.Addr}, args...)
}

func TestCommands(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		id, done := s.hold()
		says := func(status int, what string, args ...string) {
			t.Helper()
			stdout, stderr, got := s.command(args...)
			if got != status || !strings.Contains(stdout+stderr, what) {
				t.Errorf("midflight %v: status %d, want %d and %q\n%s%s", args, got, status, what, stdout, stderr)
			}
		}
		says(0, "ready", "status")
		says(0, s.db+".t", "status")
		says(0, "pause: migration "+id+" is told", "pause", id)
		says(0, "resume: migration "+id+" is told", "resume", id)
		says(1, "midflight: migration 999999 does not exist", "pause", "999999")
		says(0, "cutover: migration "+id+" is told", "cutover", id)
		if err := <-done; err != nil {
			t.Errorf("after midflight cutover: %v", err)
		}
		says(0, "completed", "status")
		says(1, "has ended: completed", "cancel", id)
		s.Exec("ALTER TABLE t DROP COLUMN held")
		id, done = s.hold()
		says(0, "cancel: migration "+id+" is told", "cancel", id)
		if err := <-done; err == nil || !strings.Contains(err.Error(), "1317") {
			t.Errorf("after midflight cancel: %v", err)
		}
		says(0, "canceled", "status")
	})
}

func TestStatusBeforeAnything(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	s.Exec(t, "DROP DATABASE IF EXISTS midflight")
	if stdout, stderr, status := runs(t, nil, "status", "--server", s.Addr, "--user", "root"); status != 0 || stdout != "no migrations yet\n" {
		t.Errorf("%d %q %q", status, stdout, stderr)
	}
}

func TestWatch(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		id, done := s.hold()
		cmd := midflight(t, nil, "watch", "--server", s.s.Addr, "--user", "root")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var screen strings.Builder
		buf := make([]byte, 4096)
		for !strings.Contains(screen.String(), "ready") {
			n, err := out.Read(buf)
			screen.Write(buf[:n])
			if err != nil {
				t.Fatalf("watch ended: %v after\n%s", err, screen.String())
			}
		}
		if !strings.Contains(screen.String(), s.db+".t") || strings.Contains(screen.String(), "\x1b[") {
			t.Errorf("not a terminal, yet it sees\n%q", screen.String())
		}
		cmd.Process.Signal(os.Interrupt)
		io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("after SIGINT: %v", err)
		}
		s.Exec("CALL midflight.cancel(?)", id)
		<-done
	})
}

func get(t testing.TB, m *testmidflight.Midflight, path string) (int, string) {
	t.Helper()
	r, err := http.Get("http://" + m.HTTP + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestHTTP(t *testing.T) {
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(f), func(t *testing.T) {
			server := testmysql.Start(t, f)
			s := newSite(t, server)
			want := func(path string, status int) string {
				t.Helper()
				got, body := get(t, s.m, path)
				if got != status {
					t.Errorf("%s: %d, want %d\n%s", path, got, status, body)
				}
				return body
			}
			want("/healthz", 200)
			want("/readyz", 200)
			want("/nothing", 404)
			id, done := s.hold()
			text := want("/metrics", 200)
			if !strings.Contains(text, `midflight_migrations{phase="ready"} 1`) || !strings.Contains(text, "midflight_rows_copied_total 3\n") {
				t.Errorf("the migration isn't in\n%s", text)
			}
			problems, err := promlint.New(strings.NewReader(text)).Lint()
			if err != nil || len(problems) > 0 {
				t.Errorf("promlint: %v %v", err, problems)
			}
			if text := want("/", 200); !strings.Contains(text, s.db+".t") || !strings.Contains(text, `class="phase ready"`) {
				t.Errorf("the migration isn't in\n%s", text)
			}
			s.Exec("CALL midflight.cutover(?)", id)
			if err := <-done; err != nil {
				t.Error(err)
			}
			server.Kill9(t)
			want("/readyz", 503)
			if text := want("/", 503); !strings.Contains(text, "The server can’t be asked") {
				t.Errorf("no reason is in\n%s", text)
			}
			want("/healthz", 200)
			server.StartAgain(t)
			await(t, "it is ready again", func() bool { status, _ := get(t, s.m, "/readyz"); return status == 200 })
			through := s.m.DB(t, s.db)
			await(t, "clients are served again", func() bool { return through.Ping() == nil })
			if _, err := through.Exec("ALTER TABLE /* midflight: strategy=copy */ t ADD COLUMN again INT"); err != nil {
				t.Errorf("after the server's crash: %v", err)
			}
		})
	}
}

// SIGTERM ends it at once, with sessions open and a migration under way, which
// leaves nothing behind.
func TestStop(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		id, done := s.hold()
		idle, err := s.m.DB(t, s.db).Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer idle.Close()
		if _, err := idle.ExecContext(context.Background(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
		busy := s.m.DB(t, s.db)
		slept := make(chan error, 1)
		go func() { _, err := busy.Exec("DO SLEEP(20)"); slept <- err }()
		await(t, "a statement runs", func() bool {
			return s.value("SELECT COUNT(*) FROM information_schema.processlist WHERE info = 'DO SLEEP(20)'") == "1"
		})
		began := time.Now()
		s.m.Stop()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %s to stop", took)
		}
		if err := <-done; err == nil {
			t.Error("the client of the running ALTER was told that it is done")
		}
		<-slept
		if got := s.row(id); got != "ready" {
			t.Errorf("its record: %s", got)
		}
		s.goesOn(id)
	})
}

// goesOn starts Midflight again: the migration waits for leave again, and is completed
// with it.
func (s site) goesOn(id string) {
	s.t.Helper()
	testmidflight.Start(s.t, s.s)
	await(s.t, "the migration is taken over and in sync", func() bool {
		return s.value("SELECT COUNT(*) FROM midflight.events WHERE migration_id = ? AND event LIKE 'gone on from a checkpoint%'", id) == "1" && s.row(id) == "ready"
	})
	s.Exec("CALL midflight.cutover(?)", id)
	await(s.t, "the migration is completed", func() bool { return s.row(id) == "completed" })
	if left := s.value("SELECT GROUP_CONCAT(table_name ORDER BY LENGTH(table_name)) FROM information_schema.tables WHERE table_schema = DATABASE()"); left != "t,_t_old" {
		s.t.Errorf("the tables are %s", left)
	}
	if left := s.value(`SELECT GROUP_CONCAT(schema_name) FROM information_schema.schemata WHERE schema_name LIKE '\_midflight\_%'`); left != "" {
		s.t.Errorf("left behind: %s", left)
	}
	if got := s.value("SELECT GROUP_CONCAT(v ORDER BY id) FROM t WHERE held IS NULL"); got != "a,b,c" {
		s.t.Errorf("the rows are %s", got)
	}
}

// A crash leaves the original whole, and the next start goes on.
func TestCrash(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		id, done := s.hold()
		s.m.Kill9()
		if err := <-done; err == nil {
			t.Error("the client was told that its ALTER is done")
		}
		s.goesOn(id)
	})
}

// A crash right after the swap: the table is the new one, and the record says so.
func TestCrashAfterTheSwap(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		id, done := s.hold()
		s.Exec("CALL midflight.cutover(?)", id)
		for s.value("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 't' AND column_name = 'held'") == "0" {
		}
		s.m.Kill9()
		<-done
		testmidflight.Start(t, s.s)
		await(t, "the migration is recorded as completed", func() bool { return strings.HasPrefix(s.row(id), "completed") })
		if left := s.value("SELECT GROUP_CONCAT(table_name ORDER BY LENGTH(table_name)) FROM information_schema.tables WHERE table_schema = DATABASE()"); left != "t,_t_old" {
			t.Errorf("the tables are %s", left)
		}
		if got := s.value("SELECT COUNT(drop_at) FROM midflight.tables WHERE schema_name = ? AND table_name = '_t_old'", s.db); got != "1" {
			t.Error("the old table has no time to be dropped")
		}
	})
}

func (s site) Exec(query string, args ...any) {
	s.t.Helper()
	if _, err := s.DB.Exec(query, args...); err != nil {
		s.t.Fatalf("%s: %v", fmt.Sprint(query, args), err)
	}
}
