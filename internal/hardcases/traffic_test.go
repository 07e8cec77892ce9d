package hardcases

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"midflight/mysqld"
)

// Other ways to write the table, and other people's statements about it.
var trafficCases = []hardCase{
	{name: "56-insert-select-and-writes-of-several-tables", run: story{
		create: "CREATE TABLE other (id INT NOT NULL PRIMARY KEY, v INT); INSERT INTO other SELECT n, -n FROM {n} WHERE n <= 2000;" + thousand, alter: "ALTER TABLE t MODIFY v BIGINT",
		ready: "INSERT INTO t SELECT id + 10000, v FROM other WHERE id % 3 = 0; UPDATE t JOIN other USING (id) SET t.v = other.v, other.v = 0 WHERE id % 5 = 0; DELETE t, other FROM t JOIN other USING (id) WHERE id % 7 = 0; DELETE FROM t USING t JOIN other USING (id) WHERE other.v = 0 AND id % 10 = 0;" +
			"INSERT INTO t SELECT id, 1 FROM other WHERE id > 1100 ON DUPLICATE KEY UPDATE v = VALUES(v); REPLACE INTO t SELECT id, 2 FROM other WHERE id < 50; INSERT IGNORE INTO t SELECT id, 3 FROM other",
	}.play},
	{name: "56-load-data", run: loadData},
	{name: "56-procedure-and-event", run: procedureAndEvent},
	{name: "56-savepoints-and-rollbacks", run: story{
		create: thousand, alter: "ALTER TABLE t MODIFY v BIGINT",
		ready: "BEGIN; UPDATE t SET v = 0 WHERE id < 50; SAVEPOINT a; UPDATE t SET v = -1 WHERE id < 100; DELETE FROM t WHERE id = 3; ROLLBACK TO a; INSERT INTO t VALUES (5000, 1); COMMIT; BEGIN; DELETE FROM t; ROLLBACK; SET autocommit = 0; UPDATE t SET v = 5 WHERE id = 60; COMMIT; SET autocommit = 1",
	}.play},
	{name: "56-truncate-meanwhile", run: foreignStatement("TRUNCATE TABLE t")},
	{name: "56-drop-meanwhile", run: foreignStatement("DROP TABLE t")},
	{name: "56-rename-meanwhile", run: foreignStatement("RENAME TABLE t TO elsewhere")},
	{name: "56-swap-by-somebody-else", run: foreignStatement("CREATE TABLE mine LIKE t; RENAME TABLE t TO elsewhere, mine TO t")},
	{name: "56-drop-and-create-meanwhile", run: foreignStatement("DROP TABLE t; CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1)")},
	{name: "57-column-added-at-once-meanwhile", run: foreignStatement("ALTER TABLE t ADD COLUMN x INT DEFAULT 1")},
	{name: "57-index-created-meanwhile", run: foreignStatement("CREATE INDEX by_v ON t (v)")},
	{name: "57-optimize-meanwhile", run: foreignOptimize},
	{name: "57-repair-and-analyze-meanwhile", run: harmless("REPAIR TABLE t", "ANALYZE TABLE t", "CHECK TABLE t")},
	{name: "57-trigger-created-meanwhile", run: foreignStatement("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 1")},
	{name: "57-shadow-dropped-meanwhile", run: shadowDropped},
	{name: "59-bulk-changes", run: bulk},
	{name: "63-binlog-rotates", run: rotation},
	{name: "70-greatest-id-is-deleted", run: story{
		create: counted, alter: "ALTER TABLE t MODIFY v BIGINT", ready: "INSERT INTO t (v) VALUES (7), (8), (9); DELETE FROM t WHERE id > 1000",
		check: "SELECT auto_increment FROM information_schema.tables WHERE table_schema = '{db}' AND table_name = 't'",
	}.play},
	{name: "70-next-id-is-asked-for", run: story{
		create: counted, alter: "ALTER TABLE t AUTO_INCREMENT = 70000, FORCE", ready: "INSERT INTO t (v) VALUES (7); INSERT INTO t VALUES (-5, 3)",
		check: "SELECT auto_increment FROM information_schema.tables WHERE table_schema = '{db}' AND table_name = 't'",
	}.play},
	{name: "70-ids-at-their-end", run: story{
		create: "CREATE TABLE t (id TINYINT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT); INSERT INTO t VALUES (126, 1)", alter: "ALTER TABLE t MODIFY id BIGINT NOT NULL AUTO_INCREMENT", ready: "INSERT INTO t (v) VALUES (2)",
		check: "SELECT auto_increment FROM information_schema.tables WHERE table_schema = '{db}' AND table_name = 't'",
	}.play},
	{name: "74-empty", run: story{create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY)", alter: "ALTER TABLE t MODIFY id BIGINT NOT NULL"}.play},
	{name: "74-filled-after-the-copy", run: story{create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY)", alter: "ALTER TABLE t MODIFY id BIGINT NOT NULL", ready: "INSERT INTO t SELECT n FROM {n} WHERE n <= 1200"}.play},
	{name: "74-one-row", run: story{create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY); INSERT INTO t VALUES (5)", alter: "ALTER TABLE t MODIFY id BIGINT NOT NULL", ready: "UPDATE t SET id = -1"}.play},
	{name: "74-shrinks-to-nothing", run: story{
		create: slots, alter: "ALTER TABLE t ENGINE=InnoDB", at: "id = 1500", copying: "DELETE FROM t",
	}.play},
	{name: "74-rows-beyond-both-ends", run: story{
		create: slots, alter: "ALTER TABLE t ENGINE=InnoDB", at: "id = 1500", copying: "INSERT INTO t SELECT n + 100000, n + 100000, 1 FROM {n} WHERE n <= 1500; INSERT INTO t SELECT -n, -n, 1 FROM {n} WHERE n <= 500",
		ready: "INSERT INTO t VALUES (2147483647, 2147483647, 0), (-2147483648, -2147483648, 0)",
	}.play},
	{name: "80-compressed-columns", only: onlyMariaDB, run: story{
		create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, touched INT DEFAULT 0, c TEXT COMPRESSED, b VARBINARY(2000) COMPRESSED); INSERT INTO t SELECT n, 0, REPEAT('abc', n), REPEAT(x'00FF', n % 900) FROM {n} WHERE n <= 1200",
		alter:  "ALTER TABLE t MODIFY touched BIGINT", ready: touch + "UPDATE t SET c = REPEAT('z', 5000) WHERE id % 3 = 0",
	}.play},
	{name: "80-system-versioned", only: onlyMariaDB, run: story{create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT) WITH SYSTEM VERSIONING; INSERT INTO t VALUES (1, 1)", alter: widen, fails: 4119}.play},
	{name: "80-system-versioned-with-its-history", only: onlyMariaDB, run: refusedIn("SET system_versioning_alter_history = KEEP;", "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT) WITH SYSTEM VERSIONING; INSERT INTO t VALUES (1, 1); UPDATE t SET v = 2", "ALTER TABLE t MODIFY v BIGINT")},
	{name: "80-sequence", only: onlyMariaDB, run: sequence},
	{name: "80-domain-of-the-writer", only: onlyMariaDB, run: story{
		create: thousand, alter: "ALTER TABLE t MODIFY v BIGINT", ready: "SET SESSION gtid_domain_id = 7; UPDATE t SET v = -v WHERE id % 3 = 0; SET SESSION server_id = 4711; DELETE FROM t WHERE id % 5 = 0; INSERT INTO t VALUES (7000, 1)",
	}.play},
}

const counted = "CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT); INSERT INTO t SELECT n, n FROM {n} WHERE n <= 1000;"

// foreignStatement comes while the table's migration is in sync, through the
// proxy.
func foreignStatement(statement string) func(*scene) {
	return func(s *scene) {
		s.both(thousand)
		m := s.begin(manual, "ALTER TABLE t MODIFY v BIGINT")
		m.await("ready")
		conn := s.through(s.on[0].Schema)
		s.exec(conn, "SET @midflight_strategy = 'direct'; "+statement)
		s.exec(s.direct[1], statement)
		s.endsForeign(m)
	}
}

// foreignOptimize rebuilds the table and changes nothing of it.
func foreignOptimize(s *scene) {
	s.both(thousand)
	m := s.begin(manual, "ALTER TABLE t MODIFY v BIGINT")
	m.await("ready")
	s.exec(s.direct[0], "OPTIMIZE TABLE t")
	s.endsForeign(m)
}

// harmless statements don't disturb.
func harmless(statements ...string) func(*scene) {
	return func(s *scene) {
		s.both(thousand)
		m := s.begin(manual, "ALTER TABLE t MODIFY v BIGINT")
		m.await("ready")
		for _, q := range statements {
			s.both(q)
		}
		err := m.cutOver()
		if err != nil && strings.Contains(err.Error(), "REPAIR") { // carefully taken for a change
			s.untouched(s.image(1))
			return
		}
		story{alter: "ALTER TABLE t MODIFY v BIGINT"}.judge(s, err)
	}
}

// A shadow that somebody drops ends the migration, and the table stays.
func shadowDropped(s *scene) {
	s.both(thousand)
	m := s.begin(manual, "ALTER TABLE t MODIFY v BIGINT")
	m.await("ready")
	s.exec(s.direct[0], "DROP TABLE _t_shadow")
	s.endsForeign(m)
}

// loadData from the server's file and from the client's.
func loadData(s *scene) {
	var lines strings.Builder
	for i := range 500 {
		fmt.Fprintf(&lines, "%d\t%d\n", 10000+i, i)
	}
	path := filepath.Join(s.t.TempDir(), "rows.tsv")
	if err := os.WriteFile(path, []byte(lines.String()), 0o644); err != nil {
		s.t.Fatal(err)
	}
	load := fmt.Sprintf("LOAD DATA INFILE %s INTO TABLE t; ", mysqld.QuoteString(path))
	story{create: thousand, alter: "ALTER TABLE t MODIFY v BIGINT", ready: load + strings.Replace(strings.Replace(load, "INTO TABLE t", "REPLACE INTO TABLE t (id, @v) SET v = @v * 2", 1), ";", "", 1)}.play(s)
}

func procedureAndEvent(s *scene) {
	s.exec(s.direct[0], "SET GLOBAL event_scheduler = ON")
	s.both(thousand + "; CREATE PROCEDURE p() BEGIN DECLARE i INT DEFAULT 1; WHILE i <= 300 DO UPDATE t SET v = -v WHERE id = i; IF i % 3 = 0 THEN DELETE FROM t WHERE id = i; INSERT INTO t VALUES (i + 10000, i); END IF; SET i = i + 1; END WHILE; END")
	m := s.begin(manual, "ALTER TABLE t MODIFY v BIGINT")
	m.await("ready")
	s.both("CALL p(); CREATE EVENT e ON SCHEDULE AT CURRENT_TIMESTAMP DO UPDATE t SET v = 12345 WHERE id > 1100")
	for i := range s.on {
		s.await("the event", func() bool { return s.asked(i, "SELECT COUNT(*) FROM t WHERE v = 12345")[0] == "200" })
	}
	story{alter: "ALTER TABLE t MODIFY v BIGINT"}.judge(s, m.cutOver())
}

// bulk changes far more rows in one transaction than a batch has keys.
func bulk(s *scene) {
	story{
		create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, slot INT NULL, v INT NULL, UNIQUE KEY one_slot (slot)); INSERT INTO t SELECT n, n, 0 FROM {n}; INSERT INTO t SELECT n + 4000, n + 4000, 0 FROM {n}; INSERT INTO t SELECT n + 8000, n + 8000, 0 FROM {n}",
		alter:  "ALTER TABLE t ENGINE=InnoDB", at: "id = 3000", copying: "BEGIN; DELETE FROM t WHERE id BETWEEN 500 AND 9000 AND id <> 3000; INSERT INTO t SELECT n + 20000, n + 500, 1 FROM {n} WHERE n <> 2500; UPDATE t SET v = v + 1; COMMIT",
		ready: "BEGIN; UPDATE t SET v = v + 1; DELETE FROM t WHERE id % 2; INSERT INTO t SELECT n + 30000, n + 100000, 1 FROM {n}; COMMIT",
	}.play(s)
}

func rotation(s *scene) {
	s.both(thousand)
	m := s.begin(manual, "ALTER TABLE t MODIFY v BIGINT")
	m.await("ready")
	for i := range 5 {
		s.both(fmt.Sprintf("UPDATE t SET v = v + 1 WHERE id %% 5 = %d; FLUSH BINARY LOGS; INSERT INTO t VALUES (%d, 0)", i, 5000+i))
	}
	story{alter: "ALTER TABLE t MODIFY v BIGINT"}.judge(s, m.cutOver())
}

// A sequence is no table of rows.
func sequence(s *scene) {
	s.both("CREATE SEQUENCE q START WITH 5; " + thousand)
	conn := s.through(s.on[0].Schema)
	_, err := conn.ExecContext(context.Background(), "ALTER TABLE q COMMENT = 'x'")
	_, native := s.direct[1].ExecContext(context.Background(), "ALTER TABLE q COMMENT = 'x'")
	s.sameError(err, native, false)
	const next = "SELECT NEXT VALUE FOR q"
	if got, want := s.asked(0, next), s.asked(1, next); !slices.Equal(got, want) {
		s.t.Errorf("the sequence's next is %q, the server's %q", got, want)
	}
}
