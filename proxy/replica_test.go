package proxy

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmysql"
)

// A pair is a source, and a replica that is to replicate from it through a proxy.
type pair struct {
	t               *testing.T
	source, replica *testmysql.Server
	addr            string // the proxy's
	from, to        *sql.DB
}

func startPair(t *testing.T, f testmysql.Flavor, sourceArgs, replicaArgs []string) *pair {
	t.Helper()
	common := []string{"--max-allowed-packet=64M"}
	if f == testmysql.MariaDB {
		common = append(common, certificateFiles(t)...)
	}
	p := &pair{t: t}
	p.source = testmysql.Start(t, f, append(common, sourceArgs...)...)
	_, p.addr = startProxy(t, Config{Server: p.source.Addr, TLS: testCertificate(t)})
	p.replica = testmysql.Start(t, f, append(common, replicaArgs...)...)
	p.from, p.to = p.source.DB(t), p.replica.DB(t)
	p.source.Exec(t, "CREATE USER repl@'%' IDENTIFIED BY 'secret'", "GRANT REPLICATION SLAVE ON *.* TO repl@'%'")
	if f == testmysql.MySQL {
		p.source.Exec(t, "RESET BINARY LOGS AND GTIDS")
	} else {
		p.source.Exec(t, "RESET MASTER")
	}
	return p
}

// follow has the replica replicate, by GTIDs or by file and position.
func (p *pair) follow(gtid, tls bool) {
	p.t.Helper()
	host, port, _ := net.SplitHostPort(p.addr)
	if p.source.Flavor == testmysql.MariaDB {
		use, ssl := "no", 0
		if gtid {
			use = "slave_pos"
		}
		if tls {
			ssl = 1
		}
		p.replica.Exec(p.t, "STOP SLAVE", fmt.Sprintf("CHANGE MASTER TO master_host = '%s', master_port = %s, master_user = 'repl', master_password = 'secret', "+
			"master_use_gtid = %s, master_ssl = %d, master_ssl_verify_server_cert = 0, master_heartbeat_period = 0.2, master_connect_retry = 1", host, port, use, ssl), "START SLAVE")
		return
	}
	auto, ssl := 0, 0
	if gtid {
		auto = 1
	}
	if tls {
		ssl = 1
	}
	p.replica.Exec(p.t, "STOP REPLICA", fmt.Sprintf("CHANGE REPLICATION SOURCE TO source_host = '%s', source_port = %s, source_user = 'repl', source_password = 'secret', "+
		"source_auto_position = %d, source_ssl = %d, get_source_public_key = 1, source_heartbeat_period = 0.2, source_connect_retry = 1, source_retry_count = 100", host, port, auto, ssl), "START REPLICA")
}

// caughtUp waits until the replica has all that the source has.
func (p *pair) caughtUp() {
	p.t.Helper()
	var pos, ignore string
	var got sql.NullInt64
	var err error
	if p.source.Flavor == testmysql.MariaDB {
		if err = p.from.QueryRow("SELECT @@gtid_binlog_pos").Scan(&pos); err == nil {
			var file string
			var at int64
			row := p.from.QueryRow("SHOW MASTER STATUS")
			if err = row.Scan(&file, &at, &ignore, &ignore); err == nil {
				err = p.to.QueryRow("SELECT MASTER_POS_WAIT(?, ?, 30)", file, at).Scan(&got)
			}
		}
	} else if err = p.from.QueryRow("SELECT @@GLOBAL.gtid_executed").Scan(&pos); err == nil {
		err = p.to.QueryRow("SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 30)", pos).Scan(&got)
	}
	if err != nil || !got.Valid || p.source.Flavor == testmysql.MySQL && got.Int64 != 0 || got.Int64 < 0 {
		p.t.Fatalf("the replica is not at %s: %v, %v\n%s", pos, got, err, p.status())
	}
}

func (p *pair) status() string {
	q := "SHOW REPLICA STATUS"
	rows, err := p.to.Query(q)
	if err != nil {
		return err.Error()
	}
	defer rows.Close()
	names, _ := rows.Columns()
	values, refs := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		refs[i] = &values[i]
	}
	var out strings.Builder
	for rows.Next() {
		rows.Scan(refs...)
		for i, n := range names {
			fmt.Fprintf(&out, "%s=%s\n", n, values[i].String)
		}
	}
	return out.String()
}

