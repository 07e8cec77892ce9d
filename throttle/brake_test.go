package throttle

import (
	"strings"
	"testing"
	"time"
)

// turns a brake by steps of 100 ms.
type turns struct {
	b   Brake
	now time.Time
}

func newTurns(late bool) *turns {
	now := time.Unix(1_000_000, 0).UTC()
	return &turns{NewBrake(now, late), now}
}

func (c *turns) turn(d time.Duration, rules Rules, orders Orders, readings ...Reading) Verdict {
	for end := c.now.Add(d); c.now.Before(end); {
		c.now = c.now.Add(100 * time.Millisecond)
		fresh := append([]Reading(nil), readings...)
		for i := range fresh {
			if fresh[i].At.IsZero() {
				fresh[i].At = c.now
			}
		}
		c.b.Turn(c.now, State{Rules: rules, Readings: fresh}, nil, orders, true)
	}
	return c.b.Verdict()
}

func TestWhatStops(t *testing.T) {
	window := DefaultRules
	window.Window, _ = ParseWindow("02:00-03:00")
	long := time.Unix(1_000_000, 0).Add(-time.Minute)
	for _, c := range []struct {
		name   string
		rules  Rules
		orders Orders
		r      Reading
		by     Signal
		why    string
	}{
		{"nothing", DefaultRules, Orders{}, Reading{Signal: ThreadsRunning, Value: 3}, "", ""},
		{"a word", DefaultRules, Orders{Paused: true}, Reading{}, Paused, "CALL midflight.resume"},
		{"the time of the day", window, Orders{}, Reading{}, OutOfWindow, "the window 02:00-03:00 UTC"},
		{"to rest always", DefaultRules, Orders{Ratio: 1}, Reading{}, Ratio, "all the time"},
		{"too many threads", DefaultRules, Orders{}, Reading{Signal: ThreadsRunning, Value: 200}, ThreadsRunning, "threads_running (200, limit 128)"},
		{"a long history", DefaultRules, Orders{}, Reading{Signal: HistoryList, Value: 6e6}, HistoryList, "history_list (6000000, limit 5000000)"},
		{"slow commits", DefaultRules, Orders{}, Reading{Signal: CommitLatency, Value: 0.4}, CommitLatency, "commit_latency (0.4 s, limit 0.25 s)"},
		{"a full disk", DefaultRules, Orders{}, Reading{Signal: DiskFree, Value: 0.04}, DiskFree, "disk_free (4 %, limit 5 %)"},
		{"room enough", DefaultRules, Orders{}, Reading{Signal: DiskFree, Value: 0.06}, "", ""},
		{"their query", DefaultRules, Orders{}, Reading{Signal: Query, Value: 1}, Query, "query (1, limit 1)"},
		{"flow control", DefaultRules, Orders{}, Reading{Signal: Galera, Value: 0.2}, Galera, "galera (20 %, limit 10 %)"},
		{"failing statements", DefaultRules, Orders{}, Reading{Signal: TableErrors, Value: 0.1}, TableErrors, "table_errors (10 %, limit 2 %)"},
		{"slow statements", DefaultRules, Orders{}, Reading{Signal: AppLatency, Value: 5}, AppLatency, "app_latency (5 ×, limit 4 ×)"},
		{"no slower than before", DefaultRules, Orders{}, Reading{Signal: AppLatency, Value: 1}, "", ""},
		{"a replica's lag", DefaultRules, Orders{}, Reading{Signal: ReplicaLag, Of: "db2:3306", Value: 1.5}, ReplicaLag, "replica_lag of db2:3306 (1.5 s, limit 1 s)"},
		{"a replica that is stopped", DefaultRules, Orders{}, Reading{Signal: ReplicaLag, Of: "db2:3306", Problem: "it is stopped"}, ReplicaLag, "replica_lag of db2:3306: it is stopped"},
		{"a value that is old", DefaultRules, Orders{}, Reading{Signal: ReplicaLag, Of: "db2:3306", Value: 0.01, At: long}, ReplicaLag, "replica_lag of db2:3306: not known for 1m"},
		{"what nobody limits", Rules{}, Orders{}, Reading{Signal: ReplicaLag, Problem: "it is stopped"}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTurns(true)
			readings := []Reading{c.r}
			if c.r.Signal == "" {
				readings = nil
			}
			v := w.turn(3*time.Second, c.rules, c.orders, readings...)
			if c.by == "" {
				if v.By != "" || !w.b.MayCopy(w.now) || v.Share != 1 {
					if c.r.Limit = c.rules.Limits[c.r.Signal]; v.By != ReplicaLag || v.Share == 0 || c.r.Limit == 0 { // it begins with little
						t.Errorf("%+v", v)
					}
				}
				return
			}
			if v.By != c.by || !strings.Contains(v.Why, c.why) || v.Share != 0 || w.b.MayCopy(w.now) {
				t.Errorf("%+v", v)
			}
			if booked := w.b.Booked()[c.by]; booked < 2*time.Second || booked > 3*time.Second {
				t.Errorf("of 3 s booked to %s: %s", c.by, booked)
			}
		})
	}
}

