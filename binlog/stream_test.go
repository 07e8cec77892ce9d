package binlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmysql"
)

func TestChanges(t *testing.T) {
	each(t, func(b *bench) {
		b.exec(
			"CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, x VARCHAR(50))",
			"CREATE TABLE pair (a VARCHAR(10) CHARACTER SET latin1, n BIGINT UNSIGNED, x TEXT, PRIMARY KEY (n, a))",
			"CREATE TABLE other (id INT PRIMARY KEY, j JSON)",
		)
		s := b.open(b.start(), b.watch("t"), b.watch("pair"))
		for _, c := range []struct {
			name string
			sql  []string
			want string
		}{
			{"insert", []string{"INSERT INTO t VALUES (1, 1, 'a'), (2, 2, 'b'), (-3, 3, NULL)"}, "[+1 +2 +-3]"},
			{"update", []string{"UPDATE t SET x = 'c' WHERE id = 1"}, "[1>1]"},
			{"key change", []string{"UPDATE t SET id = 10 WHERE id = 1"}, "[1>10]"},
			{"replace", []string{"REPLACE INTO t VALUES (20, 2, 'z')"}, "[2>20]|[-2 +20]"},
			{"on duplicate key", []string{"INSERT INTO t VALUES (9, 3, 'n') ON DUPLICATE KEY UPDATE x = 'dup'"}, "[-3>-3]"},
			{"several statements", []string{"BEGIN", "DELETE FROM t WHERE id = 10", "INSERT INTO other VALUES (1, '{}')", "INSERT INTO pair VALUES ('k', 18446744073709551615, 'x')", "COMMIT"},
				"[-10 +18446744073709551615,_latin1 x'6b']"},
			{"rollback", []string{"BEGIN", "DELETE FROM t", "ROLLBACK"}, ""},
			{"savepoint", []string{"BEGIN", "INSERT INTO t VALUES (30, 30, '')", "SAVEPOINT s", "INSERT INTO t VALUES (31, 31, '')", "ROLLBACK TO s", "INSERT INTO t VALUES (32, 32, '')", "COMMIT"}, "[+30 +32]|[+30 +31 +32]"},
			{"unwatched", []string{"INSERT INTO other VALUES (2, '[1]')"}, ""},
			{"multi-table update", []string{"UPDATE t, pair SET t.x = 'm', pair.n = 1 WHERE t.id = 30"}, "[30>30 18446744073709551615,_latin1 x'6b'>1,_latin1 x'6b']"},
			{"ddl", []string{"ALTER TABLE other ADD COLUMN c INT"}, "[ALTER TABLE other ADD COLUMN c INT]"},
			{"truncate", []string{"TRUNCATE t"}, "[TRUNCATE t]"},
			{"statement format", []string{"SET SESSION binlog_format = STATEMENT", "INSERT INTO t VALUES (5, 5, '')"}, "[INSERT INTO t VALUES (5, 5, '')]"},
			{"minimal", []string{"SET SESSION binlog_row_image = MINIMAL", "INSERT INTO t (id, u) VALUES (6, 6)", "UPDATE t SET x = 'y' WHERE id = 6", "UPDATE t SET id = 7 WHERE id = 6", "DELETE FROM t WHERE id = 7"},
				"[+6]\n[6>6]\n[6>7]\n[-7]"},
			{"noblob", []string{"SET SESSION binlog_row_image = NOBLOB", "UPDATE pair SET a = 'l'", "UPDATE pair SET x = 'longer'"},
				"[1,_latin1 x'6b'>1,_latin1 x'6c']\n[1,_latin1 x'6c'>1,_latin1 x'6c']"},
			{"explicit xa", []string{"XA START 'q'", "INSERT INTO t VALUES (40, 40, '')", "XA END 'q'", "XA COMMIT 'q' ONE PHASE"}, "[+40]"},
		} {
			b.exec(c.sql...)
			got := text(b.drain(s))
			if want := strings.Split(c.want, "|"); got != want[0] && got != want[len(want)-1] {
				b.Errorf("%s: got:\n%s\nwant:\n%s", c.name, got, c.want)
			}
		}
	})
}

