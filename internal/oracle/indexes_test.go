package oracle

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"midflight/binlog"
	"midflight/internal/cutter"
	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/mysqld"
)

// TestIndexesAreBuiltAtTheEnd: whichever indexes a table has and gets, in whatever
// order, the definition is the server's own, and those that can be are built when the
// rows are there.
func TestIndexesAreBuiltAtTheEnd(t *testing.T) {
	const columns = "id INT NOT NULL AUTO_INCREMENT, a INT, b VARCHAR(200), c DECIMAL(10,2), d DATETIME, e TEXT, g INT GENERATED ALWAYS AS (a + 1) VIRTUAL"
	cases := []struct {
		name, keys, alter string
		mysql, mariaDB    int // indexes that are built
		only              testmysql.Flavor
	}{
		{"none", "PRIMARY KEY (id)", "ADD COLUMN x INT", 0, 0, ""},
		{"plain ones", "PRIMARY KEY (id), KEY a (a), KEY b (b(10), c DESC), KEY `b``a ck,` (d) COMMENT 'it''s, a comment', KEY e (e(20))", "ADD COLUMN x INT", 4, 4, ""},
		{"added, dropped, renamed", "PRIMARY KEY (id), KEY a (a), KEY b (b), KEY c (c)", "ADD KEY n (d, a), DROP KEY b, RENAME KEY c TO z", 3, 3, ""},
		{"one by one", "PRIMARY KEY (id)", "ADD KEY a (a)", 1, 1, ""},
		{"unique ones stay", "PRIMARY KEY (id), UNIQUE KEY u (a, id), KEY c (c), UNIQUE KEY w (id, b)", "ADD COLUMN x INT", 1, 1, ""},
		{"behind one that stays", "PRIMARY KEY (id), KEY a (a), KEY g (g), KEY c (c), FULLTEXT KEY f (b), KEY d (d)", "ADD COLUMN x INT", 3, 2, ""},
		{"the key's own", "KEY a (a), KEY id2 (id, a), UNIQUE KEY id (id), KEY c (c)", "DROP KEY id, ADD KEY id3 (id)", 0, 0, ""},
		{"of expressions, invisible", "PRIMARY KEY (id), KEY x ((a * 2)), KEY i (c) INVISIBLE, KEY m ((CAST(e AS CHAR(100))), a), KEY d (d)", "ADD COLUMN x INT", 2, 0, testmysql.MySQL},
		{"ignored", "PRIMARY KEY (id), KEY i (c) IGNORED, KEY d (d)", "ADD COLUMN x INT", 0, 2, testmysql.MariaDB},
		{"partitioned", "PRIMARY KEY (id), KEY a (a)) PARTITION BY HASH (id) PARTITIONS (3", "ADD COLUMN x INT", 1, 1, ""},
	}
	eachSite(t, func(t *testing.T, s *site) {
		for _, c := range cases {
			if c.only != "" && c.only != s.flavor {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				s.enter(t)
				on := s.twins(t, "t")
				for _, n := range on {
					keys := strings.Replace(c.keys, "PARTITIONS (3", "PARTITIONS 3", 1)
					if keys == c.keys {
						keys += ")"
					}
					session(t, s.server.Addr, n.Schema, "CREATE TABLE t ("+columns+", "+keys,
						"INSERT INTO t (a, b, c, d, e) VALUES "+strings.TrimSuffix(strings.Repeat("(RAND() * 1000, UUID(), RAND() * 1000, NOW(), UUID()), ", 1500), ", "))
				}
				mustExec(t, session(t, s.server.Addr, on[1].Schema), "ALTER TABLE t "+c.alter)
				mustExec(t, s.session(t, on[0].Schema), "ALTER TABLE /* midflight: strategy=copy */ t "+c.alter)
				got, _ := twins.Definition(t, s.root, on[0])
				if native, _ := twins.Definition(t, s.root, on[1]); got != native {
					t.Errorf("the definition is\n%s\nthe server makes\n%s", got, native)
				}
				said := twins.List(t, s.root, "SELECT event FROM midflight.events e JOIN midflight.migrations m ON m.id = e.migration_id WHERE schema_name = ? AND event LIKE '% indexes built in %'", on[0].Schema)
				want := map[testmysql.Flavor]int{testmysql.MySQL: c.mysql, testmysql.MariaDB: c.mariaDB}[s.flavor]
				if built := strings.HasPrefix(strings.Join(said, ""), fmt.Sprint(want, " ")); built != (want > 0) || len(said) > 1 {
					t.Errorf("%q, want %d", said, want)
				}
				mustExec(t, session(t, s.server.Addr, on[0].Schema), "CHECK TABLE t")
			})
		}
	})
}

