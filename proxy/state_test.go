package proxy

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// where a statement about a situation is true.
type where uint8

const (
	onMySQL   where = 1
	onMariaDB where = 2
	onBoth    where = 3
)

func (w where) on(f testmysql.Flavor) bool {
	if f == testmysql.MariaDB {
		return w&onMariaDB != 0
	}
	return w&onMySQL != 0
}

// A situation is what a session has done, and what it then keeps.
//
// Steps are statements; "> " before one sends it without waiting for the answer
// of the one before, "prepare " and "execute n" use the binary protocol, "# "
// before a statement is for another session, and "!name" is a special one.
type situation struct {
	name  string
	steps []string
	held  where // the server keeps locks on a table for it
	busy  where // we believe so, or in a transaction
	only  where // 0: on both
	blind where // known: we take it for free though the server holds locks
}

var situations = []situation{
	{name: "one statement", steps: []string{"SELECT * FROM t"}},
	{name: "a routine", steps: []string{"CALL writes()", "SELECT counts()"}},
	{name: "BEGIN", steps: []string{"BEGIN"}, busy: onBoth},
	{name: "BEGIN and read", steps: []string{"BEGIN", "SELECT * FROM t"}, held: onBoth, busy: onBoth},
	{name: "snapshot", steps: []string{"START TRANSACTION WITH CONSISTENT SNAPSHOT"}, busy: onBoth},
	{name: "READ ONLY", steps: []string{"START TRANSACTION READ ONLY", "SELECT * FROM t"}, held: onBoth, busy: onBoth},
	{name: "a duplicate key in a transaction", steps: []string{"BEGIN", "INSERT INTO t VALUES (1, 1)"}, held: onBoth, busy: onBoth},
	{name: "a missing table in a transaction", steps: []string{"BEGIN", "SELECT * FROM t", "SELECT * FROM missing"}, held: onBoth, busy: onBoth},
	{name: "COMMIT", steps: []string{"BEGIN", "SELECT * FROM t", "COMMIT"}},
	{name: "ROLLBACK", steps: []string{"BEGIN", "UPDATE t SET b = 2", "ROLLBACK"}},
	{name: "ROLLBACK RELEASE's brother", steps: []string{"BEGIN", "UPDATE t SET b = 2", "ROLLBACK AND NO CHAIN NO RELEASE"}},
	{name: "COMMIT AND CHAIN", steps: []string{"BEGIN", "SELECT * FROM t", "COMMIT AND CHAIN"}, busy: onBoth},
	{name: "chained, and read", steps: []string{"BEGIN", "COMMIT AND CHAIN", "SELECT * FROM t"}, held: onBoth, busy: onBoth},
	{name: "completion_type", steps: []string{"SET completion_type = 1", "BEGIN", "SELECT * FROM t", "COMMIT"}, busy: onBoth},
	{name: "savepoints", steps: []string{"BEGIN", "SAVEPOINT a", "SELECT * FROM t", "ROLLBACK TO a"}, held: onMariaDB, busy: onBoth},
	{name: "a savepoint released", steps: []string{"BEGIN", "SAVEPOINT a", "SELECT * FROM t", "RELEASE SAVEPOINT a"}, held: onBoth, busy: onBoth},
	{name: "DDL in a transaction", steps: []string{"BEGIN", "SELECT * FROM t", "CREATE TABLE made (a INT)"}},
	{name: "a temporary table in a transaction", steps: []string{"BEGIN", "SELECT * FROM t", "CREATE TEMPORARY TABLE made (a INT)"}, held: onBoth, busy: onBoth},
	{name: "failed DDL in a transaction", steps: []string{"BEGIN", "SELECT * FROM t", "CREATE TABLE t (a INT)", "DO 1"}},
	{name: "unparsed DDL in a transaction", steps: []string{"BEGIN", "SELECT * FROM t", "CREATE TABLE ("}, held: onBoth, busy: onBoth},
	{name: "GET_LOCK", steps: []string{"DO GET_LOCK('x', 1)"}},

	{name: "autocommit off", steps: []string{"SET autocommit = 0", "SELECT 1", "SHOW CREATE TABLE t"}},
	{name: "autocommit off, read", steps: []string{"SET autocommit = 0", "SELECT * FROM t"}, held: onBoth, busy: onBoth},
	{name: "autocommit off, a view", steps: []string{"SET autocommit = 0", "SELECT * FROM v"}, held: onBoth, busy: onBoth},
	{name: "autocommit off, a function", steps: []string{"SET autocommit = 0", "SELECT counts()"}, held: onBoth, busy: onBoth},
	{name: "autocommit off, a duplicate key", steps: []string{"SET autocommit = 0", "INSERT INTO t VALUES (1, 1)"}, held: onBoth, busy: onBoth},
	{name: "autocommit off, a duplicate key prepared", steps: []string{"SET autocommit = 0", "prepare INSERT INTO t VALUES (1, 1)", "execute 1"}, held: onBoth, busy: onBoth},
	{name: "autocommit off, a parse error", steps: []string{"SET autocommit = 0", "nonsense"}, busy: onBoth},
	{name: "autocommit off, a parse error and more", steps: []string{"SET autocommit = 0", "nonsense", "DO 1"}},
	{name: "autocommit off, a missing table", steps: []string{"SET autocommit = 0", "SELECT * FROM missing", "DO 1"}, busy: onMySQL},
	{name: "autocommit off, MyISAM", steps: []string{"SET autocommit = 0", "SELECT * FROM isam"}, held: onMySQL, busy: onMySQL},
	{name: "autocommit off, MyISAM written", steps: []string{"SET autocommit = 0", "UPDATE isam SET b = 2"}, held: onBoth, busy: onBoth},
	{name: "autocommit off, MyISAM, COMMIT", steps: []string{"SET autocommit = 0", "SELECT * FROM isam", "COMMIT"}},
	{name: "autocommit off, MyISAM, in one text", steps: []string{"SET autocommit = 0; SELECT * FROM isam"}, held: onMySQL, busy: onMySQL},
	{name: "autocommit off, MyISAM prepared", steps: []string{"SET autocommit = 0", "prepare SELECT * FROM isam", "execute 1"}, held: onMySQL, busy: onMySQL},
	{name: "autocommit off, MyISAM in a routine", steps: []string{"SET autocommit = 0", "CALL reads_isam()"}, held: onMySQL, busy: onMySQL},
	{name: "autocommit off, MyISAM, then a constant", steps: []string{"SET autocommit = 0", "SELECT * FROM isam", "SELECT 1"}, held: onMySQL, busy: onMySQL},
	{name: "autocommit off, DESC", steps: []string{"SET autocommit = 0", "DESC t"}, held: onMySQL, busy: onMySQL},
	{name: "autocommit off, EXPLAIN", steps: []string{"SET autocommit = 0", "EXPLAIN SELECT * FROM t"}, held: onBoth, busy: onBoth},
	{name: "autocommit off, SHOW INDEX", steps: []string{"SET autocommit = 0", "SHOW INDEX FROM t"}, held: onMySQL, busy: onMySQL},
	{name: "autocommit off, CHECKSUM", steps: []string{"SET autocommit = 0", "CHECKSUM TABLE t"}, held: onBoth, busy: onBoth},
	{name: "autocommit on again", steps: []string{"SET autocommit = 0", "UPDATE t SET b = 3", "SET autocommit = 1"}},
	{name: "BEGIN on MyISAM", steps: []string{"BEGIN", "SELECT * FROM isam"}, held: onBoth, busy: onBoth},

	{name: "deadlock", steps: []string{"!deadlock"}},
	{name: "deadlock, autocommit off", steps: []string{"SET autocommit = 0", "!deadlock"}},
	{name: "KILL QUERY", steps: []string{"BEGIN", "SELECT * FROM t", "!kill"}, held: onBoth, busy: onBoth},

	{name: "LOCK TABLES", steps: []string{"LOCK TABLES t READ"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLES, and unlock", steps: []string{"LOCK TABLES t WRITE", "UNLOCK TABLES"}},
	{name: "LOCK TABLES, and unlock with a typo", steps: []string{"LOCK TABLES t WRITE", "UNLOCK TABLES t"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLES, and BEGIN", steps: []string{"LOCK TABLES t WRITE", "BEGIN", "COMMIT"}},
	{name: "LOCK TABLES, and BEGIN with a typo", steps: []string{"LOCK TABLES t WRITE", "BEGIN t"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLES, and START REPLICA", steps: []string{"LOCK TABLES t WRITE", "START REPLICA SQL_THREAD"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLES, and START SLAVE", steps: []string{"LOCK TABLES t WRITE", "START SLAVE"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLES, and START of more", steps: []string{"LOCK TABLES t WRITE", "START GROUP_REPLICATION"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLES, and a compound statement", steps: []string{"LOCK TABLES t WRITE", "BEGIN NOT ATOMIC END"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLES, and COMMIT", steps: []string{"LOCK TABLES t WRITE", "COMMIT"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLES, and ROLLBACK", steps: []string{"SET autocommit = 0", "LOCK TABLES t WRITE", "SELECT * FROM t", "ROLLBACK"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLES pipelined", steps: []string{"LOCK TABLES t WRITE", "> UNLOCK TABLES", "> LOCK TABLES t READ"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLES, and unlock an instance", steps: []string{"LOCK TABLES t WRITE", "UNLOCK INSTANCE"}, held: onBoth, busy: onBoth},
	{name: "LOCK INSTANCE, and unlock it", only: onMySQL, steps: []string{"LOCK INSTANCE FOR BACKUP", "UNLOCK INSTANCE"}},
	{name: "LOCK TABLES in one text", steps: []string{"DO 1; LOCK TABLES t WRITE"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLES in a comment", steps: []string{"/*!40000 LOCK TABLES t WRITE */"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLES behind a comment of another version", steps: []string{"/*!999999 no words */ LOCK TABLES t WRITE"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLES behind an empty comment", steps: []string{"/*! */ LOCK TABLES t WRITE"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLE with a tab", steps: []string{"LOCK\tTABLE t WRITE"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLE with a tab, in one text", steps: []string{"DO 1;LOCK\tTABLE t WRITE"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLE with a comment, in one text", steps: []string{"DO 1;LOCK/**/TABLE t WRITE"}, held: onBoth, busy: onBoth},
	{name: "LOCK TABLES prepared as text", steps: []string{"PREPARE p FROM 'LOCK TABLES t WRITE'", "EXECUTE p"}, held: onMariaDB, busy: onBoth},
	{name: "LOCK TABLES executed at once", steps: []string{"EXECUTE IMMEDIATE 'LOCK TABLES t WRITE'"}, held: onMariaDB, busy: onBoth},
	{name: "LOCK TABLES prepared", steps: []string{"prepare LOCK TABLES t WRITE", "execute 1"}, held: onMariaDB, busy: onMariaDB},
	{name: "LOCK TABLES behind a long attribute", steps: []string{"!attribute"}, held: onMySQL, busy: onMySQL, only: onMySQL},
	{name: "LOCK TABLES behind a long text", steps: []string{"!long"}, held: onBoth, busy: onBoth},
	{name: "UNLOCK TABLES prepared", steps: []string{"prepare UNLOCK TABLES", "LOCK TABLES t WRITE", "execute 1"}, busy: onMySQL, held: onMySQL},

	{name: "WITH READ LOCK", steps: []string{"FLUSH TABLES t WITH READ LOCK"}, held: onBoth, busy: onBoth},
	{name: "WITH READ LOCK, unlocked", steps: []string{"FLUSH TABLES t WITH READ LOCK", "UNLOCK TABLES"}},
	{name: "all WITH READ LOCK", steps: []string{"FLUSH TABLES WITH READ LOCK"}, held: onBoth, busy: onBoth},
	{name: "all WITH READ LOCK, and BEGIN", steps: []string{"FLUSH TABLES WITH READ LOCK", "BEGIN", "COMMIT"}, held: onBoth, busy: onBoth},
	{name: "WITH READ LOCK, and BEGIN", steps: []string{"FLUSH TABLES t WITH READ LOCK", "BEGIN", "COMMIT"}, busy: onBoth},
	{name: "WITH READ LOCK prepared as text", steps: []string{"PREPARE p FROM 'FLUSH TABLES t WITH READ LOCK'", "EXECUTE p"}, held: onBoth, busy: onBoth},
	{name: "all WITH READ LOCK prepared as text", steps: []string{"PREPARE p FROM 'FLUSH TABLES WITH READ LOCK'", "EXECUTE p"}, held: onBoth, busy: onBoth},
	{name: "all WITH READ LOCK in a routine, which is not seen", steps: []string{"CALL flushes()"}, held: onBoth, blind: onBoth},
	{name: "FOR EXPORT", steps: []string{"FLUSH TABLES t FOR EXPORT"}, held: onBoth, busy: onBoth},
	{name: "HANDLER", steps: []string{"HANDLER t OPEN"}, held: onBoth, busy: onBoth},
	{name: "HANDLER, closed", steps: []string{"HANDLER t OPEN", "HANDLER t CLOSE"}, busy: onBoth},
	{name: "HANDLER prepared as text", steps: []string{"PREPARE p FROM 'HANDLER t OPEN'", "EXECUTE p"}, held: onMariaDB, busy: onBoth},
	{name: "HANDLER over COMMIT", steps: []string{"HANDLER t OPEN AS h", "BEGIN", "COMMIT"}, held: onBoth, busy: onBoth},
	{name: "HANDLER reset", steps: []string{"HANDLER t OPEN", "!reset"}},

	{name: "XA", steps: []string{"XA START 'a'", "SELECT * FROM t", "XA END 'a'"}, held: onBoth, busy: onBoth},
	{name: "XA PREPARE", steps: []string{"XA START 'a'", "UPDATE t SET b = 5", "XA END 'a'", "XA PREPARE 'a'"}, held: onBoth, busy: onBoth},
	{name: "XA PREPARE, and a statement", steps: []string{"XA START 'a'", "UPDATE t SET b = 5", "XA END 'a'", "XA PREPARE 'a'", "DO 1"}, held: onBoth, busy: onBoth},
	{name: "XA COMMIT", steps: []string{"XA START 'a'", "UPDATE t SET b = 5", "XA END 'a'", "XA PREPARE 'a'", "XA COMMIT 'a'"}},
	{name: "XA COMMIT of another", steps: []string{"XA START 'a'", "UPDATE t SET b = 5", "XA END 'a'", "XA PREPARE 'a'", "XA COMMIT 'b'"}, held: onBoth, busy: onBoth},
	{name: "XA ONE PHASE", steps: []string{"XA START 'a'", "UPDATE t SET b = 5", "XA END 'a'", "XA COMMIT 'a' ONE PHASE"}},
	{name: "XA PREPARE in a routine, which is not seen", steps: []string{"CALL prepares()"}, held: onBoth, busy: onMariaDB, blind: onMySQL},

	{name: "a routine that begins", steps: []string{"CALL begins()"}, held: onBoth, busy: onBoth},
	{name: "a routine that commits", steps: []string{"BEGIN", "SELECT * FROM t", "CALL commits()"}},
	{name: "several statements", steps: []string{"BEGIN; SELECT * FROM t; DO 1"}, held: onBoth, busy: onBoth},
	{name: "several statements, and COMMIT", steps: []string{"BEGIN; SELECT * FROM t; COMMIT"}},
	{name: "several statements, and an error", steps: []string{"BEGIN; SELECT * FROM t; nonsense; COMMIT"}, held: onBoth, busy: onBoth},
	{name: "a late error behind COMMIT", steps: []string{"BEGIN; SELECT * FROM t; COMMIT; SELECT * FROM missing"}},
	{name: "prepared", steps: []string{"SET autocommit = 0", "prepare SELECT * FROM t", "execute 1"}, held: onBoth, busy: onBoth},
	{name: "BEGIN prepared", steps: []string{"prepare BEGIN", "prepare SELECT * FROM t", "execute 1", "execute 2"}, held: onMariaDB, busy: onMariaDB, only: onMariaDB},
	{name: "COMMIT prepared", steps: []string{"prepare COMMIT", "BEGIN", "SELECT * FROM t", "execute 1"}},
	{name: "a cursor", steps: []string{"prepare SELECT * FROM t UNION ALL SELECT * FROM t", "!cursor"}},
	{name: "reset", steps: []string{"BEGIN", "SELECT * FROM t", "!reset"}},
	{name: "reset of locks", steps: []string{"LOCK TABLES t WRITE", "!reset"}},
	{name: "change of user", steps: []string{"SET autocommit = 0", "UPDATE t SET b = 4", "!change"}},
	{name: "change of user, of locks", steps: []string{"LOCK TABLES t WRITE", "!change"}},
	{name: "change of user that is refused", steps: []string{"BEGIN", "SELECT * FROM t", "!refused"}, only: onMariaDB, busy: onMariaDB},
	{name: "change of user that is refused, of locks", steps: []string{"LOCK TABLES t WRITE", "!refused"}, only: onMariaDB},
}

// The proxy never takes for free a session that the server keeps locks on tables
// for. Where it errs on the other side is written in the table.
func TestBelievesWhatTheServerSays(t *testing.T) {
	args := map[testmysql.Flavor][]string{
		testmysql.MariaDB: {"--plugin-load-add=metadata_lock_info", "--plugin-maturity=unknown"},
	}
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(f), func(t *testing.T) {
			s := testmysql.Start(t, f, args[f]...)
			for _, carrier := range []string{"loops", onGoroutines} {
				t.Run(carrier, func(t *testing.T) {
					srv, addr := startProxy(t, Config{Server: s.Addr})
					for _, c := range situations {
						if c.only != 0 && !c.only.on(f) {
							continue
						}
						t.Run(c.name, func(t *testing.T) { c.check(t, s, srv, addr) })
					}
				})
			}
		})
	}
}

func (c situation) check(t *testing.T, s *testmysql.Server, srv *Server, addr string) {
	db := stateDatabase(t, s)
	caps := wire.ClientDeprecateEOF | wire.ClientMultiStatements
	if c.only == onMySQL {
		caps |= wire.ClientQueryAttributes
	}
	r := dialRaw(t, addr, db, caps)
	var said strings.Builder
	var held, busy bool
	for i := 0; i < len(c.steps); i++ {
		together := 1
		for i+together < len(c.steps) && strings.HasPrefix(c.steps[i+together], "> ") {
			together++
		}
		said.WriteString(r.step(s, db, c.steps[i:i+together]))
		i += together - 1
		held = holds(t, s, db, r.greeting.ConnectionID)
		busy = slices.ContainsFunc(srv.Busy([]string{"t"}), func(b Busy) bool {
			return b.ID == r.greeting.ConnectionID && b.InTransaction
		})
		if held && !busy && !c.blind.on(s.Flavor) {
			t.Errorf("after %q it is taken for free, and holds locks", c.steps[i])
		}
	}
	if want := c.held.on(s.Flavor); held != want {
		t.Errorf("holds locks: %v, want %v", held, want)
	}
	if want := c.busy.on(s.Flavor); busy != want {
		t.Errorf("is taken to be busy: %v, want %v", busy, want)
	}
	if t.Failed() {
		t.Log(said.String())
	}
	if strings.HasPrefix(c.name, "XA PREPARE") || c.name == "XA COMMIT of another" {
		r.query("XA ROLLBACK 'a'")
	}
	r.Close()
}

func stateDatabase(t *testing.T, s *testmysql.Server) string {
	t.Helper()
	db := s.NewDatabase(t)
	s.Exec(t, "USE "+db,
		"CREATE TABLE t (a INT PRIMARY KEY, b INT)", "INSERT INTO t VALUES (1, 1), (2, 2)",
		"CREATE TABLE isam (a INT PRIMARY KEY, b INT) ENGINE = MyISAM", "INSERT INTO isam VALUES (1, 1)",
		"CREATE VIEW v AS SELECT * FROM t",
		"CREATE FUNCTION counts() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM t)",
		"CREATE PROCEDURE writes() UPDATE t SET b = b + 1",
		"CREATE PROCEDURE reads_isam() SELECT * FROM isam",
		"CREATE PROCEDURE begins() BEGIN START TRANSACTION; SELECT * FROM t; END",
		"CREATE PROCEDURE commits() BEGIN SELECT * FROM t; COMMIT; END",
		"CREATE PROCEDURE prepares() BEGIN XA START 'a'; UPDATE t SET b = 5; XA END 'a'; XA PREPARE 'a'; END",
		"CREATE PROCEDURE flushes() FLUSH TABLES WITH READ LOCK")
	return db
}

// step says what a step, and those sent together with it, say.
func (c *rawConn) step(s *testmysql.Server, db string, steps []string) string {
	c.t.Helper()
	step := steps[0]
	if len(steps) > 1 {
		var b []byte
		for _, q := range steps {
			b, _ = wire.AppendPacket(b, wire.AppendQuery(nil, strings.TrimPrefix(q, "> "), c.s), 0)
		}
		c.Write(b)
		out := ""
		for range steps {
			out += c.answer(wire.ComQuery)
		}
		return out
	}
	var n int
	switch {
	case strings.HasPrefix(step, "prepare "):
		return c.do("\x16" + step[len("prepare "):])
	case strings.HasPrefix(step, "execute "):
		fmt.Sscanf(step, "execute %d", &n)
		return c.do(c.execute(n, 0))
	}
	switch step {
	case "!reset":
		return c.do("\x1f")
	case "!change":
		return c.do("\x11root\x00\x00\x00\x2d\x00" + c.greeting.Plugin + "\x00")
	case "!refused":
		return c.do("\x11nobody\x00\x00\x00\x2d\x00" + c.greeting.Plugin + "\x00")
	case "!cursor":
		return c.do(c.execute(1, 1)) + c.do(c.stmt(wire.ComStmtFetch, 1, "\x01\x00\x00\x00"))
	case "!attribute":
		long := strings.Repeat("x", 400000)
		q := []byte{wire.ComQuery, 1, 1, 0, 1, 0xfe, 0, 4}
		q = append(q, "name"...)
		q = wire.AppendString(q, long)
		return c.do(string(append(q, "LOCK TABLES t WRITE"...)))
	case "!long":
		return c.query("DO '" + strings.Repeat("x", 2<<20) + "'; LOCK TABLES t WRITE")
	case "!kill":
		c.sendSeq(wire.AppendQuery(nil, "SELECT SLEEP(20) FROM t", c.s), 0)
		pool := s.DB(c.t)
		var state string
		for state != "User sleep" {
			time.Sleep(5 * time.Millisecond)
			pool.QueryRow("SELECT COALESCE(MAX(state), '') FROM information_schema.processlist WHERE id = ?", c.greeting.ConnectionID).Scan(&state)
		}
		s.Exec(c.t, fmt.Sprintf("KILL QUERY %d", c.greeting.ConnectionID))
		return c.answer(wire.ComQuery)
	case "!deadlock":
		return c.deadlock(s, db)
	}
	return c.query(step)
}

// deadlock has the session be the victim of one.
func (c *rawConn) deadlock(s *testmysql.Server, db string) string {
	c.t.Helper()
	heavy := dialRaw(c.t, s.Addr, db, wire.ClientDeprecateEOF)
	defer heavy.Close()
	heavy.query("CREATE TABLE ballast (a INT PRIMARY KEY, b CHAR(200))")
	heavy.query("BEGIN")
	heavy.query("INSERT INTO ballast WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n WHERE a < 500) SELECT a, 'x' FROM n")
	heavy.query("UPDATE t SET b = 10 WHERE a = 1")
	c.query("BEGIN")
	c.query("UPDATE t SET b = 10 WHERE a = 2")
	c.sendSeq(wire.AppendQuery(nil, "UPDATE t SET b = 11 WHERE a = 1", c.s), 0)
	pool := s.DB(c.t)
	// InnoDB refreshes the table only when nobody has read it for 100 ms.
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for waiting := 0; waiting == 0; {
		<-tick.C
		if err := pool.QueryRow("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_mysql_thread_id = ?", c.greeting.ConnectionID).Scan(&waiting); err != nil {
			c.t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { heavy.query("UPDATE t SET b = 11 WHERE a = 2") })
	said := c.answer(wire.ComQuery)
	wg.Wait()
	heavy.query("ROLLBACK")
	if !strings.Contains(said, "#40001") {
		c.t.Errorf("no deadlock: %s", said)
	}
	return said + c.query("DO 1")
}

// holds tells whether the server keeps a lock on a table of db, or on all
// tables, for the session. Those of a transaction that is prepared are nobody's.
func holds(t *testing.T, s *testmysql.Server, db string, id uint32) bool {
	t.Helper()
	q := `SELECT COUNT(*) FROM performance_schema.metadata_locks l LEFT JOIN performance_schema.threads h ON h.thread_id = l.owner_thread_id
		WHERE l.lock_status = 'GRANTED' AND (l.object_type = 'TABLE' AND l.object_schema = ?
		OR l.object_type IN ('GLOBAL', 'COMMIT') AND l.lock_type = 'SHARED' AND h.processlist_id = ?)`
	if s.Flavor == testmysql.MariaDB {
		// InnoDB's purge locks the tables that it cleans; its threads are not in
		// the processlist.
		q = `SELECT COUNT(*) FROM information_schema.metadata_lock_info
			WHERE lock_type = 'Table metadata lock' AND table_schema = ?
			AND thread_id IN (SELECT id FROM information_schema.processlist)
			OR lock_mode LIKE 'MDL_BACKUP_FTWRL%' AND thread_id = ?`
	}
	// The server answers a PREPARE before it gives back its locks.
	var state string
	for state != "Sleep" {
		if err := s.DB(t).QueryRow("SELECT COALESCE(MAX(command), 'Sleep') FROM information_schema.processlist WHERE id = ?", id).Scan(&state); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	if err := s.DB(t).QueryRow(q, db, id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n > 0
}