func TestCompressed(t *testing.T) {
	each(t, func(b *bench) {
		b.exec("CREATE TABLE t (id INT PRIMARY KEY, x VARCHAR(5000), j JSON)", "CREATE TABLE other (id INT PRIMARY KEY, j JSON, p POINT)")
		on := "SET SESSION binlog_transaction_compression = ON"
		if b.flavor.MariaDB {
			on = "SET GLOBAL log_bin_compress = ON, GLOBAL log_bin_compress_min_len = 10"
			b.Cleanup(func() { b.exec("SET GLOBAL log_bin_compress = OFF") })
		}
		s := b.open(b.start(), b.watch("t"))
		b.exec(on, "BEGIN", "INSERT INTO other VALUES (1, '{\"a\": 1}', POINT(1, 2))",
			"INSERT INTO t VALUES (1, REPEAT('a', 5000), '{}'), (2, REPEAT('b', 5000), '{}')", "UPDATE t SET id = id + 10", "DELETE FROM t WHERE id = 11", "COMMIT",
			"SET SESSION binlog_format = STATEMENT", "INSERT INTO t VALUES (100, 'a long enough statement to be compressed aaaaaaaaaaaaaaaaaaaaaaaaaaaa', '{}')")
		got := text(b.drain(s))
		want := "[+1 +2 1>11 2>12 -11]\n[INSERT INTO t VALUES (100, 'a long enough statement to be compressed aaaaaaaaaaaaaaaaaaaaaaaaaaaa', '{}')]"
		if got != want {
			b.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	})
}

func TestMySQLVariations(t *testing.T) {
	b := newBench(t, testmysql.Start(t, testmysql.MySQL, "--binlog-rows-query-log-events=ON"))
	b.exec("CREATE TABLE t (j1 JSON, id INT PRIMARY KEY, j2 JSON, x TEXT, j3 JSON)",
		`INSERT INTO t VALUES ('{"a": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "n": 1}', 1, '[1, 2]', 'x', '{"k": [1, 2, 3]}')`)
	s := b.open(b.start(), b.watch("t"))
	b.exec("SET SESSION binlog_row_value_options = PARTIAL_JSON",
		"UPDATE t SET j1 = JSON_SET(j1, '$.n', 2), j3 = JSON_REPLACE(j3, '$.k[1]', 7)",
		"SET SESSION binlog_row_image = MINIMAL",
		"UPDATE t SET j3 = JSON_REPLACE(j3, '$.k[1]', 8), id = 2",
		"SET SESSION binlog_transaction_compression = ON",
		"UPDATE t SET j1 = JSON_SET(j1, '$.n', 3)")
	b.check(b.drain(s), "[1>1]\n[1>2]\n[2>2]")

	// Tagged GTIDs, in the set that is asked for when opening too.
	b.exec("SET SESSION gtid_next = 'AUTOMATIC:mytag'", "INSERT INTO t (id) VALUES (3)")
	txs := b.drain(s)
	b.check(txs, "[+3]")
	if !strings.Contains(txs[0].ID.GTID, ":mytag:1") {
		b.Errorf("GTID %s", txs[0].ID.GTID)
	}
	v, err := NewVisibility(b.Context(), b.db, b.flavor)
	if err != nil {
		t.Fatal(err)
	}
	h, err := v.Horizon(b.Context(), txs[0].ID)
	if err != nil || !h.Covers(txs[0].ID) {
		b.Errorf("horizon does not cover a tagged GTID: %v", err)
	}
	b.exec("INSERT INTO t (id) VALUES (4)")
	s2 := b.open(txs[0].After, b.watch("t"))
	b.check(b.drain(s2), "[+4]")

	// A group of CREATE TABLE … SELECT is one transaction.
	b.exec("CREATE TABLE c (id INT PRIMARY KEY) SELECT id FROM t")
	txs = b.drain(s2)
	if len(txs) != 1 || len(txs[0].Statements) != 1 || !strings.Contains(txs[0].Statements[0].SQL, "START TRANSACTION") {
		b.Errorf("CREATE … SELECT: %s", text(txs))
	}
}

func TestXA(t *testing.T) {
	each(t, func(b *bench) {
		b.exec("CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE other (id INT PRIMARY KEY)")
		from := b.start()
		s := b.open(from, b.watch("t"))
		xid := func(name string) string { return "'" + b.schema + name + "','b''x',7" }
		b.exec("XA START "+xid("1"), "INSERT INTO t VALUES (1), (2)", "XA END "+xid("1"), "XA PREPARE "+xid("1"))
		b.exec("XA START "+xid("2"), "INSERT INTO t VALUES (3)", "XA END "+xid("2"), "XA PREPARE "+xid("2"))
		b.check(b.drain(s), "")

		var prepared *XAPreparedError
		if _, err := Start(b.Context(), b.db, b.flavor); !errors.As(err, &prepared) || len(prepared.XIDs) != 2 {
			b.Errorf("start with prepared transactions: %v", err)
		}
		// Only files without GTIDs can be read from here now, and then the
		// prepared rows are before it.
		mid := b.position(s)

		b.exec("INSERT INTO t VALUES (4)")
		b.exec("XA COMMIT " + xid("1"))
		b.exec("XA ROLLBACK " + xid("2"))
		txs := b.drain(s)
		b.check(txs, "[+4]\n[+1 +2]")

		v, err := NewVisibility(b.Context(), b.db, b.flavor)
		if err != nil {
			b.Fatal(err)
		}
		h, err := v.Horizon(b.Context(), txs[1].ID)
		if err != nil || !h.Covers(txs[1].ID) {
			b.Errorf("the horizon does not cover an XA COMMIT: %v", err)
		}

		s = b.open(mid, b.watch("t"))
		if got := text(b.drain(s)); !strings.HasPrefix(got, "[+4]\n[unknown X'") || strings.Contains(got, "\n[+1") {
			b.Errorf("from the middle: %s", got)
		}
		s = b.open(from, b.watch("t"))
		b.check(b.drain(s), "[+4]\n[+1 +2]")
	})
}

// position is that of a new marker.
func (b *bench) position(s *Stream) Position {
	b.Helper()
	b.exec("INSERT INTO fences (token) VALUES ('position')")
	for {
		if tx := b.next(s); len(tx.Fences) > 0 && tx.Fences[0] == "position" {
			return tx.After
		}
	}
}

func TestResumeAndRotation(t *testing.T) {
	each(t, func(b *bench) {
		b.exec("CREATE TABLE t (id INT PRIMARY KEY)")
		from := b.start()
		s := b.open(from, b.watch("t"))
		var all []Tx
		for i := range 12 {
			b.exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
			if i%3 == 1 {
				b.exec("FLUSH BINARY LOGS")
			}
			if i == 6 && !b.flavor.MariaDB {
				b.exec("SET GLOBAL binlog_checksum = NONE")
			}
		}
		all = keep(b.drain(s))
		if len(all) != 12 {
			b.Fatalf("%d transactions:\n%s", len(all), text(all))
		}
		for i, tx := range all {
			p, err := ParsePosition(tx.After.String())
			if err != nil {
				b.Fatal(err)
			}
			s := b.open(p, b.watch("t"))
			if got, want := text(keep(b.drain(s))), text(all[i+1:]); got != want {
				b.Errorf("resumed from %s: got:\n%s\nwant:\n%s", p, got, want)
			}
			s.Close()
		}
		if !b.flavor.MariaDB {
			b.exec("SET GLOBAL binlog_checksum = CRC32")
		}

		// On an idle server the position follows the files.
		b.exec("FLUSH BINARY LOGS")
		last := b.next(s)
		for !last.Empty() {
			last = b.next(s)
		}
		if last.After.File == "" || compareFiles(last.After.File, all[11].After.File) <= 0 {
			b.Errorf("after FLUSH BINARY LOGS the position is %s", last.After)
		}
	})
}

// keep leaves out statements, which other tests on the same server write too.
func keep(txs []Tx) []Tx {
	var kept []Tx
	for _, tx := range txs {
		if len(tx.Changes) > 0 {
			kept = append(kept, tx)
		}
	}
	return kept
}

func TestReconnect(t *testing.T) {
	each(t, func(b *bench) {
		b.exec("CREATE TABLE t (id INT PRIMARY KEY, x VARCHAR(2000))")
		s := b.open(b.start(), b.watch("t"))
		const rounds = 8
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range rounds {
				b.killDumps()
				b.exec("BEGIN", fmt.Sprintf("INSERT INTO t VALUES (%d, REPEAT('a', 2000)), (%d, REPEAT('b', 2000))", 2*i, 2*i+1),
					fmt.Sprintf("UPDATE t SET x = 'c' WHERE id = %d", 2*i), "COMMIT")
				b.killDumps()
			}
		}()
		var want []string
		for i := range rounds {
			want = append(want, fmt.Sprintf("[+%d +%d %d>%d]", 2*i, 2*i+1, 2*i, 2*i))
		}
		var got []Tx
		for len(got) < rounds {
			got = append(got, keep([]Tx{b.next(s)})...)
		}
		<-done
		b.check(append(got, keep(b.drain(s))...), strings.Join(want, "\n"))
	})
}

