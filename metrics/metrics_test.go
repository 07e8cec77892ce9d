package metrics_test

import (
	"errors"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"midflight/ghost"
	"midflight/intercept"
	"midflight/metrics"
	"midflight/proxy"
	"midflight/schema"
	"midflight/throttle"
)

func page(m *metrics.Metrics) string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// filled has something in every series.
func filled() *metrics.Metrics {
	m := metrics.New("v1")
	table := schema.Name{Schema: "shop", Table: "orders"}
	m.Ready(func() bool { return true })
	m.Commands(func() proxy.Stats {
		return proxy.Stats{FromClients: 10, FromServers: 20, Commands: []proxy.CommandStats{{
			Command: "query", Begun: 3, Failed: 1,
			Latency: proxy.Latency{Count: 3, Sum: time.Millisecond, Slots: []proxy.LatencySlot{
				{End: 1024 * time.Nanosecond, Count: 1}, {End: 65536 * time.Nanosecond, Count: 2}}},
		}, {Command: "ping"}}}
	})
	m.Running(func() []ghost.Status {
		return []ghost.Status{
			{ID: 2, Table: table, Phase: ghost.Copying, RowsCopied: 500, RowsTotal: 1000, Progress: 0.5, Rate: 100, ETA: 5 * time.Second, ETAError: time.Second,
				Building: 1, Backlog: 3, WaitingFor: "a secret of somebody's", Streaming: true, Behind: 1500 * time.Millisecond},
			{ID: 4, Table: table, Phase: ghost.Queued, ETA: -1, Behind: -1},
			{ID: 5, Table: table, Phase: ghost.Copying, ETA: -1, Behind: time.Minute}, // its connection is lost
			{ID: 6, Table: table, Phase: ghost.Completed},
		}
	})
	m.Signals(func() []throttle.Reading {
		return []throttle.Reading{
			{Signal: throttle.ReplicaLag, Of: "db2:3306", Value: 0.5, Limit: 2, At: time.Now()},
			{Signal: throttle.ReplicaLag, Of: "db3:3306", Limit: 2, Problem: "a secret of its server's", At: time.Now().Add(-time.Hour)},
			{Signal: throttle.HistoryList, Value: 7, At: time.Now()},
		}
	})
	m.Migration(ghost.Throttled{ID: 1, Signal: throttle.ReplicaLag, For: 1500 * time.Millisecond})
	m.Migration(ghost.Broken{ID: 1})
	m.Session(proxy.SessionOpened{ID: 1})
	m.Session(proxy.SessionOpened{ID: 2})
	m.Session(proxy.SessionClosed{ID: 1, Blame: proxy.BlameClient, Reason: proxy.ReasonQuit, Commands: 3, FromClient: 10, FromServer: 20})
	m.Session(proxy.HandshakeFailed{Blame: proxy.BlameServer, Reason: proxy.ReasonServerRefused})
	m.Interception(intercept.Intercepted{Migration: 1, Table: table})
	m.Interception(intercept.Forwarded{Reason: "a secret of the application's"})
	m.Migration(ghost.PhaseChanged{ID: 1, Table: table, Phase: ghost.Preparing})
	m.Migration(ghost.PhaseChanged{ID: 1, Table: table, Phase: ghost.Copying})
	m.Migration(ghost.PhaseChanged{ID: 2, Table: table, Phase: ghost.Copying})
	m.Migration(ghost.ChunkCopied{Rows: 1000, Took: time.Second})
	m.Migration(ghost.KeysApplied{Keys: 7, Took: time.Millisecond})
	m.Migration(ghost.RowsCompared{Rows: 900, Ranges: 1, Took: time.Millisecond})
	m.Migration(ghost.RowsCompared{Rows: 10, Different: 2, Took: time.Millisecond})
	m.Migration(ghost.Diverged{ID: 1, Table: table})
	m.Migration(ghost.Blocked{ID: 2, Table: table, By: make([]ghost.Blocker, 3)})
	m.Migration(ghost.BlockerKilled{})
	m.Migration(ghost.BlockerKilled{Err: errors.New("not mine")})
	m.Migration(ghost.CutOverTried{ID: 1, Err: errors.New("later")})
	m.Migration(ghost.CutOverTried{ID: 1, Locked: time.Millisecond, Held: 2, Longest: time.Millisecond})
	m.Migration(ghost.HeldForOther{ID: 9, Held: 3, Longest: time.Millisecond})
	m.Migration(ghost.Interrupted{ID: 1, Table: table, Err: errors.New("gone")})
	m.Migration(ghost.ChoresFailed{Err: errors.New("gone")})
	m.Migration(ghost.TakenOver{ID: 7, Table: table})
	m.Migration(ghost.Left{ID: 7, Table: table, Err: errors.New("not mine")})
	m.Migration(ghost.Ended{ID: 1, Table: table, Phase: ghost.Completed, Rows: 1000})
	m.Migration(ghost.Ended{ID: 3, Table: table, Phase: ghost.Failed}) // never ran
	return m
}