// field is one of the replica's status.
func (p *pair) field(names ...string) string {
	for line := range strings.SplitSeq(p.status(), "\n") {
		for _, n := range names {
			if v, ok := strings.CutPrefix(line, n+"="); ok {
				return v
			}
		}
	}
	return ""
}

// same compares the table on both.
func (p *pair) same() {
	p.t.Helper()
	p.caughtUp()
	const q = "SELECT CONCAT_WS(' ', COUNT(*), SUM(CRC32(CONCAT(a, b))), SUM(LENGTH(b))) FROM d.t"
	var a, b string
	if err := p.from.QueryRow(q).Scan(&a); err != nil {
		p.t.Fatal(err)
	}
	if err := p.to.QueryRow(q).Scan(&b); err != nil {
		p.t.Fatal(err)
	}
	if a != b {
		p.t.Fatalf("the replica has %s, the source %s", b, a)
	}
}

// eventually waits for what can only be polled.
func (p *pair) eventually(what string, f func() bool) {
	p.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !f(); <-tick.C {
		if time.Now().After(end) {
			p.t.Fatalf("%s: not within 30 s\n%s", what, p.status())
		}
	}
}

func (p *pair) write(statements ...string) { p.t.Helper(); p.source.Exec(p.t, statements...) }

// A replica replicates through the proxy as it does directly.
func TestReplica(t *testing.T) {
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(f), func(t *testing.T) {
			for _, carrier := range []string{"loops", onGoroutines} {
				t.Run(carrier, func(t *testing.T) { replicate(t, f, carrier == onGoroutines) })
			}
		})
	}
}

func replicate(t *testing.T, f testmysql.Flavor, tls bool) {
	var source, replica []string
	stop, start := "STOP REPLICA", "START REPLICA"
	acks := "Rpl_semi_sync_source_yes_tx"
	if f == testmysql.MySQL {
		source = []string{"--plugin-load-add=semisync_source.so", "--loose-rpl-semi-sync-source-enabled=1", "--loose-rpl-semi-sync-source-timeout=3000"}
		replica = []string{"--plugin-load-add=semisync_replica.so", "--loose-rpl-semi-sync-replica-enabled=1", "--skip-replica-start"}
	} else {
		source = []string{"--rpl-semi-sync-master-enabled=1", "--rpl-semi-sync-master-timeout=3000"}
		replica = []string{"--rpl-semi-sync-slave-enabled=1", "--skip-slave-start"}
		acks = "Rpl_semi_sync_master_yes_tx"
	}
	p := startPair(t, f, source, replica)
	p.follow(true, tls)
	p.eventually("replication runs", func() bool { return p.field("Replica_IO_Running", "Slave_IO_Running") == "Yes" })
	p.write("CREATE DATABASE d", "CREATE TABLE d.t (a INT PRIMARY KEY, b LONGBLOB)", "INSERT INTO d.t VALUES (1, 'x'), (2, 'y')")
	p.same()

	// The first byte that isn't of an event's header, and many frames.
	p.write("SET GLOBAL max_allowed_packet = 64 << 20")
	p.write("INSERT INTO d.t VALUES (3, REPEAT('0123456789abcdef', 20 << 16))", "INSERT INTO d.t VALUES (4, REPEAT('x', (1 << 24) - 100))")
	p.same()

	count := func(db *sql.DB, like string) (n float64) {
		var name string
		db.QueryRow("SHOW GLOBAL STATUS LIKE '"+like+"'").Scan(&name, &n)
		return n
	}
	heartbeats := func() (n float64) {
		if f == testmysql.MariaDB {
			return count(p.to, "Slave_received_heartbeats")
		}
		p.to.QueryRow("SELECT count_received_heartbeats FROM performance_schema.replication_connection_status").Scan(&n)
		return n
	}
	before := heartbeats()
	p.eventually("heartbeats", func() bool { return heartbeats() >= before+3 })
	// The source goes on without the replica when an answer is late, and comes back.
	p.eventually("acknowledged transactions", func() bool {
		p.write("UPDATE d.t SET b = CONCAT(b, 'z') WHERE a = 1")
		return count(p.from, acks) >= 3
	})

	p.replica.Exec(t, stop)
	p.write("INSERT INTO d.t VALUES (10, 'while stopped')")
	p.replica.Exec(t, start)
	p.same()

	p.source.Restart(t)
	p.write("SET GLOBAL max_allowed_packet = 64 << 20")
	p.write("INSERT INTO d.t VALUES (11, 'after the restart')")
	p.same()

	p.follow(false, false) // by file and position, in clear
	p.write("INSERT INTO d.t VALUES (12, 'by position')", "FLUSH BINARY LOGS", "UPDATE d.t SET b = 'z' WHERE a = 1")
	p.same()
	p.replica.Exec(t, stop)
}

