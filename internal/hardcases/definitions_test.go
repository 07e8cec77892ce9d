package hardcases

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

const thousand = "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT); INSERT INTO t SELECT n, n FROM {n} WHERE n <= 1200"

// Constraints, triggers, partitions, names.
var definitionCases = []hardCase{
	{name: "44-child-of-a-foreign-key", run: refused("CREATE TABLE parent (id INT NOT NULL PRIMARY KEY); CREATE TABLE t (id INT NOT NULL PRIMARY KEY, p INT, v INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE); INSERT INTO parent VALUES (1); INSERT INTO t VALUES (1, 1, 1)", "ALTER TABLE t MODIFY v BIGINT")},
	{name: "45-parent-of-foreign-keys", run: refused("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT); CREATE TABLE child (id INT NOT NULL PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES t (id) ON DELETE CASCADE); CREATE TABLE child2 LIKE child; ALTER TABLE child2 ADD CONSTRAINT fk2 FOREIGN KEY (p) REFERENCES t (id); INSERT INTO t VALUES (1, 1); INSERT INTO child VALUES (1, 1)", "ALTER TABLE t MODIFY v BIGINT")},
	{name: "45-tree-in-one-table", run: refused("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, parent INT, v INT, CONSTRAINT tree FOREIGN KEY (parent) REFERENCES t (id) ON DELETE CASCADE); INSERT INTO t VALUES (1, NULL, 1), (2, 1, 2)", "ALTER TABLE t MODIFY v BIGINT")},
	{name: "46-type-of-a-referenced-column", run: refused("CREATE TABLE t (id INT NOT NULL PRIMARY KEY); CREATE TABLE child (id INT NOT NULL PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES t (id)); INSERT INTO t VALUES (1)", "ALTER TABLE t MODIFY id BIGINT NOT NULL")},
	{name: "47-triggers", run: triggers},
	{name: "48-another-partitioning", run: story{
		create: byYear + "INSERT INTO t SELECT n, 2018 + n % 5, n FROM {n} WHERE n <= 1500", alter: "ALTER TABLE t PARTITION BY HASH (id) PARTITIONS 3",
		ready: "UPDATE t SET year = 2018 WHERE id % 3 = 0; DELETE FROM t WHERE year = 2020; INSERT INTO t VALUES (5000, 2099, 0); UPDATE t SET id = -id WHERE id % 7 = 0",
	}.play},
	{name: "48-no-partition-for-a-late-row", run: story{
		create: "CREATE TABLE t (id INT NOT NULL, year INT NOT NULL, PRIMARY KEY (id, year)); INSERT INTO t VALUES (1, 2019)", alter: "ALTER TABLE t PARTITION BY RANGE (year) (PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN (2022))",
		ready: "INSERT INTO t VALUES (2, 2030)", fails: 1526,
	}.play},
	{name: "48-partition-added-meanwhile", run: foreignDDL("ALTER TABLE t ADD PARTITION (PARTITION p9 VALUES LESS THAN (2200))")},
	{name: "48-partition-dropped-meanwhile", run: foreignDDL("ALTER TABLE t DROP PARTITION p0")},
	{name: "48-partition-reorganized-meanwhile", run: foreignDDL("ALTER TABLE t REORGANIZE PARTITION p1 INTO (PARTITION p1 VALUES LESS THAN (2021), PARTITION p2 VALUES LESS THAN (2100))")},
	{name: "48-partition-truncated-meanwhile", run: foreignDDL("ALTER TABLE t TRUNCATE PARTITION p0")},
	{name: "49-what-refers-to-the-table", run: referrers},
	{name: "50-odd-names-in-the-statement", run: story{
		create:  "CREATE TABLE `t` (id INT NOT NULL PRIMARY KEY, `a``b` INT, `it's \"100%\"` INT, `日本` INT); INSERT INTO t VALUES (1, 1, 1, 1), (2, 2, 2, 2)",
		session: "SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES');", alter: "/* first; */ ALTER /*!50000 TABLE */ \"{db}\".\"t\" CHANGE `a``b` \"b\"\"; -- '\" BIGINT, CHANGE \"日本\" \"größe\" BIGINT -- last",
		ready: "UPDATE t SET `a``b` = -1, `日本` = -2 WHERE id = 2; INSERT INTO t VALUES (3, 3, 3, 3)",
	}.play},
	{name: "50-alter-in-a-procedure", run: alterInAProcedure},
}

