package ghost

import (
	"fmt"
	"strings"
	"time"
)

// A CutOver says when the tables may be swapped: at once (the zero value), on
// the operator's word, or in a window of the day (UTC).
type CutOver struct {
	Manual   bool
	From, To time.Duration // since midnight; equal: no window
}

// ParseCutOver reads @midflight_cutover: auto, manual or HH:MM-HH:MM.
func ParseCutOver(s string) (CutOver, error) {
	switch strings.ToLower(s) {
	case "", "auto":
		return CutOver{}, nil
	case "manual":
		return CutOver{Manual: true}, nil
	}
	from, to, ok := strings.Cut(s, "-")
	f, errF := time.Parse("15:04", strings.TrimSpace(from))
	t, errT := time.Parse("15:04", strings.TrimSpace(to))
	if !ok || errF != nil || errT != nil || f.Equal(t) {
		return CutOver{}, fmt.Errorf("@midflight_cutover = '%s': want auto, manual or a window of the day in UTC such as 02:00-04:00", s)
	}
	midnight := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	return CutOver{From: f.Sub(midnight), To: t.Sub(midnight)}, nil
}

// Open tells whether the swap may happen at t; approved is the operator's word.
func (c CutOver) Open(t time.Time, approved bool) bool {
	if approved {
		return true
	}
	if c.Manual {
		return false
	}
	if c.From == c.To {
		return true
	}
	t = t.UTC()
	at := t.Sub(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC))
	if c.From < c.To {
		return at >= c.From && at < c.To
	}
	return at >= c.From || at < c.To // over midnight
}

// String is the form that ParseCutOver reads.
func (c CutOver) String() string {
	clock := func(d time.Duration) string { return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60) }
	switch {
	case c.Manual:
		return "manual"
	case c.From == c.To:
		return "auto"
	}
	return clock(c.From) + "-" + clock(c.To)
}
