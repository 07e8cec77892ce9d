package hardcases

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"midflight/internal/testmysql"
	"midflight/mysqld"
)

var cases = slices.Concat(keyCases, typeCases, definitionCases, trafficCases, cutOverCases, sessionCases, conversionCases())

// slots has 3000 rows with a unique value each, far more than the first chunk.
const slots = "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, slot INT NULL, v INT NULL, UNIQUE KEY one_slot (slot)); INSERT INTO t SELECT n, n, 0 FROM {n} WHERE n <= 3000;"

// move gives the unique value of one row to another, by way of NULL.
func move(from, to int) string {
	return fmt.Sprintf("BEGIN; UPDATE t SET slot = NULL WHERE id = %[1]d; UPDATE t SET slot = %[1]d WHERE id = %[2]d; COMMIT;", from, to)
}

// Keys and uniqueness.
var keyCases = []hardCase{
	{name: "01-unique-value-moves", run: story{
		create: slots, alter: "ALTER TABLE t ENGINE=InnoDB", at: "id = 1500",
		copying: move(10, 2900) + move(2800, 20) + move(1490, 1510) + move(1600, 1400),
		ready:   move(30, 2700) + move(2600, 40) + move(1300, 1301),
	}.play},
	{name: "02-unique-values-rotate", run: story{
		create: slots, alter: "ALTER TABLE t ENGINE=InnoDB", at: "id = 1500",
		copying: "UPDATE t SET slot = slot + 1 ORDER BY slot DESC; UPDATE t SET slot = -1 WHERE id = 5; UPDATE t SET slot = 6 WHERE id = 2995; UPDATE t SET slot = 2996 WHERE id = 1501; UPDATE t SET slot = 1502 WHERE id = 5;",
		ready:   "UPDATE t SET slot = -slot ORDER BY id; UPDATE t SET slot = -slot + 3 ORDER BY id DESC;",
	}.play},
	{name: "03-code-moves-between-tenants", run: story{
		create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, tenant INT NOT NULL, code INT NOT NULL, UNIQUE KEY one_code (tenant, code)); INSERT INTO t SELECT n, n % 3, n FROM {n} WHERE n <= 3000",
		alter:  "ALTER TABLE t FORCE", at: "id = 1500",
		copying: "UPDATE t SET code = 5000 WHERE id = 4; UPDATE t SET tenant = 3 WHERE id = 12; UPDATE t SET tenant = 0, code = 12 WHERE id = 2500; UPDATE t SET tenant = 1, code = 4 WHERE id = 2; UPDATE t SET code = 4000, tenant = 1 WHERE id = 7; UPDATE t SET tenant = 1, code = 7 WHERE id = 1507",
		ready:   "UPDATE t SET code = code + 10000 WHERE tenant = 2; UPDATE t SET tenant = 2, code = code - 1 WHERE tenant = 0;",
	}.play},
	{name: "04-unique-expression", only: testmysql.MySQL, run: story{
		create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, base INT NOT NULL, name VARCHAR(20), UNIQUE KEY by_double ((base * 2)), UNIQUE KEY by_lower ((LOWER(name)))); INSERT INTO t SELECT n, n, CONCAT('N', n) FROM {n} WHERE n <= 2500",
		alter:  "ALTER TABLE t FORCE", at: "id = 1500",
		copying: "UPDATE t SET base = -1, name = 'free' WHERE id = 10; UPDATE t SET base = 10, name = 'n10' WHERE id = 2400; UPDATE t SET base = 2400, name = 'n2400' WHERE id = 10",
		ready:   "UPDATE t SET base = base + 1 ORDER BY base DESC; UPDATE t SET name = CONCAT('m', id)",
	}.play},
	{name: "04-unique-generated-column", run: story{
		create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, base INT NOT NULL, g INT AS (base * 2) STORED, v INT AS (base + 1) VIRTUAL, UNIQUE KEY (g), UNIQUE KEY (v)); INSERT INTO t (id, base) SELECT n, n FROM {n} WHERE n <= 2500",
		alter:  "ALTER TABLE t FORCE", at: "id = 1500", columns: "id, base",
		copying: "UPDATE t SET base = -1 WHERE id = 10; UPDATE t SET base = 10 WHERE id = 2400; UPDATE t SET base = 2400 WHERE id = 10",
		ready:   "UPDATE t SET base = base + 1 ORDER BY base DESC",
	}.play},
	{name: "05-duplicate-after-its-chunk", run: story{
		create: slots + "UPDATE t SET v = id", alter: "ALTER TABLE t ADD UNIQUE KEY by_v_and_slot (slot, v), ADD UNIQUE KEY by_v (v)",
		ready: "INSERT INTO t VALUES (3001, 3001, 7)", fails: 1062, loose: true,
	}.play},
	{name: "06-duplicate-comes-and-goes", run: duplicateComesAndGoes},
	{name: "06-duplicate-is-seen", run: duplicateIsSeen},
	{name: "07-unique-over-letters-of-two-cases", run: story{
		create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a VARCHAR(20) COLLATE {ci}); INSERT INTO t VALUES (1, 'google'), (2, 'x'), (3, 'Google')",
		alter:  "ALTER TABLE t ADD UNIQUE KEY (a)", fails: 1062, loose: true,
	}.play},
	{name: "07-unique-over-accents-late", run: story{
		create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a VARCHAR(20) COLLATE {ci}); INSERT INTO t VALUES (1, 'resume'), (2, 'x')",
		alter:  "ALTER TABLE t ADD UNIQUE KEY (a)", ready: "INSERT INTO t VALUES (3, 'résumé')", fails: 1062, loose: true,
	}.play},
	{name: "07-unique-over-trailing-spaces", run: story{
		create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_general_ci); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
		alter:  "ALTER TABLE t ADD UNIQUE KEY (a)", ready: "INSERT INTO t VALUES (3, 'b ')", fails: 1062, loose: true,
	}.play},
	{name: "07-new-collation-in-a-unique-key", run: story{
		create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_bin, UNIQUE KEY (a)); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
		alter:  "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", ready: "INSERT INTO t VALUES (3, 'B'); ", fails: 1062, loose: true,
	}.play},
	{name: "07-new-collation-of-the-primary-key", run: story{
		create: "CREATE TABLE t (a VARCHAR(20) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, v INT); INSERT INTO t SELECT CONCAT('k', n), n FROM {n} WHERE n <= 1500",
		alter:  "ALTER TABLE t MODIFY a VARCHAR(20) COLLATE utf8mb4_general_ci NOT NULL", ready: "UPDATE t SET a = UPPER(a) WHERE v % 2; DELETE FROM t WHERE v % 7 = 0; INSERT INTO t VALUES ('k7', 7)",
	}.play},
	{name: "07-new-collation-makes-duplicates-of-the-primary-key", run: story{
		create: "CREATE TABLE t (a VARCHAR(20) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, v INT); INSERT INTO t VALUES ('a', 1), ('b', 2)",
		alter:  "ALTER TABLE t MODIFY a VARCHAR(20) COLLATE utf8mb4_general_ci NOT NULL", ready: "INSERT INTO t VALUES ('B', 3)", fails: 1062, loose: true,
	}.play},
	{name: "08-primary-key-changes", run: story{
		create: slots, alter: "ALTER TABLE t ENGINE=InnoDB", at: "id = 1500",
		copying: "UPDATE t SET id = id + 1000000 WHERE id IN (1, 10, 1499, 1501, 2999); UPDATE t SET id = -id WHERE id BETWEEN 1200 AND 1800; UPDATE t SET id = 900 - id WHERE id BETWEEN 2800 AND 2900",
		ready:   "UPDATE t SET id = id - 1000000 WHERE id > 1000000; UPDATE t SET id = id + 1 ORDER BY id DESC",
	}.play},
	{name: "09-key-change-and-a-lost-apply", run: lostApply},
	{name: "10-delete-and-insert-again", run: story{
		create: slots, alter: "ALTER TABLE t ENGINE=InnoDB", at: "id = 1500", copying: again, ready: again,
	}.play},
	{name: "11-hot-row", run: hotRow},
	{name: "12-another-primary-key", run: story{
		create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, other INT NOT NULL, v INT); INSERT INTO t SELECT n, 5000 - n, n FROM {n} WHERE n <= 2500",
		alter:  "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (other)",
		ready:  "DELETE FROM t WHERE id % 10 = 3; UPDATE t SET other = -other WHERE id % 10 = 4; INSERT INTO t SELECT n + 10000, n + 10000, 0 FROM {n} WHERE n <= 50",
	}.play},
	{name: "13-primary-key-widened", run: story{
		create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, created DATE NOT NULL, v INT); INSERT INTO t SELECT n, '2024-01-01' + INTERVAL n DAY, n FROM {n} WHERE n <= 2500",
		alter:  "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, created)",
		ready:  "DELETE FROM t WHERE id % 10 = 3; UPDATE t SET created = '2020-01-01' WHERE id % 10 = 4; UPDATE t SET id = -id WHERE id % 10 = 5",
	}.play},
	{name: "13-primary-key-narrowed", run: story{
		create: "CREATE TABLE t (id INT NOT NULL, created DATE NOT NULL, v INT, PRIMARY KEY (id, created)); INSERT INTO t SELECT n, '2024-01-01' + INTERVAL n DAY, n FROM {n} WHERE n <= 2500",
		alter:  "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id)",
		ready:  "DELETE FROM t WHERE id % 10 = 3; UPDATE t SET created = '2020-01-01' WHERE id % 10 = 4; UPDATE t SET id = -id WHERE id % 10 = 5",
	}.play},
	{name: "13-primary-key-narrowed-over-duplicates", run: story{
		create: "CREATE TABLE t (id INT NOT NULL, created DATE NOT NULL, v INT, PRIMARY KEY (id, created)); INSERT INTO t SELECT n, '2024-01-01', n FROM {n} WHERE n <= 100",
		alter:  "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id)",
		ready:  "INSERT INTO t VALUES (5, '2024-01-02', 0)", fails: 1062, loose: true,
	}.play},
	{name: "14-nullable-unique-key-only", run: refused("CREATE TABLE t (a INT NULL, b INT, UNIQUE KEY (a)); INSERT INTO t VALUES (1, 1), (NULL, 2), (NULL, 2)", "ALTER TABLE t MODIFY b BIGINT")},
	{name: "14-no-key", run: refused("CREATE TABLE t (a INT, b INT, KEY (a)); INSERT INTO t VALUES (1, 1), (1, 1), (1, 1)", "ALTER TABLE t MODIFY b BIGINT")},
	{name: "14-unique-key-of-not-null-columns", run: story{
		create: "CREATE TABLE t (a INT NULL, b INT NOT NULL, c INT NOT NULL, UNIQUE KEY (a), UNIQUE KEY (c, b)); INSERT INTO t SELECT IF(n % 3, n, NULL), n, n % 7 FROM {n} WHERE n <= 2000",
		alter:  "ALTER TABLE t MODIFY b BIGINT NOT NULL", ready: "UPDATE t SET a = NULL WHERE c = 3; UPDATE t SET c = c + 1, b = -b WHERE c = 4; DELETE FROM t WHERE a IS NULL AND b % 2",
	}.play},
	{name: "15-one-hot-first-value", run: story{
		create: "CREATE TABLE t (tenant INT NOT NULL, no INT NOT NULL, v INT, PRIMARY KEY (tenant, no)); INSERT INTO t SELECT IF(n % 10, 5, n % 9), n, 0 FROM {n}",
		alter:  "ALTER TABLE t ENGINE=InnoDB", at: "tenant = 5 AND no = 2001",
		copying: "UPDATE t SET v = v + 1 WHERE tenant = 5 AND no < 1500; DELETE FROM t WHERE tenant = 5 AND no % 5 = 1 AND no <> 2001; UPDATE t SET tenant = 4 WHERE tenant = 5 AND no % 5 = 2; INSERT INTO t SELECT 5, n + 5000, 2 FROM {n} WHERE n < 300; UPDATE t SET no = -no WHERE tenant = 5 AND no % 5 = 3",
		ready:   "UPDATE t SET tenant = 5 WHERE tenant = 4; UPDATE t SET v = v + 1 WHERE tenant = 5 AND no < 0",
	}.play},
	{name: "16-text-key-in-another-spelling", run: story{
		create: "CREATE TABLE t (name VARCHAR(40) COLLATE {ci} NOT NULL PRIMARY KEY, v INT); INSERT INTO t VALUES ('a', 1), ('b', 2), ('é', 3), ('ß', 4), ('😀', 5), ('A b', 6), ('Z', 7), ('ñ', 8)",
		alter:  "ALTER TABLE t ENGINE=InnoDB",
		ready: "DELETE FROM t WHERE name = 'A'; INSERT INTO t VALUES ('A', 11); UPDATE t SET name = 'B', v = 12 WHERE name = 'b'; UPDATE t SET name = 'É' WHERE name = 'e'; DELETE FROM t WHERE name = 'SS'; INSERT INTO t VALUES ('ss', 14);" +
			"UPDATE t SET v = 15 WHERE name = '😀'; UPDATE t SET name = 'a B' WHERE name = 'a b'; DELETE FROM t WHERE v = 7; INSERT INTO t VALUES ('z', 17); UPDATE t SET name = 'N' WHERE v = 8",
	}.play},
	{name: "16-text-key-with-spaces-at-its-end", run: story{
		create: "CREATE TABLE t (name VARCHAR(40) COLLATE utf8mb4_general_ci NOT NULL PRIMARY KEY, v INT); INSERT INTO t VALUES ('a', 1), ('b ', 2), ('c', 3)",
		alter:  "ALTER TABLE t ENGINE=InnoDB",
		ready:  "UPDATE t SET name = 'A ' WHERE name = 'a'; DELETE FROM t WHERE name = 'b'; INSERT INTO t VALUES ('B', 5); UPDATE t SET v = 6 WHERE name = 'C   '",
	}.play},
	{name: "17-order-of-bytes-is-not-the-order-of-letters", run: story{
		create: "CREATE TABLE t (name VARCHAR(40) COLLATE {ci} NOT NULL PRIMARY KEY, v INT); INSERT INTO t SELECT CONCAT(ELT(1 + n % 6, 'a', 'B', 'c', 'D', 'ä', 'Z'), LPAD(n, 5, '0')), n FROM {n} WHERE n <= 3000",
		alter:  "ALTER TABLE t ENGINE=InnoDB", at: "name = 'b01501'",
		copying: "UPDATE t SET v = -v WHERE v % 11 = 0; DELETE FROM t WHERE v % 13 = 0 AND name <> 'B01501'; UPDATE t SET name = CONCAT('ZZ', name) WHERE v % 17 = 0 AND name <> 'B01501'; UPDATE t SET name = CONCAT('Á', name) WHERE v % 19 = 0 AND name <> 'B01501'; INSERT INTO t VALUES ('b01501x', 0), ('B01500Z', 0), ('À', 0)",
		ready:   "UPDATE t SET name = LOWER(name) WHERE v % 3 = 0; UPDATE t SET v = v + 1 WHERE name > 'b'",
	}.play},
	{name: "18-binary-key", run: story{
		create: "CREATE TABLE t (id BINARY(16) NOT NULL PRIMARY KEY, v INT); INSERT INTO t VALUES (x'00', 1), (x'AB00', 2), ('0xab', 3), (x'275C00220A0D1A09', 4), ('-#-', 5), (REPEAT(x'00', 16), 6) ON DUPLICATE KEY UPDATE v = v + 100; INSERT INTO t SELECT UNHEX(RPAD(LPAD(HEX(n), 6, '0'), 32, '0')), n FROM {n} WHERE n <= 1500 ON DUPLICATE KEY UPDATE t.v = 0",
		alter:  "ALTER TABLE t ENGINE=InnoDB",
		ready:  "UPDATE t SET v = v + 1 WHERE v < 10; UPDATE t SET id = REVERSE(id) WHERE v BETWEEN 500 AND 600; DELETE FROM t WHERE id = '0xab' OR v BETWEEN 100 AND 200; INSERT INTO t VALUES (x'FF00', 7), (x'5C', 8), (x'27', 9), ('/*', 10), (x'0A', 11)",
	}.play},
	{name: "18-varbinary-key", run: story{
		create: "CREATE TABLE t (id VARBINARY(40) NOT NULL PRIMARY KEY, v INT); INSERT INTO t VALUES ('', 0), (x'00', 1), (x'0000', 2), ('0xab', 3), (x'AB', 4), ('-#-', 5), ('it''s', 6), ('a\\\\b', 7), ('a\\0b', 8), ('; -- x', 9), ('%s', 10)",
		alter:  "ALTER TABLE t MODIFY v BIGINT",
		ready:  "UPDATE t SET v = v + 100; UPDATE t SET id = CONCAT(id, x'00') WHERE v > 104; DELETE FROM t WHERE id IN ('', x'00'); INSERT INTO t VALUES (x'0000000000', 1), (' ', 2), ('\\'\\'', 3)",
	}.play},
	{name: "19-enum-in-the-key", run: story{
		create: "CREATE TABLE t (e ENUM('z','b','','a') NOT NULL, no INT NOT NULL, v INT, PRIMARY KEY (e, no)); INSERT INTO t SELECT 1 + n % 4, n, 0 FROM {n} WHERE n <= 2500",
		alter:  "ALTER TABLE t MODIFY v BIGINT", ready: "UPDATE t SET v = 1 WHERE no % 7 = 0; UPDATE t SET e = 'z' WHERE e = 'a'; DELETE FROM t WHERE e = '' AND no % 2",
	}.play},
	{name: "19-set-in-the-key", run: story{
		create: "CREATE TABLE t (s SET('x','y','z') NOT NULL, no INT NOT NULL, v INT, PRIMARY KEY (s, no)); INSERT INTO t SELECT n % 8, n, 0 FROM {n} WHERE n <= 2500",
		alter:  "ALTER TABLE t MODIFY v BIGINT", ready: "UPDATE t SET v = 1 WHERE no % 7 = 0; UPDATE t SET s = 'y,x' WHERE s = 'z'; DELETE FROM t WHERE s = '' AND no % 2",
	}.play},
	{name: "19-bit-and-decimal-in-the-key", run: story{
		create: "CREATE TABLE t (b BIT(64) NOT NULL, d DECIMAL(65,30) NOT NULL, v INT, PRIMARY KEY (b, d)); INSERT INTO t SELECT CAST(n % 3 AS UNSIGNED) * 9223372036854775807, n / 7 - 100, 0 FROM {n} WHERE n <= 2500; INSERT INTO t VALUES (b'1', 99999999999999999999999999999999999.999999999999999999999999999999, 1), (b'1', -0.000000000000000000000000000001, 2)",
		alter:  "ALTER TABLE t MODIFY v BIGINT", ready: "UPDATE t SET v = v + 1 WHERE d < 0; UPDATE t SET d = -d WHERE b = 0; DELETE FROM t WHERE b > 1 AND d BETWEEN 0 AND 50",
	}.play},
	{name: "19-double-in-the-key", run: story{
		create: "CREATE TABLE t (d DOUBLE NOT NULL PRIMARY KEY, v INT); INSERT INTO t SELECT n * 0.1e0, n FROM {n} WHERE n <= 1500; INSERT INTO t VALUES (-0e0, 1), (1.7976931348623157e308, 2), (2.2250738585072014e-308, 3), (-1e-300, 4)",
		alter:  "ALTER TABLE t MODIFY v BIGINT", ready: "UPDATE t SET v = v + 1 WHERE d < 1; UPDATE t SET d = -d WHERE v BETWEEN 100 AND 200; DELETE FROM t WHERE d > 140; UPDATE t SET d = 0e0 WHERE d = -0e0",
	}.play},
	{name: "20-integers-of-all-sizes-in-the-key", run: story{
		create: "CREATE TABLE t (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, v INT); INSERT INTO t SELECT CAST(n AS UNSIGNED) * 4611686018427387, n FROM {n} WHERE n <= 3900; INSERT INTO t VALUES (0, 0), (18446744073709551615, 1), (9223372036854775808, 2), (100000000000, 3)",
		alter:  "ALTER TABLE t MODIFY v BIGINT", ready: "UPDATE t SET v = v + 1 WHERE id IN (0, 18446744073709551615, 9223372036854775808); UPDATE t SET id = id - 1 WHERE v % 100 = 7; DELETE FROM t WHERE id > 9223372036854775807 AND v % 3 = 0",
	}.play},
	{name: "20-zero-and-negative-ids", run: story{
		create: "SET sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO'); CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT); INSERT INTO t VALUES (0, 1), (-5, 2), (-2147483648, 3), (2147483646, 4)",
		alter:  "ALTER TABLE t MODIFY v BIGINT", ready: "UPDATE t SET v = v + 1; UPDATE t SET id = -1 WHERE id = 0; INSERT INTO t VALUES (0, 9)",
	}.play},
	{name: "20-wide-gaps", run: story{
		create: "CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, v INT); INSERT INTO t SELECT n * 100000000000, n FROM {n} WHERE n <= 2500",
		alter:  "ALTER TABLE t MODIFY v BIGINT", at: "id = 150000000000000", copying: "UPDATE t SET id = id + 50000000000 WHERE v % 3 = 0 AND v <> 1500; DELETE FROM t WHERE v % 3 = 1 AND v <> 1500", ready: "UPDATE t SET v = -v",
	}.play},
	{name: "21-descending-key", run: story{
		create: "CREATE TABLE t (a INT NOT NULL, b INT NOT NULL, v INT, PRIMARY KEY (a DESC, b), KEY by_v (v DESC)); INSERT INTO t SELECT n % 50, n, n FROM {n} WHERE n <= 3000",
		alter:  "ALTER TABLE t ENGINE=InnoDB", at: "a = 25 AND b = 1525", copying: "UPDATE t SET v = -v WHERE b % 7 = 0; DELETE FROM t WHERE b % 7 = 1 AND b <> 1525; UPDATE t SET a = 49 - a WHERE b % 7 = 2 AND b <> 1525; INSERT INTO t SELECT n % 50, n + 5000, 0 FROM {n} WHERE n < 200", ready: "UPDATE t SET a = 49 - a WHERE b % 7 = 3",
	}.play},
	{name: "21-invisible-index", run: story{
		create: "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT NOT NULL, KEY hidden (v) /*!80000 INVISIBLE */ /*M!100600 IGNORED */, UNIQUE KEY (v, id)); INSERT INTO t SELECT n, n FROM {n} WHERE n <= 1500",
		alter:  "ALTER TABLE t ADD COLUMN x INT NOT NULL DEFAULT 3 FIRST", ready: "UPDATE t SET v = -v WHERE id % 2; DELETE FROM t WHERE id % 3 = 0",
	}.play},
	{name: "21-key-of-a-prefix", run: story{
		create: "CREATE TABLE t (name VARCHAR(40) NOT NULL, v INT, PRIMARY KEY (name(8))); INSERT INTO t SELECT CONCAT(LPAD(n, 6, '0'), 'rest'), n FROM {n} WHERE n <= 1500",
		alter:  "ALTER TABLE t MODIFY v BIGINT", ready: "UPDATE t SET name = CONCAT(name, 'x') WHERE v % 3 = 0; DELETE FROM t WHERE v % 7 = 1; UPDATE t SET name = CONCAT('z', name) WHERE v % 7 = 2",
	}.play},
}

