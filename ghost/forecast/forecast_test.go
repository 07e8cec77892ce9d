package forecast

import (
	"math"
	"testing"
	"time"
)

// A copy whose rate and statistics are steady or not: what is said is near enough
// from the fifth second on, by a measure of its own for each.
func TestForecast(t *testing.T) {
	const rows, indexes = 1_000_000, 2
	for _, c := range []struct {
		name     string
		estimate int64
		keys     bool // the position is known
		rate     func(second int) int64
		mostOff  float64 // part of what was left
	}{
		{"steady", rows, true, func(int) int64 { return 20_000 }, 0.1},
		{"statistics of half the rows", rows / 2, true, func(int) int64 { return 20_000 }, 0.5},
		{"no statistics", 0, true, func(int) int64 { return 20_000 }, 0.2},
		{"slower and slower", rows, false, func(s int) int64 { return 40_000 - 300*int64(s) }, 0.6},
		{"strings", rows * 11 / 10, false, func(int) int64 { return 20_000 }, 0.3},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := time.Unix(0, 0)
			f := New(at, c.estimate, indexes)
			type word struct {
				at        time.Time
				left, off time.Duration
			}
			var words []word
			var copied int64
			last := 0.0
			see := func(s Seen) {
				f.See(s)
				if p := f.Progress(); p < last || p > 0.999 {
					t.Errorf("at %s: progress %f after %f", s.At.Sub(time.Unix(0, 0)), p, last)
				} else {
					last = p
				}
				if left, off, ok := f.Left(); ok {
					words = append(words, word{s.At, left, off})
				}
			}
			for second := 0; copied < rows; second++ {
				at = at.Add(time.Second)
				copied = min(copied+c.rate(second), rows)
				s := Seen{At: at, Rows: copied, Position: -1}
				if c.keys {
					s.Position = float64(copied) / rows
				}
				see(s)
			}
			building := at
			build := time.Duration(float64(at.Sub(time.Unix(0, 0))) * 0.28 * indexes)
			for at.Sub(building) < build {
				at = at.Add(time.Second)
				see(Seen{At: at, Rows: rows, Position: 1, Copied: true, Building: building})
			}
			end := at
			for _, w := range words[fewSaid:] {
				really := end.Sub(w.at)
				if wrong := math.Abs((w.left - really).Seconds()); wrong > 3 && wrong > c.mostOff*really.Seconds() {
					t.Errorf("after %s: %s (± %s) where %s are left", w.at.Sub(time.Unix(0, 0)), w.left, w.off, really)
				}
			}
			f.See(Seen{At: at, Rows: rows, Position: 1, Copied: true, Built: true})
			if left, _, ok := f.Left(); !ok || left != 0 {
				t.Errorf("%s left at the end", left)
			}
		})
	}
}

func TestNothingIsKnownYet(t *testing.T) {
	at := time.Unix(0, 0)
	f := New(at, 100, 1)
	if _, _, ok := f.Left(); ok {
		t.Error("knows before anything was seen")
	}
	f.See(Seen{At: at.Add(time.Second), Position: -1})
	if _, _, ok := f.Left(); ok || f.Progress() != 0 {
		t.Error("knows before a row was copied")
	}
}
