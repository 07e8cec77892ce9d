package ghost

import (
	"context"
	"fmt"
	"maps"
	"time"

	"midflight/ghost/pace"
	"midflight/throttle"
)

// brakeTurn, at each tick, has the copy give way to others, and keeps the books.
func (s *syncer) brakeTurn() {
	wants := s.copying || s.status.Phase == Verifying
	now := time.Now()
	if s.control.Paused || s.status.Phase == Ready || !s.Gate.State().Rules.Window.Open(now) {
		s.goAway()
	} else if wants {
		s.comeBack()
	}
	s.brake.Turn(now, s.Gate.State(), s.readings, throttle.Orders{Paused: s.control.Paused, Ratio: s.control.Ratio}, wants)
	if why := s.brake.Breaks(); why != "" && wants {
		s.breakOff(why)
	}
}

// goAway: it copies nothing, maybe for days. Heartbeats would be its only work, and what the
// applications feel meanwhile is what they feel without it.
func (s *syncer) goAway() {
	if !s.away {
		s.away = true
		s.gate.leave()
		s.listener.end()
	}
}

// comeBack: all is sampled anew, and nothing copied until it is known.
func (s *syncer) comeBack() {
	if s.away {
		s.away = false
		s.gate.enter()
		s.beginFeeling()
	}
}

// beginFeeling compares with what was felt until now.
func (s *syncer) beginFeeling() {
	before, table := s.listener.begin(s.reach)
	s.felt, s.strained, s.readings = s.Door.Felt(), time.Now(), nil
	s.pace, s.strain = pace.New(s.width+1, before.Latency), pace.NewStrain(s.strained, before, table, s.felt)
}

// breakOff stops the migration as an operator would: all is kept, and somebody must look.
func (s *syncer) breakOff(why string) {
	s.control.Paused = true // the store will say so
	s.breaking = true
	s.start(housekeeping, func(ctx context.Context) func() error {
		err := retry(ctx, patience, func() error { return s.Store.Stop(ctx, s.status.ID, why) })
		return func() error {
			s.breaking, s.broken = false, s.broken+1
			if err == nil {
				s.Observe(Broken{s.status.ID, s.request.Table, why})
			}
			return err
		}
	})
}

// bookWaits brings the status up to date, and tells of what has come to it.
func (s *syncer) bookWaits() {
	total := maps.Clone(s.waited)
	for signal, d := range s.brake.Booked() {
		if total == nil {
			total = map[throttle.Signal]time.Duration{}
		}
		total[signal] += d
		if more := total[signal] - s.status.Throttled[signal]; more > 0 {
			s.Observe(Throttled{s.status.ID, signal, more})
		}
	}
	s.status.Throttled = total
}

// throttledBy says why the copy does less than it could; "" when it does not.
func (s *syncer) throttledBy() string {
	switch v := s.brake.Verdict(); {
	case v.By == "":
		return ""
	case v.Share > 0 && v.By != throttle.Ratio: // which says so itself
		return fmt.Sprintf("%s, copies for %.0f %% of the time", v.Why, 100*v.Share)
	default:
		return v.Why
	}
}
