package replication

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"midflight/internal/cutter"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/mysqld"
	"midflight/schema"
)

// TestGroupOfSeveralPrimaries is of a replication group of two, of which Midflight knows the source.
func TestGroupOfSeveralPrimaries(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two servers")
	}
	t.Parallel() // it has servers of its own
	members := testmysql.StartGroup(t, 2, true)
	top := &topology{source: members[0], root: members[0].DB(t), replicas: members[1:]}
	top.fillGroup(t, 12_000)
	t.Run("is not copied", func(t *testing.T) {
		top.isNotCopied(t, "a replication group of several primaries", "Group Replication",
			decided{"ALTER TABLE t ADD COLUMN x INT FIRST", "auto", mysqld.ErrAlterNotSupported2},
			decided{"ALTER TABLE t ADD COLUMN x INT FIRST", "instant", mysqld.ErrAlterNotSupported2},
		)
	})
	t.Run("locks one member", top.locksOneMember)
}

const groupRows = 10_000

// fillGroup makes shop.t of so many rows, numbered without gaps.
func (top *topology) fillGroup(t *testing.T, rows int) {
	t.Helper()
	top.source.Exec(t, "CREATE DATABASE shop", "CREATE TABLE shop.t (id INT NOT NULL PRIMARY KEY, v INT NOT NULL)", "SET cte_max_recursion_depth = 1000000",
		fmt.Sprintf("INSERT INTO shop.t WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < %d) SELECT n, 1 FROM s", rows))
	top.level(t)
}

