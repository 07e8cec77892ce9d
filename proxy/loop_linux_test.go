package proxy

import "testing"

// Few loops carry few sessions, and all carry many, evenly.
func TestLoopsFill(t *testing.T) {
	l := loops{few: 2, list: []*loop{{}, {}, {}, {}}}
	for range 10 {
		l.least().routes.Add(1)
	}
	count := func() (n [4]int64) {
		for i, loop := range l.list {
			n[i] = loop.routes.Load()
		}
		return n
	}
	if n := count(); n != [4]int64{5, 5, 0, 0} {
		t.Errorf("10 sessions: %v", n)
	}
	for range 3*crowded - 10 {
		l.least().routes.Add(1)
	}
	if n := count(); n != [4]int64{crowded, crowded, crowded, 0} {
		t.Errorf("a crowd: %v", n)
	}
	for range 2 * crowded {
		l.least().routes.Add(1)
	}
	if n := count(); n != [4]int64{crowded + 32, crowded + 32, crowded + 32, crowded + 32} {
		t.Errorf("crowds: %v", n)
	}
}
