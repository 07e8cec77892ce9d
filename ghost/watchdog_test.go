package ghost

import (
	"testing"

	"midflight/internal/testmysql"
)

// A watchdog that was late takes no warnings along.
func TestLateKillLeavesWarnings(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		conn, err := server.DB(t).Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer discard(conn)
		if _, err := conn.ExecContext(t.Context(), "SELECT CAST('x1' AS SIGNED)"); err != nil {
			t.Fatal(err)
		}
		(&gap{lock: conn}).takeKill(t.Context())
		if w, err := showWarnings(t.Context(), conn); err != nil || len(w) != 1 {
			t.Errorf("%v (error: %v)", w, err)
		}
	})
}
