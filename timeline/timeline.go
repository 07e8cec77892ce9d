// Package timeline remembers the last minutes: what the applications felt in each second,
// and in which phase each migration of this process was.
package timeline

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"midflight/ghost"
	"midflight/ghost/pace"
	"midflight/schema"
)

// Kept is how far back it goes: what is shown, and somewhat more for who was away.
const Kept = 20 * time.Minute

// A Timeline has the samples and the migrations. Its methods are safe for concurrent use.
type Timeline struct {
	counts func() pace.Felt

	mu         sync.Mutex // guards what follows
	samples    []Sample   // oldest first
	migrations map[int64]*Migration
}

// A Migration is where one has been.
type Migration struct {
	ID       int64
	Table    schema.Name
	Spans    []Span // one after the other
	Blockers []Blocker
}

// A Span is the time in a phase. To is zero while that lasts.
type Span struct {
	Phase    ghost.Phase
	From, To time.Time
}

// A Blocker is who a cut-over waits for now.
type Blocker struct {
	ghost.Blocker
	Since time.Time
}

// New makes a timeline of counts that only grow; Run fills it.
func New(counts func() pace.Felt) *Timeline {
	return &Timeline{counts: counts, migrations: map[int64]*Migration{}}
}

// Run takes a sample a second until ctx ends.
func (t *Timeline) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	before, from := t.counts(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, counts := time.Now(), t.counts()
		t.add(between(before, counts, from, now))
		before, from = counts, now
	}
}

func (t *Timeline) add(s Sample) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.samples = append(t.samples, s)
	horizon := s.At.Add(-Kept)
	old, _ := slices.BinarySearchFunc(t.samples, horizon, func(s Sample, at time.Time) int { return s.At.Compare(at) })
	t.samples = t.samples[old:] // append leaves the rest behind when it makes room
	for id, m := range t.migrations {
		if end := m.Spans[len(m.Spans)-1].To; !end.IsZero() && end.Before(horizon) {
			delete(t.migrations, id)
		}
	}
}

// Since are the samples after a moment, oldest first.
func (t *Timeline) Since(at time.Time) []Sample {
	t.mu.Lock()
	defer t.mu.Unlock()
	first, found := slices.BinarySearchFunc(t.samples, at, func(s Sample, at time.Time) int { return s.At.Compare(at) })
	if found {
		first++
	}
	return slices.Clone(t.samples[first:])
}

// Migrations are those that have run within Kept, by their id.
func (t *Timeline) Migrations() []Migration {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]Migration, 0, len(t.migrations))
	for _, m := range t.migrations {
		c := *m
		c.Spans = slices.Clone(m.Spans) // Blockers are replaced, not written to
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Migration) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Observe takes what the engine tells.
func (t *Timeline) Observe(e ghost.Event) { t.observe(e, time.Now()) }

func (t *Timeline) observe(e ghost.Event, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e := e.(type) {
	case ghost.PhaseChanged:
		t.enter(e.ID, e.Table, e.Phase, now)
	case ghost.TakenOver:
		t.enter(e.ID, e.Table, e.Phase, now)
	case ghost.Ended:
		t.leave(e.ID, now)
	case ghost.Left:
		t.leave(e.ID, now)
	case ghost.Blocked:
		if m := t.migrations[e.ID]; m != nil {
			m.block(e.By, now)
		}
	}
}

func (t *Timeline) enter(id int64, table schema.Name, p ghost.Phase, now time.Time) {
	m := t.migrations[id]
	if m == nil {
		if p.Terminal() {
			return
		}
		m = &Migration{ID: id, Table: table}
		t.migrations[id] = m
	}
	m.end(now)
	if !p.Terminal() {
		m.Spans = append(m.Spans, Span{Phase: p, From: now})
	}
}

func (t *Timeline) leave(id int64, now time.Time) {
	if m := t.migrations[id]; m != nil {
		m.end(now)
		m.Blockers = nil
	}
}

func (m *Migration) end(now time.Time) {
	if n := len(m.Spans); n > 0 && m.Spans[n-1].To.IsZero() {
		m.Spans[n-1].To = now
	}
}

func (m *Migration) block(by []ghost.Blocker, now time.Time) {
	m.Blockers = nil
	for _, b := range by {
		m.Blockers = append(m.Blockers, Blocker{b, now.Add(-b.Age)})
	}
}
