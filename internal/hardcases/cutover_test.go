package hardcases

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const widen = "ALTER TABLE t MODIFY v BIGINT"

// Who holds the table, or parts of it, when it is to be swapped.
var cutOverCases = []hardCase{
	{name: "51-snapshot-from-before-the-copy", run: oldSnapshot("START TRANSACTION WITH CONSISTENT SNAPSHOT")},
	{name: "51-snapshot-of-a-reader", run: oldSnapshot("BEGIN; SELECT COUNT(*) FROM hardcases.n")},
	{name: "51-snapshot-of-a-writer", run: oldSnapshot("SET autocommit = 0; INSERT INTO written VALUES (1); SELECT COUNT(*) FROM hardcases.n")},
	{name: "51-snapshot-around-midflight", run: snapshotAround("START TRANSACTION WITH CONSISTENT SNAPSHOT")},
	{name: "51-snapshot-of-a-reader-around-midflight", run: snapshotAround("BEGIN; SELECT COUNT(*) FROM hardcases.n")},
	{name: "51-transaction-without-a-snapshot", run: withoutSnapshot("BEGIN; INSERT INTO written VALUES (1)")},
	{name: "51-transaction-that-reads-committed", run: withoutSnapshot("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; BEGIN; SELECT COUNT(*) FROM hardcases.n; INSERT INTO written VALUES (1)")},
	{name: "52-dump-that-spans-the-swap", alone: true, only: onlyMySQL, run: dumpSpans(true)},
	{name: "52-dump-around-midflight-that-spans-the-swap", alone: true, only: onlyMySQL, run: dumpSpans(false)},
	{name: "52-dump-by-hand", run: oldSnapshot("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION /*!40100 WITH CONSISTENT SNAPSHOT */; SHOW CREATE TABLE hardcases.n; SELECT /*!40001 SQL_NO_CACHE */ * FROM hardcases.n; SAVEPOINT sp; ROLLBACK TO SAVEPOINT sp")},
	{name: "53-open-transactions", run: openTransactions},
	{name: "54-table-locked-for-reading", run: held("LOCK TABLES t READ", "UNLOCK TABLES")},
	{name: "54-table-locked-for-writing", run: held("LOCK TABLES t WRITE", "UNLOCK TABLES")},
	{name: "54-handler", run: held("HANDLER t OPEN", "")},
	{name: "54-select-for-update", run: held("BEGIN; SELECT * FROM t WHERE id = 5 FOR UPDATE", "COMMIT")},
	{name: "54-global-read-lock", alone: true, run: globalReadLock},
	{name: "54-backup-lock-mysql", only: onlyMySQL, alone: true, run: held("LOCK INSTANCE FOR BACKUP", "UNLOCK INSTANCE")},
	{name: "54-backup-lock-mariadb", only: onlyMariaDB, alone: true, run: held("BACKUP STAGE START; BACKUP STAGE BLOCK_DDL", "")},
	{name: "55-prepared-before", alone: true, run: preparedBefore},
	{name: "55-prepared-at-the-cut-over", alone: true, run: preparedAtCutOver},
	{name: "58-reader-of-the-shadow", run: shadowReader},
}

// oldSnapshot touches after the swap, for the first time, a table of which its
// snapshot knows what was copied by then: 1412, as after the server's own ALTER.
func oldSnapshot(begin string) func(*scene) {
	return func(s *scene) {
		s.both(thousand + "; CREATE TABLE written (a INT)")
		m := s.beginPaused(manual, widen)
		reader := s.through(s.on[0].Schema)
		s.exec(reader, begin)
		m.command("resume")
		m.await("ready")
		if err := m.cutOver(); err != nil {
			s.t.Fatal(err)
		}
		var rows int
		for range 2 {
			if err := reader.QueryRowContext(context.Background(), "SELECT COUNT(*) FROM t").Scan(&rows); !isError(err, 1412) {
				s.t.Errorf("the snapshot has %d rows, error %v; want error 1412", rows, err)
			}
		}
		s.exec(reader, "COMMIT")
		if err := reader.QueryRowContext(context.Background(), "SELECT COUNT(*) FROM t").Scan(&rows); err != nil || rows != 1200 {
			s.t.Errorf("the next transaction has %d rows, error %v", rows, err)
		}
		story{alter: widen}.judge(s, m.end())
	}
}

// snapshotAround: nobody can answer in the server's place there, so it is waited for,
// and named.
func snapshotAround(begin string) func(*scene) {
	return func(s *scene) {
		s.both(thousand)
		m := s.beginPaused(manual, widen)
		reader := s.around(s.on[0].Schema)
		s.exec(reader, begin)
		m.command("resume")
		m.await("ready")
		m.command("cutover")
		m.awaits("connection " + s.connection(reader) + " (root@")
		m.awaits("reads from a snapshot")
		var rows int
		if err := reader.QueryRowContext(context.Background(), "SELECT COUNT(*) FROM t").Scan(&rows); err != nil || rows != 1200 {
			s.t.Errorf("the snapshot has %d rows, error %v", rows, err)
		}
		s.exec(reader, "COMMIT")
		story{alter: widen}.judge(s, m.end())
	}
}

