package binlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/mysqld"
	"midflight/schema"
)

func (b *bench) hub() *Hub {
	return NewHub(b.db, b.config, b.flavor, schema.Name{Schema: b.schema, Table: "fences"})
}

func (b *bench) subscribe(h *Hub, watch ...Watch) *Subscription {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 60*time.Second)
	defer cancel()
	s, err := h.Subscribe(ctx, watch)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	return s
}

// dumps counts the dump connections, of which the server may not know yet that they
// are closed.
func (b *bench) dumps() (n int) {
	b.Helper()
	if err := b.db.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'").Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

func (b *bench) awaitDumps(n int) {
	b.Helper()
	for deadline := time.Now().Add(30 * time.Second); b.dumps() != n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%d dump connections, want %d", b.dumps(), n)
		}
	}
}

// Whoever subscribes while others write reads all rows, or is given them.
func TestSubscribeMissesNothing(t *testing.T) {
	eachSlow(t, func(b *bench) {
		b.exec("CREATE TABLE t (id BIGINT PRIMARY KEY)")
		db := b.s.DB(b)
		db.SetMaxIdleConns(20)
		ctx, cancel := context.WithCancel(b.Context())
		wg := b.writers(ctx, 8, func(_ context.Context, w, i int) error {
			_, err := db.Exec(fmt.Sprintf("INSERT INTO %s.t VALUES (%d)", b.schema, w*1e6+i))
			return err
		})
		h, watch := b.hub(), b.watch("t")
		const end = "all is written"
		var consumers sync.WaitGroup
		var had []map[string]bool
		for range 25 {
			s := b.subscribe(h, watch)
			rows := b.ids()
			had = append(had, rows)
			consumers.Go(func() {
				defer s.Close()
				for {
					tx, err := s.Next(b.Context())
					if err != nil {
						b.Error(err)
						return
					}
					for _, c := range tx.Changes {
						rows[string(*c.After)] = true
					}
					if len(tx.Fences) > 0 && tx.Fences[0] == end {
						return
					}
				}
			})
		}
		cancel()
		wg.Wait()
		b.exec("INSERT INTO fences (token) VALUES ('" + end + "')")
		consumers.Wait()
		final := b.ids()
		for i, rows := range had {
			for id := range final {
				if !rows[id] {
					b.Errorf("subscription %d misses row %s", i, id)
				}
			}
		}
		b.Logf("%d rows", len(final))
	})
}

// A transaction that the stream has passed, and nobody sees yet, is not left to neither.
func TestSubscribeBesideAStalledCommit(t *testing.T) {
	eachStalled(t, func(t *testing.T, b stall) {
		h, watch := b.hub(), b.watch("t")
		first := b.subscribe(h, watch)
		b.prepare()
		tx, done := b.hang(first)
		ctx, cancel := context.WithTimeout(b.Context(), 300*time.Millisecond)
		defer cancel()
		var prepared *XAPreparedError
		if s, err := h.Subscribe(ctx, []Watch{watch}); err == nil {
			t.Errorf("subscribed from %s behind %s, which is neither visible nor delivered", s.From, tx.ID)
		} else if ctx.Err() == nil && !(b.xa && errors.As(err, &prepared)) {
			t.Error(err)
		}
		subscribed := make(chan *Subscription, 1)
		go func() {
			for {
				s, err := h.Subscribe(b.Context(), []Watch{watch})
				if b.xa && errors.As(err, &prepared) {
					continue
				}
				if err != nil {
					b.Error(err)
				}
				subscribed <- s
				return
			}
		}()
		b.exec(b.off)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		second := <-subscribed
		if second == nil {
			return
		}
		defer second.Close()
		if !b.visible(tx) {
			t.Error("subscribed before it is visible")
		}
		b.exec("INSERT INTO t VALUES (8)")
		for _, s := range []*Subscription{first, second} {
			b.check(keep(b.drain(s)), "[+8]")
		}
	})
}

// commitXA waits until the session that prepared it has ended on the server, too: MariaDB
// knows no such XID before.
func (b *bench) commitXA(xid string) {
	b.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 2000 {
		_, err := b.db.ExecContext(b.Context(), "XA COMMIT "+xid)
		if err == nil {
			return
		}
		if mysqld.Number(err) != 1397 {
			b.Fatal(err)
		}
		<-tick.C
	}
	b.Fatalf("XA COMMIT %s: unknown for 10 s", xid)
}

