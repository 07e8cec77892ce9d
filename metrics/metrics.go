// Package metrics turns events into Prometheus series. Each is in docs/metrics.md.
package metrics

import (
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"midflight/ghost"
	"midflight/intercept"
	"midflight/proxy"
)

// Metrics are all series of this process. No label has a name of the applications', of a
// table or a user: a migration is its number.
type Metrics struct {
	Registry *prometheus.Registry

	sessions       prometheus.Gauge
	closed         *prometheus.CounterVec
	handshakes     *prometheus.CounterVec
	changes        *prometheus.CounterVec
	phases         *prometheus.GaugeVec
	ended          *prometheus.CounterVec
	takenOver      prometheus.Counter
	left           prometheus.Counter
	interrupted    prometheus.Counter
	choresFailed   prometheus.Counter
	rowsCopied     prometheus.Counter
	chunkSeconds   prometheus.Histogram
	keysApplied    prometheus.Counter
	applySeconds   prometheus.Histogram
	throttled      *prometheus.CounterVec
	broken         prometheus.Counter
	rowsCompared   prometheus.Counter
	rangesCompared prometheus.Counter
	different      prometheus.Counter
	diverged       prometheus.Counter
	verifySeconds  prometheus.Histogram
	cutOvers       *prometheus.CounterVec
	lockSeconds    prometheus.Histogram
	holdSeconds    prometheus.Histogram
	held           prometheus.Counter
	killed         prometheus.Counter

	mu       sync.Mutex            // guards what follows: Migration is called by several goroutines
	phase    map[int64]ghost.Phase // of running migrations
	blockers map[int64]int         // of running migrations that have some
	since    time.Time             // when the first of blockers came
	blocked  time.Duration         // with blockers, before since
}

// New registers the series, of a program of this version. Those whose labels are known are
// there from the beginning: what appears with its first event has no increase by it.
func New(version string) *Metrics {
	m := &Metrics{Registry: prometheus.NewRegistry(), phase: map[int64]ghost.Phase{}, blockers: map[int64]int{}}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "midflight_" + name, Help: help})
		m.Registry.MustRegister(c)
		return c
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "midflight_" + name, Help: help}, labels)
		m.Registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "midflight_" + name, Help: help, Buckets: buckets})
		m.Registry.MustRegister(h)
		return h
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "midflight_build_info", Help: "1; the labels tell what was built.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()}})
	build.Set(1)
	m.sessions = prometheus.NewGauge(prometheus.GaugeOpts{Name: "midflight_sessions", Help: "Client sessions that are open."})
	m.phases = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "midflight_migrations", Help: "Migrations that this process runs, by phase."}, []string{"phase"})
	m.Registry.MustRegister(build, m.sessions, m.phases, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.closed = counters("sessions_closed_total", "Sessions that have ended, by who ended them and why.", "blame", "reason")
	m.handshakes = counters("handshakes_failed_total", "Connections that never became a session, by whose fault it was and why.", "blame", "reason")
	m.changes = counters("schema_changes_total", "Schema changes seen, by what was done with them.", "verdict")
	m.ended = counters("migrations_ended_total", "Migrations that have ended, by their last phase.", "phase")
	m.takenOver = counter("migrations_taken_over_total", "Migrations taken over that another Midflight has begun, or this one before it was restarted.")
	m.left = counter("migrations_left_total", "Migrations left to another Midflight.")
	m.interrupted = counter("migrations_interrupted_total", "How often a migration had to wait for the server.")
	m.choresFailed = counter("chores_failed_total", "Failures to drop old tables, to look for migrations that nobody runs, or to record an end. They are tried again.")
	m.rowsCopied = counter("rows_copied_total", "Rows copied into shadow tables.")
	m.keysApplied = counter("keys_applied_total", "Changed keys applied to shadow tables.")
	fine := prometheus.ExponentialBuckets(0.001, 2, 14)
	m.chunkSeconds = histogram("chunk_seconds", "Time to copy a chunk.", fine)
	m.applySeconds = histogram("apply_seconds", "Time to apply a batch of changed keys.", fine)
	m.broken = counter("breaker_trips_total", "Migrations that the circuit breaker has stopped, until somebody said resume.")
	m.throttled = counters("throttled_seconds_total", "Time during which copies were throttled, by the signal that was the reason.", "signal")
	m.rowsCompared = counter("rows_compared_total", "Rows of original tables compared with their shadows; changed ones several times.")
	m.rangesCompared = counter("ranges_compared_total", "Ranges compared by their checksums.")
	m.different = counter("rows_different_total", "Compared rows that differed, almost always by a change on its way; they are compared again.")
	m.diverged = counter("tables_diverged_total", "Shadow tables found to differ from their originals for no reason that is known. They are not swapped.")
	m.verifySeconds = histogram("compare_seconds", "Time to compare a range, or a batch of changed keys.", fine)
	m.cutOvers = counters("cutover_attempts_total", "Attempts at the exclusive lock, by outcome.", "outcome")
	m.lockSeconds = histogram("cutover_lock_seconds", "Lock to unlock of cut-overs.", fine)
	m.holdSeconds = histogram("hold_seconds", "The longest hold of a statement in an attempt that held any.", fine)
	m.Registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "midflight_cutover_blockers", Help: "Sessions that cut-overs wait for."}, m.blockersNow),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "midflight_cutover_blocked_seconds_total", Help: "Time during which some cut-over waited for others' sessions."}, m.blockedSeconds))
	m.held = counter("statements_held_total", "Statements that were held in the proxy for a cut-over.")
	m.killed = counter("blockers_killed_total", "Connections killed, as --cutover-blocked kill demands.")

	for _, p := range []ghost.Phase{ghost.Completed, ghost.Failed, ghost.Canceled} {
		m.ended.WithLabelValues(string(p))
	}
	for _, outcome := range []string{done, notNow} {
		m.cutOvers.WithLabelValues(outcome)
	}
	for _, verdict := range []string{intercepted, forwarded} {
		m.changes.WithLabelValues(verdict)
	}
	return m
}

