package oracle

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/mysqld"
	"midflight/schema"
)

// A verdict is a statement that the server itself refuses.
type verdict struct {
	row     string // which the history names; "": not asked
	name    string
	columns string   // of the table t, which has a key id
	values  []string // of single columns after id
	alter   string
	mode    string // sql_mode of the session; "": the server's
	only    testmysql.Flavor
	loose   bool // which of two rows is named depends on the order of reading: only the number counts
}

const noZeroDates = "STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE"

var verdicts = []verdict{
	{name: "ADD UNIQUE over duplicates", columns: "a INT", values: []string{"1", "2", "1"}, alter: "ADD UNIQUE by_a (a)", row: "(1), (3) of PRIMARY"},
	{name: "ADD UNIQUE over letters of two cases", columns: "a VARCHAR(9)", values: []string{"'x'", "'X'"}, alter: "ADD UNIQUE (a)", loose: true},
	{name: "collation makes duplicates", columns: "a VARCHAR(9) COLLATE utf8mb4_bin, UNIQUE KEY u (a)", values: []string{"'x'", "'X'"}, alter: "MODIFY a VARCHAR(9) COLLATE utf8mb4_general_ci", loose: true},
	{name: "NULL to NOT NULL", columns: "a INT NULL", values: []string{"1", "NULL"}, alter: "MODIFY a INT NOT NULL"},
	{name: "NULL to NOT NULL DEFAULT", columns: "a VARCHAR(9) NULL", values: []string{"'x'", "NULL"}, alter: "MODIFY a VARCHAR(9) NOT NULL DEFAULT 'y'"},
	{name: "too short VARCHAR", columns: "a VARCHAR(10)", values: []string{"'abc'", "'abcdef'"}, alter: "MODIFY a VARCHAR(3)"},
	{name: "too short VARBINARY", columns: "a VARBINARY(10)", values: []string{"'abcdef'"}, alter: "MODIFY a VARBINARY(3)"},
	{name: "INT to TINYINT", columns: "a INT", values: []string{"3", "300"}, alter: "MODIFY a TINYINT", row: "(2) of PRIMARY"},
	{name: "a fraction to INT", columns: "a VARCHAR(20)", values: []string{"'3'", "' -4 '", "'3.6'"}, alter: "MODIFY a INT", only: onlyMariaDB, row: "(3) of PRIMARY"},
	{name: "a power of ten to INT", columns: "a VARBINARY(20)", values: []string{"'1e3'"}, alter: "MODIFY a INT", only: onlyMariaDB},
	{name: "geometry with a default", columns: "a INT", values: []string{"3"}, alter: "ADD p POINT NOT NULL DEFAULT (ST_GeomFromText('POINT(1 2)'))", only: onlyMySQL},
	{name: "geometry without a default", columns: "a INT", values: []string{"3"}, alter: "ADD p POINT NOT NULL", only: onlyMySQL, row: "(1) of PRIMARY"},
	{name: "INT to UNSIGNED", columns: "a INT", values: []string{"-5"}, alter: "MODIFY a INT UNSIGNED"},
	{name: "DECIMAL too narrow", columns: "a DECIMAL(10,2)", values: []string{"12345.67"}, alter: "MODIFY a DECIMAL(5,2)"},
	{name: "ENUM member removed", columns: "a ENUM('x','y','z')", values: []string{"'x'", "'y'"}, alter: "MODIFY a ENUM('x','z')"},
	{name: "SET member removed", columns: "a SET('x','y','z')", values: []string{"'x,y'"}, alter: "MODIFY a SET('x','z')"},
	{name: "VARCHAR to INT", columns: "a VARCHAR(9)", values: []string{"'7'", "'12x'"}, alter: "MODIFY a INT"},
	{name: "VARCHAR to DATE", columns: "a VARCHAR(20)", values: []string{"'2024-02-30'"}, alter: "MODIFY a DATE"},
	{name: "VARCHAR to JSON", columns: "a VARCHAR(20)", values: []string{"'{bad'"}, alter: "MODIFY a JSON"},
	{name: "date to JSON", columns: "a DATE", values: []string{"'2024-01-02'"}, alter: "MODIFY a JSON"},
	{name: "zerofill to JSON", columns: "a INT(5) ZEROFILL", values: []string{"7"}, alter: "MODIFY a JSON"},
	{name: "utf8mb4 to latin1", columns: "a VARCHAR(9) CHARACTER SET utf8mb4", values: []string{"'é'", "'日本'"}, alter: "MODIFY a VARCHAR(9) CHARACTER SET latin1"},
	{name: "DATETIME to TIMESTAMP", columns: "a DATETIME", values: []string{"'1960-01-01'"}, alter: "MODIFY a TIMESTAMP NULL"},
	{name: "zero date", columns: "a DATE, b INT", values: []string{"'0000-00-00', 1"}, alter: "MODIFY b BIGINT", mode: noZeroDates},
	{name: "NOT NULL date without default", columns: "a INT", values: []string{"1"}, alter: "ADD COLUMN d DATE NOT NULL", mode: noZeroDates},
	{name: "NOT NULL datetime without default, beside a zero date", columns: "a DATE", values: []string{"'0000-00-00'"}, alter: "ADD COLUMN d DATETIME(3) NOT NULL", mode: noZeroDates},
	{name: "check constraint", columns: "a INT", values: []string{"-1"}, alter: "ADD CONSTRAINT CHECK (a > 0)", only: onlyMariaDB},
	{name: "geometry NOT NULL", columns: "a POINT NULL", values: []string{"NULL"}, alter: "MODIFY a POINT NOT NULL, ADD SPATIAL INDEX (a)"},
	{name: "key too long after conversion", columns: "a VARCHAR(3000) CHARACTER SET latin1, KEY (a)", values: []string{"'x'"}, alter: "CONVERT TO CHARACTER SET utf8mb4", only: onlyMySQL},
	{name: "another primary key over duplicates", columns: "a INT NOT NULL", values: []string{"1", "2", "1"}, alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (a)"},
	{name: "shorter primary key over duplicates", columns: "a INT NOT NULL, b INT", values: []string{"1, 1", "2, 1", "1, 1"}, alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (a, b)"},
	{name: "the key's new collation makes duplicates", columns: "a VARCHAR(9) COLLATE utf8mb4_bin NOT NULL, UNIQUE KEY u (a)", values: []string{"'x'", "'y'", "'X'"},
		alter: "DROP PRIMARY KEY, DROP COLUMN id, MODIFY a VARCHAR(9) COLLATE utf8mb4_general_ci NOT NULL", loose: true},
	{name: "the key's new collation makes duplicates of ß", columns: "a VARCHAR(9) COLLATE utf8mb4_general_ci NOT NULL, UNIQUE KEY u (a)", values: []string{"'ss'", "'y'", "'ß'"},
		alter: "DROP PRIMARY KEY, DROP COLUMN id, MODIFY a VARCHAR(9) COLLATE utf8mb4_unicode_ci NOT NULL", loose: true},
	{name: "the key's new character set is too small", columns: "a VARCHAR(9) CHARACTER SET utf8mb4 NOT NULL, UNIQUE KEY u (a)", values: []string{"'é'", "'日本'"},
		alter: "DROP PRIMARY KEY, DROP COLUMN id, MODIFY a VARCHAR(9) CHARACTER SET latin1 NOT NULL"},
	{name: "the key is too short for a value", columns: "a VARCHAR(9) NOT NULL, UNIQUE KEY u (a)", values: []string{"'abc'", "'abcdef'"},
		alter: "DROP PRIMARY KEY, DROP COLUMN id, MODIFY a VARCHAR(4) NOT NULL"},
	{name: "the key is too narrow for a value", columns: "a INT NOT NULL, UNIQUE KEY u (a)", values: []string{"5", "40000"},
		alter: "DROP PRIMARY KEY, DROP COLUMN id, MODIFY a SMALLINT NOT NULL"},
	// Wrong statements.
	{name: "unknown column", columns: "a INT", alter: "DROP COLUMN nothing"},
	{name: "unknown column in an index", columns: "a INT", alter: "ADD INDEX (nothing)"},
	{name: "unknown index", columns: "a INT", alter: "DROP INDEX nothing"},
	{name: "duplicate column", columns: "a INT", alter: "ADD COLUMN a INT"},
	{name: "duplicate index", columns: "a INT, KEY k (a)", alter: "ADD INDEX k (a)"},
	{name: "the last column", columns: "a INT", alter: "DROP COLUMN a, DROP COLUMN id"},
	{name: "key too long", columns: "a VARCHAR(4000)", alter: "ADD INDEX (a)", only: onlyMySQL},
	{name: "BLOB key without length", columns: "a BLOB", alter: "ADD INDEX (a)", only: onlyMySQL},
	{name: "unknown character set", columns: "a INT", alter: "CONVERT TO CHARACTER SET klingon"},
	{name: "unknown collation", columns: "a INT", alter: "DEFAULT COLLATE utf8mb4_klingon_ci"},
	{name: "wrong collation", columns: "a INT", alter: "CONVERT TO CHARACTER SET utf8mb4 COLLATE latin1_bin"},
	{name: "wrong default", columns: "a INT", alter: "ADD COLUMN b INT DEFAULT 'x'"},
	{name: "second primary key", columns: "a INT NOT NULL", alter: "ADD PRIMARY KEY (a)"},
	{name: "unknown engine", columns: "a INT", alter: "ENGINE=Nothing"},
	{name: "row too long", columns: "a INT", alter: "ADD COLUMN b CHAR(255), ADD COLUMN c VARCHAR(16000), ADD COLUMN d VARCHAR(16000)"},
	{name: "syntax", columns: "a INT", alter: "ADD COLUMN b"},
	{name: "partitioned by a column outside the key", columns: "a INT", alter: "PARTITION BY HASH (a) PARTITIONS 2"},
	{name: "no partition for a row", columns: "a INT", values: []string{"1"}, alter: "PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (0))"},
}

// TestServersOwnError: what the server refuses is refused with its error, and
// the table is as it was.
func TestServersOwnError(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		for _, v := range verdicts {
			if v.only != "" && v.only != s.flavor {
				continue
			}
			t.Run(v.name, func(t *testing.T) {
				s.enter(t)
				on := s.twins(t, "t")
				for _, n := range on {
					conn := session(t, s.server.Addr, n.Schema, "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, "+v.columns+")", "SET sql_mode = ''")
					for i, values := range v.values {
						mustExec(t, conn, fmt.Sprintf("INSERT INTO t VALUES (%d, %s)", i+1, values))
					}
				}
				before := twins.Image(t, s.root, s.flavor, on[0])
				settings := []string{"SET @midflight_strategy = 'copy'"}
				if v.mode != "" {
					settings = append(settings, "SET sql_mode = '"+v.mode+"'")
				}
				_, native := session(t, s.server.Addr, on[1].Schema, settings...).ExecContext(context.Background(), "ALTER TABLE t "+v.alter)
				if native == nil {
					t.Fatal("the server takes this")
				}
				_, ours := s.session(t, on[0].Schema, settings...).ExecContext(context.Background(), "ALTER TABLE t "+v.alter)
				twins.SameError(t, ours, native, on, v.loose)
				if events := twins.List(t, s.root, "SELECT event FROM midflight.events JOIN midflight.migrations m ON m.id = migration_id WHERE schema_name = ?", on[0].Schema); v.row != "" && !strings.Contains(strings.Join(events, "\n"), v.row) {
					t.Errorf("the history does not name the row %s: %q", v.row, events)
				}
				if after := twins.Image(t, s.root, s.flavor, on[0]); !slices.Equal(before, after) {
					t.Errorf("the table was\n%s\nand is\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
				}
				twins.NothingLeft(t, s.root, on[0], false)
			})
		}
	})
}

// TestLateDuplicate: a duplicate that arrives while the migration waits for its
// cut-over fails the ALTER, not the application.
func TestLateDuplicate(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		db := s.server.NewDatabase(t)
		n := schema.Name{Schema: db, Table: "t"}
		s.server.Exec(t, "USE "+db, "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a INT)", "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)")
		user := s.session(t, db, "SET @midflight_cutover = 'manual', @midflight_strategy = 'copy'")
		result := make(chan error, 1)
		go func() {
			_, err := user.ExecContext(context.Background(), "ALTER TABLE t ADD UNIQUE by_a (a)")
			result <- err
		}()
		awaitPhase(t, s.root, db, "ready")
		app := s.session(t, db)
		mustExec(t, app, "INSERT INTO t VALUES (4, 2)")
		var e *mysql.MySQLError
		if err := <-result; !errors.As(err, &e) || e.Number != mysqld.ErrDupEntry || e.Message != "Duplicate entry '2' for key 't.by_a'" && e.Message != "Duplicate entry '2' for key 'by_a'" {
			t.Errorf("the ALTER's error is %v", err)
		}
		if got := twins.Image(t, s.root, s.flavor, n); len(got) != 5 || strings.Contains(got[0], "by_a") {
			t.Errorf("the table is %q", got)
		}
		twins.NothingLeft(t, s.root, n, false)
	})
}

func awaitPhase(t *testing.T, db *sql.DB, of, phase string) {
	t.Helper()
	await(t, "phase "+phase, func() bool {
		return slices.Equal(twins.List(t, db, "SELECT phase FROM midflight.migrations WHERE schema_name = ?", of), []string{phase})
	})
}
