package proxy

import (
	"fmt"
	"strings"
	"testing"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

func TestPreparedOn(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		srv, addr := startProxy(t, Config{Server: s.Addr})
		db := s.NewDatabase(t)
		s.Exec(t, "CREATE TABLE "+db+".orders (a INT PRIMARY KEY)", "CREATE TABLE "+db+".other (a INT PRIMARY KEY)")
		var all []*rawConn
		for range 5 {
			c := dialRaw(t, addr, db, 0)
			c.do("\x16SELECT * FROM `orders`")
			all = append(all, c)
		}
		all[0].do("\x16SELECT * FROM `orders`") // twice in one session
		all[0].do("\x16SELECT * FROM other")
		all[0].do("\x16CALL nothing()") // refused, or of no table by name
		all[1].do("\x16DELETE FROM orders WHERE a = ?")
		all[1].do("\x16DELETE FROM orders WHERE a > ?")
		all[1].sendSeq([]byte(all[1].stmt(wire.ComStmtClose, 3, "")), 0)
		all[2].do("\x16SELECT a FROM orders")
		all[2].do("\x1f") // COM_RESET_CONNECTION forgets them
		all[1].query("DO 1")
		shown := func() string {
			var b strings.Builder
			for _, p := range srv.Prepared([]string{"orders", "nowhere"}) {
				fmt.Fprintf(&b, "%s: %d", p.Text, p.Sessions)
				for _, by := range p.Some {
					for i, c := range all {
						if by.ID == c.greeting.ConnectionID && by.User == "root" && by.Client == c.LocalAddr().String() {
							fmt.Fprintf(&b, " %d", i)
						}
					}
				}
				b.WriteString("\n")
			}
			return b.String()
		}
		if got, want := shown(), "SELECT * FROM `orders`: 4 0 1 3\nDELETE FROM orders WHERE a = ?: 1 1\n"; got != want {
			t.Errorf("open on orders:\n%s, want\n%s", got, want)
		}
		all[1].Close()
		all[3].Close()
		want := "SELECT * FROM `orders`: 2 0 4\n"
		await(t, func() bool { return shown() == want })
	})
}
