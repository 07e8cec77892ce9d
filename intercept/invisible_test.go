package intercept_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"midflight/internal/testmysql"
	"midflight/parser"
)

// columns are the names of SELECT *.
func (c *client) columns(table string) string {
	c.t.Helper()
	rows, err := c.conn.QueryContext(context.Background(), "SELECT * FROM "+table+" LIMIT 1")
	if err != nil {
		c.t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		c.t.Fatal(err)
	}
	for rows.Next() {
	}
	return strings.Join(names, " ")
}

// Statements that were prepared before and run afterwards, on the path that
// copies and on the one that doesn't: with the option, old programs see nothing.
func TestPreparedOverSwap(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		for _, path := range []string{"copy", "instant"} {
			for _, option := range []string{"visible", "invisible"} {
				t.Run(path+" "+option, func(t *testing.T) {
					p := p
					p.t = t
					p.exec("DROP TABLE IF EXISTS orders")
					p.table("orders", 20)
					old, c := p.through(""), p.through("")
					ctx := context.Background()
					sel, err := old.conn.PrepareContext(ctx, "SELECT * FROM orders WHERE id = ?")
					if err != nil {
						t.Fatal(err)
					}
					defer sel.Close()
					ins, err := old.conn.PrepareContext(ctx, "INSERT INTO orders VALUES (?, 'x', 1)")
					if err != nil {
						t.Fatal(err)
					}
					defer ins.Close()
					other, err := c.conn.PrepareContext(ctx, "SELECT 1")
					if err != nil {
						t.Fatal(err)
					}
					defer other.Close()
					got := func() string {
						rows, err := sel.Query(7)
						if err != nil {
							return err.Error()
						}
						defer rows.Close()
						names, _ := rows.Columns()
						n := 0
						for rows.Next() {
							n++
						}
						return fmt.Sprint(names, n, rows.Err())
					}
					if got := got(); got != "[id v n] 1 <nil>" {
						t.Fatalf("before: %s", got)
					}
					c.exec("SET @midflight_strategy = '"+path+"', @midflight_new_columns = '"+option+"'",
						"ALTER TABLE orders ADD COLUMN extra INT DEFAULT 5 AFTER id, ADD COLUMN (more INT)")
					id := p.latest("orders")
					if s := p.value(fmt.Sprintf("SELECT CONCAT(strategy, ' ', phase) FROM midflight.migrations WHERE id = %d", id)); s != path+" completed" {
						t.Errorf("the migration: %s", s)
					}
					_, insertErr := ins.Exec(1000)
					told := p.value(fmt.Sprintf("SELECT COALESCE(GROUP_CONCAT(event), '') FROM midflight.events WHERE migration_id = %d AND event LIKE '%%prepared statement%%'", id))
					if option == "visible" {
						if got := got(); got != "[id extra v n more] 1 <nil>" {
							t.Errorf("afterwards: %s", got)
						}
						if got := answer(insertErr); !strings.HasPrefix(got, "ERROR 1136") {
							t.Errorf("INSERT without columns: %s", got)
						}
						if !strings.HasPrefix(told, "2 prepared statements on the table are open; the server prepares them anew, their result columns may change: SELECT * FROM orders WHERE id = ? (connection ") ||
							!strings.Contains(told, " of root@127.0.0.1:") || !strings.Contains(told, "); INSERT INTO orders VALUES (?, 'x', 1) (connection ") {
							t.Errorf("the history: %s", told)
						}
					} else {
						if got := got(); got != "[id v n] 1 <nil>" {
							t.Errorf("afterwards: %s", got)
						}
						if insertErr != nil {
							t.Errorf("INSERT without columns: %v", insertErr)
						}
						if told != "" {
							t.Errorf("nothing changes, yet the history says: %s", told)
						}
						if got := p.value("SELECT CONCAT_WS(' ', COUNT(*), COUNT(extra), MIN(extra), COUNT(more)) FROM orders"); got != "21 21 5 0" {
							t.Errorf("the new columns: %s", got)
						}
						if got := p.value(fmt.Sprintf("SELECT invisible_columns FROM midflight.migrations WHERE id = %d", id)); got != `["extra","more"]` {
							t.Errorf("recorded: %s", got)
						}
					}
					old.leave()
					c.leave()
				})
			}
		}
		p.nothingLeft()
	})
}