func (b *bench) killDumps() {
	rows, err := b.db.Query("SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
	if err != nil {
		b.Error(err)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			b.Error(err)
		}
		b.db.Exec(fmt.Sprintf("KILL %d", id)) // it may have gone
	}
}

func TestServerRestart(t *testing.T) {
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(fmt.Sprint(f), func(t *testing.T) {
			b := newBench(t, testmysql.Start(t, f))
			b.exec("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
			s := b.open(b.start(), b.watch("t"))
			b.exec("INSERT INTO t VALUES (2)")
			b.s.Kill9(t)
			b.s.StartAgain(t)
			b.exec("INSERT INTO t VALUES (3)")
			b.check(keep(b.drain(s)), "[+2]\n[+3]")
		})
	}
}

func TestLostPosition(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) *testmysql.Server{
		"mysql":               func(t *testing.T) *testmysql.Server { return testmysql.Start(t, testmysql.MySQL) },
		"mysql without gtids": func(t *testing.T) *testmysql.Server { return testmysql.Start(t, testmysql.MySQL, noGTIDs...) },
		"mariadb":             func(t *testing.T) *testmysql.Server { return testmysql.Start(t, testmysql.MariaDB) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, start(t))
			b.exec("CREATE TABLE t (id INT PRIMARY KEY)")
			from := b.start()
			b.exec("INSERT INTO t VALUES (1)", "FLUSH BINARY LOGS", "INSERT INTO t VALUES (2)", "FLUSH BINARY LOGS")
			b.purge()
			var lost *LostPosition
			if _, err := Open(b.Context(), b.streamConfig(from, b.watch("t"))); !errors.As(err, &lost) {
				t.Errorf("open a purged position: %v", err)
			}
			beyond := Position{File: "none.000099", Offset: 4}
			if from.GTIDs != "" {
				beyond = Position{GTIDs: "00000000-0000-0000-0000-000000000001:1-5"}
			}
			if _, err := Open(b.Context(), b.streamConfig(beyond, b.watch("t"))); !errors.As(err, &lost) {
				t.Errorf("open a position of another server: %v", err)
			}
		})
	}
}

