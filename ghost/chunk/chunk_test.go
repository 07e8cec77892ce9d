package chunk

import (
	"strconv"
	"testing"
	"time"

	"midflight/binlog"
)

func TestPlace(t *testing.T) {
	key := binlog.MakeKey
	all := Range{}
	for _, c := range []struct {
		name string
		r    Range
		k    binlog.Key
		want Place
	}{
		{"no bounds", all, key("5"), Inside},
		{"at Lo", Range{Lo: key("5")}, key("5"), Before},
		{"behind Lo", Range{Lo: key("5")}, key("6"), Inside},
		{"at Hi", Range{Hi: key("5")}, key("5"), Inside},
		{"behind Hi", Range{Hi: key("5")}, key("6"), After},
		{"first chunk, below everything", Range{Hi: key("5")}, key("-9223372036854775808"), Inside},
		{"last chunk, above everything", Range{Lo: key("5")}, key("18446744073709551615"), Inside},
		{"between", Range{key("5"), key("7")}, key("6"), Inside},
		{"nothing in flight: at the watermark", Range{key("5"), key("5")}, key("5"), Before},
		{"nothing in flight: above", Range{key("5"), key("5")}, key("6"), After},
		{"by value, not by text", Range{key("9"), key("11")}, key("10"), Inside},
		{"negative below", Range{key("-5"), key("5")}, key("-10"), Before},
		{"negative inside", Range{key("-5"), key("5")}, key("-4"), Inside},
		{"negative at Hi", Range{key("-5"), key("-2")}, key("-2"), Inside},
		{"zero", Range{key("-1"), key("0")}, key("0"), Inside},
		{"above 2^63", Range{key("9223372036854775807"), key("9223372036854775809")}, key("9223372036854775808"), Inside},
		{"above 2^63, behind", Range{key("9223372036854775807"), key("9223372036854775808")}, key("9223372036854775809"), After},
		{"composite, at Lo", Range{key("1", "5"), key("2", "5")}, key("1", "5"), Before},
		{"composite, Lo's first part", Range{key("1", "5"), key("2", "5")}, key("1", "6"), Inside},
		{"composite, below in the second part", Range{key("1", "5"), key("2", "5")}, key("1", "-6"), Before},
		{"composite, at Hi", Range{key("1", "5"), key("2", "5")}, key("2", "5"), Inside},
		{"composite, Hi's first part", Range{key("1", "5"), key("2", "5")}, key("2", "6"), After},
		{"composite, first part decides", Range{key("1", "5"), key("2", "5")}, key("10", "0"), After},
		{"composite, three parts", Range{key("1", "1", "1"), key("1", "1", "3")}, key("1", "1", "2"), Inside},
	} {
		if got := c.r.Place(c.k, true); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if got := c.r.Place(c.k, false); got != Unsure {
			t.Errorf("%s, no integers: %v, want Unsure", c.name, got)
		}
	}
}

// Consecutive ranges cover every key once.
func TestRangesCoverOnce(t *testing.T) {
	bounds := []binlog.Key{"", "-7", "0", "1", "20", ""}
	for k := -10; k <= 30; k++ {
		inside := 0
		for i := range len(bounds) - 1 {
			if (Range{bounds[i], bounds[i+1]}).Place(binlog.MakeKey(strconv.Itoa(k)), true) == Inside {
				inside++
			}
		}
		if inside != 1 {
			t.Errorf("key %d is in %d ranges", k, inside)
		}
	}
}

func TestIntegerKeyMustBeOne(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Range{Lo: "'a'"}.Place("'b'", true)
}