func TestXAOfTheHub(t *testing.T) {
	each(t, func(b *bench) {
		b.exec("CREATE TABLE t (id INT PRIMARY KEY)")
		h, watch := b.hub(), b.watch("t")
		first := b.subscribe(h, watch)
		xid := func(name string) string { return "'" + b.schema + name + "'" }
		prepare := func(name string, id int) {
			b.exec("XA START "+xid(name), fmt.Sprintf("INSERT INTO t VALUES (%d)", id), "XA END "+xid(name), "XA PREPARE "+xid(name))
		}
		prepare("1", 1)
		b.check(b.drain(first), "")
		var prepared *XAPreparedError
		if _, err := h.Subscribe(b.Context(), []Watch{watch}); !errors.As(err, &prepared) {
			b.Fatalf("subscribe with a prepared transaction: %v", err)
		}
		// Had it been committed between the joining and the look for prepared ones:
		tables, err := newTableSet([]Watch{watch}, h.fences)
		if err != nil {
			b.Fatal(err)
		}
		joined, err := h.source.join(b.Context(), tables)
		if err != nil {
			b.Fatal(err)
		}
		second := &Subscription{hub: h, tap: joined}
		defer second.Close()
		prepare("2", 2)
		for _, name := range []string{"1", "2"} {
			b.commitXA(xid(name))
		}
		b.check(b.drain(first), "[+1]\n[+2]")
		b.check(b.drain(second), fmt.Sprintf("[unknown X'%X',X'',1]\n[+2]", b.schema+"1"))
	})
}

func TestOwnKeys(t *testing.T) {
	each(t, func(b *bench) {
		b.exec("CREATE TABLE t (id INT PRIMARY KEY, u INT NOT NULL UNIQUE, x INT)")
		h := b.hub()
		byID, byU := b.subscribe(h, b.watch("t")), b.subscribe(h, b.watch("t", "u"))
		none := b.subscribe(h)
		b.exec("INSERT INTO t VALUES (1, 10, 0)")
		b.exec("SET SESSION binlog_row_image = MINIMAL", "UPDATE t SET x = 2")
		b.check(b.drain(byID), "[+1]\n[1>1]")
		txs := b.drain(byU)
		b.check(txs, "[+10]\n[]")
		if !txs[1].Unread {
			b.Error("the image without u was read")
		}
		b.check(b.drain(none), "")
	})
}

func TestOwnErrors(t *testing.T) {
	each(t, func(b *bench) {
		b.exec("CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE k (id INT PRIMARY KEY)")
		h, watched := b.hub(), b.watch("t")
		first, other := b.subscribe(h, watched), b.subscribe(h, b.watch("k"))
		b.exec("INSERT INTO t VALUES (1)", "ALTER TABLE t ADD COLUMN x INT FIRST", "INSERT INTO t VALUES (1, 2)", "INSERT INTO k VALUES (5)")
		var changed *TableChangedError
		b.check(keep([]Tx{b.next(first)}), "[+1]")
		if err := b.failure(first); !errors.As(err, &changed) || changed.Table.Table != "t" {
			b.Errorf("got %v", err)
		}
		again := b.subscribe(h, b.watch("t"))
		b.exec("INSERT INTO t VALUES (3, 4)", "INSERT INTO k VALUES (6)")
		b.check(keep(b.drain(other)), "[+5]\n[+6]")
		b.check(keep(b.drain(again)), "[+4]")
		if _, err := first.Next(b.Context()); !errors.As(err, &changed) {
			b.Errorf("asked again: %v", err)
		}
		first.Close()
		b.awaitDumps(1)
	})
}

// A stream that is late has rows of the table as it was, and the change of its definition.
func TestSubscribeToALateStream(t *testing.T) {
	each(t, func(b *bench) {
		b.exec("CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE k (id INT PRIMARY KEY)")
		h := b.hub()
		late := b.subscribe(h, b.watch("k"))
		var inserts []string
		for i := range maxQueued + 50 {
			inserts = append(inserts, fmt.Sprintf("INSERT INTO k VALUES (%d)", i))
		}
		b.exec(append(inserts, "INSERT INTO t VALUES (1)", "ALTER TABLE t ADD COLUMN x INT FIRST", "INSERT INTO t VALUES (1, 2)")...)
		s := b.subscribe(h, b.watch("t"))
		if s.tap.source != late.tap.source {
			b.Error("the stream is another")
		}
		b.exec("INSERT INTO t VALUES (3, 4)")
		b.check(b.drain(s), "[+4]")
		b.exec("ALTER TABLE t ADD COLUMN y INT FIRST", "INSERT INTO t VALUES (5, 5, 5)")
		var changed *TableChangedError
		if err := b.failure(s); !errors.As(err, &changed) {
			b.Error(err)
		}
		if got := keep(b.drain(late)); len(got) != len(inserts) {
			b.Errorf("the late one got %d transactions", len(got))
		}
	})
}