const again = "BEGIN; DELETE FROM t WHERE id IN (3, 1498, 1502, 2900); INSERT INTO t VALUES (3, 3, 1), (1498, 1498, 1), (1502, 2900, 1), (2900, 1502, 1); COMMIT;" +
	"DELETE FROM t WHERE id IN (3, 2900); INSERT INTO t VALUES (3, 1502, 2), (2900, NULL, 2); DELETE FROM t WHERE id IN (1502, 3, 2900); INSERT INTO t VALUES (1502, 1502, 3), (3, 3, 3), (2900, 2900, 3);" +
	"INSERT INTO t VALUES (7, 1400, 7), (2800, 2801, 7), (5000, 12, 7) ON DUPLICATE KEY UPDATE v = v + 10;" +
	"REPLACE INTO t VALUES (8, 1401, 8), (2700, 9, 8), (6000, 6000, 8), (1450, 1550, 8); REPLACE INTO t SELECT id, slot, 9 FROM (SELECT id, slot FROM t WHERE id % 100 = 1) AS old"

// refused: an explicit no, which leaves the table alone.
func refused(create, alter string) func(*scene) { return refusedIn("", create, alter) }

func refusedIn(session, create, alter string) func(*scene) {
	return func(s *scene) {
		s.both(create)
		before := s.image(0)
		if err := s.begin("SET @midflight_strategy = 'copy';"+session, alter).end(); !isError(err, 1846) {
			s.t.Errorf("%v, want error 1846", err)
		}
		s.untouched(before)
	}
}

