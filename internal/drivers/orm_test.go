package drivers

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"midflight/internal/localserver"
	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
)

// An orm migrates a table accounts (id, name, hits, …): create makes it, up
// takes it to the last version, down back to what create has made.
type orm struct {
	name    string
	program func(t *testing.T) []string
	env     func(t *testing.T) []string
	altered int // how many statements of up, down and up are Midflight's
}

func nothing(*testing.T) []string { return nil }

var orms = []orm{
	{"goose", goose, nothing, 18},
	{"knex", func(t *testing.T) []string {
		return []string{system(t, "node"), testdata(t, "knex", "migrate.js")}
	}, func(t *testing.T) []string { return []string{"DB_MODULES=" + cached(t, "node_modules")} }, 21},
	{"django", func(t *testing.T) []string {
		return []string{cached(t, "bin", "python3"), testdata(t, "django", "migrate.py")}
	}, nothing, 32},
	{"activerecord", func(t *testing.T) []string {
		return []string{cached(t, "bin", "ruby"), testdata(t, "ruby", "migrate.rb")}
	}, nothing, 33},
}

// goose is Go, in a module of its own, so that midflight's doesn't grow.
func goose(t *testing.T) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "goose")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	cmd.Dir = testdata(t, "goose")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build goose: %v\n%s", err, out)
	}
	return []string{path}
}

// rowsBefore are in the table when the migrations begin.
const rowsBefore = 1000

// Up, down, up again, under load: the table is what the server alone would have
// made of it, and no row is lost.
func TestORM(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED with ORMs (-short)")
	}
	for _, o := range orms {
		t.Run(o.name, func(t *testing.T) {
			program, env := o.program(t), o.env(t)
			for _, f := range localserver.Flavors {
				t.Run(string(f), func(t *testing.T) {
					t.Parallel()
					o.migrates(t, testmysql.Shared(t, f), program, env)
				})
			}
		})
	}
}

func (o orm) migrates(t *testing.T, s *testmysql.Server, program, env []string) {
	s.Exec(t, "CREATE USER IF NOT EXISTS orm IDENTIFIED BY 'secret'", "GRANT ALL ON *.* TO orm")
	knownTo(t, s)
	m := testmidflight.Start(t, s)
	direct, through := s.NewDatabase(t), s.NewDatabase(t)
	run := func(addr, db, action string) {
		t.Helper()
		host, port, _ := net.SplitHostPort(addr)
		cmd := exec.CommandContext(t.Context(), program[0], append(program[1:len(program):len(program)], action)...)
		cmd.Env = append(append(os.Environ(), env...), "DB_HOST="+host, "DB_PORT="+port, "DB_USER=orm", "DB_PASSWORD=secret", "DB_NAME="+db)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %s on %s: %v\n%s", o.name, action, db, err, out)
		}
	}
	run(s.Addr, direct, "create")
	run(m.Addr, through, "create")
	fill(t, s, direct)
	fill(t, s, through)
	l := startLoad(t, m, through)
	for _, action := range []string{"up", "down", "up"} {
		l.moves(t)
		run(s.Addr, direct, action)
		run(m.Addr, through, action)
		if want, got := definition(t, s, direct), definition(t, s, through); got != want {
			t.Errorf("after %s the table is\n%s\nand should be\n%s", action, got, want)
		}
	}
	l.moves(t)
	l.stop(t)
	l.judge(t, s)
	seen := migrations(t, s, through)
	for _, line := range seen {
		if !strings.HasPrefix(line, "completed ") {
			t.Errorf("a migration is not completed: %s", line)
		}
	}
	if len(seen) != o.altered {
		t.Errorf("%d statements were intercepted, want %d:\n%s", len(seen), o.altered, strings.Join(seen, "\n"))
	}
	t.Logf("%d inserts and %d updates while %d ALTERs ran", l.inserts.Load(), l.updates.Load(), len(seen))
}

// knownTo logs in once over TLS: the server's password cache is what a login on
// a plain line needs.
func knownTo(t *testing.T, s *testmysql.Server) {
	t.Helper()
	db, err := sql.Open("mysql", "orm:secret@tcp("+s.Addr+")/?tls=skip-verify&allowFallbackToPlaintext=true")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Ping(); err != nil {
		t.Fatalf("log in: %v", err)
	}
}

