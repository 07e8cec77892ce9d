package throttle

import (
	"fmt"
	"testing"
	"time"
)

// A simulated replica needs slower times as long for what is copied as the source does, and
// for other times what the applications write takes load of its time.
type simulated struct {
	slower, load float64
	queue        float64 // seconds of the replica's work
	beats        []beat  // on their way
	seen         time.Time
}

type beat struct {
	sent   time.Time
	behind float64 // of the queue before it, left
}

// step is a millisecond, in which the source has copied or not.
func (r *simulated) step(now time.Time, copied bool) {
	const ms = 0.001
	if copied {
		r.queue += r.slower * ms
	}
	r.queue += r.load * ms
	if now.UnixMilli()%100 == 0 {
		r.beats = append(r.beats, beat{now, r.queue})
	}
	r.queue = max(0, r.queue-ms)
	for i := range r.beats {
		r.beats[i].behind -= ms
	}
	for len(r.beats) > 0 && r.beats[0].behind <= 0 {
		r.seen, r.beats = r.beats[0].sent, r.beats[1:]
	}
}

func (r *simulated) lag(now time.Time) float64 {
	return max(0, (now.Sub(r.seen) - 100*time.Millisecond).Seconds())
}

// TestLagStaysBelow: a replica of whatever speed doesn't come to lag by the limit, and what
// it can bear is used.
func TestLagStaysBelow(t *testing.T) {
	const whole = 50 * time.Millisecond
	for _, slower := range []float64{0.5, 0.9, 1.2, 2, 4, 10, 25} {
		for _, load := range []float64{0, 0.5} {
			t.Run(fmt.Sprintf("%v times slower, %v busy", slower, load), func(t *testing.T) {
				now := time.Unix(1_000_000, 0)
				r := simulated{slower: slower, load: load, seen: now}
				b := NewBrake(now, true)
				state := State{Rules: DefaultRules, Late: true}
				var worst float64
				var copying time.Time // until
				var chunk time.Duration
				copied := 0
				const run = 120_000
				for ms := range run {
					now = now.Add(time.Millisecond)
					if ms%100 == 50 {
						lag := r.lag(now)
						worst = max(worst, lag)
						state.Readings = []Reading{{Signal: ReplicaLag, Of: "r", Value: lag, At: now}}
						b.Turn(now, state, nil, Orders{}, true)
					}
					switch {
					case now.Before(copying):
					case !copying.IsZero():
						b.Worked(now, chunk)
						copying = time.Time{}
						fallthrough
					default:
						if b.MayCopy(now) {
							chunk = max(time.Millisecond, time.Duration(b.Chunk()*float64(whole)))
							copying = now.Add(chunk)
						}
					}
					busy := now.Before(copying)
					if busy {
						copied++
					}
					r.step(now, busy)
				}
				possible := min(1, (1-load)/slower)
				used := float64(copied) / run / possible
				t.Logf("worst lag %.2f s, %.0f %% used of the %.0f %% that is possible; waited %v", worst, 100*used, 100*possible, Waits(b.Booked()))
				most := 1.0
				if slower > 10 { // the least chunk is much for it
					most = 1.5
				}
				if worst >= most {
					t.Errorf("the lag was %.2f s", worst)
				}
				if used < 0.6 {
					t.Errorf("%.0f %% of what is possible was used", 100*used)
				}
			})
		}
	}
}
