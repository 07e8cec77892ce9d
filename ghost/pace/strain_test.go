package pace

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"midflight/throttle"
)

const ms = time.Millisecond

func felt(failed uint64, l ...Latency) (f Felt) {
	f.Failed = failed
	for _, l := range l {
		f.Latency = f.Latency.And(l)
	}
	return f
}

func TestCompare(t *testing.T) {
	usual := felt(0, of(9_800, 10*ms), of(200, 40*ms))
	for name, c := range map[string]struct {
		before, now Felt
		ok          bool
		times       [2]float64 // at least, at most
		failing     [2]float64
	}{
		"nothing to compare with": {felt(0, of(fewBefore-1, ms)), usual, false, [2]float64{}, [2]float64{}},
		"too few":                 {usual, felt(0, of(few-1, 10*ms)), false, [2]float64{}, [2]float64{}},
		"nobody":                  {usual, Felt{}, false, [2]float64{}, [2]float64{}},
		"as before":               {usual, usual, true, [2]float64{1, 1}, [2]float64{}},
		"quicker":                 {usual, felt(0, of(1000, 5*ms)), true, [2]float64{0.1, 0.3}, [2]float64{}},
		"three times":             {usual, felt(0, of(9_800, 30*ms), of(200, 120*ms)), true, [2]float64{1.8, 3.3}, [2]float64{}},
		"all wait":                {usual, felt(0, of(30, time.Second)), true, [2]float64{15, 30}, [2]float64{}},
		"one of a hundred":        {felt(0, of(10_000, 10*ms)), felt(0, of(99, 10*ms), of(1, time.Second)), true, [2]float64{1, 1}, [2]float64{}},
		"five of a hundred":       {felt(0, of(10_000, 10*ms)), felt(0, of(95, 10*ms), of(5, time.Second)), true, [2]float64{50, 110}, [2]float64{}},
		"nobody feels that":       {felt(0, of(10_000, 50*time.Microsecond)), felt(0, of(1000, 1500*time.Microsecond)), true, [2]float64{1, 1}, [2]float64{}},
		"from too short to felt":  {felt(0, of(10_000, 50*time.Microsecond)), felt(0, of(1000, 8*ms)), true, [2]float64{3, 5}, [2]float64{}},
		"one fails":               {usual, felt(1, of(100, 10*ms)), true, [2]float64{0, 1}, [2]float64{0, 0.002}},
		"a tenth fails":           {usual, felt(100, of(1000, 10*ms)), true, [2]float64{0, 1}, [2]float64{0.07, 0.1}},
		"as many fail as before":  {felt(1000, of(10_000, 10*ms)), felt(100, of(1000, 10*ms)), true, [2]float64{0, 1}, [2]float64{}},
		"all fail, of few":        {usual, felt(20, of(20, 10*ms)), true, [2]float64{0, 1}, [2]float64{0.8, 1}},
		"before more was failing": {felt(1000, of(10_000, 10*ms)), felt(1, of(1000, 10*ms)), true, [2]float64{0, 1}, [2]float64{}},
	} {
		got, ok := Compare(c.before, c.now)
		if ok != c.ok || got.Times < c.times[0] || got.Times > c.times[1] || got.Failing < c.failing[0] || got.Failing > c.failing[1] {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
}

// Loads with long tails: that nothing has changed is seldom taken for a change, and never
// for a large one; and a change is found.
func TestCompareNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const rounds = 200
	for _, spread := range []float64{0.3, 1, 1.5} {
		draw := func(n int, times, failing float64) (f Felt) {
			for range n {
				d := time.Duration(times * 5 * float64(ms) * math.Exp(spread*r.NormFloat64()))
				f = f.And(felt(0, Latency{[]Slot{{slotEnd(d), 1}}}))
				if r.Float64() < failing {
					f.Failed++
				}
			}
			return f
		}
		for _, n := range []int{20, 150, 1000} {
			var shown, far, failing, found, failed int
			before := draw(5000, 1, 0.02)
			for range rounds {
				same, _ := Compare(before, draw(n, 1, 0.02))
				if same.Times > 1 {
					shown++
				}
				if same.Times > 2 {
					far++
				}
				if same.Failing > 0.02 {
					failing++
				}
				other, _ := Compare(before, draw(n, 8, 0.3))
				if other.Times > 1.5 {
					found++
				}
				if other.Failing > 0.02 {
					failed++
				}
			}
			t.Logf("spread %.1f, %d statements: of %d alike %d differ, %d much, and %d fail much more; of those that take 8 times as long %d are found, %d fail more",
				spread, n, rounds, shown, far, failing, found, failed)
			if shown > rounds/20 || far > rounds/100 || failing > rounds/50 || n >= enough && found < rounds*9/10 || failed < rounds*9/10 {
				t.Errorf("spread %.1f, %d statements", spread, n)
			}
		}
	}
}

// slotEnd is of the proxy's slots.
func slotEnd(d time.Duration) time.Duration {
	end := time.Microsecond
	for end <= d {
		end += end / 4
	}
	return end
}

func TestStrain(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	usual := felt(0, of(990, 10*ms), of(10, 40*ms))
	value := func(list []throttle.Reading, signal throttle.Signal) float64 {
		for _, r := range list {
			if r.Signal == signal {
				if r.Limit != 0 || r.Problem != "" {
					t.Errorf("%+v", r)
				}
				return r.Value
			}
		}
		return -1
	}
	none := func(time.Duration) Felt { return Felt{} }

	t.Run("the server, second by second", func(t *testing.T) {
		counters := felt(7, of(1_000_000, 10*ms))
		s := NewStrain(start, usual, Felt{}, counters)
		second := func(i int, f Felt) []throttle.Reading {
			counters = counters.And(f)
			return s.Readings(start.Add(time.Duration(i)*time.Second), counters, none)
		}
		list := second(1, felt(0, of(200, 10*ms)))
		if len(list) != 2 || value(list, throttle.AppLatency) > 1 || value(list, throttle.AppErrors) != 0 || !list[0].At.Equal(start.Add(time.Second)) {
			t.Errorf("as before: %v", list)
		}
		list = second(2, felt(100, of(200, 400*ms)))
		if value(list, throttle.AppLatency) < 5 || value(list, throttle.AppErrors) < 0.4 {
			t.Errorf("strained: %v", list)
		}
		list = second(3, felt(0, of(200, 10*ms)))
		if value(list, throttle.AppLatency) > 1 || value(list, throttle.AppErrors) != 0 {
			t.Errorf("over: %v", list)
		}
		// Few a second: more seconds are looked at, and forgotten again.
		for i := range 8 {
			list = second(4+i, felt(0, of(10, 400*ms)))
		}
		if value(list, throttle.AppLatency) < 5 {
			t.Errorf("few: %v", list)
		}
		for i := range 9 {
			list = second(12+i, Felt{})
		}
		if len(list) != 0 || len(s.totals) > 10 {
			t.Errorf("nobody: %v, %d totals", list, len(s.totals))
		}
	})
	t.Run("the table", func(t *testing.T) {
		s := NewStrain(start, Felt{}, usual, Felt{})
		var asked []time.Duration
		list := s.Readings(start.Add(time.Second), usual, func(last time.Duration) Felt {
			asked = append(asked, last)
			return felt(uint64(last/time.Second), of(40*uint64(last/time.Second), 400*ms))
		})
		if len(list) != 2 || value(list, throttle.TableLatency) < 5 || value(list, throttle.TableErrors) < 0 {
			t.Errorf("%v", list)
		}
		if len(asked) != 3 || asked[2] != 4*time.Second {
			t.Errorf("asked for %v", asked)
		}
	})
	t.Run("nothing to compare with", func(t *testing.T) {
		s := NewStrain(start, Felt{}, Felt{}, Felt{})
		if list := s.Readings(start.Add(time.Second), usual, func(time.Duration) Felt { return usual }); len(list) != 0 {
			t.Errorf("%v", list)
		}
	})
}