func TestSeries(t *testing.T) {
	m := filled()
	text := page(m)
	for _, line := range []string{
		"midflight_sessions 1", `midflight_sessions_closed_total{blame="client",reason="quit"} 1`, `midflight_handshakes_failed_total{blame="server",reason="server_refused"} 1`,
		`midflight_commands_total{command="query"} 3`, `midflight_bytes_total{from="client"} 10`, `midflight_bytes_total{from="server"} 20`,
		`midflight_commands_failed_total{command="query"} 1`, `midflight_command_duration_seconds_bucket{command="query",le="1.6384e-05"} 1`,
		`midflight_command_duration_seconds_bucket{command="query",le="6.5536e-05"} 3`, `midflight_command_duration_seconds_count{command="query"} 3`,
		`midflight_schema_changes_total{verdict="forwarded"} 1`, `midflight_schema_changes_total{verdict="intercepted"} 1`,
		`midflight_migrations{phase="copying"} 1`, `midflight_migrations{phase="preparing"} 0`,
		`midflight_migrations_ended_total{phase="completed"} 1`, `midflight_migrations_ended_total{phase="failed"} 1`,
		"midflight_rows_copied_total 1000", "midflight_keys_applied_total 7", "midflight_chunk_seconds_count 1",
		`midflight_cutover_attempts_total{outcome="done"} 1`, `midflight_cutover_attempts_total{outcome="not_now"} 1`,
		"midflight_cutover_lock_seconds_count 1", "midflight_hold_seconds_count 2", "midflight_statements_held_total 5", "midflight_ready 1",
		`midflight_build_info{goversion="` + runtime.Version() + `",version="v1"} 1`,
		`midflight_migrations_ended_total{phase="canceled"} 0`, "midflight_migrations_taken_over_total 1", "midflight_migrations_left_total 1",
		"midflight_migrations_interrupted_total 1", "midflight_chores_failed_total 1", "midflight_blockers_killed_total 1",
		"midflight_rows_compared_total 910", "midflight_ranges_compared_total 1", "midflight_rows_different_total 2", "midflight_tables_diverged_total 1", "midflight_compare_seconds_count 2",
		`midflight_throttled_seconds_total{signal="replica_lag"} 1.5`, "midflight_breaker_trips_total 1",
		`midflight_migration_phase{migration="2",phase="copying"} 1`, `midflight_migration_phase{migration="2",phase="ready"} 0`, `midflight_migration_phase{migration="4",phase="queued"} 1`,
		`midflight_migration_rows_copied{migration="2"} 500`, `midflight_migration_rows_estimate{migration="2"} 1000`, `midflight_migration_progress_ratio{migration="2"} 0.5`,
		`midflight_migration_rows_per_second{migration="2"} 100`, `midflight_migration_eta_seconds{migration="2"} 5`, `midflight_migration_eta_error_seconds{migration="2"} 1`,
		`midflight_migration_building_indexes{migration="2"} 1`, `midflight_migration_backlog_keys{migration="2"} 3`, `midflight_migration_waiting{migration="2"} 1`, `midflight_migration_waiting{migration="4"} 0`,
		`midflight_migration_blockers{migration="2"} 3`, `midflight_migration_binlog_connected{migration="2"} 1`, `midflight_migration_binlog_lag_seconds{migration="2"} 1.5`,
		`midflight_migration_binlog_connected{migration="5"} 0`,
		`midflight_signal_value{of="db2:3306",signal="replica_lag"} 0.5`, `midflight_signal_limit{of="db3:3306",signal="replica_lag"} 2`, `midflight_signal_load_ratio{of="db2:3306",signal="replica_lag"} 0.25`,
		`midflight_signal_ok{of="db2:3306",signal="replica_lag"} 1`, `midflight_signal_ok{of="db3:3306",signal="replica_lag"} 0`, `midflight_signal_value{of="",signal="history_list"} 7`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("not there: %s", line)
		}
	}
	for _, series := range []string{
		`midflight_migration_eta_seconds{migration="4"}`, `midflight_migration_binlog_connected{migration="4"}`, `midflight_migration_binlog_lag_seconds{migration="4"}`, `migration="6"`,
		`midflight_signal_value{of="db3:3306"`, `midflight_signal_load_ratio{of="db3:3306"`, `midflight_signal_limit{of="",signal="history_list"}`, `midflight_signal_load_ratio{of="",`,
	} {
		if strings.Contains(text, series) {
			t.Errorf("there: %s", series)
		}
	}
	if strings.Contains(text, "secret") || strings.Contains(text, "orders") {
		t.Error("the application's texts are in the series")
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestBlockers(t *testing.T) {
	m := metrics.New("v1")
	table := schema.Name{Schema: "shop", Table: "orders"}
	blocked := func(id int64, n int) { m.Migration(ghost.Blocked{ID: id, Table: table, By: make([]ghost.Blocker, n)}) }
	series := func(name string) float64 {
		t.Helper()
		_, rest, found := strings.Cut(page(m), "\n"+name+" ")
		line, _, _ := strings.Cut(rest, "\n")
		v, err := strconv.ParseFloat(line, 64)
		if err != nil || !found {
			t.Fatalf("%s: %q, %v", name, line, err)
		}
		return v
	}
	var last float64
	check := func(after string, blockers float64, running bool) {
		t.Helper()
		if got := series("midflight_cutover_blockers"); got != blockers {
			t.Errorf("%s: %v blockers, want %v", after, got, blockers)
		}
		first := series("midflight_cutover_blocked_seconds_total")
		if second := series("midflight_cutover_blocked_seconds_total"); first < last || second > first != running {
			t.Errorf("%s: %v, %v and %v seconds, running: %v", after, last, first, second, running)
		}
		last = series("midflight_cutover_blocked_seconds_total")
	}
	check("at first", 0, false)
	if last != 0 {
		t.Errorf("%v seconds at first", last)
	}
	blocked(1, 2)
	check("one waits for two", 2, true)
	blocked(2, 3)
	check("another waits for three", 5, true)
	blocked(1, 1)
	check("one of the two has gone", 4, true)
	blocked(1, 0)
	check("both have gone", 3, true)
	m.Migration(ghost.Ended{ID: 2, Table: table, Phase: ghost.Canceled}) // without a last word on its blockers
	check("the other has ended", 0, false)
	blocked(3, 1)
	check("a third one waits", 1, true)
	blocked(3, 0)
	check("and no more", 0, false)
	problems, err := promlint.New(strings.NewReader(page(m))).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
