package ghost

import (
	"testing"
	"time"

	"midflight/ghost/pace"
)

// spansDoor notes the times that it is asked for, and feels a statement in each.
type spansDoor struct {
	open
	asked [][2]time.Time
}

func (d *spansDoor) FeltOf(_ []string, from, to time.Time) pace.Felt {
	d.asked = append(d.asked, [2]time.Time{from, to})
	return pace.Felt{Latency: pace.Latency{Slots: []pace.Slot{{End: time.Millisecond, Count: 1}}}}
}

// What was felt before a migration is what was felt while none copied.
func TestListenerQuiet(t *testing.T) {
	d := &spansDoor{}
	l := &listener{door: d}
	if _, table := l.begin(nil); table.Latency.Count() != 1 || !d.asked[0][0].IsZero() {
		t.Errorf("the first: %v of %v", table, d.asked)
	}
	first := d.asked[0][1]
	d.asked = nil
	l.begin(nil)
	if len(d.asked) != 1 || !d.asked[0][1].Equal(first) {
		t.Errorf("one beside it: asked for %v, it began at %v", d.asked, first)
	}
	l.end()
	l.end()
	rests := l.rests
	d.asked = nil
	l.begin(nil)
	if len(d.asked) != 2 || !d.asked[1][0].Equal(rests) || d.asked[1][1].Before(rests) {
		t.Errorf("one behind it: asked for %v, the copying ended at %v", d.asked, rests)
	}
	for range 2 * maxQuiet {
		l.end()
		l.begin(nil)
	}
	if len(l.quiet) != maxQuiet {
		t.Errorf("%d spans are kept", len(l.quiet))
	}
}
