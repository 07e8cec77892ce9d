package ghost

import (
	"testing"
	"time"
)

// Beside replicas a copy works for a part of the time only, and both ends of the range say so.
func TestBetween(t *testing.T) {
	s := Sample{Rows: 1000, Took: time.Second, Width: 4}
	least, most, ok := s.Between(10_000, 0, false)
	slower, longest, also := s.Between(10_000, 0, true)
	if !ok || !also || slower < least+time.Second || longest < most+20*time.Second {
		t.Errorf("%s to %s, and beside replicas %s to %s", least, most, slower, longest)
	}
}