const byYear = "CREATE TABLE t (id INT NOT NULL, year INT NOT NULL, v INT, PRIMARY KEY (id, year)) PARTITION BY RANGE (year) (PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN (2100));"

// Triggers fire for the application's rows, once each, and for none of ours.
func triggers(s *scene) {
	s.both("CREATE TABLE audit (n INT NOT NULL AUTO_INCREMENT PRIMARY KEY, what VARCHAR(20), id INT);" + thousand +
		"; CREATE TRIGGER before_insert BEFORE INSERT ON t FOR EACH ROW SET NEW.v = NEW.v * 2" +
		"; CREATE TRIGGER after_insert AFTER INSERT ON t FOR EACH ROW INSERT INTO audit (what, id) VALUES ('insert', NEW.id)" +
		"; CREATE TRIGGER after_update AFTER UPDATE ON t FOR EACH ROW INSERT INTO audit (what, id) VALUES ('update', NEW.id)" +
		"; CREATE TRIGGER after_delete AFTER DELETE ON t FOR EACH ROW INSERT INTO audit (what, id) VALUES ('delete', OLD.id)")
	const alter = "ALTER TABLE t MODIFY v BIGINT"
	m := s.begin(manual, alter)
	m.await("ready")
	s.both("INSERT INTO t VALUES (5000, 1), (5001, 2); UPDATE t SET v = v + 1 WHERE id % 100 = 7; DELETE FROM t WHERE id % 100 = 8; UPDATE t SET id = -id WHERE id % 100 = 9")
	m.command("cutover")
	const audited = "SELECT GROUP_CONCAT(what, ' ', id ORDER BY n) FROM audit"
	// A semicolon behind the body is left there by a packet of several statements.
	const kept = "SELECT GROUP_CONCAT(trigger_name, action_timing, event_manipulation, TRIM(TRAILING ';' FROM action_statement), definer ORDER BY 1) FROM information_schema.triggers WHERE event_object_schema = '{db}' AND event_object_table = 't'"
	story{alter: alter, check: kept}.judge(s, m.end())
	s.both("INSERT INTO t VALUES (6000, 1); UPDATE t SET v = 0 WHERE id = 1; DELETE FROM t WHERE id = 2")
	for _, q := range []string{audited, kept} {
		if got, want := s.asked(0, q), s.asked(1, q); !slices.Equal(got, want) {
			s.t.Errorf("%s: %.500q, the server's %.500q", q, got, want)
		}
	}
}

// foreignDDL comes while a migration of the table is in sync. The migration ends
// with an error; the table is what the other statement made of it.
func foreignDDL(statement string) func(*scene) {
	return func(s *scene) {
		s.both(byYear + "INSERT INTO t SELECT n, 2018 + n % 5, n FROM {n} WHERE n <= 1500; CREATE INDEX by_v ON t (v)")
		m := s.begin(manual, "ALTER TABLE t MODIFY v BIGINT")
		m.await("ready")
		s.both(statement)
		s.endsForeign(m)
	}
}

