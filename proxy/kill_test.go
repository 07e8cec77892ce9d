package proxy

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

func TestKillsBy(t *testing.T) {
	for text, want := range map[string]uint32{
		"KILL 7":       7,
		"kill query 7": 7,
		" /* from a tool */ KILL\tCONNECTION 7 ; ": 7,
		"KILL/**/QUERY/**/7/* so be it */":         7,
		"KILL SOFT QUERY 7":                        7,
		"KILL 4294967295":                          4294967295,
		"KILL 4294967296":                          0,
		"KILL QUERY ID 7":                          0, // the number of a statement
		"KILL USER 7":                              0,
		"KILL":                                     0,
		"KILL QUERY":                               0,
		"KILL QUERY 7 + 1":                         0,
		"KILL QUERY @id":                           0,
		"KILL QUERY 7; SELECT 1":                   0,
		"SELECT 'a'; KILL QUERY 7":                 0,
		"SELECT 'KILL QUERY 7'":                    0,
		"/*!99999 KILL QUERY 7 */":                 0, // this server leaves it out
		"/*M!999999 KILL QUERY 7 */":               0,
		"KILL /*!99999 QUERY */ 7":                 0,
		"/* KILL QUERY 7":                          0,
		"KILLQUERY 7":                              0,
		"":                                         0,
	} {
		if got := killsBy([]byte(text)); got != want {
			t.Errorf("%q kills %d, want %d", text, got, want)
		}
	}
}

// A KILL that the server accepts between two statements of an interception, when it has no
// effect there, is told; one that it refuses, or that was sent before, is not.
func TestInterceptionIsKilled(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		begun, told := make(chan *Conn), make(chan bool)
		_, addr := intercepting(t, s, func(ctx context.Context, c *Conn, q Query) error {
			if _, err := c.Query(ctx, "DO 1"); err != nil {
				return err
			}
			begun <- c
			<-told
			return c.ReplyOK(wire.OK{}, false)
		})
		s.Exec(t, "CREATE USER without_rights")
		t.Cleanup(func() { s.Exec(t, "DROP USER without_rights") })
		victim, killer := dialRaw(t, addr, "", 0), dialRaw(t, addr, "", wire.ClientMultiStatements)
		stranger := dialRawAs(t, addr, "without_rights", "", 0)
		id := victim.greeting.ConnectionID
		ok := func(answer string) bool { return strings.HasPrefix(answer, `1 "\x00`) }
		query := func(c *rawConn, format string) func() string {
			return func() string { return c.query(fmt.Sprintf(format, id)) }
		}
		cases := map[string]struct {
			kill     func() string
			accepted bool
			kills    bool
		}{
			"query":       {query(killer, "KILL QUERY %d"), true, true},
			"commented":   {query(killer, "/* tool */ kill query %d;"), true, true},
			"no right":    {query(stranger, "KILL QUERY %d"), false, false},
			"left out":    {query(killer, "/*!99999 KILL QUERY %d */ DO 0"), true, false},
			"in a string": {query(killer, "DO ';KILL QUERY %d'"), true, false},
			"prepared": {func() string {
				killer.do(fmt.Sprintf("\x16KILL QUERY %d", id))
				return killer.do(killer.execute(1, 0))
			}, true, true},
			"pipelined": {func() string {
				var b []byte
				for _, q := range []string{"DO SLEEP(0.05)", fmt.Sprintf("KILL QUERY %d", id)} {
					b, _ = wire.AppendPacket(b, wire.AppendQuery(nil, q, killer.s), 0)
				}
				killer.Write(b)
				killer.answer(wire.ComQuery)
				return killer.answer(wire.ComQuery)
			}, true, true},
		}
		for name, k := range cases {
			t.Run(name, func(t *testing.T) {
				answer := make(chan string)
				go func() { answer <- victim.query("ALTER something") }()
				c := <-begun
				if got := k.kill(); ok(got) != k.accepted {
					t.Errorf("the KILL is answered with %s", got)
				}
				if got := isClosed(c.Killed()); got != k.kills {
					t.Errorf("killed: %v, want %v", got, k.kills)
				}
				told <- true
				if got := <-answer; !ok(got) {
					t.Errorf("the client is told %s", got)
				}
			})
		}
		t.Run("the one before", func(t *testing.T) {
			killer.query(fmt.Sprintf("KILL QUERY %d", id))
			answer := make(chan string)
			go func() { answer <- victim.query("ALTER something") }()
			c := <-begun
			if isClosed(c.Killed()) {
				t.Error("it was killed before it began")
			}
			told <- true
			<-answer
		})
		t.Run("COM_PROCESS_KILL", func(t *testing.T) { // MySQL 9 has no such command
			ended := make(chan struct{})
			go func() {
				victim.sendSeq(wire.AppendQuery(nil, "ALTER something", victim.s), 0)
				victim.readErr()
				close(ended)
			}()
			c := <-begun
			got := killer.do(string(binary.LittleEndian.AppendUint32([]byte{wire.ComProcessKill}, id)))
			if isClosed(c.Killed()) != ok(got) || ok(got) != (s.Flavor == testmysql.MariaDB) {
				t.Errorf("killed: %v, answer %s", !ok(got), got)
			}
			told <- true
			<-ended
		})
	})
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
