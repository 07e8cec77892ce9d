package oracle

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/schema"
)

// guarded has CHECK constraints with names of their own, and one whose name the
// server has made; it would be t_chk_1 on a table made LIKE it.
func guarded(f testmysql.Flavor) table {
	t := twoKeys(f)
	t.name, t.rows = "guarded", 800
	t.columns = append(slices.Clone(t.columns), column{"n", "INT NOT NULL DEFAULT 5", between(1, 99)}, column{"m", "INT NOT NULL DEFAULT 1", between(1, 9)})
	t.options = "DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci"
	t.keys += ", CONSTRAINT small CHECK (n < 100), CHECK (n > -5), CONSTRAINT `odd ``name%` CHECK (m <> 0), CONSTRAINT text CHECK (v <> 'a '' b, ` CHECK (\\n')"
	t.extras = []string{"ALTER TABLE guarded DROP CONSTRAINT " + map[testmysql.Flavor]string{testmysql.MySQL: "guarded_chk_1", testmysql.MariaDB: "CONSTRAINT_1"}[f] + ", ADD CHECK (n > -7), ADD CHECK (n > -8)"}
	return t
}

// longGuarded has a name to which the server can add nothing.
func longGuarded(f testmysql.Flavor) table {
	t := twoKeys(f)
	t.name, t.rows = longest, 300
	t.keys += ", CONSTRAINT `a name` CHECK (id < 100000000)"
	return t
}

// watched has triggers that change rows and write an audit.
func watched(f testmysql.Flavor) table {
	t := orders(f)
	t.name, t.rows = "watched", 800
	t.extras = []string{
		"SET NAMES utf8mb4",
		"CREATE TABLE audit (what VARCHAR(20) CHARACTER SET latin1, id INT, b INT)",
		"CREATE TRIGGER `first, 'quoted'` before insert on watched for each row  /* why */  set new.b = new.b + 1",
		"SET NAMES latin1",
		"CREATE TRIGGER logged AFTER INSERT ON `watched` FOR EACH ROW INSERT INTO audit VALUES ('gr\xfcn', new.id, new.b)",
		"SET NAMES utf8mb4",
		"CREATE DEFINER = 'midflight_nobody'@'localhost' TRIGGER unused BEFORE DELETE ON watched FOR EACH ROW BEGIN END",
		"DROP TRIGGER unused",
		"SET @mode = @@sql_mode, sql_mode = 'ANSI_QUOTES'",
		`CREATE TRIGGER "changed" AFTER UPDATE ON "watched" FOR EACH ROW BEGIN INSERT INTO "audit" VALUES ('update', old.id, new.b); INSERT INTO audit VALUES ('update', new.id, old.b); END`,
		"SET sql_mode = @mode",
		"CREATE TRIGGER zero BEFORE INSERT ON watched FOR EACH ROW PRECEDES `first, 'quoted'` SET new.b = new.b * 2",
		"CREATE TRIGGER gone AFTER DELETE ON watched FOR EACH ROW INSERT INTO audit VALUES ('delete', old.id, old.b)",
	}
	return t
}

