package ghost

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"midflight/throttle"
)

// A CutOver says when the tables may be swapped: at once (the zero value), on
// the operator's word, or in a window of the day.
type CutOver struct {
	Manual bool
	throttle.Window
}

// ParseCutOver reads @midflight_cutover: auto, manual or HH:MM-HH:MM, behind
// which a time zone may stand.
func ParseCutOver(s string) (CutOver, error) {
	switch strings.ToLower(s) {
	case "", "auto":
		return CutOver{}, nil
	case "manual":
		return CutOver{Manual: true}, nil
	}
	w, err := throttle.ParseWindow(s)
	if errors.Is(err, throttle.ErrNoWindow) {
		return CutOver{}, fmt.Errorf("@midflight_cutover = '%s': want auto, manual or %w", s, err)
	}
	if err != nil {
		return CutOver{}, fmt.Errorf("@midflight_cutover = '%s': %w", s, err)
	}
	return CutOver{Window: w}, nil
}

// Open tells whether the swap may happen at t; approved is the operator's word.
func (c CutOver) Open(t time.Time, approved bool) bool {
	return approved || !c.Manual && c.Window.Open(t)
}

// String is a form that ParseCutOver reads; a window's has its zone.
func (c CutOver) String() string {
	switch {
	case c.Manual:
		return "manual"
	case c.All():
		return "auto"
	}
	return c.Window.String()
}
