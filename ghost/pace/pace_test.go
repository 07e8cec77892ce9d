package pace

import (
	"strings"
	"testing"
	"time"
)

// of is n statements that took about d each, as the proxy's slots have it: a quarter wide.
func of(n uint64, d time.Duration) Latency {
	end := time.Microsecond
	for end <= d {
		end += end / 4
	}
	return Latency{[]Slot{{end, n}}}
}

func TestLatency(t *testing.T) {
	a := Latency{[]Slot{{10, 5}, {20, 3}}}
	b := Latency{[]Slot{{10, 7}, {15, 1}, {20, 3}, {40, 2}}}
	d := b.Since(a)
	if len(d.Slots) != 3 || d.Slots[0] != (Slot{10, 2}) || d.Slots[1] != (Slot{15, 1}) || d.Slots[2] != (Slot{40, 2}) {
		t.Errorf("since: %v", d)
	}
	if sum := d.And(a); sum.Count() != b.Count() || len(sum.Slots) != 4 {
		t.Errorf("and: %v", sum)
	}
	if q := (Latency{}).Quantile(0.99); q != 0 {
		t.Errorf("of none: %v", q)
	}
	for _, want := range []time.Duration{2 * time.Millisecond, 300 * time.Microsecond} {
		l := of(98, want/10).And(of(2, want))
		if q := l.Quantile(0.99); q < want*3/4 || q > want*5/4 {
			t.Errorf("quantile %s, want about %s", q, want)
		}
	}
}

func feel(p *Pace, ticks int, l Latency) {
	for range ticks {
		p.Feel(l)
	}
}

func TestPace(t *testing.T) {
	const ms = time.Millisecond
	t.Run("nobody is there: as much as can be", func(t *testing.T) {
		p := New(3, Latency{})
		feel(&p, 20, Latency{})
		if p.Level() != 3 || p.Busy() || p.Reason() != "" {
			t.Errorf("level %f, busy %v, %q", p.Level(), p.Busy(), p.Reason())
		}
	})
	t.Run("it begins with one, and takes more while nothing is felt", func(t *testing.T) {
		p := New(3, of(10_000, 4*ms))
		if p.Level() != 1 {
			t.Errorf("begins with %f", p.Level())
		}
		if feel(&p, 20, of(100, 4*ms)); p.Reason() != "" {
			t.Errorf("nothing is felt, and it says: %s", p.Reason())
		}
		feel(&p, 200, of(100, 4*ms))
		if p.Level() != 3 {
			t.Errorf("level %f", p.Level())
		}
	})
	t.Run("it gives way, tells why, and comes back", func(t *testing.T) {
		p := New(3, of(10_000, 4*ms))
		feel(&p, 100, of(100, 9*ms))
		if p.Level() != lowest || !strings.Contains(p.Reason(), "4") {
			t.Errorf("level %f, %q", p.Level(), p.Reason())
		}
		feel(&p, 500, of(100, 4*ms))
		if p.Level() != 3 || p.Reason() != "" {
			t.Errorf("level %f, %q", p.Level(), p.Reason())
		}
	})
	t.Run("they leave", func(t *testing.T) {
		p := New(3, of(10_000, 4*ms))
		feel(&p, 100, of(100, 9*ms))
		feel(&p, 30, Latency{})
		if p.Level() != 3 {
			t.Errorf("level %f", p.Level())
		}
	})
	t.Run("they come when it is under way: nothing is known, one at a time", func(t *testing.T) {
		p := New(3, Latency{})
		feel(&p, 50, of(100, 9*ms))
		if p.Level() != 1 || !p.Busy() {
			t.Errorf("level %f, busy %v", p.Level(), p.Busy())
		}
	})
	t.Run("a few statements mean nothing", func(t *testing.T) {
		p := New(3, of(10_000, 4*ms))
		feel(&p, 100, of(5, 900*ms))
		if p.Level() != 3 {
			t.Errorf("level %f", p.Level())
		}
	})
}
