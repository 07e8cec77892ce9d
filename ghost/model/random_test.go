package model

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// interleavings that each test run looks at; more of them: go test -count.
const interleavings = 1_000_000

// search runs seeds from first on until one goes wrong, or n are done.
func search(first, n uint64, rules Rules) (runs uint64, failed uint64, bad *Run) {
	var next, ends atomic.Uint64
	var mu sync.Mutex
	var seed uint64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= n {
					return
				}
				r, w := Random(first+i, rules)
				if w.Failed != "" {
					ends.Add(1)
				}
				if w.Fault != "" {
					mu.Lock()
					if bad == nil || first+i < seed {
						bad, seed = &r, first+i
					}
					mu.Unlock()
					next.Store(n)
				}
			}
		})
	}
	workers.Wait()
	if bad != nil {
		return seed - first + 1, ends.Load(), bad
	}
	return n, ends.Load(), nil
}

func TestRandom(t *testing.T) {
	n := uint64(interleavings)
	if testing.Short() || raceEnabled {
		n /= 10
	}
	began := time.Now()
	runs, failed, bad := search(1, n, Real())
	if bad != nil {
		small := Shrink(*bad, Real())
		t.Fatalf("run %d goes wrong. As a script:\n\n%s----\n%s", runs, small.script(), narrate(small, Real()))
	}
	t.Logf("%d interleavings, %.0f a second; %d ended by the user's duplicate", runs, float64(runs)/time.Since(began).Seconds(), failed)
	if failed == 0 || failed > runs/2 {
		t.Errorf("%d of %d runs ended by the user's duplicate: the writers are not as meant", failed, runs)
	}
}

// A script that is written and read again is the same run.
func TestStepsAsText(t *testing.T) {
	for seed := range uint64(200) {
		r, w := Random(seed, Real())
		again, err := parseRun(r.script())
		if err != nil {
			t.Fatal(err)
		}
		v := again.Replay(Real())
		if v.visible != w.visible || v.shadow != w.shadow || v.Failed != w.Failed || v.Swapped != w.Swapped {
			t.Fatalf("run %d is another one after writing and reading:\n%s", seed, r.script())
		}
	}
}
