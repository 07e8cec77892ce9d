package signals

import (
	"context"
	"time"

	"midflight/throttle"
)

const beatSource = "beat"

// beat writes heartbeats while rows are copied: often when a replica is to be watched. How
// long one takes is what a commit of the applications' takes.
func (s *Sampler) beat(ctx context.Context) {
	number := int64(0)
	var last time.Time
	s.repeat(ctx, beatEvery, func(ctx context.Context, busy bool) {
		if !busy {
			s.forget(beatSource)
			return
		}
		if entered, replicas := s.copying(); !last.Before(entered) && time.Since(last) < sampleEvery && !replicas {
			return
		}
		last = time.Now()
		number++
		bound, cancel := context.WithTimeout(ctx, patience)
		err := s.Store.Beat(bound, number, s.now())
		cancel()
		r := throttle.Reading{Signal: throttle.CommitLatency, Value: time.Since(last).Seconds(), At: time.Now()}
		if err != nil {
			r.Problem = "a heartbeat could not be written: " + err.Error()
		}
		s.publish(beatSource, r)
	})
}

// copying tells since when rows are copied, and whether replicas get them.
func (s *Sampler) copying() (entered time.Time, replicas bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entered, s.replicas > 0
}