// withoutSnapshot: a transaction that began before the swap and has no snapshot hears
// nothing of it.
func withoutSnapshot(begin string) func(*scene) {
	return func(s *scene) {
		s.both(thousand + "; CREATE TABLE written (a INT)")
		m := s.begin(manual, widen)
		m.await("ready")
		reader := s.through(s.on[0].Schema)
		s.exec(reader, begin)
		if err := m.cutOver(); err != nil {
			s.t.Fatal(err)
		}
		var rows int
		if err := reader.QueryRowContext(context.Background(), "SELECT COUNT(*) FROM t").Scan(&rows); err != nil || rows != 1200 {
			s.t.Errorf("the transaction finds %d rows, error %v", rows, err)
		}
		s.exec(reader, "COMMIT")
		story{alter: widen}.judge(s, m.end())
	}
}

// dumpSpans runs mysqldump --single-transaction, which is stopped by a lock on the
// table before t until t is swapped, or waits.
func dumpSpans(through bool) func(*scene) {
	return func(s *scene) {
		s.both(thousand + "; CREATE TABLE before_t (a INT); INSERT INTO before_t VALUES (1)")
		m := s.beginPaused(manual, widen)
		locker, addr := s.around(s.on[0].Schema), s.server.Addr
		if through {
			addr = s.midflight.Addr
		}
		s.exec(locker, "LOCK TABLES before_t WRITE")
		host, port, _ := strings.Cut(addr, ":")
		dump := exec.Command(filepath.Join(filepath.Dir(os.Getenv("MIDFLIGHT_MYSQL_CLIENT")), "mysqldump"),
			"--no-defaults", "-h"+host, "-P"+port, "-uroot", "--single-transaction", "--skip-lock-tables", "--set-gtid-purged=OFF", "--no-tablespaces", s.on[0].Schema)
		var out, said strings.Builder
		dump.Stdout, dump.Stderr = &out, &said
		if err := dump.Start(); err != nil {
			s.t.Fatal(err)
		}
		s.await("the dump to wait for the first table", func() bool {
			return s.list("SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'Waiting for table metadata lock' AND info LIKE '%before_t%'")[0] != "0"
		})
		m.command("resume")
		m.await("ready")
		m.command("cutover")
		if through {
			if err := m.end(); err != nil {
				s.t.Fatal(err)
			}
		} else {
			m.awaits("reads from a snapshot")
		}
		s.exec(locker, "UNLOCK TABLES")
		err := dump.Wait()
		if through {
			if err == nil || !strings.Contains(said.String(), "(1412)") {
				s.t.Errorf("the dump ended with %v: %s", err, said.String())
			}
		} else if rows := strings.Count(out.String(), "),(") + strings.Count(out.String(), "INSERT INTO `t`"); err != nil || rows != 1200 {
			s.t.Errorf("the dump ended with %v and has %d rows: %s", err, rows, said.String())
		}
		story{alter: widen}.judge(s, m.end())
	}
}

// held: somebody holds the table by one statement and lets it go by another.
// The swap waits for him, and nobody waits behind the swap.
func held(hold, release string) func(*scene) {
	return func(s *scene) {
		s.both(thousand)
		m := s.begin(manual, widen)
		m.await("ready")
		holder := s.through(s.on[0].Schema)
		s.exec(holder, hold)
		m.command("cutover")
		s.await("an attempt, or somebody who is waited for", func() bool {
			_, waiting := m.phase()
			attempts := s.list("SELECT COUNT(*) FROM midflight.events WHERE migration_id = ? AND event LIKE '%cut%over%'", m.id)[0]
			return m.over() || strings.Contains(waiting, "connection") || attempts != "0"
		})
		if m.over() {
			s.t.Errorf("ended while the table was held: %v", m.err)
		}
		reader := s.around(s.on[0].Schema)
		if !strings.HasPrefix(hold, "LOCK TABLES t WRITE") {
			s.exec(reader, "SET SESSION lock_wait_timeout = 5; SELECT COUNT(*) FROM t")
		}
		if release != "" {
			s.exec(holder, release)
		} else { // Midflight takes some locks for given back only then
			s.leave(holder)
		}
		story{alter: widen}.judge(s, m.end())
	}
}

