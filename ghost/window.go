package ghost

import (
	"fmt"
	"strings"
	"time"

	_ "time/tzdata" // our image is built from scratch: there is no /usr/share/zoneinfo in it
)

// A CutOver says when the tables may be swapped: at once (the zero value), on
// the operator's word, or in a window of the day.
type CutOver struct {
	Manual   bool
	From, To time.Duration  // on the clock of the zone, since 00:00; equal: no window
	Zone     *time.Location // nil: UTC
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
	from, rest, dash := strings.Cut(s, "-")
	to, zone, _ := strings.Cut(strings.TrimSpace(rest), " ")
	f, errF := time.Parse("15:04", strings.TrimSpace(from))
	t, errT := time.Parse("15:04", to)
	if !dash || errF != nil || errT != nil || f.Equal(t) {
		return CutOver{}, fmt.Errorf("@midflight_cutover = '%s': want auto, manual or a window of the day such as 02:00-04:00 (in UTC) or 02:00-04:00 Europe/Berlin", s)
	}
	in, err := parseZone(strings.TrimSpace(zone))
	if err != nil {
		return CutOver{}, fmt.Errorf("@midflight_cutover = '%s': %w", s, err)
	}
	return CutOver{From: sinceMidnight(f), To: sinceMidnight(t), Zone: in}, nil
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

// Open tells whether the swap may happen at t; approved is the operator's word.
// A window goes by what a clock on the wall shows: times that are skipped when
// summer time begins don't come that day, and those that come twice when it
// ends are open twice.
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
	at := sinceMidnight(t.In(c.zone()))
	if c.From < c.To {
		return at >= c.From && at < c.To
	}
	return at >= c.From || at < c.To // over midnight
}

// sinceMidnight is what the clock shows, which on some days is not the time
// that has passed since midnight.
func sinceMidnight(t time.Time) time.Duration {
	h, m, s := t.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
}

func (c CutOver) zone() *time.Location {
	if c.Zone == nil {
		return time.UTC
	}
	return c.Zone
}

// String is a form that ParseCutOver reads; a window's has its zone.
func (c CutOver) String() string {
	clock := func(d time.Duration) string { return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60) }
	switch {
	case c.Manual:
		return "manual"
	case c.From == c.To:
		return "auto"
	}
	return clock(c.From) + "-" + clock(c.To) + " " + c.zone().String()
}
