package ghost

import (
	"math"
	"time"

	"midflight/ghost/chunk"
	"midflight/ghost/pace"
)

// feel, at each tick, takes what the applications have felt since the one before.
func (s *syncer) feel() {
	felt := s.Door.Felt()
	s.pace.Feel(felt.Latency.Since(s.felt.Latency))
	s.felt = felt
	if now := time.Now(); now.Sub(s.strained) >= time.Second {
		s.strained = now
		s.readings = s.strain.Readings(now, felt, func(last time.Duration) pace.Felt {
			return s.Door.FeltOf(s.reach, now.Add(-last), now)
		})
	}
	s.brakeTurn()
}

// mayWork tells whether the copy or its verification may send another statement, by the
// pace. What is being applied doesn't count: under load something always is, and there
// would be nothing left for the copy.
func (s *syncer) mayWork() bool {
	if s.brake.Slow() { // else the rest of one would be the work of another
		return s.busy[copyJob]+s.busy[verifyJob]+s.busy[keysJob] == 0
	}
	busy := s.busy[copyJob] + s.busy[verifyJob] + s.busy[keysJob]
	return busy < int(math.Ceil(s.pace.Level()))
}

// chunkRows is how many rows the next chunk should have.
func (s *syncer) chunkRows() int {
	if s.pace.Busy() || s.brake.Gentle() {
		return max(1, int(float64(min(s.sizer.Rows(), chunk.Gentle(s.rowBytes)))*s.brake.Chunk()))
	}
	return s.sizer.Rows()
}