// locksOneMember is why: who has the table locked keeps nobody on another member from
// writing it, and the RENAME takes a table away with a row that nobody could have seen. The
// members differ afterwards: the one applies the row to the new table.
func (top *topology) locksOneMember(t *testing.T) {
	lock, other := top.lockedOnOne(t)
	ctx := t.Context()
	await(t, "the row to wait for the lock", func() bool {
		var n int
		return top.root.QueryRow("SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE object_schema = 'shop' AND object_name = 'l' AND lock_status = 'PENDING'").Scan(&n) == nil && n > 0
	})
	var v int
	if err := lock.QueryRowContext(ctx, "SELECT v FROM shop.l").Scan(&v); err != nil || v != 1 {
		t.Errorf("under the lock the row is %d: %v", v, err)
	}
	for _, q := range []string{"RENAME TABLE shop.l TO shop.o, shop.s TO shop.l", "UNLOCK TABLES"} {
		if _, err := lock.ExecContext(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	together(t, top.source, top.replicas[0])
	for _, c := range []struct {
		node     *sql.DB
		old, new int
	}{{top.root, 1, 2}, {other, 2, 1}} {
		var old int
		if err := c.node.QueryRow("SELECT o.v, l.v FROM shop.o, shop.l").Scan(&old, &v); err != nil || old != c.old || v != c.new {
			t.Errorf("the old table has %d, the new one %d: %v", old, v, err)
		}
	}
}

// TestGroupOfOnePrimary is of a replication group of three; Midflight knows the primary.
func TestGroupOfOnePrimary(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	t.Parallel() // it has servers of its own
	members := testmysql.StartGroup(t, 3, false)
	top := &topology{source: members[0], root: members[0].DB(t), replicas: members[1:]}
	top.fillGroup(t, groupRows)
	relay := cutter.Start(t, top.source.Addr)
	m := top.midflight(t, "--server", relay.Addr)

	t.Run("is copied", func(t *testing.T) {
		slowest := top.replicas[1] // from the next heartbeat on
		stalled, err := slowest.DB(t).Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer stalled.Close()
		if _, err := stalled.ExecContext(t.Context(), "LOCK TABLES midflight.heartbeats READ"); err != nil {
			t.Fatal(err)
		}
		alter(t, m, "")
		await(t, "the copy to wait for a member", func() bool { return strings.Contains(top.latest(t, "waiting_for"), slowest.Addr) })
		if _, err := stalled.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
			t.Fatal(err)
		}
		writers := []*acknowledged{write(t, everywhere(t, m.DSN("shop")), 1), write(t, everywhere(t, top.source.RootDSN("shop")), 101)}
		for _, w := range writers {
			await(t, "some writes", func() bool { return w.count() > 20 })
		}
		top.source.Exec(t, "CALL midflight.limit('replica_lag', 'off')") // it has been seen, and takes its time
		top.awaitPhase(t, "completed")
		for _, w := range writers {
			w.stop(t)
		}
		t.Logf("%d and %d writes meanwhile; waited for %s", writers[0].count(), writers[1].count(), top.latest(t, "throttled"))
		top.sameEverywhere(t, members, writers...)
	})
	t.Run("the primary fails", func(t *testing.T) {
		alter(t, m, ", @midflight_cutover = 'manual'")
		await(t, "a part of the copy", func() bool {
			return top.latest(t, "(SELECT COUNT(*) FROM midflight.chunks c WHERE c.migration_id = migrations.id)") != "0"
		})
		w := write(t, everywhere(t, m.DSN("shop")), 1)
		await(t, "some writes", func() bool { return w.count() > 50 })
		for _, s := range members[1:] {
			s.Exec(t, "SET GLOBAL group_replication_member_expel_timeout = 0")
		}
		top.source.Kill9(t)
		<-w.ended // with the connection
		w.ended <- nil
		members = members[1:]
		top.source = nil
		dbs := []*sql.DB{members[0].DB(t), members[1].DB(t)}
		await(t, "another primary", func() bool {
			for i, db := range dbs {
				var writable bool
				if db.QueryRow("SELECT NOT @@GLOBAL.super_read_only").Scan(&writable) == nil && writable {
					top.source, top.root, top.replicas = members[i], db, []*testmysql.Server{members[1-i]}
				}
			}
			return top.source != nil
		})
		relay.Redirect(top.source.Addr)
		top.awaitPhase(t, "ready")
		top.source.Exec(t, "CALL midflight.cutover((SELECT MAX(id) FROM midflight.migrations))")
		top.awaitPhase(t, "completed")
		w.stop(t)
		top.sameEverywhere(t, members, w)
		if history := strings.Join(twins.List(t, top.root, "SELECT event FROM midflight.events"), "\n"); !strings.Contains(history, "the server is another one now") {
			t.Errorf("it was not on another server: %s", history)
		}
	})
	t.Run("comes to have several", func(t *testing.T) {
		top.root = top.source.DB(t)
		alter(t, m, ", @midflight_cutover = 'manual'")
		top.awaitPhase(t, "ready")
		top.source.Exec(t, "DO (SELECT group_replication_switch_to_multi_primary_mode())", "CALL midflight.cutover((SELECT MAX(id) FROM midflight.migrations))")
		top.awaitPhase(t, "failed")
		if why := top.latest(t, "error"); !strings.Contains(why, "several primaries") {
			t.Errorf("it failed by %s", why)
		}
		top.source.Exec(t, "INSERT INTO shop.t (id, v) VALUES (0, 1)")
	})
}

// everywhere is a pool whose writes are acknowledged when every member has them, so that none falls behind by them.
func everywhere(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn+"?group_replication_consistency=%27AFTER%27")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// sameEverywhere: every member has what was acknowledged, and nothing of a migration's is left.
func (top *topology) sameEverywhere(t *testing.T, members []*testmysql.Server, writers ...*acknowledged) {
	t.Helper()
	together(t, members...)
	want := sum(t, top.root)
	for _, s := range members {
		db := s.DB(t)
		for _, w := range writers {
			w.compare(t, db)
		}
		if got := sum(t, db); got != want {
			t.Errorf("the primary has %s, %s has %s", want, s.Addr, got)
		}
		twins.NothingLeft(t, db, schema.Name{Schema: "shop", Table: "t"}, true, "level")
	}
	var n int
	if err := top.root.QueryRow("SELECT COUNT(*) FROM shop.t").Scan(&n); err != nil || n != groupRows {
		t.Errorf("there are %d rows: %v", n, err)
	}
}
