package intercept_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPrepared(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 10)
		c := p.through("")
		for i, q := range []string{"ALTER TABLE t ADD COLUMN a%d INT", "ALTER TABLE t MODIFY v VARCHAR(4%d)", "OPTIMIZE TABLE t"} {
			if strings.Contains(q, "%") {
				q = fmt.Sprintf(q, i)
			}
			st, err := c.conn.PrepareContext(context.Background(), q)
			if err != nil {
				t.Fatalf("prepare %s: %v", q, err)
			}
			if q == "OPTIMIZE TABLE t" {
				rows, err := st.Query()
				if err != nil {
					t.Fatalf("execute %s: %v", q, err)
				}
				n := 0
				for rows.Next() {
					n++
				}
				if n != 2 || rows.Err() != nil {
					t.Errorf("%s: %d rows, %v; want 2", q, n, rows.Err())
				}
				rows.Close()
			} else if _, err := st.Exec(); err != nil {
				t.Errorf("execute %s: %v", q, err)
			}
			_, err = st.Exec() // again
			want := map[bool]string{true: "ERROR 1060 (42S21): Duplicate column name 'a0'", false: "OK"}[i == 0]
			if got := answer(err); got != want {
				t.Errorf("execute %s again: %s, want %s", q, got, want)
			}
			st.Close()
		}
		if got := c.value("SELECT COUNT(*) FROM t"); got != "10" {
			t.Errorf("%s rows afterwards, want 10", got)
		}
		c.exec("PREPARE p FROM 'ALTER TABLE t ADD COLUMN by_text INT'", "EXECUTE p", "SELECT by_text FROM t")
		p.nothingLeft()
	})
}

// A packet of several statements gives the results of all, in order, up to the
// first error, as it does directly.
func TestSeveralStatements(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		for _, q := range []string{
			"INSERT INTO t (v) VALUES ('new'); ALTER TABLE t ADD COLUMN a INT DEFAULT 4; SELECT id, v, a FROM t",
			"ALTER TABLE t ADD COLUMN a INT; SELECT 1; SELECT 2",
			"SELECT 1; ALTER TABLE t ADD COLUMN a INT",
			"SELECT 1; ALTER TABLE t MODIFY v VARCHAR(50), ADD COLUMN a INT; ALTER TABLE t ADD COLUMN b INT; SELECT * FROM t; INSERT INTO t (v) VALUES ('last')",
			"ALTER TABLE t ADD COLUMN a INT; ALTER TABLE t DROP COLUMN a; ALTER TABLE u ADD COLUMN c INT",
			"INSERT INTO nowhere VALUES (1); ALTER TABLE t ADD COLUMN a INT; SELECT 1",
			"INSERT INTO t (v) VALUES ('kept'); ALTER TABLE t DROP COLUMN nothing; INSERT INTO t (v) VALUES ('not reached')",
			"INSERT INTO t (v) VALUES ('kept'); ALTER TABLE nowhere DROP COLUMN nothing; INSERT INTO t (v) VALUES ('not reached')",
			"INSERT INTO t (v) VALUES ('not kept'); ALTER TABLE t FROBNICATE; INSERT INTO t (v) VALUES ('not reached')",
			"USE {db}; ALTER TABLE t ADD COLUMN a INT; SELECT DATABASE() = '{db}'",
			"SET sql_mode = 'ANSI_QUOTES'; ALTER TABLE \"t\" ADD COLUMN \"a\" INT; SELECT \"a\" FROM \"t\"",
			"BEGIN; INSERT INTO t (v) VALUES ('committed'); ALTER TABLE t ADD COLUMN a INT; ROLLBACK; SELECT COUNT(*) FROM t",
			"OPTIMIZE TABLE t; SELECT 1; CREATE INDEX i ON t (v); DROP INDEX i ON t;",
			"SELECT 'a;b', \"c;d\", `v` FROM t /* ; ALTER TABLE t DROP COLUMN v; */; ALTER TABLE t ADD COLUMN a VARCHAR(9) DEFAULT ';' -- ; \n; SELECT a FROM t;",
		} {
			q = strings.ReplaceAll(q, "{db}", p.db)
			have := func(addr string) (string, []okPacket) {
				p.exec("DROP TABLE IF EXISTS t, u", "CREATE TABLE u (id INT PRIMARY KEY)")
				p.table("t", 3)
				db := p.db
				if strings.HasPrefix(q, "USE") {
					db = ""
				}
				c := dial(t, addr, "", db, "multiStatements=true")
				defer c.leave()
				said := c.say(q)
				oks := c.rec.oks()
				return said + "\n" + p.say("SHOW CREATE TABLE t") + "\n" + p.say("SELECT * FROM t"), oks
			}
			want, wantOK := have(p.s.Addr)
			got, gotOK := have(p.m.Addr)
			if got != want || !slices.Equal(gotOK, wantOK) {
				t.Errorf("%s\n directly: %s %+v\n through Midflight: %s %+v", q, want, wantOK, got, gotOK)
			}
		}
		p.nothingLeft()
	})
}