func fill(t *testing.T, s *testmysql.Server, db string) {
	t.Helper()
	s.Exec(t, "USE "+db,
		fmt.Sprintf("INSERT INTO accounts (name, hits) WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 500) SELECT 'first', 0 FROM r, (SELECT 1 FROM r LIMIT %d) AS times", rowsBefore/500))
}

var counter = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

func definition(t *testing.T, s *testmysql.Server, db string) string {
	t.Helper()
	var name, text string
	if err := s.DB(t).QueryRow("SHOW CREATE TABLE "+db+".accounts").Scan(&name, &text); err != nil {
		t.Fatal(err)
	}
	return counter.ReplaceAllString(text, "")
}

// migrations are midflight's own record.
func migrations(t *testing.T, s *testmysql.Server, db string) []string {
	t.Helper()
	rows, err := s.DB(t).Query("SELECT CONCAT_WS(' ', phase, statement, error) FROM midflight.migrations WHERE schema_name = ? ORDER BY id", db)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

// A load inserts and updates, and keeps its own account of what was
// acknowledged.
type load struct {
	db               string
	inserts, updates atomic.Int64
	moved            chan struct{} // one writer's round is done
	cancel           context.CancelFunc
	writers          sync.WaitGroup

	mu   sync.Mutex
	hits map[int64]int64 // by id; guarded by mu
	name map[int64]string
}

func startLoad(t *testing.T, m *testmidflight.Midflight, db string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{db: db, moved: make(chan struct{}), cancel: cancel, hits: map[int64]int64{}, name: map[int64]string{}}
	// A column that an ORM has just added may have no default in the database.
	pool, err := sql.Open("mysql", "orm:secret@tcp("+m.Addr+")/"+db+"?sql_mode=''")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); l.writers.Wait(); pool.Close() })
	for w := range 3 {
		l.writers.Go(func() { l.write(ctx, t, pool, w) })
	}
	return l
}

func (l *load) write(ctx context.Context, t *testing.T, pool *sql.DB, w int) {
	var own []int64
	// A load, not a flood: every row that it adds is copied some twenty times.
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		<-pace.C
		name := fmt.Sprintf("writer %d row %d", w, n)
		// Not with ctx: a statement that is interrupted may have been executed.
		r, err := pool.Exec("INSERT INTO accounts (name, hits) VALUES (?, 0)", name)
		if err != nil {
			t.Errorf("the load inserts: %v", err)
			return
		}
		id, _ := r.LastInsertId()
		l.mu.Lock()
		l.hits[id], l.name[id] = 0, name
		l.mu.Unlock()
		own = append(own, id)
		l.inserts.Add(1)
		for _, id := range []int64{own[n/2], int64(1 + (n*7+w*500)%(rowsBefore/4)*4)} {
			r, err := pool.Exec("UPDATE accounts SET hits = hits + 1 WHERE id = ?", id)
			if err != nil {
				t.Errorf("the load updates: %v", err)
				return
			}
			if changed, _ := r.RowsAffected(); changed == 1 {
				l.mu.Lock()
				l.hits[id]++
				l.mu.Unlock()
				l.updates.Add(1)
			} else if id > rowsBefore {
				t.Errorf("the load updates row %d: it isn't there", id)
			}
		}
		select {
		case l.moved <- struct{}{}:
		default:
		}
	}
}

// moves awaits that the load does something.
func (l *load) moves(t *testing.T) {
	t.Helper()
	ended := make(chan struct{})
	go func() { l.writers.Wait(); close(ended) }()
	for range 5 {
		select {
		case <-l.moved:
		case <-ended:
			t.Fatal("the load has ended")
		}
	}
}

func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	l.writers.Wait()
}

// judge compares the table with the load's account.
func (l *load) judge(t *testing.T, s *testmysql.Server) {
	t.Helper()
	rows, err := s.DB(t).Query("SELECT id, name, hits FROM " + l.db + ".accounts")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	first := 0
	for rows.Next() {
		var id, hits int64
		var name string
		if err := rows.Scan(&id, &name, &hits); err != nil {
			t.Fatal(err)
		}
		want, ours := l.name[id], true
		if want == "" {
			want, ours = "first", false
			first++
		}
		if name != want || hits != l.hits[id] {
			t.Errorf("row %d is %q with %d hits; the load left %q with %d", id, name, hits, want, l.hits[id])
		}
		if ours {
			delete(l.name, id)
		}
	}
	if len(l.name) > 0 || first != rowsBefore {
		t.Errorf("%d of the load's rows are lost; %d of the first %d rows are there", len(l.name), first, rowsBefore)
	}
}