// The server is the judge: the statement through Midflight gives the same table as
// directly, with INVISIBLE in those columns.
func TestInvisibleForms(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		maria := p.s.Flavor == testmysql.MariaDB
		through := p.through("")
		through.exec("SET @midflight_new_columns = 'INVISIBLE'")
		definitions := map[string]string{
			"t":       "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(40), n INT) AS SELECT 1 AS id, 'one' AS v, 2 AS n",
			"keyless": "CREATE TABLE keyless (v VARCHAR(40))",
		}
		p.exec("CREATE TABLE p (id INT PRIMARY KEY)")
		for _, c := range []struct {
			statement string
			columns   string // that become invisible
			only      testmysql.Flavor
			through   bool
		}{
			{"ALTER TABLE t ADD a INT", "a", "", false},
			{"ALTER TABLE t ADD COLUMN `a b` INT NOT NULL DEFAULT 5 FIRST, ADD INDEX i (`a b`)", "a b", "", true},
			{"ALTER TABLE t ADD COLUMN (first INT, after VARCHAR(9) CHARACTER SET latin1 DEFAULT 'after' COMMENT ', INVISIBLE', INDEX i (first))", "first,after", "", true},
			{"ALTER TABLE t ADD a CHAR(1) DEFAULT 'x'FIRST, ADD b INT CHECK (b > 0), DROP COLUMN v", "a,b", "", true},
			{"ALTER TABLE t ADD a DECIMAL(10,2) UNSIGNED /* why */ AFTER v, ADD b INT AS (n + 1) VIRTUAL, ADD c INT UNIQUE -- the end", "a,b,c", "", false},
			{"/*!50000 ALTER TABLE t ADD a DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3) */", "a", "", false},
			{"ALTER TABLE t ADD a INT /*!50000 NULL*/, MODIFY n BIGINT FIRST, CHANGE v w VARCHAR(50)", "a", "", true},
			{"ALTER TABLE t ADD a INT INVISIBLE, ADD b ENUM('x', 'y') DEFAULT 'y'", "b", "", false},
			{"ALTER TABLE t ADD a INT DEFAULT (n * 2), ALGORITHM=COPY", "a", "", false},
			{"ALTER TABLE t ADD a INT DEFAULT 7, LOCK=SHARED", "a", "", true},                           // left to the server
			{"ALTER TABLE t ADD a INT REFERENCES p (id) ON DELETE SET NULL AFTER id", "a", "", true},    // left to the server
			{"ALTER TABLE t /* midflight: strategy=direct */ ADD a INT AFTER id, FORCE", "a", "", true}, // left to the server
			{"ALTER TABLE keyless ADD a INT, ADD FULLTEXT (v)", "a", "", true},                          // left to the server: small
			{"ALTER TABLE t MODIFY n BIGINT, ADD INDEX i (n)", "", "", false},
			{"CREATE INDEX i ON t (n)", "", "", true},
			{"ALTER TABLE t ADD a INT NOT NULL CONSTRAINT c1 CHECK (a >= 0) NOT ENFORCED AFTER id, ADD b INT VISIBLE", "a", testmysql.MySQL, false},
			{"ALTER TABLE t ADD a INT CHECK (a >= 0) DEFAULT 3", "a", testmysql.MySQL, false},
			{"ALTER TABLE t ADD a JSON, ADD b INT GENERATED ALWAYS AS (JSON_LENGTH(a)) STORED COMMENT 'x'", "a,b", testmysql.MySQL, false},
			{"ALTER TABLE t ADD COLUMN IF NOT EXISTS v INT, ADD COLUMN IF NOT EXISTS a INT DEFAULT 1 CHECK (a > 0)", "a", testmysql.MariaDB, true},
			{"ALTER TABLE t ADD a VARCHAR(9) COMPRESSED, ADD b INT AS (n) PERSISTENT, ADD c INT DEFAULT (n + 1), ADD d UUID", "a,b,c,d", testmysql.MariaDB, false},
			{"SET STATEMENT lock_wait_timeout = 5 FOR ALTER TABLE t ADD a INT", "a", testmysql.MariaDB, true}, // left to the server
		} {
			if c.only != "" && c.only != p.s.Flavor {
				continue
			}
			table := "t"
			if strings.Contains(c.statement, "keyless") {
				table = "keyless"
			}
			defined := func(by *client, statement string) string {
				p.exec("DROP TABLE IF EXISTS "+table, definitions[table])
				if got := by.say(statement); strings.HasPrefix(got, "ERROR") {
					t.Errorf("%s: %s", statement, got)
				}
				return p.value("SELECT GROUP_CONCAT(column_name, ' ', ordinal_position, ' ', column_type, ' ', is_nullable, ' ', COALESCE(column_default, '-'), ' ', column_comment, ' ', IF(FIND_IN_SET(column_name, '"+c.columns+"'), TRIM(REPLACE(REPLACE(REPLACE(extra, 'INVISIBLE', 'HIDDEN'), ', HIDDEN', ''), 'HIDDEN', '')), extra) ORDER BY ordinal_position SEPARATOR '\n') FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '"+table+"'") + "\n" +
					p.value("SELECT COALESCE(GROUP_CONCAT(column_name ORDER BY FIND_IN_SET(column_name, '"+c.columns+"')), '') FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '"+table+"' AND extra LIKE '%INVISIBLE%' AND FIND_IN_SET(column_name, '"+c.columns+"')") + "\n" +
					p.value("SELECT COALESCE(GROUP_CONCAT(index_name, column_name ORDER BY 1), '') FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = '"+table+"'")
			}
			want := strings.Split(defined(p.client, c.statement), "\n")
			got := ""
			if c.through {
				got = defined(through, c.statement)
			} else { // the text that the engine gets, faster
				s, err := parser.Parse(c.statement, parser.Mode{MariaDB: maria})
				if err != nil {
					t.Fatal(err)
				}
				got = defined(p.client, s.Rewrite(parser.Edit{Invisible: true}))
			}
			want[len(want)-2] = c.columns
			if want := strings.Join(want, "\n"); got != want {
				t.Errorf("%s gives\n%s\nwant\n%s", c.statement, got, want)
			}
		}
		c := p.through("")
		c.exec("SET @midflight_new_columns = 'hidden'")
		c.refused("ALTER TABLE t ADD z INT", "ERROR 1231")
		c.exec("ALTER TABLE /* midflight: new_columns=invisible */ t ADD z INT", "SELECT z FROM t", "SET @midflight_new_columns = 'invisible'",
			"ALTER TABLE t /* midflight: new_columns=visible */ ADD y INT")
		if got := c.columns("t"); strings.Contains(got, "z") || !strings.HasSuffix(got, " y") {
			t.Errorf("by hints: SELECT * gives %s", got)
		}
		if maria { // the server's own error
			c.refused("ALTER TABLE t ADD x INT NOT NULL", "ERROR 4108")
		}
		c.exec("CREATE TEMPORARY TABLE mine (id INT PRIMARY KEY)", "INSERT INTO mine VALUES (1)", "ALTER TABLE mine ADD a INT")
		if got := c.columns("mine"); got != "id" {
			t.Errorf("of a temporary table: %s", got)
		}
		p.nothingLeft()
	})
}

