package oracle

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/schema"
)

// TestDiskIsTooSmall: what does not fit is refused before anything is made. (MariaDB doesn't
// read its own statistics anew.)
func TestDiskIsTooSmall(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		if s.flavor != testmysql.MySQL {
			t.Skip("it can't be told that a table is large")
		}
		n := schema.Name{Schema: s.server.NewDatabase(t), Table: "t"}
		session(t, s.server.Addr, n.Schema, "CREATE TABLE t (id INT PRIMARY KEY, v INT) STATS_PERSISTENT=1, STATS_AUTO_RECALC=0", "INSERT INTO t VALUES (1, 1)", "ANALYZE TABLE t",
			fmt.Sprintf("UPDATE mysql.innodb_table_stats SET clustered_index_size = 1 << 36, n_rows = 1 << 40 WHERE database_name = '%s'", n.Schema), "FLUSH TABLES t").Close()
		_, err := s.session(t, n.Schema).ExecContext(t.Context(), "ALTER TABLE /* midflight: strategy=copy */ t ADD COLUMN x INT")
		if number(err) != 1846 || !strings.Contains(err.Error(), "need about") {
			t.Errorf("the client was told: %v", err)
		}
		twins.NothingLeft(t, s.root, n, false)
	})
}

// TestDiskIsFull: the client gets the server's own error, and what was taken is free again.
func TestDiskIsFull(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two servers")
	}
	t.Parallel() // it has servers of its own
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(f), func(t *testing.T) {
			server := testmysql.Start(t, f, "--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:64M")
			s := &site{flavor: f, server: server, root: server.DB(t), midflight: testmidflight.Start(t, server)}
			on := s.twins(t, "t")
			direct := session(t, server.Addr, on[0].Schema, "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(2000))", "INSERT INTO t (v) VALUES (REPEAT('x', 2000))")
			for range 13 { // 16 MB and more
				mustExec(t, direct, "INSERT INTO t (v) SELECT v FROM t")
			}
			before := twins.Contents(t, s.root, f, on[0], "")
			_, err := s.session(t, on[0].Schema).ExecContext(t.Context(), "ALTER TABLE /* midflight: strategy=copy */ t ADD COLUMN x CHAR(250) NOT NULL DEFAULT 'y', ADD COLUMN y CHAR(250) NOT NULL DEFAULT 'y', ADD COLUMN z VARCHAR(2500) NOT NULL DEFAULT '"+strings.Repeat("z", 2500)+"'")
			if number(err) != 1114 {
				t.Errorf("the client was told: %v", err)
			}
			twins.NothingLeft(t, s.root, on[0], false)
			twins.SameContents(t, twins.Contents(t, s.root, f, on[0], ""), before)
			await(t, "room for rows again", func() bool { // MariaDB gives it back in the background
				_, err := direct.ExecContext(t.Context(), "INSERT INTO t (v) SELECT v FROM t LIMIT 1000")
				return err == nil
			})
		})
	}
}

// TestTooManyConnections: while the server has no connection left the migration stands
// still, and then it goes on.
func TestTooManyConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two servers")
	}
	t.Parallel() // it has servers of its own
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(f), func(t *testing.T) {
			server := testmysql.Start(t, f, "--max-connections=40")
			s := &site{flavor: f, server: server, root: server.DB(t), midflight: testmidflight.Start(t, server)}
			n := schema.Name{Schema: s.server.NewDatabase(t), Table: "t"}
			direct := session(t, server.Addr, n.Schema, "CREATE USER app@'%'", "GRANT ALL ON *.* TO app@'%'", "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v CHAR(100))", "INSERT INTO t (v) VALUES ('x')")
			for range 13 {
				mustExec(t, direct, "INSERT INTO t (v) SELECT v FROM t")
			}
			user := s.session(t, n.Schema)
			answer := make(chan error, 1)
			go func() {
				_, err := user.ExecContext(t.Context(), "ALTER TABLE /* midflight: strategy=copy */ t ADD COLUMN x INT")
				answer <- err
			}()
			await(t, "it has begun", func() bool {
				return len(twins.List(t, direct, "SELECT id FROM midflight.migrations WHERE phase <> 'queued'")) > 0
			})
			app := func() error {
				c, err := sql.Open("mysql", "app@tcp("+server.Addr+")/")
				if err != nil {
					return err
				}
				t.Cleanup(func() { c.Close() })
				return c.Ping()
			}
			var crowd error
			for range 200 {
				if crowd = app(); crowd != nil {
					break
				}
			}
			if number(crowd) != 1040 {
				t.Fatalf("there is room for everybody: %v", crowd)
			}
			for until := time.Now().Add(2 * time.Second); time.Now().Before(until); {
				app() // takes what somebody leaves
			}
			for _, id := range twins.List(t, direct, "SELECT id FROM information_schema.processlist WHERE user = 'app'") {
				direct.ExecContext(t.Context(), "KILL "+id)
			}
			if err := <-answer; err != nil {
				t.Errorf("the client was told: %v", err)
			}
			twins.NothingLeft(t, s.root, n, true)
		})
	}
}
