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
		took time.Duration
		want int
	}{
		{Target, 1000},          // just right
		{0, 1500},               // no division by zero; up by half
		{Target / 100, 2250},    // again by half at most
		{2 * Target, 1125},      // down at once
		{100 * Target, minRows}, // never below
		{time.Hour, minRows},
		{Target / 2, 150},
	} {
		if s.Took(step.took); s.Rows() != step.want {
			t.Errorf("after %s: %d rows, want %d", step.took, s.Rows(), step.want)
		}
	}
	for range 100 {
		s.Took(time.Microsecond)
	}
	if s.Rows() != maxRows {
		t.Errorf("%d rows at most, want %d", s.Rows(), maxRows)
	}
}