// The rows of the shadow are locked, so that the duplicate can't be applied
// before it is gone.
func duplicateComesAndGoes(s *scene) {
	s.both("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a INT); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)")
	m := s.begin(manual, "ALTER TABLE t ADD UNIQUE KEY (a)")
	m.await("ready")
	let := s.lockShadow("SELECT * FROM {shadow} FOR UPDATE", m)
	s.both("INSERT INTO t VALUES (4, 2)")
	m.awaitBlocked("apply")
	s.both("DELETE FROM t WHERE id = 4; UPDATE t SET a = 20 WHERE id = 2; INSERT INTO t VALUES (5, 2)")
	let()
	story{alter: "ALTER TABLE t ADD UNIQUE KEY (a)"}.judge(s, m.cutOver())
}

// A duplicate that is seen ends the ALTER, though the server's own, a moment
// later, would not meet it any more.
func duplicateIsSeen(s *scene) {
	s.both("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a INT); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)")
	m := s.begin(manual, "ALTER TABLE t ADD UNIQUE KEY (a)")
	m.await("ready")
	s.both("INSERT INTO t VALUES (4, 2)")
	if err := m.end(); !isError(err, mysqld.ErrDupEntry) {
		s.t.Errorf("%v, want error 1062", err)
	}
	s.both("DELETE FROM t WHERE id = 2")
	s.untouched(s.image(1))
}