// Nothing can be written, not even the operator's word: a transaction keeps the
// swap from happening before.
func globalReadLock(s *scene) {
	s.both(thousand)
	m := s.begin(manual, widen)
	m.await("ready")
	reader, holder := s.through(s.on[0].Schema), s.around("")
	s.exec(reader, "BEGIN; SELECT * FROM t LIMIT 1")
	m.command("cutover")
	m.awaits("connection")
	s.exec(holder, "FLUSH TABLES WITH READ LOCK")
	s.exec(reader, "COMMIT")
	s.await("one of our statements to wait", func() bool {
		return s.list("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%midflight%' AND (state LIKE 'Waiting for%read lock' OR state LIKE 'Waiting for backup lock')")[0] != "0"
	})
	if m.over() {
		s.t.Errorf("ended under the read lock: %v", m.err)
	}
	s.exec(holder, "UNLOCK TABLES")
	story{alter: widen}.judge(s, m.end())
}

// Two transactions, the one beginning before the other ends, around the proxy
// and through it; a hundred readers don't wait behind the swap that waits.
func openTransactions(s *scene) {
	s.both(thousand)
	m := s.begin(manual, widen)
	m.await("ready")
	first, second := s.through(s.on[0].Schema), s.through(s.on[0].Schema)
	s.exec(first, "BEGIN; UPDATE t SET v = -1 WHERE id = 1")
	m.command("cutover")
	m.awaits("connection")
	s.exec(second, "BEGIN; UPDATE t SET v = -2 WHERE id = 2")
	s.exec(first, "COMMIT")
	errors := make(chan error)
	for range 100 {
		go func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			pool, err := sql.Open("mysql", s.midflight.DSN(s.on[0].Schema))
			if err == nil {
				defer pool.Close()
				var n int
				err = pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM t").Scan(&n)
				if err == nil && n != 1200 {
					err = fmt.Errorf("%d rows", n)
				}
			}
			errors <- err
		}()
	}
	for range 100 {
		if err := <-errors; err != nil {
			s.t.Errorf("a reader: %v", err)
		}
	}
	if m.over() {
		s.t.Error("swapped under an open transaction")
	}
	s.exec(second, "COMMIT")
	s.exec(s.direct[1], "UPDATE t SET v = -id WHERE id < 3")
	story{alter: widen}.judge(s, m.end())
}

// A prepared XA transaction from before the start may have changed anything: it
// is waited for.
func preparedBefore(s *scene) {
	s.both(thousand)
	s.exec(s.direct[0], "XA START 'before'; UPDATE t SET v = -1 WHERE id = 1; XA END 'before'; XA PREPARE 'before'")
	m := s.begin("SET @midflight_strategy = 'copy'", widen)
	m.awaits("prepared XA transactions")
	s.exec(s.direct[0], "XA COMMIT 'before'")
	s.exec(s.direct[1], "UPDATE t SET v = -1 WHERE id = 1")
	story{alter: widen}.judge(s, m.end())
}

// One that is prepared meanwhile holds the table until it is committed, though
// its session is gone.
func preparedAtCutOver(s *scene) {
	s.both(thousand)
	m := s.begin(manual, widen)
	m.await("ready")
	writer := s.around(s.on[0].Schema)
	s.exec(writer, "XA START 'meanwhile'; UPDATE t SET v = -1 WHERE id = 1; INSERT INTO t VALUES (5000, 1); XA END 'meanwhile'; XA PREPARE 'meanwhile'")
	if s.flavor == onlyMySQL {
		s.exec(s.around(""), "KILL "+s.connection(writer))
	}
	m.command("cutover")
	s.await("attempts", func() bool {
		_, waiting := m.phase()
		return m.over() || strings.Contains(waiting, "a prepared XA transaction") || s.list("SELECT COUNT(*) FROM midflight.events WHERE migration_id = ? AND event LIKE '%cut%over%'", m.id)[0] > "1"
	})
	if m.over() {
		s.t.Errorf("ended while the transaction was prepared: %v", m.err)
	}
	if s.flavor == onlyMySQL {
		s.exec(s.around(""), "XA COMMIT 'meanwhile'")
	} else {
		s.exec(writer, "XA COMMIT 'meanwhile'")
	}
	s.exec(s.direct[1], "UPDATE t SET v = -1 WHERE id = 1; INSERT INTO t VALUES (5000, 1)")
	story{alter: widen}.judge(s, m.end())
}

func (s *scene) connection(c *sql.Conn) (id string) {
	s.t.Helper()
	if err := c.QueryRowContext(context.Background(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		s.t.Fatal(err)
	}
	return id
}

// Somebody reads the shadow in a transaction, and keeps it: the table's users
// must not wait for him.
func shadowReader(s *scene) {
	s.both(thousand)
	m := s.begin(manual, widen)
	m.await("ready")
	let := s.lockShadow("SELECT COUNT(*) FROM {shadow}", m)
	m.command("cutover")
	s.await("attempts", func() bool {
		phase, _ := m.phase()
		return m.over() || phase == "cutting_over"
	})
	for i := range 20 {
		s.both(fmt.Sprintf("UPDATE t SET v = v + 1 WHERE id %% 20 = %d", i))
	}
	if m.over() {
		s.t.Fatalf("ended under a reader: %v", m.err)
	}
	let()
	story{alter: widen}.judge(s, m.end())
}
