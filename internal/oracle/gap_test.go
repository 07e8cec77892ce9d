package oracle

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/mysqld"
)

// behind is a site whose Midflight has settings of its own.
func behind(t *testing.T, server *testmysql.Server, args ...string) *site {
	return &site{flavor: server.Flavor, server: server, midflight: testmidflight.Start(t, server, args...), root: server.DB(t)}
}

// TestBlockedForTooLong: what becomes of a change whose lock others don't let it have
// is the operator's word.
func TestBlockedForTooLong(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		for _, policy := range []string{"fail", "kill"} {
			t.Run(policy, func(t *testing.T) {
				t.Parallel()
				s := behind(t, server, "--cutover-blocked", policy, "--cutover-blocked-after", "300ms")
				for strategy, change := range map[string]string{"auto": "ADD COLUMN x INT", "copy": "MODIFY v BIGINT"} {
					db := server.NewDatabase(t)
					holder := s.session(t, db, "CREATE TABLE blocked (id INT NOT NULL PRIMARY KEY, v INT)", "INSERT INTO blocked VALUES (1, 1)", "BEGIN", "SELECT * FROM blocked")
					ctx, cancel := context.WithTimeout(t.Context(), longEnough)
					_, err := s.session(t, db, "SET @midflight_strategy = '"+strategy+"'").ExecContext(ctx, "ALTER TABLE blocked "+change)
					cancel()
					_, alive := holder.ExecContext(t.Context(), "DO 0")
					switch {
					case policy == "fail" && (mysqld.Number(err) != mysqld.ErrLockWaitTimeout || !strings.Contains(err.Error(), "connection ") || alive != nil):
						t.Errorf("%s: %v; the holder: %v", change, err, alive)
					case policy == "kill" && (err != nil || alive == nil):
						t.Errorf("%s: %v; the holder: %v", change, err, alive)
					}
					if got := len(twins.List(t, s.root, "SELECT 1 FROM midflight.migrations WHERE schema_name = ? AND error_number = 1205", db)); (got > 0) != (policy == "fail") {
						t.Errorf("%s: %d records of 1205", change, got)
					}
				}
			})
		}
	})
}

// TestBlockersAreNamed: who they are, since when, and what they last ran.
func TestBlockersAreNamed(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		if server.Flavor == testmysql.MariaDB {
			server = testmysql.Start(t, testmysql.MariaDB, "--plugin-load-add=metadata_lock_info", "--plugin-maturity=unknown")
		}
		s := behind(t, server)
		for _, c := range []struct {
			name    string
			through bool
			hold    []string
			want    []string
			release string
		}{
			{"transaction", true, []string{"BEGIN", "SELECT * FROM held WHERE id = 77"}, []string{"SELECT * FROM held WHERE id = 77"}, "COMMIT"},
			{"transaction around", false, []string{"BEGIN", "SELECT * FROM held"}, nil, "COMMIT"},
			{"LOCK TABLES", true, []string{"LOCK TABLES held READ"}, []string{"LOCK TABLES held READ"}, "UNLOCK TABLES"},
			{"LOCK TABLES around", false, []string{"LOCK TABLES held READ"}, nil, "UNLOCK TABLES"},
			{"reader of the shadow", false, []string{"BEGIN", "SELECT * FROM _held_shadow"}, nil, "COMMIT"},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				db := server.NewDatabase(t)
				user := s.session(t, db, "CREATE TABLE held (id INT NOT NULL PRIMARY KEY, v INT)", "INSERT INTO held VALUES (1, 1)",
					"SET @midflight_strategy = 'copy', @midflight_cutover = 'manual', @midflight_async = 1", "ALTER TABLE held MODIFY v BIGINT")
				awaitPhase(t, s.root, db, "ready")
				addr := server.Addr
				if c.through {
					addr = s.midflight.Addr
				}
				holder := session(t, addr, db, c.hold...)
				id := twins.List(t, s.root, "SELECT MAX(id) FROM midflight.migrations WHERE schema_name = ?", db)[0]
				mustExec(t, user, "CALL midflight.cutover("+id+")")
				var connection int
				if err := holder.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&connection); err != nil {
					t.Fatal(err)
				}
				waiting := ""
				await(t, "the blocker is named", func() bool {
					waiting = twins.List(t, s.root, "SELECT waiting_for FROM midflight.migrations WHERE id = ?", id)[0]
					return strings.Contains(waiting, fmt.Sprintf("connection %d (root@", connection))
				})
				for _, want := range c.want {
					if !strings.Contains(waiting, want) && !strings.Contains(waiting, "CONNECTION_ID") {
						t.Errorf("waiting for %s; want %q in it", waiting, want)
					}
				}
				mustExec(t, holder, c.release)
				awaitPhase(t, s.root, db, "completed")
			})
		}
	})
}

// TestSecondLockInPlace: a transaction that is there when a change in place wants its
// second lock makes nobody else wait; the change is taken back, and done later.
func TestSecondLockInPlace(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		s := behind(t, server)
		db := server.NewDatabase(t)
		reader := s.session(t, db, "CREATE TABLE built (id INT NOT NULL PRIMARY KEY AUTO_INCREMENT, v CHAR(100))",
			"INSERT INTO built (v) WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 1000) SELECT CONCAT('some text ', a) FROM n",
			"INSERT INTO built (v) SELECT a.v FROM built a JOIN (SELECT id FROM built LIMIT 200) b")
		user := s.session(t, db, "SET @midflight_strategy = 'inplace'")
		done := make(chan error, 1)
		go func() {
			_, err := user.ExecContext(t.Context(), "ALTER TABLE built ADD INDEX (v)")
			done <- err
		}()
		await(t, "the index is being built", func() bool {
			return len(twins.List(t, s.root, "SELECT id FROM information_schema.processlist WHERE info LIKE ? AND state LIKE 'altering%'", "ALTER TABLE%`"+db+"`.`built`%INPLACE%")) > 0
		})
		mustExec(t, reader, "BEGIN")
		mustExec(t, reader, "SELECT * FROM built LIMIT 1")
		var worst atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		other := s.session(t, db)
		go func() {
			defer close(stopped)
			for ctx.Err() == nil {
				began := time.Now()
				if _, err := other.ExecContext(context.Background(), "SELECT * FROM built WHERE id = 5"); err != nil {
					t.Error(err)
				}
				worst.Store(max(worst.Load(), int64(time.Since(began))))
			}
		}()
		await(t, "the change is taken back", func() bool {
			return len(twins.List(t, s.root, "SELECT e.id FROM midflight.events e JOIN midflight.migrations m ON m.id = e.migration_id WHERE m.schema_name = ? AND e.event LIKE '%m% cut-over: %'", db)) > 0
		})
		await(t, "the reader is waited for", func() bool {
			return len(twins.List(t, s.root, "SELECT id FROM midflight.migrations WHERE schema_name = ? AND waiting_for LIKE '%connection%'", db)) > 0
		})
		cancel()
		<-stopped
		if d := time.Duration(worst.Load()); d > time.Second {
			t.Errorf("a reader waited for %s", d)
		}
		mustExec(t, reader, "COMMIT")
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := len(twins.List(t, s.root, "SELECT index_name FROM information_schema.statistics WHERE table_schema = ? AND table_name = 'built' AND index_name = 'v'", db)); got != 1 {
			t.Errorf("%d indexes", got)
		}
	})
}