// lostApply kills the connection that applies a change of a key while it waits
// for a lock: what was begun is done again in full.
func lostApply(s *scene) {
	s.both(slots)
	m := s.begin(manual, "ALTER TABLE t ENGINE=InnoDB")
	m.await("ready")
	let := s.lockShadow("SELECT * FROM {shadow} WHERE id IN (10, 1000010) FOR UPDATE", m)
	s.both("UPDATE t SET id = id + 1000000 WHERE id = 10; UPDATE t SET id = id + 1000000, slot = -1 WHERE id = 11")
	first := m.awaitBlocked("apply")
	s.exec(s.around(""), "KILL "+first)
	s.await("another try", func() bool { return m.awaitBlocked("apply") != first })
	let()
	story{alter: "ALTER TABLE t ENGINE=InnoDB"}.judge(s, m.cutOver())
}

// hotRow is updated as fast as can be, all the time.
func hotRow(s *scene) {
	s.both(slots)
	var stop atomic.Bool
	type ended struct {
		n   int
		err error
	}
	results := make(chan ended)
	for i := range 2 {
		conn := s.direct[0]
		if i == 1 {
			conn = s.through(s.on[0].Schema)
		}
		go func() {
			var e ended
			for ; !stop.Load() && e.err == nil; e.n++ {
				_, e.err = conn.ExecContext(context.Background(), "UPDATE t SET v = v + 1 WHERE id = 1500")
			}
			results <- e
		}()
	}
	err := s.begin("SET @midflight_strategy = 'copy'", "ALTER TABLE t ENGINE=InnoDB").end()
	stop.Store(true)
	updates := 0
	for range 2 {
		e := <-results
		if e.err != nil {
			s.t.Error(e.err)
		}
		updates += e.n
	}
	s.t.Logf("%d updates of one row", updates)
	s.exec(s.direct[1], fmt.Sprintf("UPDATE t SET v = %d WHERE id = 1500", updates))
	story{alter: "ALTER TABLE t ENGINE=InnoDB"}.judge(s, err)
}
