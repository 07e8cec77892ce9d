// Package metrics turns events into Prometheus series.
package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"midflight/ghost"
	"midflight/intercept"
	"midflight/proxy"
)

// Metrics are all series of this process.
type Metrics struct {
	Registry *prometheus.Registry

	sessions     prometheus.Gauge
	closed       *prometheus.CounterVec
	handshakes   *prometheus.CounterVec
	changes      *prometheus.CounterVec
	phases       *prometheus.GaugeVec
	ended        *prometheus.CounterVec
	rowsCopied   prometheus.Counter
	chunkSeconds prometheus.Histogram
	keysApplied  prometheus.Counter
	applySeconds prometheus.Histogram
	cutOvers     *prometheus.CounterVec
	lockSeconds  prometheus.Histogram
	holdSeconds  prometheus.Histogram
	held         prometheus.Counter

	mu       sync.Mutex            // guards what follows: Migration is called by several goroutines
	phase    map[int64]ghost.Phase // of running migrations
	blockers map[int64]int         // of running migrations that have some
	since    time.Time             // when the first of blockers came
	blocked  time.Duration         // with blockers, before since
}

// New registers the series.
func New() *Metrics {
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
	m.sessions = prometheus.NewGauge(prometheus.GaugeOpts{Name: "midflight_sessions", Help: "Client sessions that are open."})
	m.phases = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "midflight_migrations", Help: "Migrations that this process runs, by phase."}, []string{"phase"})
	m.Registry.MustRegister(m.sessions, m.phases, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.closed = counters("sessions_closed_total", "Sessions that have ended, by who ended them and why.", "blame", "reason")
	m.handshakes = counters("handshakes_failed_total", "Connections that never became a session, by whose fault it was and why.", "blame", "reason")
	m.changes = counters("schema_changes_total", "Schema changes seen, by what was done with them.", "verdict")
	m.ended = counters("migrations_ended_total", "Migrations that have ended, by their last phase.", "phase")
	m.rowsCopied = counter("rows_copied_total", "Rows copied into shadow tables.")
	m.keysApplied = counter("keys_applied_total", "Changed keys applied to shadow tables.")
	fine := prometheus.ExponentialBuckets(0.001, 2, 14)
	m.chunkSeconds = histogram("chunk_seconds", "Time to copy a chunk.", fine)
	m.applySeconds = histogram("apply_seconds", "Time to apply a batch of changed keys.", fine)
	m.cutOvers = counters("cutover_attempts_total", "Attempts at the exclusive lock, by outcome.", "outcome")
	m.lockSeconds = histogram("cutover_lock_seconds", "Lock to unlock of cut-overs.", fine)
	m.holdSeconds = histogram("hold_seconds", "The longest hold of a statement in an attempt that held any.", fine)
	m.Registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "midflight_cutover_blockers", Help: "Sessions that cut-overs wait for."}, m.blockersNow),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "midflight_cutover_blocked_seconds_total", Help: "Time during which some cut-over waited for others' sessions."}, m.blockedSeconds))
	m.held = counter("statements_held_total", "Statements that were held in the proxy for a cut-over.")
	return m
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
		m.changes.WithLabelValues("intercepted").Inc()
	case intercept.Forwarded:
		m.changes.WithLabelValues("forwarded").Inc()
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
	case ghost.Left: // whoever goes on with it has it in his metrics
		m.forget(e.ID)
	case ghost.ChunkCopied:
		m.rowsCopied.Add(float64(e.Rows))
		m.chunkSeconds.Observe(e.Took.Seconds())
	case ghost.KeysApplied:
		m.keysApplied.Add(float64(e.Keys))
		m.applySeconds.Observe(e.Took.Seconds())
	case ghost.CutOverTried:
		outcome := "done"
		if e.Err != nil {
			outcome = "not_now"
		}
		m.cutOvers.WithLabelValues(outcome).Inc()
		if e.Locked > 0 {
			m.lockSeconds.Observe(e.Locked.Seconds())
		}
		if e.Held > 0 {
			m.held.Add(float64(e.Held))
			m.holdSeconds.Observe(e.Longest.Seconds())
		}
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

// block records how many sessions a migration waits for.
func (m *Metrics) block(id int64, blockers int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.blockers) > 0
	if blockers > 0 {
		m.blockers[id] = blockers
	} else {
		delete(m.blockers, id)
	}
	switch now := len(m.blockers) > 0; {
	case now && !before:
		m.since = time.Now()
	case before && !now:
		m.blocked += time.Since(m.since)
	}
}

func (m *Metrics) blockersNow() (sum float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.blockers {
		sum += float64(n)
	}
	return sum
}

// blockedSeconds counts as it happens: who is waited for may stay for hours.
func (m *Metrics) blockedSeconds() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.blocked
	if len(m.blockers) > 0 {
		d += time.Since(m.since)
	}
	return d.Seconds()
}