// What the driver tells of an ALTER is what the mysql client prints.
func TestRecords(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 250)
		c := p.through("")
		c.exec("SET @midflight_strategy = 'copy'", "ALTER TABLE t MODIFY n BIGINT")
		oks := c.rec.oks()
		if len(oks) != 1 || oks[0].affected != 250 || oks[0].info != "Records: 250  Duplicates: 0  Warnings: 0" {
			t.Errorf("answer of a copy: %+v", oks)
		}
		if got := p.value(fmt.Sprintf("SELECT CONCAT_WS(' ', strategy, phase, rows_copied, progress) FROM midflight.migrations WHERE id = %d", p.latest("t"))); got != "copy completed 250 1" {
			t.Errorf("its record: %s", got)
		}
	})
}

// A hint in the statement and a variable of the session say the same; the hint
// is for this statement.
func TestOptions(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 20)
		c := p.through("")
		strategy := func() string {
			return p.value(fmt.Sprintf("SELECT strategy FROM midflight.migrations WHERE id = %d", p.latest("t")))
		}
		c.exec("ALTER TABLE t /* midflight: strategy=copy */ ADD COLUMN a INT")
		if got := strategy(); got != "copy" {
			t.Errorf("by a hint: %s", got)
		}
		c.exec("ALTER TABLE t ADD COLUMN b INT")
		if got := strategy(); got != "instant" {
			t.Errorf("after a hint: %s, want instant", got)
		}
		c.exec("SET @midflight_strategy = 'COPY'", "ALTER TABLE t ADD COLUMN c INT")
		if got := strategy(); got != "copy" {
			t.Errorf("by a variable: %s", got)
		}
		c.exec("/* midflight: strategy=instant */ ALTER TABLE t ADD COLUMN d INT")
		if got := strategy(); got != "instant" {
			t.Errorf("by a hint against the variable: %s", got)
		}
		before := p.latest("t")
		c.exec("ALTER TABLE t /* midflight: strategy=direct */ ADD COLUMN e INT")
		if p.latest("t") != before {
			t.Error("strategy=direct was recorded as a migration")
		}
		c.exec("SET @midflight_strategy = NULL, @midflight_cutover = 'auto', @midflight_async = 0", "ALTER TABLE t ADD COLUMN f INT")
		c.refused("ALTER TABLE t /* midflight: strategy=instant */ MODIFY v VARCHAR(3000)", "ERROR 1846 (0A000): ")

		for _, wrong := range []struct{ set, says string }{
			{"@midflight_strategy = 'fast'", "ERROR 1231 (42000): @midflight_strategy = 'fast': want auto, instant, inplace, copy or direct"},
			{"@midflight_cutover = 'soon'", "ERROR 1231 (42000): @midflight_cutover = 'soon': want auto, manual or a window"},
			{"@midflight_cutover = '25:00-26:00'", "ERROR 1231 (42000): @midflight_cutover = '25:00-26:00'"},
			{"@midflight_cutover = '03:00-03:00'", "ERROR 1231 (42000): "},
			{"@midflight_cutover = '02:00-04:00 Mars'", "ERROR 1231 (42000): @midflight_cutover = '02:00-04:00 Mars': the time zone 'Mars' is not known: want a name"},
			{"@midflight_async = 'perhaps'", "ERROR 1231 (42000): @midflight_async = 'perhaps'"},
			{"@midflight_async = 2", "ERROR 1231 (42000): "},
		} {
			c := p.through("")
			c.exec("SET " + wrong.set)
			c.refused("ALTER TABLE t ADD COLUMN wrong INT", wrong.says)
			c.refused("SELECT wrong FROM t", "ERROR 1054")
			c.leave()
		}
		p.nothingLeft()
	})
}

func TestAsync(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 20)
		c := p.through("")
		c.exec("SET @midflight_async = 1, @midflight_strategy = 'copy', @midflight_cutover = 'manual'", "ALTER TABLE t ADD COLUMN a INT")
		id := p.latest("t")
		if oks := c.rec.oks(); len(oks) != 1 || oks[0].insertID != uint64(id) || !strings.HasSuffix(oks[0].info, fmt.Sprint(id)) {
			t.Errorf("the answer %+v doesn't tell the id %d", oks, id)
		}
		c.leave() // nobody waits for it
		p.awaitPhase(id, "ready")
		p.refused("SELECT a FROM t", "ERROR 1054")
		p.exec(fmt.Sprintf("CALL midflight.cutover(%d)", id))
		p.awaitPhase(id, "completed")
		p.exec("SELECT a FROM t")
		p.nothingLeft()
	})
}

