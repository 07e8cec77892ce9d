package hardcases

import (
	"fmt"

	"midflight/internal/testmysql"
)

// A conversion is a column's change of type, a value that it takes and one that
// a strict session's ALTER refuses or changes.
type conversion struct {
	name      string
	column    string
	alter     string // a column of the name a
	good, bad string
	fails     uint16
	mariaDB   uint16 // 0: the same
	loose     bool
}

var conversions = []conversion{
	{name: "int-to-tinyint", column: "INT", alter: "MODIFY a TINYINT", good: "3", bad: "300", fails: 1264},
	{name: "null-to-not-null", column: "INT NULL", alter: "MODIFY a INT NOT NULL", good: "3", bad: "NULL", fails: 1138, mariaDB: 1265},
	{name: "varchar-too-short", column: "VARCHAR(10)", alter: "MODIFY a VARCHAR(3)", good: "'abc'", bad: "'abcdef'", fails: 1265},
	{name: "enum-member-dropped", column: "ENUM('x','y','z')", alter: "MODIFY a ENUM('x','z')", good: "'x'", bad: "'y'", fails: 1265},
	{name: "enum-reordered", column: "ENUM('x','y','z')", alter: "MODIFY a ENUM('z','y','x')", good: "'x'", bad: "'y'"},
	{name: "utf8mb4-to-latin1", column: "VARCHAR(10) CHARACTER SET utf8mb4", alter: "MODIFY a VARCHAR(10) CHARACTER SET latin1", good: "'é'", bad: "'日本'", fails: 1366},
	{name: "varchar-to-int", column: "VARCHAR(10)", alter: "MODIFY a INT", good: "'12'", bad: "'12x'", fails: 1265, mariaDB: 1292},
	{name: "decimal-rounded", column: "DECIMAL(10,4)", alter: "MODIFY a DECIMAL(10,2)", good: "1.25", bad: "1.2355"},
	{name: "double-to-int", column: "DOUBLE", alter: "MODIFY a INT", good: "1", bad: "1.5e0"},
	{name: "double-to-float", column: "DOUBLE", alter: "MODIFY a FLOAT", good: "1.5e0", bad: "0.1234567890123e0"},
	{name: "datetime-to-date", column: "DATETIME(6)", alter: "MODIFY a DATE", good: "'2024-01-01'", bad: "'2024-12-31 23:59:59.999999'"},
	{name: "unique-over-two-cases", column: "VARCHAR(10)", alter: "ADD UNIQUE KEY (a)", good: "'x'", bad: "'X'", fails: 1062, loose: true},
	{name: "int-to-unsigned", column: "INT", alter: "MODIFY a INT UNSIGNED", good: "5", bad: "-5", fails: 1264},
	{name: "varchar-to-json", column: "VARCHAR(20)", alter: "MODIFY a JSON", good: "'{}'", bad: "'{bad'", fails: 3140, mariaDB: 4025},
	{name: "zero-date-and-a-new-column", column: "DATE", alter: "ADD COLUMN x INT NOT NULL FIRST, FORCE", good: "'2024-01-01'", bad: "'0000-00-00'"},
	{name: "zero-date-and-a-rebuild", column: "DATE, b INT", alter: "MODIFY b BIGINT", good: "'2024-01-01', 1", bad: "'0000-00-00', 1", fails: 1292},
}

// conversionCases: the value is there before, or comes when all is copied; the
// session is strict or not.
func conversionCases() (all []hardCase) {
	for _, c := range conversions {
		base := story{
			create: fmt.Sprintf("SET sql_mode = ''; CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a %s); INSERT INTO t VALUES (1, %s)", c.column, c.good),
			alter:  "ALTER TABLE t " + c.alter, loose: c.loose, mode: "SET sql_mode = ''", warnings: true,
		}
		if c.mariaDB != 0 {
			base = base.or(testmysql.MariaDB, c.mariaDB)
		}
		bad := fmt.Sprintf("INSERT INTO t VALUES (2, %s)", c.bad)

		before, late := base, base
		before.fails, late.fails = c.fails, c.fails
		before.session, late.session = zeroDates, zeroDates
		before.create += "; " + bad
		late.ready, late.warnings = bad, c.fails != 0 // late warnings are not counted
		if c.fails == 0 {                             // the others are in internal/oracle, TestServersOwnError
			all = append(all, hardCase{name: "27-" + c.name + "-before", run: before.play})
		}
		all = append(all, hardCase{name: "27-" + c.name + "-late", run: late.play})

		lenient := base
		lenient.elsewhere = ""
		lenient.session, lenient.create = "SET sql_mode = '';", before.create
		if c.fails == 1062 || c.fails == 3140 { // whatever the mode
			lenient.fails = c.fails
			lenient = lenient.or(base.elsewhere, base.failsElsewhere)
		}
		all = append(all, hardCase{name: "27-" + c.name + "-lenient", run: lenient.play})
	}
	return all
}
