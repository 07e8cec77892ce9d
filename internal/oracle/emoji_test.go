package oracle

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"midflight/internal/testmidflight"
	"midflight/internal/twins"
	"midflight/mysqld"
)

// TestAnyStatementBeside: what others execute is shown in tables of the server that we
// read. MySQL can't convert some of it, and fails then whatever is asked of
// information_schema.processlist.
func TestAnyStatementBeside(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		db := s.server.NewDatabase(t)
		user := s.session(t, db, "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT, KEY (v))", "INSERT INTO t VALUES (1, 2), (3, 4)", "CREATE TABLE other (id INT NOT NULL PRIMARY KEY)")
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		others := []*sql.Conn{
			session(t, s.server.Addr, db),
			session(t, s.server.Addr, db, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN", "SELECT * FROM other"),
		}
		for _, other := range others {
			go func() {
				_, err := other.ExecContext(ctx, "DO /* 😀 */ SLEEP(1000), '😀'")
				ended <- err
			}()
		}
		defer func() {
			cancel()
			for range others {
				<-ended
			}
		}()
		await(t, "they execute", func() bool {
			all, err := mysqld.Processes(context.Background(), s.root)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, p := range all {
				if p.State == "User sleep" && strings.HasPrefix(p.Statement, "DO") {
					n++
				}
			}
			return n >= len(others)
		})
		for _, statement := range []string{
			"SET @midflight_strategy = 'copy'",
			"ALTER TABLE t MODIFY v BIGINT, ADD KEY other (v, id)",
			"SET @midflight_strategy = 'auto'",
			"ALTER TABLE t ADD w INT",
			"ALTER TABLE t DROP KEY v",
		} {
			mustExec(t, user, statement)
		}
		left := s.server.NewDatabase(t)
		mustExec(t, user, "CREATE TABLE "+left+".t (id INT NOT NULL PRIMARY KEY)")
		mustExec(t, user, "SET @midflight_strategy = 'copy', @midflight_cutover = 'manual', @midflight_async = 1")
		mustExec(t, user, "ALTER TABLE "+left+".t ADD w INT")
		awaitPhase(t, s.root, left, "ready")
		s.midflight.Kill9()
		s.midflight = testmidflight.Start(t, s.server)
		mustExec(t, session(t, s.server.Addr, db), "CALL midflight.cutover((SELECT MAX(id) FROM midflight.migrations))")
		awaitPhase(t, s.root, left, "completed")
		// What can't be told of the server would have stopped the copy for a time.
		if waited := twins.List(t, s.root, "SELECT COALESCE(throttled, '') FROM midflight.migrations WHERE throttled LIKE '%threads_running%'"); len(waited) > 0 {
			t.Errorf("waited: %s", waited)
		}
	})
}
