package oracle

import (
	"context"
	"testing"
	"time"

	"midflight/internal/twins"
)

// TestExplainLocksNothing: the rows that are copied to ask the server for its
// warnings are read without a lock: a writer's open transaction holds nothing up.
func TestExplainLocksNothing(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		db := s.server.NewDatabase(t)
		writer := session(t, s.server.Addr, db, "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, d DECIMAL(5,2))", "INSERT INTO t VALUES (1, 1.25), (2, 2.25)",
			"BEGIN", "UPDATE t SET d = 7 WHERE id = 1")
		mustExec(t, s.session(t, db, "SET @midflight_strategy = 'copy', @midflight_cutover = 'manual', @midflight_async = 1"), "ALTER TABLE t MODIFY d DECIMAL(5,1)")
		awaitPhase(t, s.root, db, "ready")
		mustExec(t, writer, "COMMIT")
		mustExec(t, writer, "CALL midflight.cutover((SELECT MAX(id) FROM midflight.migrations))")
		awaitPhase(t, s.root, db, "completed")
	})
}

// TestOthersWaitForALock: that somebody waits for an exclusive lock on another
// table does not hold a schema change up.
func TestOthersWaitForALock(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		db := s.server.NewDatabase(t)
		reader := session(t, s.server.Addr, db, "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT)", "CREATE TABLE other (id INT NOT NULL PRIMARY KEY)",
			"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN", "SELECT * FROM other") // a snapshot around Midflight would be waited for
		dropper := session(t, s.server.Addr, db)
		dropped := make(chan error, 1)
		go func() {
			_, err := dropper.ExecContext(context.Background(), "DROP TABLE other")
			dropped <- err
		}()
		await(t, "the DROP waits", func() bool {
			return len(twins.List(t, s.root, "SELECT id FROM information_schema.processlist WHERE info = 'DROP TABLE other' AND state LIKE 'Waiting%'")) == 1
		})
		ctx, cancel := context.WithTimeout(context.Background(), longEnough/2)
		defer cancel()
		if _, err := s.session(t, db, "SET @midflight_strategy = 'copy'").ExecContext(ctx, "ALTER TABLE t MODIFY v BIGINT"); err != nil {
			t.Error(err)
		}
		mustExec(t, reader, "COMMIT")
		select {
		case err := <-dropped:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(longEnough):
			t.Error("the DROP goes on waiting")
		}
	})
}