// dumpTool is the flavor's own program.
func dumpTool(t *testing.T, f testmysql.Flavor) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(os.Getenv("MIDFLIGHT_MYSQLD")), "mysqlbinlog")
	if f == testmysql.MariaDB {
		path = os.Getenv("MIDFLIGHT_MARIADB_BINLOG")
		if path == "" {
			path, _ = exec.LookPath("mariadb-binlog")
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("NOT TESTED with %s's mysqlbinlog: set MIDFLIGHT_MARIADB_BINLOG", f)
	}
	return path
}

// mysqlbinlog gets the same bytes through the proxy.
func TestMysqlbinlog(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		path := dumpTool(t, s.Flavor)
		db := s.NewDatabase(t)
		_, addr := startProxy(t, Config{Server: s.Addr})
		s.Exec(t, "FLUSH BINARY LOGS", "USE "+db, "CREATE TABLE t (a INT PRIMARY KEY, b LONGBLOB)", "INSERT INTO t VALUES (1, REPEAT('x', 3 << 20))",
			"UPDATE t SET b = 'y'", "FLUSH BINARY LOGS")
		rows, err := s.DB(t).Query("SHOW BINARY LOGS")
		if err != nil {
			t.Fatal(err)
		}
		var logs []string
		names, _ := rows.Columns()
		for rows.Next() {
			refs := make([]any, len(names))
			for i := range refs {
				refs[i] = new(string)
			}
			if err := rows.Scan(refs...); err != nil {
				t.Fatal(err)
			}
			logs = append(logs, *refs[0].(*string))
		}
		log := logs[len(logs)-2]
		run := func(ctx context.Context, addr string, args ...string) ([]byte, string) {
			dir := t.TempDir()
			host, port, _ := net.SplitHostPort(addr)
			all := append([]string{"--no-defaults", "--read-from-remote-server", "-h", host, "-P", port, "--protocol=tcp", "-u", "root", "--raw", "--result-file=" + dir + "/"}, args...)
			if s.Flavor == testmysql.MySQL {
				all = append(all, "--ssl-mode=DISABLED")
			}
			var errs bytes.Buffer
			cmd := exec.CommandContext(ctx, path, append(all, log)...)
			cmd.Stderr = &errs
			done := make(chan error, 1)
			go func() { done <- cmd.Run() }()
			want, _ := os.ReadFile(filepath.Join(s.Datadir, log))
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				b, _ := os.ReadFile(filepath.Join(dir, log))
				select {
				case <-done:
					b, _ = os.ReadFile(filepath.Join(dir, log))
					return b, errs.String()
				case <-tick.C:
					if ctx.Done() != nil && len(b) >= len(want) && len(args) > 0 {
						cmd.Process.Kill()
						<-done
						b, _ = os.ReadFile(filepath.Join(dir, log))
						return b, ""
					}
				}
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		direct, e1 := run(ctx, s.Addr)
		through, e2 := run(ctx, addr)
		if len(direct) < 3<<20 || !bytes.Equal(direct, through) {
			t.Fatalf("%d bytes, directly %d\n%s\n%s", len(through), len(direct), e2, e1)
		}
		stopped, e3 := run(ctx, addr, "--stop-never")
		if !bytes.Equal(direct, stopped) {
			t.Errorf("--stop-never: %d bytes, want %d: %s", len(stopped), len(direct), e3)
		}
	})
}