// reveal has the columns of a migration made visible, and returns the migration
// that does it.
func (p place) reveal(id int64, table string) int64 {
	p.t.Helper()
	var by int64
	before := p.latest(table)
	p.exec(fmt.Sprintf("CALL midflight.reveal(%d)", id))
	await(p.t, "a migration that reveals", func() bool { by = p.latest(table); return by > before })
	p.awaitPhase(by, "completed")
	return by
}

func TestReveal(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 500)
		c := p.through("")
		c.exec("SET @midflight_new_columns = 'invisible'")
		statement := "ALTER TABLE t ADD a ENUM('INVISIBLE', 'b') NOT NULL DEFAULT 'b' COMMENT 'it''s \\n INVISIBLE, x' AFTER id, ADD `b``c` DATETIME DEFAULT '0000-00-00', " +
			"ADD d INT AS (n + 1) VIRTUAL COMMENT 'd', ADD e TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, ADD f VARCHAR(9) CHARACTER SET latin1 DEFAULT '\\\\', ADD g INT UNIQUE CHECK (g <> 4), ADD dropped INT, ADD renamed INT, ADD seen INT"
		p.exec("CREATE TABLE twin LIKE t", "SET sql_mode = ''", strings.Replace(statement, "TABLE t", "TABLE twin", 1),
			"ALTER TABLE twin DROP dropped, CHANGE renamed other INT")
		c.exec("SET sql_mode = ''", "SET @midflight_strategy = 'copy'", statement)
		first := p.latest("t")
		if got := c.columns("t"); got != "id v n" {
			t.Errorf("before: %s", got)
		}
		show := "ALTER TABLE t ALTER COLUMN seen SET VISIBLE"
		if p.s.Flavor == testmysql.MariaDB {
			show = "ALTER TABLE t MODIFY COLUMN seen INT"
		}
		p.exec("ALTER TABLE t DROP dropped, CHANGE renamed other INT INVISIBLE", show) // the DBA's own
		by := p.reveal(first, "t")
		if got := p.value(fmt.Sprintf("SELECT CONCAT_WS(' ', strategy, phase, rows_copied, user) FROM midflight.migrations WHERE id = %d", by)); got != "instant completed 0 root" {
			t.Errorf("the migration that reveals: %s", got)
		}
		if got := p.value(fmt.Sprintf("SELECT statement FROM midflight.migrations WHERE id = %d", by)); strings.Contains(got, "other") || strings.Contains(got, "seen") || strings.Contains(got, "dropped") {
			t.Errorf("its statement: %s", got)
		}
		shape := func(table string) string {
			return strings.ReplaceAll(p.say("SHOW CREATE TABLE "+table), table, "t")
		}
		show = "ALTER TABLE t ALTER COLUMN other SET VISIBLE"
		if p.s.Flavor == testmysql.MariaDB {
			show = "ALTER TABLE t MODIFY COLUMN other INT"
		}
		p.exec(show)
		got, want := shape("t"), shape("twin")
		if cut := func(s string) string { s, _, _ = strings.Cut(s, ") ENGINE"); return s }; cut(got) != cut(want) {
			t.Errorf("revealed: %s\nwant %s", got, want)
		}
		// Once more is harmless.
		p.exec(fmt.Sprintf("CALL midflight.reveal(%d)", first))
		await(t, "the wish is done with", func() bool {
			return p.value(fmt.Sprintf("SELECT reveal_requested FROM midflight.migrations WHERE id = %d", first)) == "0"
		})
		if again := p.latest("t"); again != by {
			t.Errorf("migration %d reveals what is visible", again)
		}
		if got := shape("t"); got == "" || !strings.Contains(p.value(fmt.Sprintf("SELECT GROUP_CONCAT(event) FROM midflight.events WHERE migration_id = %d", first)), "none of its columns is invisible") {
			t.Errorf("the history does not say that there was nothing to reveal")
		}
		for id, why := range map[string]string{fmt.Sprint(by): "has published no column INVISIBLE", "999999": "does not exist", "NULL": "does not exist"} {
			if got := p.say("CALL midflight.reveal(" + id + ")"); !strings.HasPrefix(got, "ERROR 1644") || !strings.Contains(got, why) {
				t.Errorf("reveal %s: %s", id, got)
			}
		}
		p.nothingLeft()
	})
}