func TestCutOverWindow(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 20)
		c := p.through("")
		around := func(from, to time.Duration) string {
			now := time.Now().UTC()
			return now.Add(from).Format("15:04") + "-" + now.Add(to).Format("15:04")
		}
		c.exec("SET @midflight_strategy = 'copy', @midflight_cutover = '"+around(-time.Hour, time.Hour)+"'", "ALTER TABLE t ADD COLUMN a INT")
		// In UTC it would be open.
		window := around(-time.Hour, time.Hour)
		done := c.begin("ALTER TABLE /* midflight: cutover=" + window + " Asia/Kathmandu */ t ADD COLUMN b INT")
		await(t, "the migration waits for its window", func() bool {
			return p.value("SELECT COUNT(*) FROM midflight.migrations WHERE phase = 'ready' AND waiting_for = 'the window "+window+" Asia/Kathmandu'") == "1"
		})
		id := p.latest("t")
		p.exec(fmt.Sprintf("CALL midflight.cutover(%d)", id)) // the operator's word opens it
		if got := ends(t, done); got != "OK" {
			t.Errorf("after CALL midflight.cutover: %s", got)
		}
		p.nothingLeft()
	})
}

// What the engine can't do is refused with the reason and the way out where the
// table is not small, and leaves nothing behind; the way out works.
func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		c := p.through("")
		for _, r := range []struct {
			what  string
			setup []string
			alter string
		}{
			{"no primary key and no unique key", []string{"CREATE TABLE t (a INT, b INT, KEY (a))", "INSERT INTO t VALUES (1, 1), (1, 1)"}, "ALTER TABLE t MODIFY b BIGINT"},
			{"no primary key and no unique key", []string{"CREATE TABLE t (a INT, b INT, UNIQUE (a))", "INSERT INTO t VALUES (NULL, 1), (NULL, 1)"}, "ALTER TABLE t MODIFY b BIGINT"},
			{"foreign keys", []string{"CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, b INT, FOREIGN KEY (b) REFERENCES parent (id))"}, "ALTER TABLE t MODIFY id BIGINT AUTO_INCREMENT"},
			{"referred to by foreign keys", []string{"CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, b INT)", "CREATE TABLE child (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id))"}, "ALTER TABLE t MODIFY b BIGINT"},
			{"the trigger g can't be carried over", []string{"CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, b INT)", "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.b = 1"}, "ALTER TABLE t DROP COLUMN b, FORCE"},
		} {
			p.exec("DROP TABLE IF EXISTS child, t, parent", "CREATE TABLE parent (id INT PRIMARY KEY)")
			p.exec(r.setup...)
			p.large("t")
			want := p.say("SHOW CREATE TABLE t")
			got := c.say(r.alter)
			if !strings.HasPrefix(got, "ERROR 1846 (0A000): ") || !strings.Contains(got, r.what) || !strings.Contains(got, "at most 10000 rows and 16 MiB") || !strings.Contains(got, "SET @midflight_strategy = 'direct'") {
				t.Errorf("%s with %s: %s", r.alter, r.what, got)
			}
			if now := p.say("SHOW CREATE TABLE t"); now != want {
				t.Errorf("refused, yet the table is now\n%s", now)
			}
			if got := p.value(fmt.Sprintf("SELECT CONCAT(phase, ' ', error_number) FROM midflight.migrations WHERE id = %d", p.latest("t"))); got != "failed 1846" {
				t.Errorf("its record: %s", got)
			}
			p.nothingLeft()
		}
		p.exec("DROP TABLE t", "CREATE TABLE t (a INT, b INT)")
		c.exec("SET @midflight_strategy = 'direct'", "ALTER TABLE t MODIFY b BIGINT")
		if got := p.value("SELECT data_type FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 't' AND column_name = 'b'"); got != "bigint" {
			t.Errorf("done directly, the column is a %s", got)
		}
	})
}

// large fills a table t with more rows than what is left to the server.
func (p place) large(table string) {
	p.t.Helper()
	ten := "(SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", 9) + ")"
	p.exec("INSERT INTO "+table+" (b) SELECT NULL FROM "+ten+" a JOIN "+ten+" b JOIN "+ten+" c JOIN "+ten+" d LIMIT 10000",
		"INSERT INTO "+table+" (b) VALUES (NULL)")
}

