package proxy

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// converse says all that a client may say, and returns all that it hears.
func converse(c *rawConn) string {
	var out strings.Builder
	say := func(what, answer string) {
		out.WriteString("> " + what[:min(len(what), 60)] + "\n" + answer)
	}
	query := func(sql string) { c.t.Helper(); say(sql, c.query(sql)) }
	do := func(cmd string) { c.t.Helper(); say(fmt.Sprintf("command %#x", cmd[0]), c.do(cmd)) }

	do("\x0e")
	query("SELECT 1, NULL, 'x'")
	query("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(50))")
	query("INSERT INTO t VALUES (10, 'ten'), (11, NULL)")
	query("INSERT INTO t VALUES (10, 'again')")
	query("SELECT nonsense FROM t")
	query("syntax error")
	query("SELECT * FROM t ORDER BY a")
	query("LOAD DATA LOCAL INFILE 'x' INTO TABLE t")
	query("SELECT COUNT(*) FROM t")
	query("BEGIN")
	query("UPDATE t SET b = 'x' WHERE a < 3")
	query("ROLLBACK")
	query("SET autocommit = 0")
	query("INSERT INTO t VALUES (10, 'again')")
	query("COMMIT")
	query("SET autocommit = 1")
	query("USE mysql")
	do("\x02" + "information_schema")
	query("SELECT DATABASE()")
	query("SELECT REPEAT('x', 100000)")

	do("\x09")
	do("\x63unknown")
	do("\x1b\x00\x00")
	query("SELECT 1; SELECT 2; DO 3; syntax error; SELECT 4")
	query("SELECT 1; SELECT 2; DO 3")
	do("\x1b\x01\x00")
	query("SELECT 1; SELECT 2")

	do("\x16SELECT ?, table_name FROM information_schema.tables WHERE table_name = 't'")
	do("\x16SELECT 1 UNION SELECT 2 UNION SELECT 3")
	do(c.execute(2, 0))
	do(c.execute(2, 1)) // a cursor
	do(c.stmt(wire.ComStmtFetch, 2, "\x02\x00\x00\x00"))
	do(c.stmt(wire.ComStmtFetch, 2, "\x02\x00\x00\x00"))
	do(c.stmt(wire.ComStmtFetch, 2, "\x02\x00\x00\x00"))
	do(c.stmt(wire.ComStmtReset, 2, ""))
	do(c.stmt(wire.ComStmtClose, 2, ""))
	do(c.execute(2, 0))
	do("\x16SELECT nonsense")
	do("\x16DO 1")
	do(c.execute(3, 0))
	do(c.execute(4, 0))
	do("\x16SELECT LENGTH(?)")
	do(c.stmt(wire.ComStmtSendLong, 5, "\x00\x00"+strings.Repeat("l", 70000)))
	do(c.stmt(wire.ComStmtSendLong, 4, "\x00\x00"+strings.Repeat("l", 70000)))

	c.query("SET sql_mode = ''")
	query("SELECT LENGTH('" + strings.Repeat("y", 17<<20) + "')")
	query("SELECT REPEAT('z', 17 << 20)")
	query("SELECT 1 /* " + strings.Repeat("y", 1<<24-1-len("\x03SELECT 1 /*  */")) + " */")

	do("\x1f")
	do(c.execute(1, 0))
	do("\x11root\x00\x00\x00\x2d\x00" + c.greeting.Plugin + "\x00")
	query("SELECT CURRENT_USER(), DATABASE()")
	do("\x11root\x00\x00\x00\x2d\x00" + "mysql_clear_password\x00")
	query("SELECT 2")
	do("\x11nobody\x00\x03abc\x00\x2d\x00" + c.greeting.Plugin + "\x00")
	// MySQL closes the connection now, MariaDB keeps it.
	c.SetDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := c.readErr(); err != nil {
		fmt.Fprintf(&out, "closed: %v\n", errors.Is(err, io.EOF))
	}
	return out.String()
}

// The same conversation directly and through the proxy gives the same bytes.
func TestSameAnswersAsDirect(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		local(t, s)
		for name, caps := range map[string]wire.Caps{
			"old":        0,
			"deprecated": wire.ClientDeprecateEOF,
			"all": wire.ClientDeprecateEOF | wire.ClientSessionTrack | wire.ClientOptionalMetadata |
				wire.ClientQueryAttributes | wire.ClientMultiStatements,
		} {
			t.Run(name, func(t *testing.T) {
				db := s.NewDatabase(t)
				_, addr := startProxy(t, Config{Server: s.Addr})
				direct := converse(dialRaw(t, s.Addr, db, caps))
				s.Exec(t, "DROP TABLE "+db+".t")
				through := converse(dialRaw(t, addr, db, caps))
				if direct == through {
					return
				}
				d, p := strings.Split(direct, "\n"), strings.Split(through, "\n")
				for i := range d {
					if i >= len(p) || d[i] != p[i] {
						t.Fatalf("line %d:\ndirect\n%s\nthrough\n%s", i,
							strings.Join(d[max(i-3, 0):min(i+5, len(d))], "\n"),
							strings.Join(p[max(i-3, 0):min(i+5, len(p))], "\n"))
					}
				}
				t.Fatal("more through the proxy")
			})
		}
	})
}

// Commands sent without waiting are answered in order.
func TestPipelining(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		_, addr := startProxy(t, Config{Server: s.Addr})
		say := func(addr string) string {
			c := dialRaw(t, addr, "", wire.ClientDeprecateEOF)
			var b []byte
			for _, q := range []string{"SELECT 1", "DO 2", "nonsense", "SELECT 3"} {
				b, _ = wire.AppendPacket(b, wire.AppendQuery(nil, q, c.s), 0)
			}
			// Cut where it hurts.
			for _, cut := range [][2]int{{0, 2}, {2, 7}, {7, 17}, {17, len(b)}} {
				c.Write(b[cut[0]:cut[1]])
			}
			return c.answer(wire.ComQuery) + c.answer(wire.ComQuery) + c.answer(wire.ComQuery) + c.answer(wire.ComQuery)
		}
		if d, p := say(s.Addr), say(addr); d != p {
			t.Errorf("direct\n%s\nthrough\n%s", d, p)
		}
	})
}
