package replication

import (
	"database/sql"
	"strings"
	"testing"

	"midflight/internal/testmysql"
	"midflight/throttle"
)

// TestFailsClosed: of a replica nobody knows how far it is. No rows are copied then, and
// the reason is told; they are when it is known again.
func TestFailsClosed(t *testing.T) {
	topologies(t, func(t *testing.T, top *topology) {
		chained := top.add(t, top.replicas[0])
		top.fill(t, 20_000)
		m := top.midflight(t, "--keep-old", "0")
		waits := func(t *testing.T, for_ string) {
			t.Helper()
			await(t, for_, func() bool { return strings.Contains(top.latest(t, "waiting_for"), for_) })
			before, booked := top.latest(t, "rows_copied"), top.booked(t, throttle.ReplicaLag)
			await(t, "another second to be booked", func() bool { return top.booked(t, throttle.ReplicaLag) >= booked+1 })
			if after := top.latest(t, "rows_copied"); after != before {
				t.Errorf("%s rows were copied, then %s", before, after)
			}
		}
		stop, start := func(s *testmysql.Server, thread string) string {
			return term(s, "STOP REPLICA "+thread+"_THREAD", "STOP SLAVE "+thread+"_THREAD")
		}, func(s *testmysql.Server) string { return term(s, "START REPLICA", "START SLAVE") }
		held := func(t *testing.T) { // begun, and kept from copying by the operator
			t.Helper()
			alter(t, m, "")
			top.source.Exec(t, "CALL midflight.pause((SELECT MAX(id) FROM midflight.migrations))")
			await(t, "the pause", func() bool { return top.latest(t, "waiting_for") == "CALL midflight.resume" })
		}
		goOn := func(t *testing.T) {
			t.Helper()
			top.source.Exec(t, "CALL midflight.resume((SELECT MAX(id) FROM midflight.migrations))")
		}

		for name, c := range map[string]struct {
			replica     *testmysql.Server
			thread, why string
		}{
			"stopped":             {top.replicas[1], "SQL", "it is stopped: its SQL thread does not run"},
			"cut off":             {top.replicas[0], "IO", "it is cut off: its IO thread does not run"},
			"a replica's replica": {chained, "SQL", "it is stopped"},
		} {
			t.Run(name, func(t *testing.T) {
				held(t)
				c.replica.Exec(t, stop(c.replica, c.thread))
				goOn(t)
				waits(t, "replica_lag of "+c.replica.Addr+": "+c.why)
				c.replica.Exec(t, start(c.replica))
				top.awaitPhase(t, "completed")
			})
		}
		t.Run("gone", func(t *testing.T) {
			held(t)
			chained.Kill9(t)
			goOn(t)
			waits(t, "replica_lag of "+chained.Addr+": it can't be asked")
			chained.StartAgain(t)
			await(t, "it to follow again", func() bool {
				_, err := chained.DB(t).Exec(start(chained))
				return err == nil
			})
			top.awaitPhase(t, "completed")
		})
		t.Run("late on purpose", func(t *testing.T) {
			late := top.replicas[1]
			late.Exec(t, term(late, "STOP REPLICA", "STOP SLAVE"), term(late, "CHANGE REPLICATION SOURCE TO source_delay = 600", "CHANGE MASTER TO master_delay = 600"), start(late))
			alter(t, m, "")
			top.awaitPhase(t, "completed")
			late.Exec(t, term(late, "STOP REPLICA", "STOP SLAVE"), term(late, "CHANGE REPLICATION SOURCE TO source_delay = 0", "CHANGE MASTER TO master_delay = 0"), start(late))
			top.level(t)
		})
		t.Run("nobody's limit", func(t *testing.T) {
			held(t)
			top.replicas[1].Exec(t, stop(top.replicas[1], "SQL"))
			goOn(t)
			waits(t, "it is stopped")
			top.source.Exec(t, "CALL midflight.limit('replica_lag', 'off')")
			top.awaitPhase(t, "completed")
			top.source.Exec(t, "CALL midflight.limit('replica_lag', NULL)")
			top.replicas[1].Exec(t, start(top.replicas[1]))
			top.level(t)
		})
		t.Run("the same rows everywhere", func(t *testing.T) {
			top.level(t)
			want := sum(t, top.root)
			for _, r := range top.replicas {
				if got := sum(t, r.DB(t)); got != want {
					t.Errorf("%s: %s, want %s", r.Addr, got, want)
				}
			}
		})
	})
}

func sum(t *testing.T, db *sql.DB) (s string) {
	t.Helper()
	var name string
	if err := db.QueryRow("CHECKSUM TABLE shop.t").Scan(&name, &s); err != nil {
		t.Fatal(err)
	}
	return s
}