// Who doesn't take is left behind by the others, and loses nothing.
func TestSlowSubscriber(t *testing.T) {
	each(t, func(b *bench) {
		b.exec("CREATE TABLE t (id INT PRIMARY KEY)")
		h, watch := b.hub(), b.watch("t")
		fast, slow := b.subscribe(h, watch), b.subscribe(h, watch)
		const n = maxQueued + 200
		done := make(chan struct{})
		go func() {
			defer close(done)
			inserts := make([]string, n)
			for i := range inserts {
				inserts[i] = fmt.Sprintf("INSERT INTO t VALUES (%d)", i)
			}
			b.exec(inserts...)
		}()
		var got []Tx
		for len(got) < n {
			got = append(got, keep([]Tx{b.next(fast)})...)
		}
		<-done
		if err := slow.tap.failed(); err != errDetached {
			b.Fatalf("the slow one was held on to: %v", err)
		}
		if l := len(slow.tap.queue); l != maxQueued {
			b.Errorf("%d wait for the slow one, want %d", l, maxQueued)
		}
		b.awaitDumps(1)
		behind := keep(b.drain(slow))
		if text(behind) != text(got) {
			b.Errorf("the slow one got %d transactions, the other %d:\n%s", len(behind), len(got), text(behind))
		}
		b.awaitDumps(2)
		b.exec("INSERT INTO t VALUES (-1)")
		b.check(keep(b.drain(fast)), "[+-1]")
		b.check(keep(b.drain(slow)), "[+-1]")
		fast.Close()
		b.awaitDumps(1)
		slow.Close()
		b.awaitDumps(0)
	})
}

// Alone nobody is left behind: the server waits.
func TestSlowAndAlone(t *testing.T) {
	s, alone := idleSource(t)
	given := make(chan struct{})
	const n = maxQueued + 5
	go func() {
		defer close(given)
		for i := range n {
			s.give(queryEvent(uint32(100+i), "CREATE TABLE a"))
		}
	}()
	for alone.heldUp() < holdUp+holdUp/2 {
		time.Sleep(holdUp / 10)
	}
	// Who comes now has nothing to wait for, and from now on somebody is held up.
	joined, err := s.join(t.Context(), noTables(t))
	if err != nil {
		t.Fatal(err)
	}
	if alone.failed() != nil {
		t.Error("detached, though alone")
	}
	<-given
	if alone.failed() != errDetached {
		t.Error("not detached when somebody was held up")
	}
	for i := range maxQueued {
		if _, err := alone.next(t.Context()); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if _, err := alone.next(t.Context()); err != errDetached {
		t.Error(err)
	}
	// The one that was being waited with is before the boundary.
	if len(joined.queue) != n-maxQueued-1 || joined.began.last.End != 100+maxQueued || alone.behind.Offset != 100+maxQueued-1 {
		t.Errorf("%d for the one who joined behind %s; the other goes on from %s", len(joined.queue), joined.began.last, alone.behind)
	}
}

func TestLastCloseLeavesNothing(t *testing.T) {
	each(t, func(b *bench) {
		b.exec("CREATE TABLE t (id INT PRIMARY KEY)")
		b.awaitDumps(0) // of other tests
		h, watch := b.hub(), b.watch("t")
		for range 2 {
			first := b.subscribe(h, watch)
			second, third := b.subscribe(h, watch), b.subscribe(h)
			b.awaitDumps(1)
			ended := make(chan error, 1)
			go func() {
				for {
					if _, err := second.Next(b.Context()); err != nil {
						ended <- err
						return
					}
				}
			}()
			first.Close()
			b.exec("INSERT INTO t VALUES (1)", "DELETE FROM t")
			b.check(keep(b.drain(third)), "")
			second.Close()
			if err := <-ended; err != ErrClosed {
				b.Errorf("after Close: %v", err)
			}
			third.Close()
			third.Close()
			select {
			case <-third.tap.source.done: // the last thing that the goroutine does
			default:
				b.Error("the source was not waited for")
			}
			b.awaitDumps(0)
			if _, err := third.Next(b.Context()); err != ErrClosed {
				b.Errorf("asked again: %v", err)
			}
		}
	})
}

// gtid_mode was switched on since the stream began by file.
func TestSubscribeAcrossModes(t *testing.T) {
	b := newBench(t, testmysql.Start(t, testmysql.MySQL, "--gtid-mode=ON_PERMISSIVE", "--enforce-gtid-consistency=ON"))
	b.exec("CREATE TABLE t (id INT PRIMARY KEY)")
	h, watch := b.hub(), b.watch("t")
	first := b.subscribe(h, watch)
	b.exec("INSERT INTO t VALUES (1)", "SET GLOBAL gtid_mode = ON", "INSERT INTO t VALUES (2)")
	second := b.subscribe(h, watch)
	if first.From.GTIDs != "" || second.From.GTIDs == "" || first.tap.source == second.tap.source {
		t.Errorf("from %s and %s", first.From, second.From)
	}
	b.exec("INSERT INTO t VALUES (3)")
	b.check(keep(b.drain(first)), "[+1]\n[+2]\n[+3]")
	b.check(keep(b.drain(second)), "[+3]")
}

func TestHubReconnects(t *testing.T) {
	each(t, func(b *bench) {
		b.exec("CREATE TABLE t (id INT PRIMARY KEY, x VARCHAR(2000))", "CREATE TABLE k (id INT PRIMARY KEY)")
		h := b.hub()
		first, second := b.subscribe(h, b.watch("t")), b.subscribe(h, b.watch("k"))
		var wantT, wantK []string
		for i := range 6 {
			b.killDumps()
			b.exec("BEGIN", fmt.Sprintf("INSERT INTO t VALUES (%d, REPEAT('a', 2000))", i), fmt.Sprintf("INSERT INTO k VALUES (%d)", i), "COMMIT")
			wantT, wantK = append(wantT, fmt.Sprintf("[+%d]", i)), append(wantK, fmt.Sprintf("[+%d]", i))
		}
		b.check(keep(b.drain(first)), strings.Join(wantT, "\n"))
		b.check(keep(b.drain(second)), strings.Join(wantK, "\n"))
	})
}

func TestHubServerRestart(t *testing.T) {
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(fmt.Sprint(f), func(t *testing.T) {
			b := newBench(t, testmysql.Start(t, f))
			b.exec("CREATE TABLE t (id INT PRIMARY KEY)")
			h, watch := b.hub(), b.watch("t")
			first, second := b.subscribe(h, watch), b.subscribe(h, watch)
			b.exec("INSERT INTO t VALUES (2)")
			b.s.Kill9(t)
			b.s.StartAgain(t)
			b.exec("INSERT INTO t VALUES (3)")
			b.check(keep(b.drain(first)), "[+2]\n[+3]")
			third := b.subscribe(h, watch)
			b.exec("INSERT INTO t VALUES (4)")
			b.check(keep(b.drain(second)), "[+2]\n[+3]\n[+4]")
			b.check(keep(b.drain(third)), "[+4]")
		})
	}
}