// endsForeign: a migration that met somebody else's statement says so, and
// leaves that statement's work as it is.
func (s *scene) endsForeign(m *migration) {
	s.t.Helper()
	m.command("cutover")
	err := m.end()
	if err == nil || !strings.Contains(err.Error(), "Midflight: ") || isError(err, 1846) {
		s.t.Errorf("the ALTER ends with %v", err)
	}
	if len(s.list("SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = 't'", s.on[1].Schema)) > 0 {
		s.untouched(s.image(1))
	} else if left := s.list("SELECT table_name FROM information_schema.tables WHERE table_schema = ?", s.on[0].Schema); !slices.Equal(left, s.list("SELECT table_name FROM information_schema.tables WHERE table_schema = ?", s.on[1].Schema)) {
		s.t.Errorf("tables left: %q", left)
	}
	if got := s.list("SELECT COUNT(*) FROM midflight.tables WHERE schema_name = ?", s.on[0].Schema); got[0] != "0" {
		s.t.Errorf("%s tables are still claimed", got[0])
	}
}

// A view, a procedure, an event and prepared statements name the table; all go
// on across the swap.
func referrers(s *scene) {
	s.exec(s.direct[0], "SET GLOBAL event_scheduler = ON")
	s.both(thousand + "; CREATE VIEW w AS SELECT id, v FROM t; CREATE PROCEDURE p(n INT) UPDATE t SET v = v + 1 WHERE id <= n; CREATE FUNCTION f() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM t)")
	app := s.through(s.on[0].Schema)
	var prepared []*sql.Stmt
	for _, q := range []string{"UPDATE t SET v = v + ? WHERE id = 3", "SELECT v FROM w WHERE id = ?", "CALL p(?)", "SELECT * FROM t WHERE id = ?"} {
		p, err := app.PrepareContext(context.Background(), q)
		if err != nil {
			s.t.Fatal(err)
		}
		defer p.Close()
		prepared = append(prepared, p)
	}
	use := func() {
		s.t.Helper()
		for i, p := range prepared {
			rows, err := p.QueryContext(context.Background(), 2)
			if err != nil {
				s.t.Errorf("prepared statement %d: %v", i, err)
				continue
			}
			for rows.Next() {
			}
			if err := rows.Err(); err != nil {
				s.t.Errorf("prepared statement %d: %v", i, err)
			}
			rows.Close()
		}
		s.exec(app, "UPDATE w SET v = v + 1 WHERE id = 5")
		s.exec(s.direct[1], "UPDATE t SET v = v + 2 WHERE id = 3; CALL p(2); UPDATE w SET v = v + 1 WHERE id = 5")
	}
	use()
	const alter = "ALTER TABLE t MODIFY v BIGINT, ADD COLUMN x INT FIRST"
	m := s.begin(manual, alter)
	m.await("ready")
	use()
	s.both("CREATE EVENT e ON SCHEDULE AT CURRENT_TIMESTAMP DO UPDATE t SET v = v + 100 WHERE id = 7")
	s.await("the event", func() bool { return s.asked(0, "SELECT v FROM t WHERE id = 7")[0] == "107" })
	s.await("the twin's event", func() bool { return s.asked(1, "SELECT v FROM t WHERE id = 7")[0] == "107" })
	err := m.cutOver()
	if native := s.native("", alter); err != nil || native != nil {
		s.t.Fatalf("%v, the server's own %v", err, native)
	}
	use()
	if got := s.value("SELECT f()"); got != "1200" {
		s.t.Errorf("the function counts %s rows", got)
	}
	s.same("")
}

// The proxy doesn't see it: the server does it itself, and a migration of the
// table ends.
func alterInAProcedure(s *scene) {
	s.both(thousand + "; CREATE PROCEDURE p() ALTER TABLE t ADD COLUMN x INT NOT NULL DEFAULT 5, FORCE")
	m := s.begin(manual, "ALTER TABLE t MODIFY v BIGINT")
	m.await("ready")
	s.exec(s.through(s.on[0].Schema), "CALL p()")
	s.exec(s.direct[1], "CALL p()")
	s.endsForeign(m)
	if got := s.value("SELECT SUM(x) FROM t"); got != fmt.Sprint(1200*5) {
		s.t.Errorf("the procedure's column has the sum %s", got)
	}
}