// Values of labels.
const (
	done, notNow           = "done", "not_now"
	intercepted, forwarded = "intercepted", "forwarded"
)

// Ready registers whether clients can be carried to the server; is asked at every scrape.
func (m *Metrics) Ready(is func() bool) {
	m.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "midflight_ready", Help: "1 while clients are accepted and the server answers, as /readyz tells."}, func() float64 { return number(is()) }))
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Session counts what the proxy tells.
func (m *Metrics) Session(e proxy.Event) {
	switch e := e.(type) {
	case proxy.SessionOpened:
		m.sessions.Inc()
	case proxy.SessionClosed:
		m.sessions.Dec()
		m.closed.WithLabelValues(string(e.Blame), string(e.Reason)).Inc()
	case proxy.HandshakeFailed:
		m.handshakes.WithLabelValues(string(e.Blame), string(e.Reason)).Inc()
	}
}

// Interception counts what became of schema changes.
func (m *Metrics) Interception(e intercept.Event) {
	switch e.(type) {
	case intercept.Intercepted:
		m.changes.WithLabelValues(intercepted).Inc()
	case intercept.Forwarded:
		m.changes.WithLabelValues(forwarded).Inc()
	}
}

// Migration counts what the engine tells.
func (m *Metrics) Migration(e ghost.Event) {
	switch e := e.(type) {
	case ghost.PhaseChanged:
		m.enter(e.ID, e.Phase)
	case ghost.Blocked:
		m.block(e.ID, len(e.By))
	case ghost.Ended:
		m.enter(e.ID, e.Phase)
		m.block(e.ID, 0)
		m.ended.WithLabelValues(string(e.Phase)).Inc()
	case ghost.TakenOver:
		m.takenOver.Inc()
	case ghost.Left: // whoever goes on with it has it in his metrics
		m.forget(e.ID)
		m.left.Inc()
	case ghost.Interrupted:
		m.interrupted.Inc()
	case ghost.ChoresFailed:
		m.choresFailed.Inc()
	case ghost.ChunkCopied:
		m.rowsCopied.Add(float64(e.Rows))
		m.chunkSeconds.Observe(e.Took.Seconds())
	case ghost.Throttled:
		m.throttled.WithLabelValues(string(e.Signal)).Add(e.For.Seconds())
	case ghost.Broken:
		m.broken.Inc()
	case ghost.KeysApplied:
		m.keysApplied.Add(float64(e.Keys))
		m.applySeconds.Observe(e.Took.Seconds())
	case ghost.RowsCompared:
		m.rowsCompared.Add(float64(e.Rows))
		m.rangesCompared.Add(float64(e.Ranges))
		m.different.Add(float64(e.Different))
		m.verifySeconds.Observe(e.Took.Seconds())
	case ghost.Diverged:
		m.diverged.Inc()
	case ghost.BlockerKilled:
		if e.Err == nil {
			m.killed.Inc()
		}
	case ghost.HeldForOther:
		m.hold(e.Held, e.Longest)
	case ghost.CutOverTried:
		outcome := done
		if e.Err != nil {
			outcome = notNow
		}
		m.cutOvers.WithLabelValues(outcome).Inc()
		if e.Locked > 0 {
			m.lockSeconds.Observe(e.Locked.Seconds())
		}
		m.hold(e.Held, e.Longest)
	}
}

func (m *Metrics) hold(statements int, longest time.Duration) {
	if statements > 0 {
		m.held.Add(float64(statements))
		m.holdSeconds.Observe(longest.Seconds())
	}
}

func (m *Metrics) enter(id int64, p ghost.Phase) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if before, ok := m.phase[id]; ok {
		m.phases.WithLabelValues(string(before)).Dec()
	}
	delete(m.phase, id)
	if !p.Terminal() {
		m.phase[id] = p
		m.phases.WithLabelValues(string(p)).Inc()
	}
}

// forget: the migration is somebody else's.
func (m *Metrics) forget(id int64) {
	m.block(id, 0)
	m.mu.Lock()
	defer m.mu.Unlock()
	if before, ok := m.phase[id]; ok {
		m.phases.WithLabelValues(string(before)).Dec()
		delete(m.phase, id)
	}
}
