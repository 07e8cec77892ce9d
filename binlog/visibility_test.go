package binlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"midflight/internal/testmysql"
)

// The servers that widen the time between binlog and engine commit.
func eachSlow(t *testing.T, fn func(b *bench)) {
	for _, c := range []struct {
		name   string
		flavor testmysql.Flavor
		args   []string
	}{
		{"mysql", testmysql.MySQL, []string{"--sync-binlog=1"}},
		{"mysql without gtids", testmysql.MySQL, append([]string{"--sync-binlog=1"}, noGTIDs...)},
		{"mysql without order", testmysql.MySQL, append([]string{"--sync-binlog=1", "--binlog-order-commits=OFF"}, noGTIDs...)},
		{"mariadb", testmysql.MariaDB, []string{"--sync-binlog=1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"--innodb-flush-log-at-trx-commit=1"}, c.args...)
			fn(newBench(t, testmysql.Start(t, c.flavor, args...)))
		})
	}
}

// writers run fn with a number of their own until the context ends.
func (b *bench) writers(ctx context.Context, n int, fn func(ctx context.Context, writer, round int) error) *sync.WaitGroup {
	var wg sync.WaitGroup
	for w := range n {
		wg.Go(func() {
			for round := 0; ctx.Err() == nil; round++ {
				if err := fn(ctx, w, round); err != nil && ctx.Err() == nil {
					b.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	return &wg
}

// All rows are read after Start, or come in the stream from there.
func TestStartMissesNothing(t *testing.T) {
	eachSlow(t, func(b *bench) {
		b.exec("CREATE TABLE t (id BIGINT PRIMARY KEY)")
		db := b.s.DB(b)
		db.SetMaxIdleConns(20)
		ctx, cancel := context.WithCancel(b.Context())
		wg := b.writers(ctx, 8, func(_ context.Context, w, i int) error {
			_, err := db.Exec(fmt.Sprintf("INSERT INTO %s.t VALUES (%d)", b.schema, w*1e6+i))
			return err
		})
		watch := b.watch("t")
		type begun struct {
			from Position
			read map[string]bool
		}
		var all []begun
		for range 40 {
			s := begun{b.start(), map[string]bool{}}
			s.read = b.ids()
			all = append(all, s)
		}
		cancel()
		wg.Wait()
		final := b.ids()
		for _, a := range all {
			s := b.open(a.from, watch)
			for _, tx := range keep(b.drain(s)) {
				a.read[string(*tx.Changes[0].After)] = true
			}
			s.Close()
			for id := range final {
				if !a.read[id] {
					b.Errorf("row %s is missing from %s", id, a.from)
				}
			}
		}
		b.Logf("%d rows, %d starts", len(final), len(all))
	})
}

func (b *bench) ids() map[string]bool {
	b.Helper()
	rows, err := b.db.Query("SELECT id FROM " + b.schema + ".t")
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	ids := map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			b.Fatal(err)
		}
		ids[id] = true
	}
	return ids
}

// What a horizon covers, a read that begins afterwards sees. Counting how often
// a transaction was received before it could be read shows that the test can
// fail.
func TestHorizonIsVisible(t *testing.T) {
	eachSlow(t, func(b *bench) {
		b.exec("CREATE TABLE t (id BIGINT PRIMARY KEY)")
		db := b.s.DB(b)
		db.SetMaxIdleConns(20)
		v, err := NewVisibility(b.Context(), b.db, b.flavor)
		if err != nil {
			b.Fatal(err)
		}
		s := b.open(b.start(), b.watch("t"))
		ctx, cancel := context.WithTimeout(b.Context(), 4*time.Second)
		defer cancel()
		wg := b.writers(ctx, 3, func(_ context.Context, w, i int) error {
			_, err := db.Exec(fmt.Sprintf("INSERT INTO %s.t VALUES (%d)", b.schema, w*1e6+i))
			return err
		})
		var waiting []Tx
		seen, early := 0, 0
		for ctx.Err() == nil {
			tx := b.next(s)
			if len(tx.Changes) == 0 {
				continue
			}
			if !b.visible(tx) {
				early++
			}
			waiting = append(waiting, tx)
			h, err := v.Horizon(b.Context(), tx.ID)
			if err != nil {
				b.Fatal(err)
			}
			for len(waiting) > 0 && h.Covers(waiting[0].ID) {
				if !b.visible(waiting[0]) {
					b.Errorf("%s is covered and not visible", waiting[0].ID)
				}
				seen++
				waiting = waiting[1:]
			}
		}
		wg.Wait()
		// Without writers everything becomes visible.
		for len(waiting) > 0 {
			h, err := v.Horizon(b.Context(), waiting[len(waiting)-1].ID)
			if err != nil {
				b.Fatal(err)
			}
			for len(waiting) > 0 && h.Covers(waiting[0].ID) {
				waiting = waiting[1:]
			}
		}
		b.Logf("%d transactions covered, %d were received before they were visible", seen, early)
	})
}

func (b *bench) visible(tx Tx) bool {
	b.Helper()
	var n int
	if err := b.db.QueryRow("SELECT COUNT(*) FROM " + b.schema + ".t WHERE id = " + tx.Changes[0].After.Literals()[0]).Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n == 1
}

// Semi-synchronous replication makes the time between binlog and visibility as
// long as one likes: the commit hangs until off. Its transaction inserts the row 7.
type stall struct {
	*bench
	xa          bool
	conn        *sql.Conn
	commit, off string
}

func eachStalled(t *testing.T, fn func(t *testing.T, b stall)) {
	for _, c := range []struct {
		name   string
		flavor testmysql.Flavor
		args   []string
		xa     bool
	}{
		{"mysql", testmysql.MySQL, nil, false},
		{"mysql xa", testmysql.MySQL, nil, true},
		{"mysql without gtids", testmysql.MySQL, noGTIDs, false},
		{"mysql without gtids xa", testmysql.MySQL, noGTIDs, true},
		{"mariadb", testmysql.MariaDB, []string{"--rpl-semi-sync-master-wait-point=AFTER_SYNC"}, false},
		{"mariadb xa", testmysql.MariaDB, []string{"--rpl-semi-sync-master-wait-point=AFTER_SYNC"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, testmysql.Start(t, c.flavor, c.args...))
			b.exec("CREATE TABLE t (id BIGINT PRIMARY KEY)")
			conn, err := b.db.Conn(b.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fn(t, stall{bench: b, xa: c.xa, conn: conn})
		})
	}
}

// prepare makes all ready for hang.
func (b *stall) prepare() {
	b.Helper()
	b.commit = "INSERT INTO " + b.schema + ".t VALUES (7)"
	if b.xa {
		for _, q := range []string{"XA START 'x'", b.commit, "XA END 'x'", "XA PREPARE 'x'"} {
			if _, err := b.conn.ExecContext(b.Context(), q); err != nil {
				b.Fatal(err)
			}
		}
		b.commit = "XA COMMIT 'x'"
	}
	if b.flavor.MariaDB {
		b.exec("SET GLOBAL rpl_semi_sync_master_timeout = 600000", "SET GLOBAL rpl_semi_sync_master_enabled = ON")
	} else {
		if _, err := b.db.Exec("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'"); err != nil {
			b.Skipf("NOT TESTED: no semi-sync plugin: %v", err)
		}
		b.exec("SET GLOBAL rpl_semi_sync_source_timeout = 600000", "SET GLOBAL rpl_semi_sync_source_enabled = ON")
	}
	b.off = "SET GLOBAL rpl_semi_sync_source_enabled = OFF"
	if b.flavor.MariaDB {
		b.off = "SET GLOBAL rpl_semi_sync_master_enabled = OFF"
	}
}

// hang commits, and returns what was delivered and is invisible. The channel tells
// when the commit has ended.
func (b *stall) hang(s delivery) (Tx, chan error) {
	b.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := b.conn.ExecContext(b.Context(), b.commit)
		done <- err
	}()
	tx := b.next(s)
	for len(tx.Changes) == 0 {
		tx = b.next(s)
	}
	if b.visible(tx) {
		b.Error("the row is visible although its commit hangs: the test proves nothing")
	}
	return tx, done
}

func TestStalledCommit(t *testing.T) {
	eachStalled(t, func(t *testing.T, b stall) {
		from := b.start()
		b.prepare()
		v, err := NewVisibility(b.Context(), b.db, b.flavor)
		if err != nil {
			t.Fatal(err)
		}
		s := b.open(from, b.watch("t"))
		tx, done := b.hang(s)
		for range 3 {
			h, err := v.Horizon(b.Context(), tx.ID)
			if err != nil {
				t.Fatal(err)
			}
			if h.Covers(tx.ID) {
				t.Error("covered before it is visible")
			}
		}
		// Start gives a position before it, or waits.
		ctx, cancel := context.WithTimeout(b.Context(), 300*time.Millisecond)
		defer cancel()
		if p, err := Start(ctx, b.db, b.flavor); err == nil {
			s := b.open(p, b.watch("t"))
			if got := b.next(s); text([]Tx{got}) != "[+7]" && !b.xa {
				t.Errorf("from %s: %s", p, text([]Tx{got}))
			}
			s.Close()
		} else if prepared := new(XAPreparedError); ctx.Err() == nil && !errors.As(err, &prepared) {
			t.Error(err)
		}
		b.exec(b.off)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); ; {
			h, err := v.Horizon(b.Context(), tx.ID)
			if err != nil {
				t.Fatal(err)
			}
			if h.Covers(tx.ID) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("never covered")
			}
		}
		if !b.visible(tx) {
			t.Error("covered and not visible")
		}
	})
}