// sameTriggers compares the triggers, and what they have written.
func (s *site) sameTriggers(t *testing.T, on [2]schema.Name) {
	t.Helper()
	describe := func(n schema.Name) []string {
		// When they were made is theirs, too, but the twin's are a little younger.
		lines := twins.List(t, s.root, `SELECT CONCAT_WS('|', trigger_name, event_manipulation, action_timing, action_order, action_statement, definer, sql_mode, character_set_client, collation_connection, database_collation)
FROM information_schema.triggers WHERE event_object_schema = ? AND event_object_table = ? ORDER BY 1`, n.Schema, n.Table)
		return append(lines, createTriggers(t, s.root, n)...)
	}
	got, want := describe(on[0]), describe(on[1])
	got, want = oneSpelling(got), oneSpelling(want)
	if !slices.Equal(got, want) {
		t.Errorf("the triggers are\n%s\ninstead of\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(want) == 0 {
		return
	}
	audit := func(n schema.Name) []string { return twins.Contents(t, s.root, s.flavor, n.With("audit"), "") }
	twins.SameContents(t, audit(on[0]), audit(on[1]))
}

func createTriggers(t *testing.T, db *sql.DB, n schema.Name) (texts []string) {
	t.Helper()
	for _, name := range twins.List(t, db, "SELECT trigger_name FROM information_schema.triggers WHERE event_object_schema = ? AND event_object_table = ? ORDER BY 1", n.Schema, n.Table) {
		var text, mode, client, connection, database string
		var created any
		if err := db.QueryRow(fmt.Sprintf("SHOW CREATE TRIGGER %s", n.With(name).Quoted())).Scan(&name, &mode, &text, &client, &connection, &database, &created); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	return texts
}

// TestTriggersAfterACrash: whoever finds the orphan of a swap in whose middle
// Midflight died gives the triggers to the table that has the name.
func TestTriggersAfterACrash(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Midflight four times")
	}
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		for _, swapped := range []bool{false, true} {
			t.Run(fmt.Sprintf("swapped %v", swapped), func(t *testing.T) {
				s := &site{flavor: server.Flavor, server: server, midflight: testmidflight.Start(t, server), root: server.DB(t)}
				tb := watched(s.flavor)
				n := schema.Name{Schema: server.NewDatabase(t), Table: tb.name}
				direct := session(t, server.Addr, n.Schema, append([]string{tb.create()}, tb.extras...)...)
				before := createTriggers(t, s.root, n)
				order := fmt.Sprintf("SELECT CONCAT(trigger_name, action_order, created) FROM information_schema.triggers WHERE event_object_schema = '%s' AND event_object_table = '%s' ORDER BY 1", n.Schema, n.Table)
				ordered := twins.List(t, s.root, order)
				user := s.session(t, n.Schema, "SET @midflight_strategy = 'copy', @midflight_cutover = 'manual', @midflight_async = 1", "ALTER TABLE watched ADD COLUMN x INT")
				user.Close()
				awaitPhase(t, s.root, n.Schema, "ready")
				s.midflight.Kill9()

				id := twins.List(t, s.root, "SELECT id FROM midflight.migrations WHERE schema_name = ?", n.Schema)[0]
				table, err := schema.Read(context.Background(), s.root, n)
				if err != nil {
					t.Fatal(err)
				}
				for i, tr := range table.Triggers {
					definition, _ := json.Marshal(tr)
					if _, err := s.root.Exec("INSERT INTO midflight.triggers VALUES (?, ?, ?)", id, i, string(definition)); err != nil {
						t.Fatal(err)
					}
					if i != 1 { // one is still to be dropped
						mustExec(t, direct, "DROP TRIGGER "+n.With(tr.Name).Quoted())
					}
				}
				phase := "ready" // again
				if swapped {
					mustExec(t, direct, "DROP TRIGGER "+n.With(table.Triggers[1].Name).Quoted())
					mustExec(t, direct, "RENAME TABLE watched TO _watched_old, _watched_shadow TO watched")
					mustExec(t, direct, "CREATE TRIGGER logged AFTER INSERT ON watched FOR EACH ROW SET @half = 'made by the dead'")
					phase = "completed"
				}
				s.midflight = testmidflight.Start(t, server)
				if !swapped {
					await(t, "somebody goes on", func() bool {
						return len(twins.List(t, s.root, "SELECT id FROM midflight.events WHERE migration_id = ? AND event LIKE 'gone on from a checkpoint%'", id)) > 0
					})
				}
				awaitPhase(t, s.root, n.Schema, phase)
				if got := createTriggers(t, s.root, n); !slices.Equal(oneSpelling(got), oneSpelling(before)) {
					t.Errorf("the triggers are\n%s\ninstead of\n%s", strings.Join(got, "\n"), strings.Join(before, "\n"))
				}
				if got := twins.List(t, s.root, order); !slices.Equal(got, ordered) {
					t.Errorf("their order and age is %q instead of %q", got, ordered)
				}
				if rows := twins.List(t, s.root, "SELECT position FROM midflight.triggers WHERE migration_id = ?", id); len(rows) > 0 {
					t.Errorf("midflight.triggers still has %q", rows)
				}
			})
		}
	})
}

// oneSpelling writes the table's name as MariaDB's RENAME TABLE does.
func oneSpelling(texts []string) []string {
	var all []string
	for _, text := range texts {
		all = append(all, writtenName.ReplaceAllString(text, " ON `watched` FOR"))
	}
	return all
}

var writtenName = regexp.MustCompile("(?i) on ([\"`]?)watched([\"`]?) for")

// TestNumbersInOrder: a new AUTO_INCREMENT column of a table that nobody writes
// gets exactly the server's numbers, over several chunks too.
func TestNumbersInOrder(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		on := s.twins(t, "t")
		const alter = "ALTER TABLE t ADD COLUMN n INT NOT NULL AUTO_INCREMENT UNIQUE"
		for i, n := range on {
			conn := session(t, s.server.Addr, n.Schema, "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT)")
			for part := range 5 {
				var rows []string
				for i := range 2000 {
					rows = append(rows, fmt.Sprintf("(%d, 0)", 50000-7*(part*2000+i)))
				}
				mustExec(t, conn, "INSERT INTO t VALUES "+strings.Join(rows, ", "))
			}
			if i == 1 {
				mustExec(t, conn, alter)
				continue
			}
			user := s.session(t, n.Schema, "SET @midflight_strategy = 'copy'")
			mustExec(t, user, alter)
		}
		twins.SameContents(t, twins.Contents(t, s.root, s.flavor, on[0], ""), twins.Contents(t, s.root, s.flavor, on[1], ""))
		_, next := twins.Definition(t, s.root, on[0])
		if _, want := twins.Definition(t, s.root, on[1]); next != want {
			t.Errorf("AUTO_INCREMENT is %d, the server's %d", next, want)
		}
	})
}