func TestSizer(t *testing.T) {
	var s Sizer
	if s.Rows() != firstRow {
		t.Errorf("first chunk of %d rows", s.Rows())
	}
	for _, step := range []struct {
		rows int
		took time.Duration
		want int
	}{
		{1000, Target, 1000}, // just right
		{1000, 0, 2000},      // no division by zero; at most double
		{2000, Target / 100, 4000},
		{3, Target / 100, 4000},   // a gap says nothing
		{4000, 2 * Target, 2000},  // down at once
		{3, 2 * Target, minRows},  // long without rows: something else is slow
		{100, time.Hour, minRows}, // never below
		{100, Target * 2 / 3, 150},
	} {
		if s.Took(step.rows, step.took); s.Rows() != step.want {
			t.Errorf("after %d rows in %s: %d rows, want %d", step.rows, step.took, s.Rows(), step.want)
		}
	}
	for range 100 {
		s.Took(s.Rows(), time.Microsecond)
	}
	if s.Rows() != maxRows {
		t.Errorf("%d rows at most, want %d", s.Rows(), maxRows)
	}
}

func TestCourse(t *testing.T) {
	next := func(c *Course, lo binlog.Key, n int, want binlog.Key, wantOK bool) {
		t.Helper()
		if hi, ok := c.Next(lo, n); hi != want || ok != wantOK {
			t.Errorf("after %q: %q, %v, want %q, %v", lo, hi, ok, want, wantOK)
		}
	}
	ask := func(c *Course, lo binlog.Key, want binlog.Key, wantN int) {
		t.Helper()
		if from, n, ok := c.Ask(lo, 100, 2); ok != (wantN > 0) || ok && (from != want || n != wantN) {
			t.Errorf("after %q: asks for %d from %q (%v), want %d from %q", lo, n, from, ok, wantN, want)
		}
	}
	c := NewCourse(true)
	next(&c, "", 100, "", false) // the first is counted
	ask(&c, "", "", 2)
	c.Found("", "", []binlog.Key{"100", "200"}, 100, "1000000000000")
	ask(&c, "", "", 0)
	next(&c, "", 100, "100", true)
	next(&c, "100", 100, "200", true)
	next(&c, "200", 100, "", false)
	c.Copied(Range{"100", "200"}, 100)
	ask(&c, "200", "", 0)
	next(&c, "200", 100, "300", true) // no gaps: added
	next(&c, "-5", 100, "95", true)
	c.Copied(Range{"200", "300"}, 10) // gaps: counted, which jumps them
	next(&c, "300", 100, "", false)
	ask(&c, "300", "300", 2)
	c.Found("300", "300", []binlog.Key{"99999999999", "99999999999999999999"}, 100, "")
	next(&c, "300", 100, "99999999999", true)
	ask(&c, "99999999999", "99999999999999999999", 1)
	next(&c, "99999999999", 49, "", false)            // found for chunks of more than twice the size
	c.Found("7", "300", []binlog.Key{"400"}, 100, "") // not where the course is any more
	next(&c, "7", 100, "", false)
	c.Found("7", "7", []binlog.Key{""}, 100, "")
	c.Forget() // hours ago
	next(&c, "7", 100, "", false)
	ask(&c, "7", "7", 2)
	c.Found("7", "7", []binlog.Key{""}, 100, "")
	ask(&c, "7", "", 0) // nothing is behind the last
	next(&c, "7", 100, "", true)

	c = NewCourse(true) // near the greatest key there may be more by now
	c.Found("", "", nil, 100, "1000")
	c.Copied(Range{"1", "101"}, 100)
	next(&c, "899", 100, "999", true)
	next(&c, "900", 100, "", false)
	ask(&c, "900", "900", 2)

	c = NewCourse(true)
	if at := c.Position("5"); at != -1 {
		t.Errorf("position %f of an unknown course", at)
	}
	c.Found("", "", []binlog.Key{"-100"}, 100, "300")
	for k, want := range map[binlog.Key]float64{"": -1, "-200": -1, "-100": 0, "100": 0.5, "300": 1, "900": 1} {
		if at := c.Position(k); at != want {
			t.Errorf("position %f of %q, want %f", at, k, want)
		}
	}

	c = NewCourse(false) // others are counted
	c.Copied(Range{"1", "101"}, 100)
	c.Found("", "", nil, 100, "1000")
	next(&c, "1", 100, "", false)
	ask(&c, "1", "1", 2)
}
