package oracle

import (
	"strings"
	"testing"

	"midflight/internal/twins"
	"midflight/mysqld"
)

// TestDefaultsOfTheClock: a new column whose default is computed from the time.
func TestDefaultsOfTheClock(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		on := s.twins(t, "t")
		for _, n := range on {
			conn := session(t, s.server.Addr, n.Schema, "CREATE TABLE t (id INT NOT NULL PRIMARY KEY)")
			mustExec(t, conn, "INSERT INTO t VALUES (1), (2)")
		}
		settings := []string{"SET @midflight_strategy = 'copy'", "SET time_zone = '+03:00'", "SET timestamp = 1600030000.250000", "SET div_precision_increment = 8", "SET lc_time_names = 'de_DE'"}
		user := s.session(t, on[0].Schema, settings...)
		for _, computed := range []string{"DATETIME DEFAULT (NOW() + INTERVAL 1 DAY)", "VARCHAR(30) DEFAULT (DATE_FORMAT(NOW(), '%M'))"} {
			if _, err := user.ExecContext(t.Context(), "ALTER TABLE t MODIFY id BIGINT, ADD a "+computed); !mysqld.IsServerError(err) || !strings.Contains(err.Error(), "time of the statement") {
				t.Errorf("%s: %v", computed, err)
			}
		}
		const alter = "ALTER TABLE t ADD b DATE DEFAULT (CURRENT_DATE), ADD c TIME DEFAULT (CURTIME()), ADD d DATETIME DEFAULT (NOW()), ADD e VARCHAR(30) DEFAULT (1/3), ADD f VARCHAR(30) DEFAULT (MONTHNAME('2020-10-10')), MODIFY id BIGINT"
		mustExec(t, session(t, s.server.Addr, on[1].Schema, settings...), alter)
		mustExec(t, user, alter)
		twins.SameContents(t, twins.Contents(t, s.root, s.flavor, on[0], ""), twins.Contents(t, s.root, s.flavor, on[1], ""))
	})
}

// TestZonesOfExpressions: expressions that read a TIMESTAMP depend on the time zone.
func TestZonesOfExpressions(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		for _, c := range []struct{ create, alter string }{
			{"CREATE TABLE t (id INT NOT NULL PRIMARY KEY, ts TIMESTAMP NULL, day VARCHAR(30) AS (DATE(ts)) STORED)", "ALTER TABLE t MODIFY id BIGINT"},
			{"CREATE TABLE t (id INT NOT NULL PRIMARY KEY, ts TIMESTAMP NULL, day VARCHAR(30) AS (DATE(ts)) VIRTUAL, KEY (day))", "ALTER TABLE t MODIFY id BIGINT"},
			{"CREATE TABLE t (id INT NOT NULL PRIMARY KEY, ts TIMESTAMP NULL)", "ALTER TABLE t MODIFY id BIGINT, ADD day VARCHAR(30) AS (DATE(ts)) STORED"},
			{"CREATE TABLE t (id INT NOT NULL PRIMARY KEY, ts TIMESTAMP NULL)", "ALTER TABLE t MODIFY id BIGINT, ADD day DATETIME DEFAULT (ts)"},
			{"CREATE TABLE t (id INT NOT NULL PRIMARY KEY, ts TIMESTAMP NULL)", "ALTER TABLE t MODIFY id BIGINT, ADD KEY ((DATE(ts)))"},
			{"CREATE TABLE t (id INT NOT NULL PRIMARY KEY, ts TIMESTAMP NULL)", "ALTER TABLE t MODIFY id BIGINT, ADD CHECK (DATE(ts) >= '2026-03-02')"},
			{"CREATE TABLE t (id INT NOT NULL, ts TIMESTAMP NOT NULL, PRIMARY KEY (ts, id))", "ALTER TABLE t PARTITION BY RANGE (UNIX_TIMESTAMP(ts)) (PARTITION a VALUES LESS THAN (UNIX_TIMESTAMP('2026-03-02 00:00:00')), PARTITION b VALUES LESS THAN (MAXVALUE))"},
			{"CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a INT NOT NULL, r VARCHAR(40) AS (a/3) STORED)", "ALTER TABLE t MODIFY id BIGINT"},
		} {
			on := s.twins(t, "t")
			skip := false
			for _, n := range on {
				conn := session(t, s.server.Addr, n.Schema, "SET time_zone = '+03:00', div_precision_increment = 8")
				if _, err := conn.ExecContext(t.Context(), c.create); err != nil {
					t.Logf("%s: %v", c.create, err)
					skip = true
					break
				}
				if strings.Contains(c.create, " a INT") {
					mustExec(t, conn, "INSERT INTO t (id, a) VALUES (1, 1), (2, 5)")
				} else {
					mustExec(t, conn, "INSERT INTO t (id, ts) VALUES (1, '2026-03-02 00:30:00'), (2, '2026-03-02 12:30:00')")
				}
			}
			if skip {
				continue
			}
			settings := []string{"SET @midflight_strategy = 'copy'", "SET time_zone = '+03:00', div_precision_increment = 8"}
			_, want := session(t, s.server.Addr, on[1].Schema, settings...).ExecContext(t.Context(), c.alter)
			_, got := s.session(t, on[0].Schema, settings...).ExecContext(t.Context(), c.alter)
			t.Logf("%s / %s: %v / %v", c.create, c.alter, got, want)
			if got == nil {
				twins.SameContents(t, twins.Contents(t, s.root, s.flavor, on[0], ""), twins.Contents(t, s.root, s.flavor, on[1], ""))
			}
			d0, _ := twins.Definition(t, s.root, on[0])
			d1, _ := twins.Definition(t, s.root, on[1])
			if d0 != d1 {
				t.Errorf("%s\n%s", d0, d1)
			}
		}
	})
}
