package oracle

import (
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/schema"
)

// TestIdleLockSession: a swap that has to wait for longer than the server lets a
// session be idle comes all the same.
func TestIdleLockSession(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, shared *testmysql.Server) {
		server := testmysql.Start(t, shared.Flavor, "--wait-timeout=2")
		s := &site{flavor: server.Flavor, server: server, midflight: testmidflight.Start(t, server), root: server.DB(t)}
		n := schema.Name{Schema: s.server.NewDatabase(t), Table: "t"}
		session(t, server.Addr, n.Schema, "CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
		reader := s.session(t, n.Schema, "SET wait_timeout = 100", "BEGIN", "SELECT * FROM t")
		s.session(t, n.Schema, "SET wait_timeout = 100", "SET @midflight_strategy = 'copy', @midflight_async = 1", "ALTER TABLE t MODIFY id BIGINT NOT NULL AUTO_INCREMENT")
		awaitPhase(t, s.root, n.Schema, "cutting_over")
		time.Sleep(5 * time.Second)
		mustExec(t, reader, "COMMIT")
		awaitPhase(t, s.root, n.Schema, "completed")
	})
}
