package throttle

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Orders are an operator's.
type Orders struct {
	Paused bool
	Ratio  float64 // 0 to 1: the part of the time that the copy rests
}

// A Verdict says what the copy may do.
type Verdict struct {
	Share float64 // of the time it may work; 0: not at all
	By    Signal  // because of what; "" when nothing is in its way
	Why   string  // for people
}

// hysteresis: what was beyond its limit must come this far below it, and stay so for a
// while, or a value near the limit would be a copy that stutters.
const (
	hysteresis = 0.9
	calm       = time.Second
)

// longTurn: between two turns no more than this is booked.
const longTurn = 2 * time.Second

// mostRest at a time: a ratio that is lowered should be felt soon.
const mostRest = 5 * time.Second

// longIdle: what was found out about the replicas was found out with work on its way.
const longIdle = 10 * time.Second

const leastChunk = 0.05

// A Brake applies the rules to what one migration is told, turn by turn, and keeps the
// books. It belongs to the migration's goroutine.
type Brake struct {
	late, prompt Valve
	over         map[string]time.Time // readings that were beyond their limit, and when last
	failing      time.Time            // since when the applications fail; zero: they don't
	verdict      Verdict
	breaks       string
	turned       time.Time
	accounted    time.Time // up to when the books are kept
	worked       time.Time
	from, until  time.Time // it rests
	booked       map[Signal]time.Duration
}

// NewBrake of a migration that begins to copy. late: there are replicas.
func NewBrake(now time.Time, late bool) Brake {
	return Brake{late: NewValve(late), prompt: NewValve(false), over: map[string]time.Time{}, booked: map[Signal]time.Duration{}, turned: now, accounted: now, worked: now, verdict: Verdict{By: Sampling, Why: "not looked at yet"}}
}

// Turn takes what is known now, some times a second; felt is what the applications feel of
// this migration. wants: there is something to be copied or compared.
func (b *Brake) Turn(now time.Time, state State, felt []Reading, orders Orders, wants bool) {
	if wants {
		b.book(now)
	}
	b.turned, b.accounted = now, now
	if state.Late && b.late.at != ofLate { // it has got replicas
		b.late = NewValve(true)
	}
	readings := state.Rules.Limited(slices.Concat(felt, state.Readings))
	b.feel(now, readings)
	if b.watchErrors(now, state.Rules.BreakAfter, readings); orders.Paused { // it is stopped
		b.breaks, b.failing = "", time.Time{}
	}
	if b.verdict = b.judge(now, state, orders, readings); b.verdict.By == "" { // there is nothing to rest for
		b.until = now
	}
}

// book counts the time since it last did in which nothing was to be done.
func (b *Brake) book(now time.Time) {
	begin, end := b.accounted, now
	b.accounted = now
	if end.Sub(begin) > longTurn { // it was not this that kept it
		return
	}
	if b.verdict.Share > 0 { // the part of it that was rest
		if b.from.After(begin) {
			begin = b.from
		}
		if b.until.Before(end) {
			end = b.until
		}
	}
	if d := end.Sub(begin); d > 0 && b.verdict.By != "" {
		b.booked[b.verdict.By] += d
	}
}

// feel moves the valves by the worst of their signals.
func (b *Brake) feel(now time.Time, readings []Reading) {
	var late, prompt float64
	var lag time.Duration
	limited := false
	for _, r := range readings {
		limited = limited || r.Signal == ReplicaLag && r.Limit > 0
		switch {
		case r.wrong(now) != "":
		case r.Signal == ReplicaLag:
			late = max(late, r.Load())
			lag = max(lag, time.Duration(r.Value*float64(time.Second)))
		case r.Signal.compares():
			prompt = max(prompt, r.Load())
		}
	}
	// Nothing is on its way any more; or nobody minds the lag, and when somebody does again
	// all is new.
	if b.late.at == ofLate && (now.Sub(b.worked) > longIdle || !limited) {
		b.late = NewValve(true)
	}
	b.late.Feel(now, late, lag)
	b.prompt.Feel(now, prompt, calm)
}

