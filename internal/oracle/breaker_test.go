package oracle

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/mysqld"
	"midflight/schema"
)

// journaledOrphan leaves a migration of watched whose Midflight died after the
// triggers were journaled, but before the swap.
func (s *site) journaledOrphan(t *testing.T) schema.Name {
	tb := watched(s.flavor)
	n := schema.Name{Schema: s.server.NewDatabase(t), Table: tb.name}
	session(t, s.server.Addr, n.Schema, append([]string{tb.create()}, tb.extras...)...)
	user := s.session(t, n.Schema, "SET @midflight_strategy = 'copy', @midflight_cutover = 'manual', @midflight_async = 1", "ALTER TABLE watched ADD COLUMN x INT")
	awaitPhase(t, s.root, n.Schema, "ready")
	reader := s.session(t, n.Schema, "BEGIN", "SELECT 1 FROM watched LIMIT 1")
	id := twins.List(t, s.root, "SELECT id FROM midflight.migrations WHERE schema_name = ?", n.Schema)[0]
	mustExec(t, user, "CALL midflight.cutover("+id+")")
	await(t, "a swap that is held up", func() bool {
		return len(twins.List(t, s.root, "SELECT id FROM midflight.migrations WHERE id = ? AND phase = 'cutting_over' AND waiting_for LIKE '%connection%'", id)) > 0
	})
	s.midflight.Kill9()
	reader.Close()
	user.Close()
	return n
}

func TestDroppedTriggerStaysDropped(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		s := &site{flavor: server.Flavor, server: server, midflight: testmidflight.Start(t, server), root: server.DB(t)}
		n := s.journaledOrphan(t)
		direct := session(t, server.Addr, n.Schema)
		mustExec(t, direct, "DROP TRIGGER logged")
		mustExec(t, direct, "DROP TRIGGER gone")
		mustExec(t, direct, "CREATE TRIGGER gone AFTER DELETE ON watched FOR EACH ROW SET @new = 1")
		before := createTriggers(t, s.root, n)
		s.midflight = testmidflight.Start(t, server)
		awaitPhase(t, s.root, n.Schema, "completed") // with them as they are
		if got := createTriggers(t, s.root, n); strings.Join(oneSpelling(got), "\n") != strings.Join(oneSpelling(before), "\n") {
			t.Errorf("the triggers are\n%s\ninstead of\n%s", strings.Join(got, "\n"), strings.Join(before, "\n"))
		}
	})
}

func TestTableDroppedAfterACrash(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		s := &site{flavor: server.Flavor, server: server, midflight: testmidflight.Start(t, server), root: server.DB(t)}
		n := s.journaledOrphan(t)
		// … had it died a moment later:
		definition, _ := json.Marshal(schema.Trigger{Name: "logged", Statement: "CREATE TRIGGER logged AFTER INSERT ON watched FOR EACH ROW SET @x = 1"})
		if _, err := s.root.Exec("REPLACE INTO midflight.triggers SELECT id, 0, ? FROM midflight.migrations WHERE schema_name = ?", string(definition), n.Schema); err != nil {
			t.Fatal(err)
		}
		mustExec(t, session(t, server.Addr, n.Schema), "DROP TABLE watched")
		s.midflight = testmidflight.Start(t, server)
		awaitPhase(t, s.root, n.Schema, "failed")
		if left := twins.List(t, s.root, "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_name <> 'audit'", n.Schema); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	})
}

// TestSchemaLikeOurs: a schema whose name begins as ours do keeps its other tables.
func TestSchemaLikeOurs(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		for _, db := range []string{"_midflight_mine", "_midflight_4711_old"} {
			s.server.Exec(t, "CREATE DATABASE "+db, "USE "+db, "CREATE TABLE other (id INT PRIMARY KEY)", "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1,1),(2,1)")
			t.Cleanup(func() { s.server.Exec(t, "DROP DATABASE IF EXISTS "+db) })
			_, err := s.session(t, db, "SET @midflight_strategy = 'copy'").ExecContext(t.Context(), "ALTER TABLE t ADD UNIQUE KEY (v), MODIFY id BIGINT")
			if !mysqld.IsDuplicateKey(err) {
				t.Error(err)
			}
			if left := twins.List(t, s.root, "SELECT table_name FROM information_schema.tables WHERE table_schema = ? ORDER BY 1", db); fmt.Sprint(left) != "[other t]" {
				t.Errorf("the schema %s has %q", db, left)
			}
		}
	})
}
