package ghost

import (
	"math"

	"midflight/ghost/chunk"
)

// feel, at each tick, takes what the applications have felt since the one before.
func (s *syncer) feel() {
	now := s.Door.Felt()
	s.pace.Feel(now.Since(s.felt))
	s.felt = now
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
		return min(s.sizer.Rows(), chunk.Gentle(s.rowBytes))
	}
	return s.sizer.Rows()
}