// TestHiddenPrimaryKey: the primary key that the server has generated stays, also
// where the session does not get to see it.
func TestHiddenPrimaryKey(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		if s.flavor != testmysql.MySQL {
			t.Skip("MySQL's")
		}
		for _, shown := range []string{"ON", "OFF"} {
			on := s.twins(t, "t")
			for _, n := range on {
				conn := session(t, s.server.Addr, n.Schema, "SET sql_generate_invisible_primary_key = 1", "CREATE TABLE t (a INT, b VARCHAR(20))")
				mustExec(t, conn, "INSERT INTO t VALUES (1, 'x'), (1, 'x'), (NULL, 'y')")
			}
			settings := "SET sql_generate_invisible_primary_key = 1, show_gipk_in_create_table_and_information_schema = " + shown
			const alter = "ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 3 FIRST, MODIFY b VARCHAR(30) CHARACTER SET latin1"
			mustExec(t, session(t, s.server.Addr, on[1].Schema, settings), alter)
			user := s.session(t, on[0].Schema, settings, "SET @midflight_strategy = 'copy', @midflight_cutover = 'manual', @midflight_async = 1", alter)
			awaitPhase(t, s.root, on[0].Schema, "ready")
			for _, n := range on {
				mustExec(t, user, "UPDATE "+n.Quoted()+" SET a = 7 WHERE a IS NULL")
			}
			mustExec(t, user, "CALL midflight.cutover((SELECT MAX(id) FROM midflight.migrations))")
			awaitPhase(t, s.root, on[0].Schema, "completed")
			got, _ := twins.Definition(t, s.root, on[0])
			if want, _ := twins.Definition(t, s.root, on[1]); got != want || !strings.Contains(got, "my_row_id") {
				t.Errorf("shown %s: the definition is\n%s\nthe server makes\n%s", shown, got, want)
			}
			twins.SameContents(t, twins.Contents(t, s.root, s.flavor, on[0], ""), twins.Contents(t, s.root, s.flavor, on[1], ""))
		}
	})
}

// TestSetClock: a session that has set its clock gets it into its new columns.
func TestSetClock(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		on := s.twins(t, "t")
		for _, n := range on {
			mustExec(t, session(t, s.server.Addr, n.Schema, "CREATE TABLE t (id INT NOT NULL PRIMARY KEY)"), "INSERT INTO t VALUES (1), (2)")
		}
		settings := []string{"SET @midflight_strategy = 'copy'", "SET time_zone = '+03:00'", "SET timestamp = 1600000000.250000"}
		const alter = "ALTER TABLE t ADD a TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), ADD b DATETIME DEFAULT NOW(), MODIFY id BIGINT"
		mustExec(t, session(t, s.server.Addr, on[1].Schema, settings...), alter)
		mustExec(t, s.session(t, on[0].Schema, settings...), alter)
		twins.SameContents(t, twins.Contents(t, s.root, s.flavor, on[0], ""), twins.Contents(t, s.root, s.flavor, on[1], ""))
	})
}

// TestRequiredPrimaryKey: a table without a primary key gets one where the session
// insists on it.
func TestRequiredPrimaryKey(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		if s.flavor != testmysql.MySQL {
			t.Skip("MySQL's")
		}
		for _, alter := range []string{"ALTER TABLE t ADD PRIMARY KEY (a)", "ALTER TABLE t MODIFY b BIGINT"} {
			on := s.twins(t, "t")
			for _, n := range on {
				mustExec(t, session(t, s.server.Addr, n.Schema, "CREATE TABLE t (a INT NOT NULL UNIQUE, b INT)"), "INSERT INTO t VALUES (1, 1), (2, 2)")
			}
			for _, strategy := range []string{"copy", "auto"} {
				settings := []string{"SET sql_require_primary_key = 1", "SET @midflight_strategy = '" + strategy + "'"}
				_, ours := s.session(t, on[0].Schema, settings...).ExecContext(context.Background(), alter)
				_, native := session(t, s.server.Addr, on[1].Schema, settings...).ExecContext(context.Background(), alter)
				twins.SameError(t, ours, native, on, false)
			}
		}
	})
}