// TestIndexesAreThereForReplicas: where the build would hold up a replica for longer
// than may be, it is spread over the copy.
func TestIndexesAreThereForReplicas(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a table")
	}
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		s := &site{flavor: server.Flavor, server: server, root: server.DB(t), midflight: testmidflight.Start(t, server, "--replicas", "none")} // whose lag nobody could tell
		server.Exec(t, "CREATE USER replica@'%'", "GRANT REPLICATION SLAVE ON *.* TO replica@'%'")
		db := server.NewDatabase(t)
		direct := session(t, server.Addr, db, "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a INT, b INT, KEY a (a), KEY b (b), KEY c (a, b), KEY d (b, a))", "INSERT INTO t (a, b) VALUES (1, 1)")
		for range 18 { // 262 144 rows: of four indexes, more than a second, whatever the statistics say
			mustExec(t, direct, "INSERT INTO t (a, b) SELECT a, b FROM t")
		}
		mustExec(t, direct, "ANALYZE TABLE t")
		events := func() string {
			return strings.Join(twins.List(t, s.root, "SELECT event FROM midflight.events WHERE migration_id = (SELECT MAX(id) FROM midflight.migrations)"), "\n")
		}
		user := s.session(t, db)
		mustExec(t, user, "ALTER TABLE /* midflight: strategy=copy */ t ENGINE=InnoDB")
		if !strings.Contains(events(), "4 indexes built") {
			t.Errorf("without replicas:\n%s", events())
		}
		flavor, err := mysqld.ReadFlavor(t.Context(), s.root)
		if err != nil {
			t.Fatal(err)
		}
		from, err := binlog.Start(t.Context(), s.root, flavor)
		if err != nil {
			t.Fatal(err)
		}
		replica, err := binlog.Open(t.Context(), binlog.Config{Server: mysqld.Config{Addr: server.Addr, User: "replica"}, Flavor: flavor, From: from})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(replica.Close)
		await(t, "the replica", func() bool {
			return len(twins.List(t, s.root, "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%' AND user = 'replica'")) > 0
		})
		mustExec(t, user, "ALTER TABLE /* midflight: strategy=copy */ t ENGINE=InnoDB")
		if e := events(); !strings.Contains(e, "hold up the replicas") || strings.Contains(e, "indexes built") {
			t.Errorf("with one:\n%s", e)
		}
	})
}

// TestIndexBuildIsCut: whatever becomes of the statement that builds the indexes, or of
// its answer, the table gets them, once.
func TestIndexBuildIsCut(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Midflight twice")
	}
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		s, r := cutSite(t, server)
		for name, verdict := range map[string]cutter.Verdict{"cut": cutter.Cut, "lose": cutter.Lose, "swallow": cutter.Swallow} {
			t.Run(name, func(t *testing.T) {
				on := s.twins(t, "t")
				for _, n := range on {
					session(t, server.Addr, n.Schema, "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, KEY a (a), KEY b (b))", "INSERT INTO t VALUES (1, 10, 3), (2, 20, 2), (3, 30, 1)")
				}
				var once sync.Once
				acted := false
				r.Judge(func(c cutter.Command) (v cutter.Verdict) {
					if strings.Contains(c.Text, "_t_shadow") && strings.Contains(c.Text, "\n  ADD KEY") {
						once.Do(func() { v, acted = verdict, true })
					}
					return v
				})
				mustExec(t, s.session(t, on[0].Schema), "ALTER TABLE /* midflight: strategy=copy */ t ADD COLUMN x INT")
				mustExec(t, session(t, server.Addr, on[1].Schema), "ALTER TABLE t ADD COLUMN x INT")
				r.Judge(nil)
				if !acted {
					t.Error("the statement that builds the indexes was not seen")
				}
				got, _ := twins.Definition(t, s.root, on[0])
				if want, _ := twins.Definition(t, s.root, on[1]); got != want {
					t.Errorf("the definition is\n%s\nthe server makes\n%s", got, want)
				}
				twins.NothingLeft(t, s.root, on[0], true)
			})
		}
	})
}

// TestIndexBuildIsCanceled: who waits for the build, here behind a lock on the new table,
// can end the migration, and the server's statement ends with it.
func TestIndexBuildIsCanceled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Midflight twice")
	}
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		s, r := cutSite(t, server)
		on := s.twins(t, "t")
		db := on[0].Schema
		session(t, server.Addr, db, "CREATE TABLE t (id INT PRIMARY KEY, a INT, KEY a (a))", "INSERT INTO t VALUES (1, 10), (2, 20)")
		reader := session(t, server.Addr, db)
		var once sync.Once
		r.Judge(func(c cutter.Command) cutter.Verdict {
			if strings.Contains(c.Text, "_t_shadow") && strings.Contains(c.Text, "\n  ADD KEY") {
				once.Do(func() {
					mustExec(t, reader, "BEGIN")
					mustExec(t, reader, "SELECT * FROM _t_shadow")
				})
			}
			return cutter.Pass
		})
		result := make(chan error, 1)
		user := s.session(t, db)
		go func() {
			_, err := user.ExecContext(context.Background(), "ALTER TABLE /* midflight: strategy=copy */ t ADD COLUMN x INT")
			result <- err
		}()
		building := func() bool {
			return len(twins.List(t, s.root, "SELECT id FROM information_schema.processlist WHERE info LIKE 'ALTER TABLE%ADD KEY%' AND state LIKE 'Waiting%'")) > 0
		}
		await(t, "the build", building)
		id := twins.List(t, s.root, "SELECT id FROM midflight.migrations WHERE schema_name = ?", db)[0]
		if s.flavor == testmysql.MySQL { // MariaDB shows nobody's locks without a plugin
			connection := twins.List(t, reader, "SELECT CONNECTION_ID()")[0]
			await(t, "that the reader is named", func() bool {
				return strings.HasPrefix(twins.List(t, s.root, "SELECT COALESCE(waiting_for, '') FROM midflight.migrations WHERE id = ?", id)[0], "connection "+connection+" (")
			})
		}
		mustExec(t, session(t, server.Addr, ""), "CALL midflight.cancel("+id+")")
		await(t, "its end", func() bool { return !building() })
		mustExec(t, reader, "COMMIT")
		if err := <-result; err == nil {
			t.Error("the ALTER was carried out")
		}
		twins.NothingLeft(t, s.root, on[0], false)
	})
}