// judge: what stops it wholly goes before what slows it.
func (b *Brake) judge(now time.Time, state State, orders Orders, readings []Reading) Verdict {
	switch {
	case orders.Paused:
		return Verdict{By: Paused, Why: "CALL midflight.resume"}
	case !state.Rules.Window.Open(now):
		return Verdict{By: OutOfWindow, Why: "the window " + state.Rules.Window.String()}
	case state.Missing != "":
		return Verdict{By: Sampling, Why: state.Missing}
	case orders.Ratio >= 1:
		return Verdict{By: Ratio, Why: "CALL midflight.throttle, rests all the time"}
	}
	worst := map[Signal]Reading{} // of the slow signals
	for _, r := range readings {
		if r.Limit == 0 { // only shown
			continue
		}
		if why := r.wrong(now); why != "" {
			r.Problem = why
			return Verdict{By: r.Signal, Why: r.String()}
		}
		if r.Signal == ReplicaLag || r.Signal.compares() {
			if w, ok := worst[r.Signal]; !ok || r.Load() > w.Load() {
				worst[r.Signal] = r
			}
			continue
		}
		if b.beyond(now, r) {
			why := r.String()
			if r.Load() < hysteresis {
				why += ", beyond it a moment ago"
			}
			return Verdict{By: r.Signal, Why: why}
		}
	}
	v := Verdict{Share: 1}
	for s, r := range worst {
		valve := &b.late
		if s.compares() {
			valve = &b.prompt
		}
		if share := valve.Share(); share < v.Share || share == v.Share && share < 1 && r.Load() > worst[v.By].Load() {
			v = Verdict{Share: share, By: s, Why: r.String()}
		}
	}
	if share := 1 - orders.Ratio; share < v.Share {
		v = Verdict{Share: share, By: Ratio, Why: fmt.Sprintf("CALL midflight.throttle, rests for %.0f %% of the time", 100*orders.Ratio)}
	}
	return v
}

// beyond tells whether a reading is, or was a moment ago, beyond its limit.
func (b *Brake) beyond(now time.Time, r Reading) bool {
	key := string(r.Signal) + " " + r.Of
	last, was := b.over[key]
	switch load := r.Load(); {
	case load >= 1, was && load >= hysteresis:
		b.over[key] = now
		return true
	case was && now.Sub(last) < calm:
		return true
	}
	delete(b.over, key)
	return false
}

// watchErrors is the circuit breaker.
func (b *Brake) watchErrors(now time.Time, after time.Duration, readings []Reading) {
	i := slices.IndexFunc(readings, func(r Reading) bool {
		return (r.Signal == AppErrors || r.Signal == TableErrors) && r.wrong(now) == "" && r.Load() >= 1
	})
	switch b.breaks = ""; {
	case i < 0:
		b.failing = time.Time{}
	case b.failing.IsZero():
		b.failing = now
	case after > 0 && now.Sub(b.failing) >= after:
		b.breaks = fmt.Sprintf("%s, for %s", readings[i], now.Sub(b.failing).Round(time.Second))
		b.failing = now // once
	}
}

// Breaks says why the migration must be stopped, until somebody says resume; "" when it
// need not.
func (b *Brake) Breaks() string { return b.breaks }

// Worked tells that the copy has worked for a time, after which it rests in proportion.
func (b *Brake) Worked(now time.Time, took time.Duration) {
	b.worked = now
	b.book(now) // the rest before, of which there may be several in a turn
	if s := b.verdict.Share; s > 0 && s < 1 {
		b.from, b.until = now, now.Add(min(mostRest, time.Duration(float64(took)*(1/s-1))))
	}
}

// MayCopy tells whether rows may be copied now. A verdict that is old is none: whoever was
// kept from his turns, by a machine that slept, begins with another.
func (b *Brake) MayCopy(now time.Time) bool {
	return b.verdict.Share > 0 && !now.Before(b.until) && now.Sub(b.turned) <= longTurn
}

// MayRead tells whether rows may be compared: that reaches no replica.
func (b *Brake) MayRead(now time.Time) bool {
	switch b.verdict.By {
	case ReplicaLag, Paused:
		return true
	}
	return b.MayCopy(now)
}

// Gentle: there are replicas, for which a large chunk is a long pause.
func (b *Brake) Gentle() bool { return b.late.at == ofLate || b.Slow() }

// Chunk is what part of a chunk's usual size the next should have: of what is many times
// dearer for a replica than here, a whole chunk may be more than it is to be behind.
func (b *Brake) Chunk() float64 {
	if s := b.verdict.Share; s > 0 {
		return max(leastChunk, min(1, 5*s))
	}
	return leastChunk
}

// Slow: it has less than all of the time, so little should be done at a time.
func (b *Brake) Slow() bool { return b.verdict.Share < 1 }

// Verdict of the last turn.
func (b *Brake) Verdict() Verdict { return b.verdict }

// Booked is the time for which nothing was done, by what it was because of.
func (b *Brake) Booked() map[Signal]time.Duration { return maps.Clone(b.booked) }

// Waits are the booked times in order, the longest first.
func Waits(booked map[Signal]time.Duration) []Wait {
	var list []Wait
	for s, d := range booked {
		list = append(list, Wait{s, d})
	}
	slices.SortFunc(list, func(a, b Wait) int { return cmp.Or(cmp.Compare(b.For, a.For), cmp.Compare(a.Signal, b.Signal)) })
	return list
}

// A Wait is a time that is booked to a signal.
type Wait struct {
	Signal Signal
	For    time.Duration
}
