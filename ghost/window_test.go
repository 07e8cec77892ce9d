package ghost

import (
	"cmp"
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	for _, c := range []struct {
		text, at string
		want     bool
	}{
		{"auto", "12:00:00", true},
		{"", "12:00:00", true},
		{"manual", "12:00:00", false},
		{"02:00-04:00", "01:59:59", false},
		{"02:00-04:00", "02:00:00", true},
		{"02:00-04:00", "03:59:59", true},
		{"02:00-04:00", "04:00:00", false},
		{"22:30-01:15", "22:29:59", false},
		{"22:30-01:15", "22:30:00", true},
		{"22:30-01:15", "23:59:59", true},
		{"22:30-01:15", "00:00:00", true},
		{"22:30-01:15", "01:14:59", true},
		{"22:30-01:15", "01:15:00", false},
		{"22:30-01:15", "12:00:00", false},
		{"00:00-12:00", "00:00:00", true},
		{"12:00-00:00", "23:59:59", true},
		{"12:00-00:00", "00:00:00", false},
		{" 2:00 - 4:00 ", "03:00:00", true},
	} {
		w, err := ParseCutOver(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		at, err := time.Parse(time.TimeOnly, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Open(at, false); got != c.want {
			t.Errorf("%q at %s: %v", c.text, c.at, got)
		}
		east := at.In(time.FixedZone("east", 5*3600))
		if got := w.Open(east, false); got != c.want {
			t.Errorf("%q at %s, told in another zone: %v", c.text, c.at, got)
		}
		if !w.Open(at, true) {
			t.Errorf("%q at %s: closed though the operator said so", c.text, c.at)
		}
		if again, err := ParseCutOver(w.String()); err != nil || again != w { // all of these are in UTC
			t.Errorf("%q is written as %q: %v, %v", c.text, w, again, err)
		}
	}
	for _, text := range []string{"now", "02:00", "02:00-02:00", "24:00-01:00", "02:60-03:00", "-", "02:00-04:00-06:00",
		"02:00-04:00+02:00", "02:00-04:00 Mars", "02:00-04:00 Local", "02:00-04:00 +15:00", "02:00-04:00 +2", "02:00-04:00 CEST", "02:00-04:00 ../UTC",
		"Europe/Berlin 02:00-04:00", "manual Europe/Berlin"} {
		if w, err := ParseCutOver(text); err == nil {
			t.Errorf("%q: %v, want an error", text, w)
		}
	}
}

// A window's zone is its wall clock's, when summer time begins and ends too.
func TestWindowZone(t *testing.T) {
	for _, c := range []struct {
		text, at string // at is in UTC
		want     bool
	}{
		{"02:00-04:00 Europe/Berlin", "2026-01-15T00:59:59Z", false},
		{"02:00-04:00 Europe/Berlin", "2026-01-15T01:00:00Z", true},
		{"02:00-04:00 Europe/Berlin", "2026-01-15T02:59:59Z", true},
		{"02:00-04:00 Europe/Berlin", "2026-01-15T03:00:00Z", false},
		{"02:00-04:00 Europe/Berlin", "2026-07-15T00:00:00Z", true},
		{"02:00-04:00 Europe/Berlin", "2026-07-15T02:00:00Z", false},
		{"  2:00 - 4:00   Europe/Berlin ", "2026-07-15T00:00:00Z", true},

		// On 29 March 2026 02:00 is followed by 03:00: of the window an hour is left.
		{"02:00-04:00 Europe/Berlin", "2026-03-29T00:59:59Z", false}, // 01:59:59
		{"02:00-04:00 Europe/Berlin", "2026-03-29T01:00:00Z", true},  // 03:00
		{"02:00-04:00 Europe/Berlin", "2026-03-29T02:00:00Z", false}, // 04:00
		{"02:00-03:00 Europe/Berlin", "2026-03-29T00:59:59Z", false}, // this one doesn't come that day
		{"02:00-03:00 Europe/Berlin", "2026-03-29T01:00:00Z", false},
		{"02:30-03:30 Europe/Berlin", "2026-03-29T01:00:00Z", true},
		// A day that has had 23 hours so far: 05:00 is 4 hours after midnight.
		{"05:00-06:00 Europe/Berlin", "2026-03-29T03:00:00Z", true},
		{"05:00-06:00 Europe/Berlin", "2026-03-29T04:00:00Z", false},

		// On 25 October 2026 03:00 is followed by 02:00: that hour is open twice.
		{"02:00-03:00 Europe/Berlin", "2026-10-24T23:59:59Z", false},
		{"02:00-03:00 Europe/Berlin", "2026-10-25T00:00:00Z", true},
		{"02:00-03:00 Europe/Berlin", "2026-10-25T01:59:59Z", true},
		{"02:00-03:00 Europe/Berlin", "2026-10-25T02:00:00Z", false},
		{"02:30-03:00 Europe/Berlin", "2026-10-25T00:30:00Z", true},
		{"02:30-03:00 Europe/Berlin", "2026-10-25T01:00:00Z", false},
		{"02:30-03:00 Europe/Berlin", "2026-10-25T01:30:00Z", true},
		{"05:00-06:00 Europe/Berlin", "2026-10-25T04:00:00Z", true},

		// Over midnight, there where the clock goes from 00:00 to 01:00.
		{"23:00-02:00 Africa/Cairo", "2026-04-23T20:59:59Z", false},
		{"23:00-02:00 Africa/Cairo", "2026-04-23T21:00:00Z", true},
		{"23:00-02:00 Africa/Cairo", "2026-04-23T22:59:59Z", true}, // 01:59:59
		{"23:00-02:00 Africa/Cairo", "2026-04-23T23:00:00Z", false},
		{"23:00-00:30 Africa/Cairo", "2026-04-23T22:00:00Z", false}, // 01:00
		// Over midnight, and the clock goes back by half an hour in the window.
		{"22:30-01:45 Australia/Lord_Howe", "2026-04-04T14:44:59Z", true},
		{"22:30-01:45 Australia/Lord_Howe", "2026-04-04T14:45:00Z", false}, // 01:45
		{"22:30-01:45 Australia/Lord_Howe", "2026-04-04T15:00:00Z", true},  // 01:30 again
		{"22:30-01:45 Australia/Lord_Howe", "2026-04-04T15:15:00Z", false},

		{"02:00-04:00 Asia/Kathmandu", "2026-01-15T20:15:00Z", true}, // +05:45
		{"02:00-04:00 Asia/Kathmandu", "2026-01-15T20:14:59Z", false},
		{"02:00-04:00 +02:00", "2026-01-15T00:00:00Z", true},
		{"02:00-04:00 +02:00", "2026-01-15T02:00:00Z", false},
		{"02:00-04:00 -05:30", "2026-01-15T07:30:00Z", true},
		{"02:00-04:00 -05:30", "2026-01-15T07:29:59Z", false},
		{"02:00-04:00 +14:00", "2026-01-15T12:00:00Z", true},
		{"02:00-04:00 UTC", "2026-01-15T02:00:00Z", true},
		{"02:00-04:00 +00:00", "2026-01-15T02:00:00Z", true},
	} {
		w, err := ParseCutOver(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseCutOver(w.String())
		if err != nil || again.String() != w.String() {
			t.Errorf("%q is written as %q: %v, %v", c.text, w, again, err)
		}
		for _, w := range []CutOver{w, again} {
			if got := w.Open(at, false); got != c.want {
				t.Errorf("%q at %s, there %s: %v", c.text, c.at, at.In(cmp.Or(w.Zone, time.UTC)).Format(time.TimeOnly), got)
			}
		}
	}
}
