package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"midflight/ghost"
	"midflight/internal/testmysql"
	"midflight/store"
	"midflight/throttle"
)

// Every word about a limit stays, with whose it was and what it was before, also the one
// that takes the limit back: in the trail, and in the history of who was running then.
func TestLimitsAreInTheTrail(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		keep, _ := open(t, s)
		db := ours(t, s, "root")
		running, err := keep.Create(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		ended, err := keep.Create(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if err := keep.Finish(t.Context(), ghost.Status{ID: ended, Table: request.Table, Phase: ghost.Canceled}, ghost.Result{}); err != nil {
			t.Fatal(err)
		}
		s.Exec(t, "DROP USER IF EXISTS 'an@n'@'%', bob@'%'", "CREATE USER 'an@n'@'%', bob@'%'", "GRANT EXECUTE ON midflight.* TO 'an@n'@'%', bob@'%'")
		defer s.Exec(t, "DROP USER 'an@n'@'%', bob@'%'")
		for _, word := range []struct{ user, allowed string }{{"an@n", "'500ms'"}, {"bob", "'OFF'"}, {"bob", "NULL"}} {
			if _, err := ours(t, s, word.user).Exec("CALL midflight.limit('replica_lag', " + word.allowed + ")"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := ours(t, s, "bob").Exec("CALL midflight.limit('replica_lag', 'nonsense')"); err == nil {
			t.Error("a limit can be nonsense")
		}

		list, err := store.History(t.Context(), db, store.Filter{Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range slices.Backward(list) {
			why, _, _ := strings.Cut(c.Why, " since")
			why, _, _ = strings.Cut(why, "@127")
			got = append(got, fmt.Sprintf("%d %q %s %s: %s; %s", c.ID, c.Table, c.Outcome, c.User, c.Text, why))
			if c.Host == "" || c.Session == 0 || !c.Took.Valid {
				t.Errorf("from where, or when, is not told: %+v", c)
			}
		}
		want := []string{
			`0 "" said an@n: CALL midflight.limit('replica_lag', '500ms'); it was as configured`,
			`0 "" said bob: CALL midflight.limit('replica_lag', 'off'); it was 500ms by an@n`,
			`0 "" said bob: CALL midflight.limit('replica_lag', NULL); it was off by bob`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("the trail:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}

		for id, want := range map[int64][]string{running: {"limit replica_lag is 500ms: CALL by an@n@", "limit replica_lag is off: CALL by bob@", "limit replica_lag is as configured: CALL by bob@"}, ended: nil} {
			events, err := store.Events(t.Context(), db, id)
			if err != nil {
				t.Fatal(err)
			}
			events = slices.DeleteFunc(events, func(e store.Event) bool { return e.Kind != ghost.EntryControl })
			if len(events) != len(want) {
				t.Fatalf("events of migration %d: %+v, want %q", id, events, want)
			}
			for i, e := range events {
				if !strings.HasPrefix(e.Text, want[i]) || e.By == "" {
					t.Errorf("migration %d: %+v, want %q", id, e, want[i])
				}
			}
		}
	})
}

// What the procedure takes the Midflights can read, but for a time zone that nobody knows,
// and what they can't read it refuses.
func TestLimitsForm(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		open(t, s)
		db := ours(t, s, "root")
		defer db.Exec("DELETE FROM midflight.limits")
		for _, c := range []struct{ name, value string }{
			{"window", "99:00-98:00"}, {"window", "22:60-23:00"}, {"window", "22:00-06:00 Europe/Berlin"}, {"window", "5:30-23:59 +02:00"}, {"window", "night"},
			{"disk_free", "200%"}, {"disk_free", "100%"}, {"disk_free", "0%"}, {"disk_free", "0.05"}, {"disk_free", "1.5%"}, {"disk_free", "5"},
			{"app_latency", "0"}, {"app_latency", "0.0"}, {"app_latency", "0.5"}, {"app_latency", "10"},
			{"replica_lag", "0s"}, {"replica_lag", "0.3"}, {"replica_lag", "300ms"}, {"replica_lag", "-1s"}, {"replica_lag", "off"},
			{"breaker", "0s"}, {"breaker", "10"}, {"breaker", "1m"}, {"query", "100"},
		} {
			_, unreadable := throttle.DefaultRules.With(c.name, c.value)
			_, refused := db.Exec("CALL midflight.limit(?, ?)", c.name, c.value)
			if (unreadable == nil) != (refused == nil) {
				t.Errorf("%s = %q: the procedure says %v, the Midflights %v", c.name, c.value, refused, unreadable)
			}
		}
	})
}
