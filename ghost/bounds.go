package ghost

import (
	"fmt"
	"time"
)

// Bounds is what the exclusive lock may cost others.
type Bounds struct {
	// Hold bounds an attempt: so long are statements held in the proxy at most.
	// One that turns out to be too short for the work under the lock is doubled, up
	// to ten times the setting, or the swap would never take place.
	Hold time.Duration
	// Pause is the time after the first attempt; it doubles with each, up to forty
	// times the setting.
	Pause time.Duration
	// Blocked is what is done when others have held the table for BlockedAfter.
	Blocked      Policy
	BlockedAfter time.Duration
}

// DefaultBounds are those of a Config that has none.
var DefaultBounds = Bounds{Hold: 100 * time.Millisecond, Pause: 50 * time.Millisecond, Blocked: Wait, BlockedAfter: time.Minute}

func (b Bounds) maxHold() time.Duration  { return 10 * b.Hold }
func (b Bounds) maxPause() time.Duration { return 40 * b.Pause }

// Check refuses what leaves no time for anything.
func (b Bounds) Check() error {
	switch {
	case b.Hold < 20*time.Millisecond || b.Hold > 10*time.Second:
		return fmt.Errorf("a hold of %s: want 20ms to 10s", b.Hold)
	case b.Pause < time.Millisecond:
		return fmt.Errorf("a pause of %s: want 1ms or more", b.Pause)
	case b.BlockedAfter < 0:
		return fmt.Errorf("blocked after %s: want 0s or more", b.BlockedAfter)
	}
	return nil
}

// A Policy says what becomes of a change whose lock others don't let it have.
type Policy string

const (
	Wait Policy = "wait" // as long as it takes
	Fail Policy = "fail" // the change ends, with error 1205
	Kill Policy = "kill" // their connections are ended
)

// ParsePolicy reads wait, fail or kill.
func ParsePolicy(s string) (Policy, error) {
	switch p := Policy(s); p {
	case Wait, Fail, Kill:
		return p, nil
	}
	return "", fmt.Errorf("%q is no policy: want wait, fail or kill", s)
}
