package ghost

import (
	"errors"
	"testing"

	"midflight/binlog"
	"midflight/ghost/chunk"
	"midflight/ghost/verify"
)

// The tables are not swapped while rows are still to be compared after a hidden
// change, though it is seen by now. (The soak lost five rows on MariaDB.)
func TestNothingHid(t *testing.T) {
	s := &syncer{run: &run{Config: Config{Door: open{}}}, verify: verify.New(true)}
	s.ranges = []chunk.Range{{}}
	check := func(when string, want bool) {
		t.Helper()
		if err := s.nothingHid(); errors.Is(err, errTooSoon) == want || (err == nil) != want {
			t.Errorf("%s: %v, want to swap: %v", when, err, want)
		}
	}
	s.verify.Begin(nil)
	check("at first", true)
	s.unseen = []binlog.TxID{{}}
	check("a change is not seen yet", false)
	s.seen(func(binlog.TxID) bool { return true })
	check("seen, and nothing compared", false)
	s.verify.NextRange()
	check("compared", true)
}
