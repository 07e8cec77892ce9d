package intercept_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
)

// What the server itself runs takes an exclusive lock too: with a transaction on the
// table open, nobody else may have to wait for it.
var exclusive = []struct {
	ddl    string
	proof  string // fails, or is empty, before the statement and not after it
	around bool   // is tried with a holder around the proxy, too
}{
	{"DROP TABLE t", "SELECT 1 FROM (SELECT COUNT(*) AS n FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 't') c WHERE n = 0", true},
	{"DROP TABLE IF EXISTS nowhere, t, u", "SELECT 1 FROM (SELECT COUNT(*) AS n FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN ('t', 'u')) c WHERE n = 0", true},
	{"TRUNCATE t", "SELECT 1 FROM (SELECT COUNT(*) AS n FROM t) c WHERE n = 0", false},
	{"RENAME TABLE t TO t2", "SELECT 1 FROM t2 LIMIT 1", false},
	{"RENAME TABLE t TO t2, u TO t", "SELECT 1 FROM t2 LIMIT 1", true},
	{"CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW BEGIN SET NEW.n = 7; SET @x = 1; END", "SELECT 1 FROM information_schema.triggers WHERE trigger_name = 'g' AND trigger_schema = DATABASE()", true},
	{"DROP TRIGGER old", "SELECT 1 FROM (SELECT COUNT(*) AS n FROM information_schema.triggers WHERE trigger_name = 'old' AND trigger_schema = DATABASE()) c WHERE n = 0", false},
	{"ALTER TABLE t RENAME TO t2", "SELECT 1 FROM t2 LIMIT 1", true},
	{"ALTER TABLE t DROP PARTITION p1", "SELECT 1 FROM (SELECT COUNT(*) AS n FROM information_schema.partitions WHERE table_name = 't' AND table_schema = DATABASE() AND partition_name = 'p1') c WHERE n = 0", false},
	{"ALTER TABLE /* midflight: strategy=direct */ t ADD COLUMN more INT", "SELECT more FROM t LIMIT 1", false},
	{"ALTER TABLE t ADD COLUMN more INT FIRST, ALGORITHM=INPLACE", "SELECT more FROM t LIMIT 1", false},
	{"CREATE INDEX /* midflight: strategy=direct */ i ON t (v)", "SELECT 1 FROM information_schema.statistics WHERE table_name = 't' AND table_schema = DATABASE() AND index_name = 'i'", false},
}

func TestNobodyWaitsBehindForwarded(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		writers := []*client{p.through(""), dial(t, p.s.Addr, "", p.db)}
		for _, around := range []bool{false, true} {
			for _, x := range exclusive {
				if around && !x.around {
					continue
				}
				parts := ""
				if strings.Contains(x.ddl, "PARTITION") {
					parts = " PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (1000000), PARTITION p1 VALUES LESS THAN MAXVALUE)"
				}
				p.exec("DROP TABLE IF EXISTS t, t2, u", "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(40), n INT)"+parts,
					"CREATE TABLE u (id INT PRIMARY KEY)", "CREATE TRIGGER old BEFORE UPDATE ON t FOR EACH ROW SET @y = 1", "INSERT INTO t (n) VALUES (1), (2)")
				var holder *client
				if around {
					holder = dial(t, p.s.Addr, "", p.db)
				} else {
					holder = p.through("")
				}
				holder.exec("BEGIN", "SELECT * FROM t")
				c := p.through("")
				done := c.begin(x.ddl)
				p.awaitWaiting(c)
				for range 3 {
					for _, w := range writers {
						began := time.Now()
						w.exec("INSERT INTO t (n) VALUES (3)", "SELECT MAX(id) FROM t")
						if took := time.Since(began); took > time.Second {
							t.Errorf("%s: two statements took %s while it waited", x.ddl, took)
						}
					}
				}
				select {
				case got := <-done:
					t.Fatalf("%s has ended while the table was held: %s", x.ddl, got)
				default:
				}
				if got := p.say(x.proof); strings.Contains(got, "\n1\n") {
					t.Errorf("%s: is done while the table was held", x.ddl)
				}
				holder.exec("COMMIT")
				if got := ends(t, done); got != "OK" {
					t.Errorf("%s: %s", x.ddl, got)
				}
				if got := p.say(x.proof); strings.HasPrefix(got, "ERROR") || strings.Count(got, "\n") != 2 {
					t.Errorf("%s was not done: %s", x.ddl, got)
				}
				if got := c.say("SELECT @@lock_wait_timeout"); !strings.Contains(got, "86400") && !strings.Contains(got, "31536000") {
					t.Errorf("%s: the session's lock_wait_timeout is now %s", x.ddl, got)
				}
				holder.leave()
				c.leave()
			}
		}
	})
}

