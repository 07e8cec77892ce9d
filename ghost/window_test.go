package ghost

import (
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
		if again, err := ParseCutOver(w.String()); err != nil || again != w {
			t.Errorf("%q is written as %q: %v, %v", c.text, w, again, err)
		}
	}
	for _, text := range []string{"now", "02:00", "02:00-02:00", "24:00-01:00", "02:60-03:00", "-", "02:00-04:00-06:00"} {
		if w, err := ParseCutOver(text); err == nil {
			t.Errorf("%q: %v, want an error", text, w)
		}
	}
}
