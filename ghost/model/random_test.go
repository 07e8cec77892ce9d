package model

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// interleavings that each test run looks at (30 µs each); more: go test -count.
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
				var setting Setting
				w := random(&setting, first+i, rules, nil)
				if w.Failed != "" {
					ends.Add(1)
				}
				if w.Fault != "" {
					mu.Lock()
					if bad == nil || first+i < seed {
						seed = first + i
						r, _ := Random(seed, rules)
						bad = &r
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

// Whatever a step can be happens in random runs, and is possible often enough.
func TestRandomRunsHaveEverything(t *testing.T) {
	const runs = 10_000
	happened := map[string]int{}
	for seed := range uint64(runs) {
		r, w := Random(seed, Real())
		in := map[string]bool{}
		replay := New(r.Setting, Real())
		for _, s := range r.Steps {
			replay.Do(s)
			what := opNames[s.Op]
			switch s.Op {
			case Dispatch, Take, Read, WriteRows, Replace, Done:
				what += " " + workerNames[s.Worker]
			}
			in[what+answerNames[s.Answer]] = true
			if len(replay.copied.Watermark()) > 0 && !replay.copied.Done() && replay.jobs[Copier].state != idle && replay.jobs[Copier2].state != idle {
				in["two chunks behind another"] = true
			}
		}
		in["swapped"] = w.Swapped
		in["the user's duplicate"] = strings.HasPrefix(w.Failed, "duplicate")
		in["a spoiled row is convicted"] = strings.HasPrefix(w.Failed, "row")
		for what, did := range in {
			if did {
				happened[what]++
			}
		}
	}
	want := slices.Clone(opNames)
	for op, workers := range map[Op][]string{Dispatch: workerNames[:2], Take: workerNames[2:], Read: workerNames, WriteRows: workerNames[:5], Replace: workerNames[:4], Done: workerNames} {
		want = slices.DeleteFunc(want, func(name string) bool { return name == opNames[op] })
		for _, who := range workers {
			want = append(want, opNames[op]+" "+who)
			if op == WriteRows && who != "v" || op == Replace && who == "a" {
				want = append(want, opNames[op]+" "+who+" lost", opNames[op]+" "+who+" rolledback")
			}
		}
	}
	want = append(want, "two chunks behind another", "swapped", "the user's duplicate", "a spoiled row is convicted")
	for _, what := range want {
		if happened[what] < 3 {
			t.Errorf("%q in %d of %d runs", what, happened[what], runs)
		}
	}
	if happened["swapped"] < runs*3/4 {
		t.Errorf("%d of %d runs end with a swap", happened["swapped"], runs)
	}
	t.Log(happened)
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