// awaitWaiting waits until the session is seen to wait for its turn.
func (p place) awaitWaiting(c *client) {
	p.t.Helper()
	await(p.t, "the session waits, visibly", func() bool {
		return strings.HasPrefix(p.value(fmt.Sprintf("SELECT COALESCE(MAX(info), '') FROM information_schema.processlist WHERE id = %d", c.id)), "/* midflight: waiting for ")
	})
}

// held begins a DROP TABLE that waits for a transaction.
func (p place) held(c *client) (holder *client, done <-chan string) {
	p.t.Helper()
	p.exec("DROP TABLE IF EXISTS t")
	p.table("t", 3)
	holder = p.through("")
	holder.exec("BEGIN", "SELECT * FROM t")
	done = c.begin("DROP TABLE t")
	p.awaitWaiting(c)
	return holder, done
}

// killed ends a waiting statement: a KILL QUERY is lost that comes between two of the
// statements by which it is seen waiting.
func (p place) killed(c *client, done <-chan string) string {
	p.t.Helper()
	return p.killedBy(p.exec, c, done)
}

func (p place) killedBy(exec func(...string), c *client, done <-chan string) (answer string) {
	p.t.Helper()
	await(p.t, "the statement is killed", func() bool {
		exec(fmt.Sprintf("KILL QUERY %d", c.id))
		select {
		case answer = <-done:
			return true
		case <-time.After(50 * time.Millisecond):
			return false
		}
	})
	return answer
}

func TestForwardedIsSeenAndEnded(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		c := p.through("")
		holder, done := p.held(c)
		await(t, "the session shows for whom it waits", func() bool {
			return strings.HasPrefix(p.value(fmt.Sprintf("SELECT COALESCE(MAX(info), '') FROM information_schema.processlist WHERE id = %d", c.id)), fmt.Sprintf("/* midflight: waiting for connection %d (root@", holder.id))
		})
		if got := p.killed(c, done); got != "ERROR 1317 (70100): Query execution was interrupted" {
			t.Errorf("after KILL QUERY: %s", got)
		}
		holder.leave()
		if got := c.say("SELECT COUNT(*) FROM t"); got != "COUNT(*)\n3\nOK" {
			t.Errorf("after KILL QUERY the table has %s", got)
		}

		holder, done = p.held(c)
		p.exec(fmt.Sprintf("KILL %d", c.id))
		if got := ends(t, done); !strings.HasPrefix(got, "LOST") && !strings.HasPrefix(got, "ERROR 1317") {
			t.Errorf("after KILL: %s", got)
		}
		p.exec("SELECT 1 FROM t")
		holder.leave()

		c = p.through("")
		holder, done = p.held(c)
		c.vanish()
		ends(t, done)
		await(t, "the session's server connection ends", func() bool {
			return p.value(fmt.Sprintf("SELECT COUNT(*) FROM information_schema.processlist WHERE id = %d", c.id)) == "0"
		})
		p.exec("SELECT 1 FROM t")
		holder.leave()

		c = p.through("")
		c.exec("SET lock_wait_timeout = 1")
		holder, done = p.held(c)
		if got := ends(t, done); got != "ERROR 1205 (HY000): Lock wait timeout exceeded; try restarting transaction" {
			t.Errorf("after lock_wait_timeout: %s", got)
		}
		if got := c.say("SHOW WARNINGS"); got != "Level | Code | Message\nError | 1205 | Lock wait timeout exceeded; try restarting transaction\nOK" {
			t.Errorf("after lock_wait_timeout: %s", got)
		}
		p.exec("SELECT 1 FROM t")
	})
}

// The operator's policy holds for what is forwarded, too.
func TestForwardedIsBlocked(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		for _, policy := range []string{"fail", "kill"} {
			db := s.NewDatabase(t)
			m := testmidflight.Start(t, s, "--cutover-blocked", policy, "--cutover-blocked-after", "300ms")
			p := place{t, m, s, db, dial(t, s.Addr, "", db)}
			c := p.through("")
			holder, done := p.held(c)
			got := ends(t, done)
			switch policy {
			case "fail":
				if !strings.HasPrefix(got, "ERROR 1205 (HY000): Lock wait timeout exceeded; try restarting transaction. Midflight waited 300ms for connection ") {
					t.Errorf("the client was told: %s", got)
				}
				holder.exec("INSERT INTO t (v) VALUES ('goes on')", "COMMIT")
			case "kill":
				if got != "OK" {
					t.Errorf("the client was told: %s", got)
				}
				if got := holder.say("SELECT 1"); !strings.HasPrefix(got, "LOST") && !strings.HasPrefix(got, "ERROR") {
					t.Errorf("the holder was not ended: %s", got)
				}
			}
			m.Stop()
		}
	})
}

