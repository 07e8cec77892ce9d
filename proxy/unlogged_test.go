package proxy

import (
	"testing"

	"midflight/internal/testmysql"
	"midflight/proxy/wire"
)

// What a session without a binlog does counts when it has ended; meanwhile it is
// seen running.
func TestUnloggedCounts(t *testing.T) {
	each(t, func(t *testing.T, s *testmysql.Server) {
		srv, addr := startProxy(t, Config{Server: s.Addr})
		c, other := dialRaw(t, addr, "", 0), dialRaw(t, addr, "", 0)
		last := uint64(0)
		rests := func(what string, moves bool) {
			t.Helper()
			await(t, func() bool { _, running := srv.Unlogged(); return !running })
			ended, _ := srv.Unlogged()
			if ended > last != moves {
				t.Errorf("%s: from %d to %d", what, last, ended)
			}
			last = ended
		}
		blocked := func(pipelined ...string) {
			t.Helper()
			other.query("SELECT GET_LOCK('unlogged', 0)")
			var b []byte
			for _, q := range append(pipelined, "SELECT GET_LOCK('unlogged', 60)") {
				b, _ = wire.AppendPacket(b, wire.AppendQuery(nil, q, c.s), 0)
			}
			c.Write(b)
			await(t, func() bool { _, running := srv.Unlogged(); return running })
		}
		c.query("SELECT 1")
		rests("logged", false)
		c.query("SET sql_log_bin = 0")
		rests("switched off", true)
		rests("idle", false)
		other.query("SELECT 1")
		rests("another session", false)
		c.query("SELECT 2")
		rests("a command", true)
		blocked("SELECT 3", "SELECT 4")
		c.answer(wire.ComQuery)
		c.answer(wire.ComQuery)
		if _, running := srv.Unlogged(); !running {
			t.Error("the last of three commands isn't seen running")
		}
		other.query("SELECT RELEASE_LOCK('unlogged')")
		c.answer(wire.ComQuery)
		rests("three commands", true)
		c.query("SELECT RELEASE_LOCK('unlogged')")
		c.query("SET sql_log_bin = 1")
		rests("switched on", true)
		c.query("SELECT 5")
		rests("logged again", false)
		blocked("SET sql_log_bin = 0")
		c.Close()
		rests("the client is gone", true)
	})
}

func TestSwitchesLog(t *testing.T) {
	for text, want := range map[string]bool{
		"SET sql_log_bin = 0":                                    true,
		"/* x */ set @@session.SQL_LOG_BIN := off":               true,
		"/*!40000 SET sql_log_bin=0 */":                          true,
		"SELECT 1; SET sql_log_bin = 0":                          true,
		"PREPARE s FROM 'SET sql_log_bin = 0'":                   true,
		"SET STATEMENT sql_log_bin = 0 FOR INSERT INTO t SELECT": true,
		"BEGIN NOT ATOMIC SET sql_log_bin = 0; END":              true,
		"SET sql_mode = ''":                                      false,
		"INSERT INTO t VALUES ('sql_log_bin')":                   false,
		"":                                                       false,
	} {
		if got := switchesLog([]byte(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestSwitchesOn(t *testing.T) {
	for text, want := range map[string]bool{
		"SET sql_log_bin = 1":                      true,
		" set  session sql_log_bin=ON ; ":          true,
		"SET @@session.sql_log_bin := 1":           true,
		"SET @@SQL_LOG_BIN=default":                true,
		"SET sql_log_bin = 0":                      false,
		"SET sql_log_bin = 1, autocommit=0":        false,
		"SET sql_log_bin = 1; SET sql_log_bin = 0": false,
		"SET x = 1":       false,
		"sql_log_bin = 1": false,
	} {
		if got := switchesOn([]byte(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