// purge leaves the current file only. MariaDB keeps files until its engines have
// flushed what is in them.
func (b *bench) purge() {
	b.Helper()
	var current string
	for deadline := time.Now().Add(30 * time.Second); ; {
		rows, err := b.db.Query("SHOW BINARY LOGS")
		if err != nil {
			b.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			b.Fatal(err)
		}
		files := 0
		for rows.Next() {
			rest := make([]any, len(columns)-1)
			for i := range rest {
				rest[i] = new(sql.RawBytes)
			}
			if err := rows.Scan(append([]any{&current}, rest...)...); err != nil {
				b.Fatal(err)
			}
			files++
		}
		rows.Close()
		if files == 1 {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("%d binlog files remain", files)
		}
		b.exec("PURGE BINARY LOGS TO '" + current + "'")
	}
}

func TestTableChanged(t *testing.T) {
	each(t, func(b *bench) {
		b.exec("CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE k (id INT PRIMARY KEY)")
		t, k := b.watch("t"), b.watch("k")
		s, s2 := b.open(b.start(), t), b.open(b.start(), k)
		b.exec("INSERT INTO t VALUES (1)", "ALTER TABLE t ADD COLUMN x INT FIRST", "INSERT INTO t VALUES (1, 2)")
		b.exec("ALTER TABLE k MODIFY id BIGINT", "INSERT INTO k VALUES (1)")
		var changed *TableChangedError
		for _, s := range []*Stream{s, s2} {
			if err := b.failure(s); !errors.As(err, &changed) {
				b.Errorf("got %v", err)
			}
			if _, err := s.Next(b.Context()); !errors.As(err, &changed) {
				b.Errorf("asked again: %v", err)
			}
		}
	})
}