// The session's own transaction is committed, as by the server, and is in nobody's
// way: not in its own either.
func TestForwardedInATransaction(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		for _, begin := range []string{"BEGIN", "SET autocommit = 0"} {
			for _, q := range []string{"DROP TABLE t", "TRUNCATE t", "RENAME TABLE t TO t2, u TO t", "DROP TABLE u, t", "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @x = 1", "ALTER TABLE t RENAME TO t2"} {
				p.exec("DROP TABLE IF EXISTS t, t2, u", "CREATE TABLE u (id INT)")
				p.table("t", 3)
				holder, c := p.through(""), p.through("")
				holder.exec("BEGIN", "SELECT * FROM t")
				c.exec(begin, "INSERT INTO t (v) VALUES ('committed')", "SELECT * FROM t")
				done := c.begin(q)
				p.awaitWaiting(c)
				if got := p.value("SELECT COUNT(*) FROM t"); got != "4" {
					t.Errorf("%s in a transaction (%s): %s rows are seen while it waits, want the one that it has committed", q, begin, got)
				}
				holder.exec("ROLLBACK")
				if got := ends(t, done); got != "OK" {
					t.Errorf("%s in a transaction (%s): %s", q, begin, got)
				}
				c.leave()
				holder.leave()
			}
		}
	})
}

// A KILL of ours may come when the statement has just got its lock, or has ended:
// transactions end about when they are given up. Nothing of it reaches the client.
func TestNoKillIsFelt(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.exec("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, n INT)", "INSERT INTO t (n) VALUES (1)")
		stop := make(chan struct{})
		var writers sync.WaitGroup
		defer writers.Wait()
		defer close(stop)
		for n := range 2 {
			w := dial(t, p.s.Addr, "", p.db) // around the proxy: it isn't held
			writers.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					w.conn.ExecContext(context.Background(), fmt.Sprintf("INSERT INTO t (n) SELECT SLEEP(0.%03d)", 6+(i+n)%9))
				}
			})
		}
		c := p.through("")
		for i := range 40 {
			c.exec("TRUNCATE t", "DO 1", "SELECT SLEEP(0.001) LIMIT 1")
			if i%4 == 0 {
				c.exec("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.n = 1", "SELECT 1", "DROP TRIGGER g", "SELECT 1")
			}
			if i%10 == 0 {
				c.exec("RENAME TABLE t TO t2, t2 TO t", "SELECT 1", "ALTER TABLE /* midflight: strategy=direct */ t ADD COLUMN more INT", "SELECT 1", "ALTER TABLE /* midflight: strategy=direct */ t DROP COLUMN more", "SELECT 1")
			}
		}
		if log := p.m.Log(); !strings.Contains(log, `"attempts":2`) {
			t.Error("no statement was taken back: nothing was tested")
		}
	})
}

// A migration of the table is ended by what replaces the table, and isn't waited for.
func TestForwardedDuringAMigration(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		for _, q := range []string{"DROP TABLE t", "TRUNCATE t", "RENAME TABLE t TO t2"} {
			p.exec("DROP TABLE IF EXISTS t, t2")
			p.table("t", 500)
			c, other := p.through(""), p.through("")
			id, done := p.hold(c, "t")
			other.exec(q)
			p.exec(fmt.Sprintf("CALL midflight.cutover(%d)", id))
			if got := ends(t, done); !strings.HasPrefix(got, "ERROR") {
				t.Errorf("the ALTER during %s: %s", q, got)
			}
			if got := p.phase(id); got != "failed" {
				t.Errorf("the migration is %s after %s", got, q)
			}
			c.leave()
			other.leave()
		}
		p.nothingLeft()
	})
}

var twoTables = append(rowsT, "CREATE TABLE u (id INT PRIMARY KEY, n INT)", "INSERT INTO u VALUES (1, 1)", "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, n INT)")