// On this machine the dump connection has no TLS, unless it must.
func TestConnect(t *testing.T) {
	b := newBench(t, testmysql.Shared(t, testmysql.MySQL))
	b.exec("CREATE USER must_tls IDENTIFIED BY 'secret' REQUIRE SSL", "CREATE USER may_tls IDENTIFIED BY 'secret'")
	b.Cleanup(func() { b.exec("DROP USER must_tls, may_tls") })
	for _, c := range []struct {
		user, password string
		tls            bool
	}{{"may_tls", "secret", false}, {"may_tls", "secret", false}, {"must_tls", "secret", true}} {
		conn, err := connect(b.Context(), mysqld.Config{Addr: b.s.Addr, User: c.user, Password: c.password})
		if err != nil {
			t.Fatalf("%s: %v", c.user, err)
		}
		defer cut(conn)
		r, err := conn.Execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
		if err != nil {
			t.Fatal(err)
		}
		if cipher, _ := r.GetString(0, 1); (cipher != "") != c.tls {
			t.Errorf("%s: cipher %q", c.user, cipher)
		}
	}
	b.exec("GRANT ALL ON *.* TO must_tls", "CREATE TABLE t (id INT PRIMARY KEY, x VARCHAR(5000))")
	b.config.User, b.config.Password = "must_tls", "secret"
	s := b.open(b.start(), b.watch("t"))
	b.exec("INSERT INTO t VALUES (1, REPEAT('a', 5000)), (2, REPEAT('b', 5000))")
	b.check(keep(b.drain(s)), "[+1 +2]")
	if _, err := connect(b.Context(), mysqld.Config{Addr: b.s.Addr, User: "may_tls", Password: "wrong"}); err == nil || !strings.Contains(err.Error(), "1045") {
		t.Errorf("wrong password: %v", err)
	}
	for addr, want := range map[string]bool{"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true, "10.0.0.1:1": false, "db:1": false, "127.0.0.1": false} {
		if loopback(addr) != want {
			t.Errorf("%s is on this machine: %t", addr, !want)
		}
	}
}
