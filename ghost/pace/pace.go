package pace

import (
	"fmt"
	"time"
)

const (
	// Tick is how often Feel is to be called.
	Tick = 100 * time.Millisecond
	// What is looked at is the last second.
	ticks = 10
	// fewStatements in a second are too few for a quantile of them to mean anything.
	fewStatements = 100

	quantile = 0.99
	limit    = 1.25 // times the quantile before: above it less is done
	relaxed  = 1.1  // below it more

	settle = 5 // ticks, until what was changed shows
	lowest = 1 // statement
)

// A Pace says how many statements of ours may be under way at a time.
//
// As long as nobody else is there it is as many as the server is thought to bear. When the
// applications' statements take longer than they did before, it goes down quickly, to one in
// the end, and comes back slowly. Not below one: what a statement of ours does to the
// slowest hundredth of theirs it does whenever it runs, and pauses between them only make
// it last longer (docs/decisions/0020).
type Pace struct {
	most   float64
	level  float64
	base   time.Duration // quantile without us; 0: not known
	recent [ticks]Latency
	next   int
	wait   int // ticks
	felt   time.Duration
	busy   bool
}

// New begins with what the statements took before; none: nobody was there.
func New(most int, before Latency) Pace {
	p := Pace{most: float64(most), level: float64(most)}
	if before.Count() >= fewStatements {
		p.base = before.Quantile(quantile)
		p.busy, p.level = true, 1
	}
	return p
}

// Feel takes what has been felt since the last call.
func (p *Pace) Feel(l Latency) {
	p.recent[p.next] = l
	p.next = (p.next + 1) % ticks
	var all Latency
	for _, w := range p.recent {
		all = all.And(w)
	}
	if p.busy = all.Count() >= fewStatements; !p.busy {
		p.level = min(p.most, p.level+0.25)
		p.felt = 0
		return
	}
	p.felt = all.Quantile(quantile)
	if p.base == 0 { // they came when we were there: nothing to compare with
		p.level = min(p.level, 1)
		return
	}
	if p.wait--; p.wait > 0 {
		return
	}
	switch ratio := float64(p.felt) / float64(p.base); {
	case ratio > limit:
		p.level = max(lowest, p.level*0.7)
		p.wait = settle
	case ratio < relaxed && p.level < p.most:
		p.level = min(p.most, p.level+0.1)
		p.wait = settle
	}
}

// Level is how many statements may be under way, rounded up.
func (p *Pace) Level() float64 { return p.level }

// Busy: somebody else is there.
func (p *Pace) Busy() bool { return p.busy }

// Reason tells people why less is done than could be; "" when it isn't so, or nothing is
// felt any more and more will be done soon.
func (p *Pace) Reason() string {
	if p.level >= p.most || p.base == 0 || float64(p.felt) <= relaxed*float64(p.base) {
		return ""
	}
	return fmt.Sprintf("the applications, whose statements take %s (99 %%) where it was %s", p.felt.Round(100*time.Microsecond), p.base.Round(100*time.Microsecond))
}