var forwarded = []conversation{
	{name: "dropped", setup: twoTables, say: []string{
		"DROP TABLE nowhere", "SHOW WARNINGS", "DROP TABLE t, nowhere, {db}.there", "SHOW WARNINGS", "DROP TABLE IF EXISTS nowhere, t", "SHOW WARNINGS",
		"DROP TABLE IF EXISTS nowhere", "SHOW WARNINGS", "DROP TABLE u, u", "DROP TABLES u RESTRICT", "DROP TABLE a CASCADE;", "DROP TABLE", "DROP TABLE t. u", "DROP TABLE there_is_none.t", "DROP TABLE IF EXISTS there_is_none.t", "SHOW WARNINGS"}},
	{name: "truncated", setup: append(twoTables, "CREATE VIEW w AS SELECT * FROM t"), say: []string{
		"TRUNCATE nowhere", "SHOW WARNINGS", "TRUNCATE t", "TRUNCATE TABLE {db}.u;", "INSERT INTO a (n) VALUES (1)", "TRUNCATE TABLE a", "INSERT INTO a (n) VALUES (1)", "SELECT * FROM a", "TRUNCATE w", "TRUNCATE t, u", "TRUNCATE"}},
	{name: "renamed", setup: append(twoTables, "CREATE VIEW w AS SELECT 1"), say: []string{
		"RENAME TABLE nowhere TO x", "SHOW WARNINGS", "RENAME TABLE t TO u", "SHOW WARNINGS", "RENAME TABLE t TO x, u TO t, x TO u", "SELECT * FROM u", "RENAME TABLE t TO y, nowhere TO z", "SHOW WARNINGS",
		"RENAME TABLE w TO w2", "RENAME TABLE t TO there_is_none.t", "RENAME TABLES t TO t3", "RENAME TABLE t3", "RENAME TABLE t3 TO midflight.t3x, midflight.t3x TO t"}},
	{name: "triggers", setup: append(twoTables, "CREATE VIEW w AS SELECT * FROM t"), say: []string{
		"CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'g'", "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'g'", "SHOW WARNINGS", "CREATE TRIGGER IF NOT EXISTS g BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'g'", "SHOW WARNINGS",
		"CREATE TRIGGER h AFTER INSERT ON t FOR EACH ROW BEGIN INSERT INTO u VALUES (NEW.id, 1); DELETE FROM u WHERE id = 1; END;", "INSERT INTO t (id) VALUES (50)", "SELECT * FROM u", "CREATE TRIGGER i BEFORE INSERT ON w FOR EACH ROW SET @a = 1",
		"CREATE TRIGGER i BEFORE INSERT ON nowhere FOR EACH ROW SET @a = 1", "CREATE TRIGGER i BEFORE INSERT ON t FOR EACH ROW SET NEW.nothing = 1", "CREATE TRIGGER i BEFORE INSERT ON t FOR EACH ROW SET", "CREATE DEFINER = CURRENT_USER TRIGGER k BEFORE UPDATE ON u FOR EACH ROW FOLLOWS g SET @a = 1",
		"DROP TRIGGER g", "DROP TRIGGER g", "SHOW WARNINGS", "DROP TRIGGER IF EXISTS g", "SHOW WARNINGS", "DROP TRIGGER {db}.h", "DROP TRIGGER", "DROP TRIGGER there_is_none.g"}},
	{name: "no database", nobase: true, setup: twoTables, say: []string{
		"DROP TABLE t", "SHOW WARNINGS", "TRUNCATE t", "RENAME TABLE t TO x", "DROP TRIGGER g", "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @a = 1", "TRUNCATE {db}.t", "RENAME TABLE {db}.t TO {db}.x", "DROP TABLE {db}.x, u"}},
	{name: "no privileges", setup: twoTables, grants: []string{"SELECT ON {db}.t", "INSERT ON {db}.u"}, say: []string{
		"DROP TABLE t", "SHOW WARNINGS", "DROP TABLE IF EXISTS t, u", "DROP TABLE nowhere", "TRUNCATE t", "RENAME TABLE t TO x", "RENAME TABLE u TO x, t TO u", "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @a = 1", "DROP TRIGGER g", "SELECT * FROM t"}},
	{name: "DROP alone", setup: twoTables, grants: []string{"DROP ON {db}.*"}, say: []string{
		"RENAME TABLE t TO x", "TRUNCATE t", "DROP TABLE t", "DROP TABLE u, nowhere", "DROP TABLE mysql.user", "DROP TABLE midflight.migrations", "TRUNCATE performance_schema.threads"}},
	{name: "temporary tables", setup: twoTables, say: []string{
		"CREATE TEMPORARY TABLE t (x INT)", "INSERT INTO t VALUES (1)", "TRUNCATE t", "SELECT * FROM t", "DROP TABLE t", "SELECT * FROM t", "CREATE TEMPORARY TABLE t (x INT)", "RENAME TABLE t TO t9", "DROP TEMPORARY TABLE IF EXISTS t, t9", "SHOW WARNINGS",
		"CREATE TEMPORARY TABLE u (x INT)", "CREATE TRIGGER g BEFORE INSERT ON u FOR EACH ROW SET @a = 1", "DROP TABLE u, a", "SELECT * FROM u"}},
	{name: "LOCK TABLES", setup: twoTables, say: []string{
		"LOCK TABLES t WRITE, u READ", "TRUNCATE t", "TRUNCATE u", "SHOW WARNINGS", "DROP TABLE a", "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @a = 1", "DROP TRIGGER g", "RENAME TABLE t TO x", "DROP TABLE u", "DROP TABLE t", "UNLOCK TABLES", "DROP TABLE IF EXISTS t, u"}},
	{name: "HANDLER", setup: twoTables, say: []string{"HANDLER t OPEN", "HANDLER t READ FIRST", "TRUNCATE t", "HANDLER t READ FIRST", "HANDLER u OPEN", "DROP TABLE u", "HANDLER u READ FIRST"}},
	{name: "transactions", setup: twoTables, say: []string{
		"BEGIN", "INSERT INTO t VALUES (10, 'ten')", "DROP TABLE nowhere", "ROLLBACK", "SELECT * FROM t", "BEGIN", "INSERT INTO t VALUES (11, 'ten')", "DROP TABLE u", "ROLLBACK", "SELECT * FROM t",
		"SET autocommit = 0", "INSERT INTO t VALUES (12, 'ten')", "TRUNCATE a", "INSERT INTO t VALUES (13, 'no')", "ROLLBACK", "SELECT * FROM t", "INSERT INTO t VALUES (14, 'ten')", "RENAME TABLE t TO x, nowhere TO y", "ROLLBACK", "SELECT * FROM t",
		"DROP TABLE t, t", "INSERT INTO a (n) VALUES (1)", "DROP TABLE t FROBNICATE", "ROLLBACK", "SELECT * FROM a"}},
	{name: "read-only transactions", setup: twoTables, say: []string{
		"START TRANSACTION READ ONLY", "SELECT * FROM t", "DROP TABLE t", "SHOW WARNINGS", "TRUNCATE t", "RENAME TABLE t TO x, u TO t", "DROP TABLE t, u", "ROLLBACK", "SET SESSION TRANSACTION READ ONLY", "DROP TABLE t", "SET SESSION TRANSACTION READ WRITE", "DROP TABLE t"}},
	{name: "XA", setup: twoTables, say: []string{"XA START 'x'", "INSERT INTO t VALUES (10, 'ten')", "TRUNCATE t", "DROP TABLE t, u", "XA END 'x'", "TRUNCATE t", "XA ROLLBACK 'x'", "TRUNCATE t"}},
	{name: "WAIT and NOWAIT", only: testmysql.MariaDB, setup: twoTables, say: []string{
		"TRUNCATE t NOWAIT", "DROP TABLE IF EXISTS t WAIT 1", "RENAME TABLE u WAIT 1 TO x", "SET STATEMENT lock_wait_timeout = 1 FOR DROP TABLE x", "SET STATEMENT max_statement_time = 10 FOR TRUNCATE a", "SET lock_wait_timeout = 0", "DROP TABLE a", "SELECT @@lock_wait_timeout", "RENAME TABLE IF EXISTS x TO y, y TO z", "SHOW WARNINGS"}},
	{name: "modes and comments", setup: twoTables, say: []string{
		"/*!50000 TRUNCATE t */", "/* first */ TRUNCATE/**/TABLE/**/t -- last", "SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')", `TRUNCATE "t"`, `RENAME TABLE "t" TO "x y", "x y" TO t`, `DROP TABLE "nowhere"`, "DROP /*!40005 TEMPORARY */ TABLE IF EXISTS t", "SHOW WARNINGS", "/*!50003 CREATE*/ /*!50003 TRIGGER g BEFORE INSERT ON t FOR EACH ROW BEGIN SET @a = 1; END */"}},
	{name: "latin1", setup: append(twoTables, "CREATE TABLE `straße` (id INT)"), params: "charset=latin1", say: []string{"TRUNCATE stra\xdfe", "DROP TABLE stra\xdfe, nowhere", "DROP TABLE IF EXISTS stra\xdfe"}},
	{name: "foreign keys", setup: []string{"CREATE TABLE p (id INT PRIMARY KEY)", "CREATE TABLE c (id INT PRIMARY KEY, p INT, CONSTRAINT k FOREIGN KEY (p) REFERENCES p (id))"}, say: []string{
		"DROP TABLE p", "SHOW WARNINGS", "TRUNCATE p", "RENAME TABLE p TO q", "DROP TABLE q, c", "SHOW WARNINGS", "DROP TABLE IF EXISTS c", "DROP TABLE IF EXISTS q"}},
	{name: "what the session counts", setup: append(rowsT, "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, n INT)", "CREATE TABLE u (id INT)"), say: counted(
		"TRUNCATE t", "TRUNCATE nowhere", "RENAME TABLE t TO x", "RENAME TABLE x TO y, y TO t", "RENAME TABLE x TO y, y TO t", "DROP TABLE nowhere", "DROP TABLE nowhere, there", "DROP TABLE IF EXISTS nowhere, there",
		"CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @a = 1", "DROP TRIGGER g", "DROP TRIGGER g", "DROP TABLE t, u")},
}

