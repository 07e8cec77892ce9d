package pace

import (
	"math"
	"time"

	"midflight/throttle"
)

// A Strain compares what the applications feel with what they felt before a migration: all
// of them, and those whose statements name its table.
type Strain struct {
	before, table Felt
	totals        []total // of the last seconds, oldest first
}

// A total is what was felt since the proxy's start, up to a moment.
type total struct {
	at time.Time
	Felt
}

// windows are the last times that are looked at: the first with enough statements, so that
// what is over is soon forgotten. Shorter than the time after which the breaker stops a
// migration whose applications fail: it is not for what has failed once.
var windows = [...]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}

const (
	// enough statements for a window, and so few at least for the last one. Of fewer than
	// that the slowest tells nothing of the hundredth.
	enough, few = 100, 20
	// fewBefore statements are too few to compare with.
	fewBefore = 50
	// floor: what is shorter is felt by nobody, and is as much the scheduler's or the
	// disk's doing: a single flush takes that long.
	floor = 2 * time.Millisecond
	// deviations from what was seen are thought possible, either way: one time in forty it
	// is more.
	deviations = 2
)

// NewStrain begins with what was felt before the migration, of the whole server and of the
// statements that name the table, and with the server's counters as they are now.
func NewStrain(now time.Time, before, table, counters Felt) Strain {
	return Strain{before: before, table: table, totals: []total{{now, counters}}}
}

// Readings takes the server's counters, about once a second, and asks for what was felt of
// the table in a last time. A signal that can't be told isn't among them: there is nothing
// to compare with, or nobody there.
func (s *Strain) Readings(now time.Time, counters Felt, table func(last time.Duration) Felt) []throttle.Reading {
	var list []throttle.Reading
	tell := func(before, recent Felt, latency, errors throttle.Signal) {
		if c, ok := Compare(before, recent); ok {
			list = append(list, throttle.Reading{Signal: latency, Value: c.Times, At: now}, throttle.Reading{Signal: errors, Value: c.Failing, At: now})
		}
	}
	tell(s.before, widen(func(last time.Duration) Felt { return counters.Since(s.at(now.Add(-last))) }), throttle.AppLatency, throttle.AppErrors)
	tell(s.table, widen(table), throttle.TableLatency, throttle.TableErrors)
	s.totals = append(s.totals, total{now, counters})
	for len(s.totals) > 1 && now.Sub(s.totals[1].at) >= windows[len(windows)-1] {
		s.totals = s.totals[1:]
	}
	return list
}

// at is the counters at a moment, or the latest before it.
func (s *Strain) at(moment time.Time) Felt {
	f := s.totals[0].Felt
	for _, t := range s.totals {
		if t.at.After(moment) {
			break
		}
		f = t.Felt
	}
	return f
}

func widen(felt func(last time.Duration) Felt) (f Felt) {
	for _, w := range windows {
		if f = felt(w); f.Latency.Count() >= enough {
			break
		}
	}
	return f
}

// A Comparison is of what is felt now with what was felt before.
type Comparison struct {
	// Times is the 99 % latency in times of what it was before. Where it is more, it is as
	// many times as is sure, given how few the statements are, and else 1.
	Times float64
	// Failing is the part of the statements that fail, as far as it is surely more than
	// before.
	Failing float64
}

// Compare tells how two times differ; false: there are too few statements in one of them.
func Compare(before, now Felt) (c Comparison, ok bool) {
	m, n := float64(before.Latency.Count()), float64(now.Latency.Count())
	if m < fewBefore || n < few {
		return Comparison{}, false
	}
	// Which part of some statements is below the quantile deviates by so much.
	off := func(count float64) float64 { return deviations * math.Sqrt(quantile*(1-quantile)/count) }
	ratio := func(qNow, qBefore float64) float64 {
		a, b := now.Latency.Quantile(qNow), before.Latency.Quantile(min(1, qBefore))
		return float64(max(a, floor)) / float64(max(b, floor))
	}
	c.Times = ratio(quantile, quantile)
	if c.Times > 1 {
		c.Times = max(1, ratio(quantile-off(n), quantile+off(m)))
	}
	_, most := part(before.Failed, m)
	least, _ := part(now.Failed, n)
	c.Failing = max(0, least-most)
	return c, true
}

// part bounds the part that k of n are of all that might have been seen (Wilson's
// interval, which holds for parts near 0, too).
func part(k uint64, n float64) (least, most float64) {
	const z = deviations
	p := min(1, float64(k)/n)
	middle := p + z*z/(2*n)
	off := z * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, (middle-off)/(1+z*z/n)), min(1, (middle+off)/(1+z*z/n))
}
