package throttle

import "time"

// Thresholds of the load.
type thresholds struct {
	shut, open float64 // nothing is copied any more, or again
	less, more float64 // above the one less is copied, below the other more
}

var (
	// What is on its way to a replica still comes when nothing more is copied, so the valve
	// is shut long before the limit.
	ofLate   = thresholds{shut: 0.3, open: 0.15, less: 0.15, more: 0.08}
	ofPrompt = thresholds{shut: 1, open: 0.7, less: 0.7, more: 0.5}
)

const (
	leastShare = 0.01
	firstShare = 0.03 // where something can be felt only later
)

// A Valve finds the part of the time which the copy may work, by a load that is felt later:
// the lag of replicas, which grows for as long as what was sent takes them longer than it
// took here. It begins with little, for the first second is in no reading yet, takes more
// quickly until the load is felt, and from then on slowly.
//
// That is TCP's congestion avoidance (RFC 5681, section 3.1) with the lag in the place of
// lost segments: a queue that is never let grow long enough to be lost.
type Valve struct {
	at    thresholds
	share float64
	shut  bool
	felt  bool      // the load has been above at.less: no more big steps
	next  time.Time // when it may be changed again
}

// NewValve begins with little when the load can be felt only later.
func NewValve(late bool) Valve {
	if late {
		return Valve{at: ofLate, share: firstShare}
	}
	return Valve{at: ofPrompt, share: 1, felt: true}
}

// Feel takes the load of now; delay is how old what it tells may be.
func (v *Valve) Feel(now time.Time, load float64, delay time.Duration) {
	if load >= v.at.shut && !v.shut {
		v.shut, v.felt = true, true
		v.share = max(leastShare, v.share*0.5)
	}
	if load < v.at.open {
		v.shut = false
	}
	if now.Before(v.next) {
		return
	}
	switch {
	case load > v.at.less:
		step := 0.8
		if !v.felt { // what is felt now was begun some big steps ago
			step = 0.5
		}
		v.felt = true
		v.share = max(leastShare, v.share*step)
	case load < v.at.more && v.share < 1:
		step := 1.1
		if !v.felt {
			step = 1.4
		}
		v.share = min(1, v.share*step)
	default:
		return
	}
	v.next = now.Add(200*time.Millisecond + delay)
}

// Share of the time that the copy may work; 0 when it may not.
func (v *Valve) Share() float64 {
	if v.shut {
		return 0
	}
	return v.share
}

// Opening is how much longer than by itself a copy of so much work takes beside replicas of
// which none is ever behind: it begins with little.
func Opening(work time.Duration) time.Duration {
	const turn = 100 * time.Millisecond
	v := NewValve(true)
	var now time.Time
	var lost time.Duration
	for v.share < 1 && work > 0 {
		v.Feel(now, 0, 0)
		now = now.Add(turn)
		worked := time.Duration(v.share * float64(turn))
		work, lost = work-worked, lost+turn-worked
	}
	return lost
}
