package hardcases

import (
	"strconv"

	"midflight/internal/twins"
)

func itoa(i int) string { return strconv.Itoa(i) }

// A value that doesn't fit, and is mended before it is applied, does no harm:
// the server's own ALTER would not have met it either. (Seen, it ends the ALTER:
// the conversions' "late" cases.)
func mended(s *scene) {
	const alter = "ALTER TABLE t MODIFY a TINYINT, MODIFY b VARCHAR(3), MODIFY c DECIMAL(4,2)"
	s.both("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a INT, b VARCHAR(10), c DECIMAL(10,2)); INSERT INTO t VALUES (1, 1, 'x', 1), (2, 2, 'y', 2)")
	m := s.begin(manual, alter)
	m.await("ready")
	let := s.lockShadow("SELECT * FROM {shadow} FOR UPDATE", m)
	// One transaction, so that the batch has the row that is locked.
	s.both("BEGIN; UPDATE t SET a = 300 WHERE id = 1; INSERT INTO t VALUES (3, 300, 'abcdef', 12345.67); COMMIT")
	m.awaitBlocked("apply")
	s.both("UPDATE t SET a = 30, b = 'abc', c = 12.34 WHERE id = 3; UPDATE t SET a = 3 WHERE id = 1")
	let()
	story{alter: alter}.judge(s, m.cutOver())
}

// The hour that is there twice, and the one that is not there at all, in the
// session's time zone.
func summerTime(s *scene) {
	zone := "SET time_zone = 'Midflight/Summer';"
	s.both(`USE mysql; INSERT IGNORE INTO time_zone VALUES (9001, 'N'); INSERT IGNORE INTO time_zone_name VALUES ('Midflight/Summer', 9001);
		INSERT IGNORE INTO time_zone_transition_type VALUES (9001, 0, 3600, 0, 'CET'), (9001, 1, 7200, 1, 'CEST');
		INSERT IGNORE INTO time_zone_transition VALUES (9001, 1679792400, 1), (9001, 1698541200, 0), (9001, 1711846800, 1), (9001, 1729990800, 0); USE {db}`)
	story{
		create: "SET time_zone = '+00:00'; CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, touched INT DEFAULT 0, s TIMESTAMP NULL, d DATETIME NULL);" +
			"INSERT INTO t (s, d) VALUES ('2024-10-27 00:30:00', '2024-10-27 02:30:00'), ('2024-10-27 01:30:00', '2024-10-27 02:30:00'), ('2024-03-31 00:59:59', '2024-03-31 01:59:59'), ('2024-03-31 01:00:00', '2024-03-31 03:00:00'), ('2024-10-27 00:30:00', '2024-07-01 00:00:00'), ('2024-10-27 01:30:00', NULL)",
		session: zone, alter: "ALTER TABLE t ADD COLUMN x INT FIRST", ready: touch,
	}.play(s)
	s.both("DROP TABLE t")
	s.exec(s.direct[0], "DROP TABLE IF EXISTS _t_old; DELETE FROM midflight.tables WHERE schema_name = '{db}'; DELETE FROM midflight.migrations WHERE schema_name = '{db}'")
	story{
		create: "SET time_zone = '+00:00'; CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, touched INT DEFAULT 0, s TIMESTAMP NULL, d DATETIME NULL);" +
			"INSERT INTO t (s, d) VALUES ('2024-10-27 00:30:00', '2024-10-27 02:30:00'), ('2024-10-27 01:30:00', '2024-10-27 03:30:00'), ('2024-03-31 00:59:59', '2024-03-31 01:59:59'), ('2024-03-31 01:00:00', '2024-03-31 03:00:00')",
		session: zone, alter: "ALTER TABLE t MODIFY s DATETIME NULL, MODIFY d TIMESTAMP NULL", ready: touch + "INSERT INTO t (s, d) VALUES ('2024-10-27 01:45:00', '2024-10-27 02:45:00')",
	}.play(s)
}

// Each row gets one number, all different, and keeps it; who is first when rows
// come meanwhile, the server's own ALTER would not have to say.
func autoIncrementUnderWrites(s *scene) {
	const alter = "ALTER TABLE t ADD COLUMN id INT NOT NULL AUTO_INCREMENT UNIQUE"
	s.both("CREATE TABLE t (a INT NOT NULL PRIMARY KEY, v INT); INSERT INTO t SELECT 3 * n, n FROM {n} WHERE n <= 1200")
	m := s.begin(manual, alter)
	m.await("ready")
	s.both("UPDATE t SET v = -v WHERE v % 5 = 0; DELETE FROM t WHERE v % 7 = 0; INSERT INTO t SELECT 3 * n + 1, 0 FROM {n} WHERE n <= 50; UPDATE t SET a = -a WHERE v % 11 = 0 AND v <> 0")
	before := s.image(1)
	err := m.cutOver()
	if s.refusedToday() {
		if !isError(err, 1846) {
			s.t.Errorf("refused no more: %v. Take it out of refusedToday", err)
		}
		s.untouched(before)
		return
	}
	if native := s.native("", alter); err != nil || native != nil {
		s.t.Fatalf("%v, the server's own %v", err, native)
	}
	s.same("id")
	if got := s.value("SELECT CONCAT(COUNT(*) = COUNT(DISTINCT id), MIN(id) > 0, MAX(id) < (SELECT auto_increment FROM information_schema.tables WHERE table_schema = '{db}' AND table_name = 't')) FROM t"); got != "111" {
		s.t.Errorf("the numbers are not one for each row, above 0 and below the next: %s", got)
	}
	twins.NothingLeft(s.t, s.root, s.on[0], true)
}
