package proxy

import (
	"testing"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// After COM_CHANGE_USER the session counts, and is shown, as the new user's.
func TestChangedUser(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		s.Exec(t, "CREATE USER other@'%'", "GRANT ALL ON *.* TO other@'%'")
		defer s.Exec(t, "DROP USER other@'%'")
		srv, addr := startProxy(t, Config{Server: s.Addr, MaxUserConnections: 2})
		c := dialRaw(t, addr, "", 0)
		c.do("\x11other\x00\x00\x00\x2d\x00" + c.greeting.Plugin + "\x00")
		c.sendSeq(wire.AppendQuery(nil, "SELECT SLEEP(1)", c.s), 0)
		await(t, func() bool {
			busy := srv.Busy([]string{"SLEEP"})
			return len(busy) == 1 && busy[0].Touches
		})
		for _, b := range srv.Busy([]string{"SLEEP"}) {
			if b.User != "other" {
				t.Errorf("Busy says %s", b.User)
			}
		}
		srv.mu.Lock()
		if srv.users["other"] != 1 || srv.users["root"] != 0 {
			t.Errorf("counted as %v", srv.users)
		}
		srv.mu.Unlock()
	})
}
