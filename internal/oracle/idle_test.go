package oracle

import (
	"slices"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
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
		// Workers, too, are idle for long, and then have work again.
		s.session(t, n.Schema, "SET wait_timeout = 100", "CREATE TABLE manual (id INT PRIMARY KEY)", "SET @midflight_strategy = 'copy', @midflight_async = 1, @midflight_cutover = 'manual'", "ALTER TABLE manual MODIFY id BIGINT")
		s.session(t, n.Schema, "SET wait_timeout = 100", "SET @midflight_strategy = 'copy', @midflight_async = 1", "ALTER TABLE t MODIFY id BIGINT NOT NULL AUTO_INCREMENT")
		await(t, "both", func() bool {
			return slices.Equal(twins.List(t, s.root, "SELECT phase FROM midflight.migrations ORDER BY 1"), []string{"cutting_over", "ready"})
		})
		time.Sleep(5 * time.Second)
		mustExec(t, reader, "COMMIT")
		mustExec(t, reader, "INSERT INTO manual VALUES (1), (2)")
		mustExec(t, reader, "CALL midflight.cutover((SELECT MIN(id) FROM midflight.migrations))")
		await(t, "the end of both", func() bool {
			return slices.Equal(twins.List(t, s.root, "SELECT phase FROM midflight.migrations ORDER BY 1"), []string{"completed", "completed"})
		})
	})
}
