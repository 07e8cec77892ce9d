package throttle

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestOddInputs: whatever is told, no rows are copied while a reading is beyond its limit,
// or says nothing, or nobody has looked; and what is booked is the time in which nothing was
// to be done.
func TestOddInputs(t *testing.T) {
	signals := []Signal{ReplicaLag, ThreadsRunning, HistoryList, CommitLatency, DiskFree, Query, Galera, AppLatency, TableLatency, AppErrors, TableErrors}
	values := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 0, 1e-300, 0.5, 0.99, 1, 1.01, 4, 1e300}
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 8))
		now := time.Unix(1_000_000, 0)
		b := NewBrake(now, random.IntN(2) == 0)
		if b.MayCopy(now) {
			t.Fatal("it copies before anybody has looked")
		}
		var state State
		var readings []Reading
		orders := Orders{}
		next := now
		var waited time.Duration
		working := time.Time{} // until
		took := time.Duration(0)
		for ms := range 20_000 {
			now = now.Add(time.Millisecond)
			if ms%1000 == 0 {
				state, readings, orders = State{Rules: DefaultRules, Late: random.IntN(2) == 0}, nil, Orders{}
				for range random.IntN(4) {
					r := Reading{Signal: signals[random.IntN(len(signals))], Value: values[random.IntN(len(values))]}
					if random.IntN(8) == 0 {
						r.Problem = "unknown"
					}
					readings = append(readings, r)
				}
				switch random.IntN(12) {
				case 0:
					orders.Paused = true
				case 1:
					orders.Ratio = random.Float64() * 1.5
				case 2:
					state.Missing = "something"
				}
			}
			turn := !now.Before(next)
			if turn {
				state.Readings = nil
				for i, r := range readings {
					r.At = now
					if i == 0 && ms%3000 > 2000 { // it isn't told any more
						r.At = now.Add(-6 * time.Second)
					}
					state.Readings = append(state.Readings, r)
				}
				b.Turn(now, state, nil, orders, true)
				next = now.Add(time.Duration(50+random.IntN(100)) * time.Millisecond)
			}
			may := b.MayCopy(now)
			if may && turn {
				if orders.Paused || orders.Ratio >= 1 || state.Missing != "" {
					t.Fatalf("seed %d: it copies with %+v, %+v", seed, orders, state)
				}
				for _, r := range state.Rules.Limited(state.Readings) {
					if r.wrong(now) != "" || !(r.Load() < 1) {
						t.Fatalf("seed %d: it copies with %+v", seed, r)
					}
				}
			}
			if !working.IsZero() && !now.Before(working) {
				b.Worked(now, took)
				working = time.Time{}
				may = b.MayCopy(now)
			}
			if working.IsZero() {
				if may {
					took = time.Duration(1+random.IntN(60)) * time.Millisecond
					working = now.Add(took)
				} else {
					waited += time.Millisecond
				}
			}
		}
		b.Turn(now, state, nil, orders, true)
		var booked time.Duration
		for _, d := range b.Booked() {
			booked += d
		}
		// A chunk that was under way when it was to stop isn't waiting, but is booked.
		if off := booked - waited; off < -200*time.Millisecond || off > 20*60*time.Millisecond {
			t.Errorf("seed %d: %s booked, %s waited", seed, booked, waited)
		}
	}
}

// TestNoTurns: a verdict doesn't hold for long.
func TestNoTurns(t *testing.T) {
	c := newTurns(false)
	if c.turn(time.Second, DefaultRules, Orders{}); !c.b.MayCopy(c.now) {
		t.Fatal("nothing is in its way")
	}
	if c.b.MayCopy(c.now.Add(3 * time.Second)) {
		t.Error("it copies though nobody has looked for three seconds")
	}
}

// TestReplicasThatCome: they are given way to as those that were there.
func TestReplicasThatCome(t *testing.T) {
	c := newTurns(false)
	c.turn(time.Second, DefaultRules, Orders{})
	c.now = c.now.Add(100 * time.Millisecond)
	c.b.Turn(c.now, State{Rules: DefaultRules, Late: true, Readings: []Reading{{Signal: ReplicaLag, At: c.now}}}, nil, Orders{}, true)
	if v := c.b.Verdict(); v.Share > 2*firstShare {
		t.Errorf("%+v", v)
	}
}

// TestBreaksOnce: who has been stopped is not stopped again, nor as soon as he may go on for
// what failed before.
func TestBreaksOnce(t *testing.T) {
	c := newTurns(false)
	failing := Reading{Signal: AppErrors, Value: 0.3}
	for range 300 {
		if c.turn(100*time.Millisecond, DefaultRules, Orders{Paused: true}, failing); c.b.Breaks() != "" {
			t.Fatal("it is stopped already")
		}
	}
	if c.turn(9*time.Second, DefaultRules, Orders{}, failing); c.b.Breaks() != "" {
		t.Error("for what failed before")
	}
}