func TestMissingKeyColumn(t *testing.T) {
	each(t, func(b *bench) {
		b.exec("CREATE TABLE t (id INT PRIMARY KEY, u INT NOT NULL UNIQUE, x INT)", "INSERT INTO t VALUES (1, 1, 1)")
		s := b.open(b.start(), b.watch("t", "u"))
		b.exec("SET SESSION binlog_row_image = MINIMAL", "UPDATE t SET x = 2", "INSERT INTO t VALUES (2, 2, 2)")
		if tx := b.next(s); !tx.Unread {
			b.Errorf("got %+v", tx)
		}
		if tx := b.next(s); tx.Unread || len(tx.Changes) != 1 {
			b.Errorf("then %+v", tx)
		}
	})
}

func TestUnsupportedKeys(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		b := newBench(t, s)
		for _, typ := range []string{"POINT", "GEOMETRY"} {
			b.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t (id INT PRIMARY KEY, k "+typ+" NOT NULL)")
			var unsupported *UnsupportedKeyError
			if _, err := Open(b.Context(), b.streamConfig(b.start(), b.watch("t", "k"))); !errors.As(err, &unsupported) {
				b.Errorf("%s: %v", typ, err)
			}
		}
	})
}

func TestCancelAndClose(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		b := newBench(t, s)
		b.exec("CREATE TABLE t (id INT PRIMARY KEY)")
		st := b.open(b.start(), b.watch("t"))
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		for {
			_, err := st.Next(ctx)
			if errors.Is(err, context.Canceled) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		// A canceled Next loses nothing.
		b.exec("INSERT INTO t VALUES (1)")
		b.check(keep(b.drain(st)), "[+1]")
		ended := make(chan error)
		go func() {
			for {
				if _, err := st.Next(b.Context()); err != nil {
					ended <- err
					return
				}
			}
		}()
		st.Close()
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// A long transaction comes in parts, each of which a horizon covers if it covers the
// transaction, and whoever resumes at one begins with the first.
func TestManyRows(t *testing.T) {
	each(t, func(b *bench) {
		b.exec("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, x VARCHAR(100))")
		s := b.open(b.start(), b.watch("t"))
		v, err := NewVisibility(b.Context(), b.db, b.flavor)
		if err != nil {
			b.Fatal(err)
		}
		b.exec("INSERT INTO t (x) VALUES (REPEAT('a', 100))")
		first := keep(b.drain(s))
		before, err := v.Horizon(b.Context(), first[0].ID)
		if err != nil {
			b.Fatal(err)
		}
		stmts := []string{"BEGIN"}
		for range 15 {
			stmts = append(stmts, "INSERT INTO t (x) SELECT x FROM t")
		}
		b.exec(append(stmts, "COMMIT")...)
		whole := func(s delivery) (parts []Tx) {
			parts = keep(b.drain(s))
			n, largest := 0, 0
			for _, tx := range parts {
				n += len(tx.Changes)
				largest = max(largest, len(tx.Changes))
			}
			if n != 1<<15-1 || len(parts) < 4 || largest > 2*maxChanges {
				b.Fatalf("%d changes in %d parts of at most %d", n, len(parts), largest)
			}
			return parts
		}
		parts := whole(s)
		var after Horizon
		for deadline := time.Now().Add(10 * time.Second); !after.Covers(parts[len(parts)-1].ID); {
			if after, err = v.Horizon(b.Context(), parts[len(parts)-1].ID); err != nil || time.Now().After(deadline) {
				b.Fatalf("not covered: %v", err)
			}
		}
		for i, part := range parts {
			if before.Covers(part.ID) || !after.Covers(part.ID) {
				b.Errorf("part %d: covered before %v, and after %v", i, before.Covers(part.ID), after.Covers(part.ID))
			}
			if part.Part {
				resumed := b.open(part.After, b.watch("t"))
				whole(resumed)
				resumed.Close()
			}
		}
		if !parts[0].Part {
			b.Error("the first part is not marked as one")
		}
	})
}