// What the engine can't do on a small table is left to the server: what it
// answers, the client gets. Who asks for a path gets that or a refusal.
func TestSmallTables(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.exec("CREATE TABLE t (a INT, b INT)")
		c := p.through("")
		for _, ask := range []string{"@midflight_strategy = 'copy'", "@midflight_cutover = 'manual'", "@midflight_cutover = '02:00-04:00'"} {
			c := p.through("")
			c.exec("SET " + ask)
			c.refused("ALTER TABLE t MODIFY b BIGINT", "ERROR 1846 (0A000): ")
			c.leave()
		}
		p.exec("INSERT INTO t (a) VALUES (1)")
		c.exec("ALTER TABLE t MODIFY b BIGINT")
		got := p.value(fmt.Sprintf("SELECT CONCAT_WS(' ', strategy, phase, reason) FROM midflight.migrations WHERE id = %d", p.latest("t")))
		if !strings.HasPrefix(got, "direct completed the table is small (1 rows), and ") {
			t.Errorf("its record: %s", got)
		}
		if got := p.value(fmt.Sprintf("SELECT COUNT(*) FROM midflight.events WHERE migration_id = %d AND event LIKE 'left to the server: the table is small%%'", p.latest("t"))); got != "1" {
			t.Errorf("%s events tell of it, want 1", got)
		}
		p.exec("INSERT INTO t (b) SELECT 1 FROM information_schema.columns LIMIT 99")
		p.large("t")
		c.refused("ALTER TABLE t MODIFY b INT", "ERROR 1846 (0A000): ")
		p.exec("DROP TABLE t", "CREATE TABLE t (a INT, b LONGBLOB)", "INSERT INTO t VALUES (1, REPEAT('x', 9000000)), (1, REPEAT('x', 9000000))", "ANALYZE TABLE t")
		c.refused("ALTER TABLE t MODIFY a BIGINT", "ERROR 1846 (0A000): ")
		p.nothingLeft()
	})
}

// The warnings of all chunks are counted, as the server would count them.
func TestWarningsOfManyRows(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.exec("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, b INT)")
		p.large("t")
		p.exec("CREATE TABLE twin LIKE t", "INSERT INTO twin SELECT * FROM t", "UPDATE t SET b = 300 WHERE id % 1000 = 7", "UPDATE twin SET b = 300 WHERE id % 1000 = 7")
		c := p.through("")
		answers := func(table string) string {
			c.exec("SET sql_mode = ''", "ALTER TABLE "+table+" MODIFY b TINYINT")
			return fmt.Sprintf("%+v", c.rec.oks())
		}
		got := answers("t")
		c.exec("SET @midflight_strategy = 'direct'")
		if want := answers("twin"); got != want {
			t.Errorf("through Midflight %s, the server's own %s", got, want)
		}
		if path := p.value(fmt.Sprintf("SELECT strategy FROM midflight.migrations WHERE id = %d", p.latest("t"))); path != "copy" {
			t.Errorf("by %s", path)
		}
		p.nothingLeft()
	})
}

// A table in use is not asked for, small as it is: everybody else would have to
// wait behind the ALTER.
func TestSmallTableInUse(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.exec("CREATE TABLE t (a INT, b INT)", "INSERT INTO t VALUES (1, 1)")
		user, c := p.through(""), p.through("")
		user.exec("BEGIN", "SELECT * FROM t")
		done := c.begin("ALTER TABLE t MODIFY b BIGINT")
		await(t, "the ALTER waits", func() bool {
			return strings.Contains(p.value(fmt.Sprintf("SELECT COALESCE(MAX(waiting_for), '') FROM midflight.migrations WHERE id = %d", p.latest("t"))), "connection")
		})
		p.exec("INSERT INTO t VALUES (2, 2)")
		user.exec("COMMIT")
		if got := ends(t, done); got != "OK" {
			t.Error(got)
		}
	})
}

// The server counts the versions of a table's rows, and after 64 or 255 of them
// does no more by INSTANT; what it then does by itself must go on online.
func TestManyRowVersions(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 3)
		c := p.through("")
		pair := []string{"ALTER TABLE t ADD COLUMN c INT", "ALTER TABLE t DROP COLUMN c"}
		for range 120 { // almost as many as a table can have: 255, which the server takes its time to reach
			p.exec(pair...)
		}
		for i := range 12 {
			for _, q := range pair {
				if got := c.say(q); got != "OK" {
					t.Fatalf("%s, pair %d: %s", q, i, got)
				}
			}
		}
		if oks := c.rec.oks(); len(oks) != 1 || oks[0].affected != 0 {
			t.Errorf("the last answer is %+v", oks)
		}
		p.nothingLeft()
	})
}

// Statements can't be sent in UTF-16, but literals can be read as it.
func TestLiteralsInUTF16(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("wide", 3)
		c := p.through("root")
		c.exec("SET collation_connection = utf16_general_ci", "ALTER TABLE wide ADD COLUMN wide VARCHAR(3) DEFAULT 'x', FORCE")
	})
}