func TestForwardedAnswersAreTheServers(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		for _, c := range forwarded {
			t.Run(c.name, func(t *testing.T) { c.compare(t, p) })
		}
	})
}

// Prepared by the driver, and in a packet of several statements.
func TestForwardedInOtherWays(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		c := p.through("")
		for _, q := range []string{"TRUNCATE t", "RENAME TABLE t TO x, x TO t", "DROP TABLE IF EXISTS t, u", "DROP TABLE t"} {
			p.exec("DROP TABLE IF EXISTS t, u", "CREATE TABLE u (id INT)")
			p.table("t", 3)
			st, err := c.conn.PrepareContext(context.Background(), q)
			if err != nil {
				t.Fatalf("prepare %s: %v", q, err)
			}
			holder := p.through("")
			holder.exec("BEGIN", "SELECT * FROM t")
			done := make(chan string, 1)
			go func() {
				_, err := st.Exec()
				done <- answer(err)
			}()
			p.awaitWaiting(c)
			p.exec("INSERT INTO t (v) VALUES ('nobody waits')")
			holder.exec("COMMIT")
			if got := ends(t, done); got != "OK" {
				t.Errorf("execute %s: %s", q, got)
			}
			if _, err := st.Exec(); err != nil && q != "DROP TABLE t" {
				t.Errorf("execute %s again: %v", q, err)
			}
			st.Close()
			holder.leave()
		}
		for _, q := range []string{
			"SELECT 1; DROP TABLE u; SELECT 2", "TRUNCATE t; TRUNCATE t; SELECT COUNT(*) FROM t", "RENAME TABLE t TO x, u TO t; SELECT * FROM t; DROP TABLE x", "DROP TABLE u, nowhere; SELECT 1", "SELECT 1; DROP TABLE FROBNICATE u; SELECT 2",
			"DROP TABLE u FROBNICATE; SELECT 2", "BEGIN; INSERT INTO t (v) VALUES ('x'); DROP TABLE u; ROLLBACK; SELECT v FROM t", "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW BEGIN SET NEW.n = 1; SET NEW.v = 'g'; END; INSERT INTO t (v) VALUES ('x'); SELECT v FROM t",
			"DROP TRIGGER IF EXISTS g; CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.v = ';';", "USE {db}; DROP TABLE t; DROP TABLE t; SELECT 1",
		} {
			q = strings.ReplaceAll(q, "{db}", p.db)
			have := func(addr string) string {
				p.exec("DROP TABLE IF EXISTS t, u, x", "CREATE TABLE u (id INT PRIMARY KEY)")
				p.table("t", 3)
				c := dial(t, addr, "", p.db, "multiStatements=true")
				defer c.leave()
				return fmt.Sprintf("%s\n%+v\n%s\n%s", c.say(q), c.rec.oks(), p.say("SHOW TABLES"), p.say("SELECT trigger_name, action_statement FROM information_schema.triggers WHERE trigger_schema = DATABASE()"))
			}
			if want, got := have(p.s.Addr), have(p.m.Addr); got != want {
				t.Errorf("%s\n directly: %s\n through Midflight: %s", q, want, got)
			}
		}
	})
}
