package ghost

import (
	"context"
	"fmt"
	"maps"
	"time"

	"midflight/throttle"
)

// brake, at each tick, has the copy give way to others, and keeps the books.
func (s *syncer) brakeTurn() {
	wants := s.copying || s.status.Phase == Verifying
	s.brake.Turn(time.Now(), s.Gate.State(), s.readings, throttle.Orders{Paused: s.control.Paused, Ratio: s.control.Ratio}, wants)
	if why := s.brake.Breaks(); why != "" && wants {
		s.breakOff(why)
	}
}

// breakOff stops the migration as an operator would: all is kept, and somebody must look.
func (s *syncer) breakOff(why string) {
	s.control.Paused = true // the store will say so
	s.start(housekeeping, func(ctx context.Context) func() error {
		err := retry(ctx, patience, func() error { return s.Store.Stop(ctx, s.status.ID, why) })
		return func() error {
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
