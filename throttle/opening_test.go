package throttle

import (
	"testing"
	"time"
)

// A copy beside replicas that are never behind comes to full speed within some seconds, and
// a small one is done before.
func TestOpening(t *testing.T) {
	long := Opening(time.Hour)
	if long < time.Second || long > 4*time.Second || Opening(2*time.Hour) != long {
		t.Errorf("an hour's copy takes %s longer, one of two hours %s", long, Opening(2*time.Hour))
	}
	if short := Opening(10 * time.Millisecond); short < 100*time.Millisecond || short >= long {
		t.Errorf("one of 10 ms takes %s longer", short)
	}
	if none := Opening(0); none != 0 {
		t.Errorf("none takes %s", none)
	}
}
