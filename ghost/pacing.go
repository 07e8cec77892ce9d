package ghost

import (
	"math"
	"time"

	"midflight/ghost/chunk"
)

// feel, at each tick, takes what the applications have felt since the one before.
func (s *syncer) feel() {
	now := s.Door.Felt()
	s.pace.Feel(now.Since(s.felt))
	s.felt = now
}

// mayWork tells whether the copy or its verification may send another statement, by the
// pace. What is being applied doesn't count: under load something always is, and there
// would be nothing left for the copy.
func (s *syncer) mayWork() bool {
	busy := s.busy[copyJob] + s.busy[verifyJob] + s.busy[keysJob]
	return busy < int(math.Ceil(s.pace.Level())) && !time.Now().Before(s.resume)
}

// rest, after a statement that took so long, where the pace is less than one at a time.
func (s *syncer) rest(took time.Duration) {
	if l := s.pace.Level(); l < 1 {
		s.resume = time.Now().Add(time.Duration(float64(took) * (1/l - 1)))
	}
}

// chunkRows is how many rows the next chunk should have.
func (s *syncer) chunkRows() int {
	if s.pace.Busy() {
		return min(s.sizer.Rows(), chunk.Gentle(s.rowBytes))
	}
	return s.sizer.Rows()
}
