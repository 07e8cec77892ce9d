package timeline

import (
	"testing"
	"time"

	"midflight/ghost"
	"midflight/ghost/pace"
	"midflight/schema"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestBetween(t *testing.T) {
	slot := func(n uint64) pace.Latency {
		return pace.Latency{Slots: []pace.Slot{{End: 4 * time.Millisecond, Count: n}}}
	}
	s := between(pace.Felt{Latency: slot(100), Failed: 3}, pace.Felt{Latency: slot(300), Failed: 7}, noon, noon.Add(2*time.Second))
	if s.Rate != 100 || s.Failures != 2 || s.P50 < 3*time.Millisecond || s.P99 > 4*time.Millisecond || !s.At.Equal(noon.Add(2*time.Second)) {
		t.Errorf("%+v", s)
	}
	if s := between(pace.Felt{Latency: slot(300), Failed: 7}, pace.Felt{Latency: slot(300), Failed: 7}, noon, noon.Add(time.Second)); s.Rate != 0 || s.P50 != 0 || s.P99 != 0 {
		t.Errorf("of a silent second: %+v", s)
	}
}

func TestSamplesAreForgotten(t *testing.T) {
	tl := New(nil)
	table := schema.Name{Schema: "shop", Table: "t"}
	tl.observe(ghost.PhaseChanged{ID: 1, Table: table, Phase: ghost.Copying}, noon)
	tl.observe(ghost.Ended{ID: 1, Table: table, Phase: ghost.Completed}, noon)
	tl.observe(ghost.PhaseChanged{ID: 2, Table: table, Phase: ghost.Copying}, noon)
	last := noon
	for range 3 * Kept / time.Second {
		last = last.Add(time.Second)
		tl.add(Sample{At: last})
	}
	all := tl.Since(time.Time{})
	if n := len(all); n != int(Kept/time.Second)+1 || cap(tl.samples) > 3*n {
		t.Errorf("%d samples are kept, in room for %d", n, cap(tl.samples))
	}
	if got := tl.Since(last.Add(-2 * time.Second)); len(got) != 2 || !got[1].At.Equal(last) {
		t.Errorf("the last two: %v", got)
	}
	if got := tl.Since(last); len(got) != 0 {
		t.Errorf("after the last: %v", got)
	}
	if m := tl.Migrations(); len(m) != 1 || m[0].ID != 2 {
		t.Errorf("one that runs stays, one that has ended long ago goes: %v", m)
	}
}

func TestSpans(t *testing.T) {
	tl := New(nil)
	table := schema.Name{Schema: "shop", Table: "t"}
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	tl.observe(ghost.PhaseChanged{ID: 7, Table: table, Phase: ghost.Copying}, at(1))
	tl.observe(ghost.PhaseChanged{ID: 7, Table: table, Phase: ghost.CuttingOver}, at(5))
	tl.observe(ghost.Blocked{ID: 7, Table: table, By: []ghost.Blocker{{Connection: 12, Age: 3 * time.Second}}}, at(6))
	if m := tl.Migrations()[0]; len(m.Blockers) != 1 || !m.Blockers[0].Since.Equal(at(3)) || !m.Spans[1].To.IsZero() {
		t.Errorf("while it waits: %+v", m)
	}
	tl.observe(ghost.Blocked{ID: 7, Table: table}, at(7))
	if m := tl.Migrations()[0]; len(m.Blockers) != 0 {
		t.Errorf("nobody is waited for any more: %+v", m)
	}
	tl.observe(ghost.PhaseChanged{ID: 7, Table: table, Phase: ghost.Completed}, at(8))
	tl.observe(ghost.Ended{ID: 7, Table: table, Phase: ghost.Completed}, at(9))
	want := []Span{{ghost.Copying, at(1), at(5)}, {ghost.CuttingOver, at(5), at(8)}}
	if m := tl.Migrations()[0]; len(m.Spans) != 2 || m.Spans[0] != want[0] || m.Spans[1] != want[1] {
		t.Errorf("%+v, want %+v", m.Spans, want)
	}
}