// Whose lag nobody limits isn't waited for, not even in the beginning; with a limit again, all
// begins anew.
func TestLimitIsOff(t *testing.T) {
	c := newTurns(true)
	lag := Reading{Signal: ReplicaLag, Of: "db2:3306", Value: 60}
	if v := c.turn(100*time.Millisecond, Rules{}, Orders{}, lag); v.By != "" || v.Share != 1 {
		t.Errorf("off: %+v", v)
	}
	c.turn(time.Minute, Rules{}, Orders{}, lag)
	lag.Value = 0
	if v := c.turn(100*time.Millisecond, DefaultRules, Orders{}, lag); v.By != ReplicaLag || v.Share > 2*firstShare {
		t.Errorf("on again: %+v", v)
	}
}

// TestNearTheLimit: it doesn't go on as soon as a value is a little below.
func TestNearTheLimit(t *testing.T) {
	c := newTurns(false)
	threads := func(n float64) Reading { return Reading{Signal: ThreadsRunning, Value: n} }
	for _, step := range []struct {
		value float64
		d     time.Duration
		stops bool
	}{{127, time.Second, false}, {128, 100 * time.Millisecond, true}, {120, 5 * time.Second, true}, {100, 900 * time.Millisecond, true}, {100, 200 * time.Millisecond, false}, {120, time.Second, false}} {
		if v := c.turn(step.d, DefaultRules, Orders{}, threads(step.value)); v.Share == 0 != step.stops {
			t.Errorf("at %v for %s: %+v", step.value, step.d, v)
		}
	}
}

func TestRatio(t *testing.T) {
	c := newTurns(false)
	v := c.turn(100*time.Millisecond, DefaultRules, Orders{Ratio: 0.75})
	if v.Share != 0.25 || !c.b.MayCopy(c.now) {
		t.Fatalf("%+v", v)
	}
	c.b.Worked(c.now, 200*time.Millisecond)
	c.turn(500*time.Millisecond, DefaultRules, Orders{Ratio: 0.75})
	if c.b.MayCopy(c.now) {
		t.Error("it works before it has rested")
	}
	c.turn(200*time.Millisecond, DefaultRules, Orders{Ratio: 0.75})
	if !c.b.MayCopy(c.now) {
		t.Error("it rests for longer than 600 ms")
	}
	if got := c.b.Booked()[Ratio]; got != 600*time.Millisecond {
		t.Errorf("booked %s", got)
	}
}

func TestBreaker(t *testing.T) {
	c := newTurns(false)
	failing := Reading{Signal: AppErrors, Value: 0.3}
	c.turn(9*time.Second, DefaultRules, Orders{}, failing)
	if why := c.b.Breaks(); why != "" {
		t.Errorf("after 9 s: %s", why)
	}
	c.turn(100*time.Millisecond, DefaultRules, Orders{}, Reading{Signal: AppErrors, Value: 0.001})
	c.turn(9*time.Second, DefaultRules, Orders{}, failing)
	if why := c.b.Breaks(); why != "" {
		t.Errorf("though they had stopped failing: %s", why)
	}
	for range 12 {
		if c.turn(100*time.Millisecond, DefaultRules, Orders{}, failing); c.b.Breaks() != "" {
			break
		}
	}
	if why := c.b.Breaks(); why != "app_errors (30 %, limit 2 %), for 10s" {
		t.Errorf("after 10 s: %q", why)
	}
	if c.turn(100*time.Millisecond, DefaultRules, Orders{}, failing); c.b.Breaks() != "" {
		t.Error("it breaks again at once")
	}
}

func TestUnknown(t *testing.T) {
	c := newTurns(false)
	c.now = c.now.Add(100 * time.Millisecond)
	c.b.Turn(c.now, State{Rules: DefaultRules, Missing: "not known yet: the replicas"}, nil, Orders{}, true)
	if v := c.b.Verdict(); v.By != Sampling || c.b.MayCopy(c.now) {
		t.Errorf("%+v", v)
	}
}

func TestRules(t *testing.T) {
	r, err := DefaultRules.WithAll("replica_lag=500ms, disk_free = 10%,window=22:00-06:00 Europe/Berlin,breaker=off,threads_running=off,app_latency=2.5")
	if err != nil {
		t.Fatal(err)
	}
	if _, limited := r.Limits[ThreadsRunning]; limited || r.Limits[ReplicaLag] != 0.5 || r.Limits[DiskFree] != 0.1 || r.Limits[AppLatency] != 2.5 || r.BreakAfter != 0 || r.Window.String() != "22:00-06:00 Europe/Berlin" {
		t.Errorf("%+v", r)
	}
	if DefaultRules.Limits[ReplicaLag] != 1 {
		t.Error("the default has changed")
	}
	for _, bad := range []string{"lag=1s", "replica_lag=-1s", "replica_lag=", "replica_lag=soon", "window=noon", "window=01:00-02:00 Mars", "breaker=5", "disk_free=x%", "query=NaN", "query=Inf"} {
		if _, err := DefaultRules.WithAll(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
