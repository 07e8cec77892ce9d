package oracle

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/mysqld"
	"midflight/schema"
)

// TestTriggersAreHalfRead: on MariaDB a KILL that meets a statement just when it opens a
// table leaves the table open with triggers that are in error. The swap can't move
// these; it has the table opened anew, and swaps then.
func TestTriggersAreHalfRead(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		n := schema.Name{Schema: s.server.NewDatabase(t), Table: "watched"}
		long := "BEGIN " + strings.Repeat("SET @a = 1; ", 3000) + "END" // so that reading it takes a while
		writer := session(t, s.server.Addr, n.Schema, "CREATE TABLE watched (id INT NOT NULL PRIMARY KEY AUTO_INCREMENT, v INT)",
			"CREATE TRIGGER one BEFORE INSERT ON watched FOR EACH ROW "+long,
			"CREATE TRIGGER two BEFORE DELETE ON watched FOR EACH ROW SET @b = 1",
			"INSERT INTO watched (v) VALUES (1), (2)")
		before := createTriggers(t, s.root, n)
		mustExec(t, s.session(t, n.Schema, "SET @midflight_strategy = 'copy', @midflight_cutover = 'manual', @midflight_async = 1"), "ALTER TABLE watched MODIFY v BIGINT")
		awaitPhase(t, s.root, n.Schema, "ready")
		if s.flavor == testmysql.MariaDB {
			halfRead(t, s, n)
			if _, err := writer.ExecContext(context.Background(), "INSERT INTO watched (v) VALUES (0)"); mysqld.Number(err) != mysqld.ErrParse {
				t.Fatalf("an INSERT: %v", err)
			}
		}
		mustExec(t, writer, "CALL midflight.cutover((SELECT MAX(id) FROM midflight.migrations))")
		awaitPhase(t, s.root, n.Schema, "completed")
		mustExec(t, writer, "INSERT INTO watched (v) VALUES (3)")
		if got := createTriggers(t, s.root, n); strings.Join(oneSpelling(got), "\n") != strings.Join(oneSpelling(before), "\n") {
			t.Errorf("the triggers are\n%.500s", strings.Join(got, "\n"))
		}
		if create, _ := twins.Definition(t, s.root, n); !strings.Contains(create, "`v` bigint") {
			t.Error(create)
		}
	})
}

// halfRead kills INSERTs that open the table until one leaves it so.
func halfRead(t *testing.T, s *site, n schema.Name) {
	inserts := session(t, s.server.Addr, n.Schema)
	id := twins.List(t, inserts, "SELECT CONNECTION_ID()")[0]
	for try := range 200 {
		if _, err := s.root.Exec("FLUSH LOCAL TABLES " + n.Quoted()); err != nil {
			t.Fatal(err)
		}
		killed := make(chan error)
		go func() {
			time.Sleep(time.Duration(try%20) * 2 * time.Millisecond)
			_, err := s.root.Exec("KILL QUERY " + id)
			killed <- err
		}()
		inserts.ExecContext(context.Background(), fmt.Sprintf("INSERT INTO watched (id, v) VALUES (%d, 0)", 1000+try))
		if err := <-killed; err != nil {
			t.Fatal(err)
		}
		if _, err := s.root.Exec(fmt.Sprintf("INSERT INTO %s (id, v) VALUES (%d, 0)", n.Quoted(), 2000+try)); mysqld.Number(err) == mysqld.ErrParse {
			return
		}
	}
	t.Fatal("no KILL met the opening of the table")
}
