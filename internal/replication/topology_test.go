package replication

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/throttle"
)

// A topology is a source and its replicas.
type topology struct {
	source   *testmysql.Server
	root     *sql.DB
	replicas []*testmysql.Server
}

// topologies runs f on a source of each flavor with two replicas.
func topologies(t *testing.T, f func(t *testing.T, top *topology)) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	for _, flavor := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(flavor), func(t *testing.T) {
			top := &topology{source: testmysql.Start(t, flavor, updates(flavor)...)}
			top.root = top.source.DB(t)
			top.source.Exec(t, "CREATE USER repl@'%' IDENTIFIED BY 'secret'", "GRANT REPLICATION SLAVE ON *.* TO repl@'%'")
			top.add(t, top.source)
			top.add(t, top.source)
			f(t, top)
		})
	}
}

// updates has a MariaDB replica write its own binlog, as MySQL's do.
func updates(f testmysql.Flavor) []string {
	if f == testmysql.MariaDB {
		return []string{"--log-slave-updates"}
	}
	return nil
}

// midflight starts one with the account of deploy/, which replication brings to the replicas.
func (top *topology) midflight(t *testing.T, args ...string) *testmidflight.Midflight {
	t.Helper()
	grants, err := os.ReadFile("../../deploy/grants-" + string(top.source.Flavor) + ".sql")
	if err != nil {
		t.Fatal(err)
	}
	for q := range strings.SplitSeq(comments.ReplaceAllString(string(grants), ""), ";") {
		if q = strings.TrimSpace(q); q != "" {
			top.source.Exec(t, q)
		}
	}
	return startOn(t, top.source, args...)
}

// startOn starts one whose account the server has.
func startOn(t *testing.T, s *testmysql.Server, args ...string) *testmidflight.Midflight {
	t.Helper()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("change me\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return testmidflight.Start(t, s, append([]string{"--user", "midflight", "--password-file", password}, args...)...)
}

var comments = regexp.MustCompile(`(?m)^--.*$`)

// add starts a replica of a server.
func (top *topology) add(t *testing.T, of *testmysql.Server) *testmysql.Server {
	t.Helper()
	r := testmysql.Start(t, of.Flavor, updates(of.Flavor)...)
	host, port, _ := net.SplitHostPort(of.Addr)
	if of.Flavor == testmysql.MySQL {
		r.Exec(t, "RESET BINARY LOGS AND GTIDS", fmt.Sprintf("CHANGE REPLICATION SOURCE TO source_host = '%s', source_port = %s, source_user = 'repl', source_password = 'secret', source_auto_position = 1, get_source_public_key = 1", host, port), "START REPLICA")
	} else {
		r.Exec(t, fmt.Sprintf("CHANGE MASTER TO master_host = '%s', master_port = %s, master_user = 'repl', master_password = 'secret', master_use_gtid = slave_pos", host, port), "START SLAVE")
	}
	top.replicas = append(top.replicas, r)
	return r
}

// term is a statement in the server's own words.
func term(s *testmysql.Server, mysql, mariadb string) string {
	if s.Flavor == testmysql.MySQL {
		return mysql
	}
	return mariadb
}

// fill makes shop.t of so many rows, on the source and on every replica.
func (top *topology) fill(t *testing.T, rows int) {
	t.Helper()
	top.source.Exec(t, "CREATE DATABASE shop", "CREATE TABLE shop.t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, w VARCHAR(100))",
		"INSERT INTO shop.t (v, w) VALUES (1, REPEAT('x', 60))")
	for n := 1; n < rows; n *= 2 {
		top.source.Exec(t, fmt.Sprintf("INSERT INTO shop.t (v, w) SELECT v + 1, w FROM shop.t LIMIT %d", rows-n))
	}
	top.level(t)
}

// together waits until each member of a group has what all of them have acknowledged by now.
func together(t *testing.T, members ...*testmysql.Server) {
	t.Helper()
	for _, m := range members {
		m.Exec(t, "SET group_replication_consistency = 'BEFORE'", "DO (SELECT COUNT(*) FROM shop.level)")
	}
}

// level waits until all replicas have what the source has now.
func (top *topology) level(t *testing.T) {
	t.Helper()
	top.source.Exec(t, "CREATE TABLE IF NOT EXISTS shop.level (n INT NOT NULL PRIMARY KEY)", "DELETE FROM shop.level", fmt.Sprintf("INSERT INTO shop.level VALUES (%d)", time.Now().UnixNano()%1e9))
	var want, got int
	if err := top.root.QueryRow("SELECT n FROM shop.level").Scan(&want); err != nil {
		t.Fatal(err)
	}
	for _, r := range top.replicas {
		db := r.DB(t)
		await(t, "the replica to have all", func() bool {
			return db.QueryRow("SELECT n FROM shop.level").Scan(&got) == nil && got == want
		})
	}
}

// alter sends an ALTER of shop.t that copies, with settings before it, without waiting.
func alter(t *testing.T, m *testmidflight.Midflight, settings string) {
	t.Helper()
	db := m.DB(t, "shop")
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, q := range []string{"SET @midflight_strategy = 'copy', @midflight_async = 1" + settings, "ALTER TABLE t ADD COLUMN x" + fmt.Sprint(time.Now().UnixNano()) + " INT NOT NULL DEFAULT 7"} {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
}

// latest is a column of the latest migration.
func (top *topology) latest(t *testing.T, column string) (v string) {
	t.Helper()
	if err := top.root.QueryRow("SELECT COALESCE(" + column + ", '') FROM midflight.migrations ORDER BY id DESC LIMIT 1").Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// booked is for how many seconds the latest migration has waited for a signal.
func (top *topology) booked(t *testing.T, signal throttle.Signal) float64 {
	t.Helper()
	var seconds map[throttle.Signal]float64
	if text := top.latest(t, "throttled"); text != "" {
		if err := json.Unmarshal([]byte(text), &seconds); err != nil {
			t.Fatal(err)
		}
	}
	return seconds[signal]
}

func (top *topology) awaitPhase(t *testing.T, phase string) {
	t.Helper()
	await(t, "phase "+phase, func() bool { return top.latest(t, "phase") == phase })
}

// patience is long enough for a copy that gives way on a machine where others want to work, too.
const patience = 3 * time.Minute

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still waiting for %s after %v", what, patience)
		}
	}
}

// slow has a server work for only a part of the time, until stop is called: whatever it
// does takes it 1/part times as long.
func slow(s *testmysql.Server, part float64) (stop func()) {
	const turn = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			syscall.Kill(s.Pid(), syscall.SIGSTOP)
			time.Sleep(time.Duration((1 - part) * float64(turn)))
			syscall.Kill(s.Pid(), syscall.SIGCONT)
			time.Sleep(time.Duration(part * float64(turn)))
		}
	}()
	return func() { cancel(); <-done }
}
