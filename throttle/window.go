package throttle

import (
	"errors"
	"fmt"
	"strings"
	"time"

	_ "time/tzdata" // our image is built from scratch: there is no /usr/share/zoneinfo in it
)

// A Window is a time of the day. The zero value is the whole day.
type Window struct {
	From, To time.Duration  // on the clock of the zone, since 00:00; equal: the whole day
	Zone     *time.Location // nil: UTC
}

// ErrNoWindow has what is wanted instead, for a sentence of the caller's.
var ErrNoWindow = errors.New("a window of the day such as 02:00-04:00 (in UTC) or 02:00-04:00 Europe/Berlin")

// ParseWindow reads HH:MM-HH:MM, behind which a time zone may stand; ErrNoWindow when it is
// something else.
func ParseWindow(s string) (Window, error) {
	from, rest, dash := strings.Cut(s, "-")
	to, zone, _ := strings.Cut(strings.TrimSpace(rest), " ")
	f, errF := time.Parse("15:04", strings.TrimSpace(from))
	t, errT := time.Parse("15:04", to)
	if !dash || errF != nil || errT != nil || f.Equal(t) {
		return Window{}, ErrNoWindow
	}
	in, err := parseZone(strings.TrimSpace(zone))
	if err != nil {
		return Window{}, err
	}
	return Window{From: sinceMidnight(f), To: sinceMidnight(t), Zone: in}, nil
}

// parseZone reads a name of the IANA database or an offset from UTC. nil is UTC.
func parseZone(s string) (*time.Location, error) {
	if s == "" {
		return nil, nil
	}
	if offset, err := time.Parse("-07:00", s); err == nil {
		_, seconds := offset.Zone()
		if seconds < -14*3600 || seconds > 14*3600 {
			return nil, fmt.Errorf("no clock is %s from UTC: offsets go from -14:00 to +14:00", s)
		}
		return time.FixedZone(s, seconds), nil
	}
	// "Local" would be the zone of whatever machine Midflight runs on.
	zone, err := time.LoadLocation(s)
	if err != nil || s == "Local" {
		return nil, fmt.Errorf("the time zone '%s' is not known: want a name of the IANA database, spelt as there, such as Europe/Berlin, or an offset such as +02:00", s)
	}
	if zone == time.UTC {
		return nil, nil
	}
	return zone, nil
}

// All tells whether it is the whole day.
func (w Window) All() bool { return w.From == w.To }

// Open goes by what a clock on the wall shows: times that are skipped when summer time
// begins don't come that day, and those that come twice when it ends are open twice.
func (w Window) Open(t time.Time) bool {
	at := sinceMidnight(t.In(w.zone()))
	switch {
	case w.All():
		return true
	case w.From < w.To:
		return at >= w.From && at < w.To
	}
	return at >= w.From || at < w.To // over midnight
}

// sinceMidnight is what the clock shows, which on some days is not the time
// that has passed since midnight.
func sinceMidnight(t time.Time) time.Duration {
	h, m, s := t.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
}

func (w Window) zone() *time.Location {
	if w.Zone == nil {
		return time.UTC
	}
	return w.Zone
}

// String is a form that ParseWindow reads, with its zone; "" for the whole day.
func (w Window) String() string {
	if w.All() {
		return ""
	}
	clock := func(d time.Duration) string { return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60) }
	return clock(w.From) + "-" + clock(w.To) + " " + w.zone().String()
}