// A reveal that waits for another migration of the table takes the columns as that
// one leaves them.
func TestRevealQueued(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 50)
		c := p.through("")
		c.exec("ALTER TABLE t /* midflight: new_columns=invisible */ ADD a INT, ADD b INT")
		first := p.latest("t")
		done := c.begin("ALTER TABLE /* midflight: strategy=copy, cutover=manual */ t MODIFY a BIGINT INVISIBLE, DROP b")
		var id int64
		await(t, "the migration is recorded", func() bool { id = p.latest("t"); return id > first })
		p.awaitPhase(id, "ready")
		p.exec(fmt.Sprintf("CALL midflight.reveal(%d)", first))
		var by int64
		await(t, "a migration that reveals", func() bool { by = p.latest("t"); return by > id })
		p.exec(fmt.Sprintf("CALL midflight.cutover(%d)", id))
		if got := ends(t, done); got != "OK" {
			t.Fatalf("the migration before it: %s", got)
		}
		p.awaitPhase(by, "completed")
		if got := p.value("SELECT GROUP_CONCAT(column_name, ' ', SUBSTRING_INDEX(column_type, '(', 1) ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 't'"); got != "id int,v varchar,n int,a bigint" {
			t.Errorf("the columns: %s", got)
		}
		if got := c.columns("t"); got != "id v n a" {
			t.Errorf("the visible columns: %s", got)
		}
		p.nothingLeft()
	})
}

// While a reveal waits for its moment, somebody around Midflight changes the column:
// that must not be undone.
func TestRevealOfChanged(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("orders", 5)
		c, idle := p.through(""), p.through("")
		c.exec("ALTER TABLE orders /* midflight: new_columns=invisible */ ADD a INT NOT NULL DEFAULT 1")
		first := p.latest("orders")
		// It names the table and has no lock on it: Midflight waits, the server doesn't.
		idle.exec("CREATE TABLE u (id INT PRIMARY KEY)", "BEGIN", "SELECT 'orders' FROM u")
		p.exec(fmt.Sprintf("CALL midflight.reveal(%d)", first))
		var by int64
		await(t, "a reveal that waits", func() bool {
			by = p.latest("orders")
			return by > first && p.value(fmt.Sprintf("SELECT phase = 'cutting_over' AND waiting_for <> '' FROM midflight.migrations WHERE id = %d", by)) == "1"
		})
		p.exec("ALTER TABLE orders MODIFY a INT NULL DEFAULT 2 COMMENT 'changed' INVISIBLE")
		idle.exec("COMMIT")
		if p.s.Flavor == testmysql.MariaDB {
			p.awaitPhase(by, "failed")
			if got := p.value(fmt.Sprintf("SELECT error FROM midflight.migrations WHERE id = %d", by)); !strings.Contains(got, "somebody changed the invisible columns") {
				t.Errorf("the error: %s", got)
			}
			p.reveal(first, "orders")
		} else {
			p.awaitPhase(by, "completed")
		}
		if got := c.columns("orders"); got != "id v n a" {
			t.Errorf("the visible columns: %s", got)
		}
		if got := p.value("SELECT CONCAT_WS(' ', is_nullable, column_default, column_comment) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'orders' AND column_name = 'a'"); got != "YES 2 changed" {
			t.Errorf("the column: %s", got)
		}
		p.nothingLeft()
	})
}
