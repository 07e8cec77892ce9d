package backlog

import (
	"testing"

	"midflight/binlog"
	"midflight/ghost/chunk"
)

// copied tells the story of a copy: the ends of the chunks that were dispatched
// ("" is the last), and which of them are committed.
func copied(integers bool, ends []binlog.Key, committed ...int) Copied {
	c := NewCopied(integers)
	var ranges []chunk.Range
	for _, hi := range ends {
		r := chunk.Range{Lo: c.Dispatched(), Hi: hi}
		c.Dispatch(r)
		ranges = append(ranges, r)
	}
	for _, i := range committed {
		c.Commit(ranges[i])
	}
	return c
}

type keys = []binlog.Key

func TestPlace(t *testing.T) {
	begun := copied(true, nil)
	first := copied(true, keys{"10"})
	between := copied(true, keys{"10"}, 0)
	second := copied(true, keys{"10", "20"}, 0)
	last := copied(true, keys{"20", ""}, 0)
	only := copied(true, keys{""}) // one chunk is the whole table
	done := copied(true, keys{""}, 0)
	three := copied(true, keys{"10", "20", "30"}, 1) // the second is through before the first
	resumed := Resume(true, "10")
	for _, c := range []struct {
		name   string
		copied Copied
		k      binlog.Key
		want   Place
	}{
		{"nothing dispatched", begun, "5", Ahead},
		{"in the first chunk", first, "5", InFlight},
		{"at its end", first, "10", InFlight},
		{"above it", first, "11", Ahead},
		{"between chunks, at the watermark", between, "10", Behind},
		{"between chunks, above", between, "11", Ahead},
		{"behind", second, "10", Behind},
		{"in flight", second, "11", InFlight},
		{"ahead", second, "21", Ahead},
		{"below the last chunk", last, "20", Behind},
		{"in the last chunk", last, "21", InFlight},
		{"in the last chunk, above every row", last, "99999", InFlight},
		{"in the only chunk", only, "1", InFlight},
		{"done", done, "1", Behind},
		{"of three in flight, the first", three, "10", InFlight},
		{"of three in flight, the one that is through", three, "11", Behind},
		{"of three in flight, its end", three, "20", Behind},
		{"of three in flight, the third", three, "21", InFlight},
		{"above three in flight", three, "31", Ahead},
		{"resumed, behind", resumed, "10", Behind},
		{"resumed, ahead", resumed, "11", Ahead},
	} {
		if got := c.copied.Place(c.k); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Keys that Go can't compare are in flight as long as any chunk is.
func TestPlaceOfOtherKeys(t *testing.T) {
	for _, c := range []struct {
		copied Copied
		want   Place
	}{
		{copied(false, nil), Ahead},
		{copied(false, keys{"'k'"}), InFlight},
		{copied(false, keys{"'k'", "'t'"}, 0), InFlight},
		{copied(false, keys{"'k'", "'t'"}, 1), InFlight},
		{copied(false, keys{"'t'", ""}, 0), InFlight},
		{copied(false, keys{""}, 0), Behind},
		{Resume(false, "'k'"), Behind},
		// The engine stops copying at so many keys in the backlog
		// (ghost, mayCopy), until they are applied: between two chunks
		// something must move, or the copy waits for the apply and the apply
		// for the copy, for ever.
		{copied(false, keys{"'k'"}, 0), Behind},
	} {
		if got := c.copied.Place("'a'"); got != c.want {
			t.Errorf("%+v: %v, want %v", c.copied, got, c.want)
		}
	}
}

func TestWatermark(t *testing.T) {
	for _, c := range []struct {
		name   string
		copied Copied
		want   binlog.Key
		done   bool
	}{
		{"begun", copied(true, nil), "", false},
		{"the first in flight", copied(true, keys{"10"}), "", false},
		{"the first committed", copied(true, keys{"10"}, 0), "10", false},
		{"the second is through before the first", copied(true, keys{"10", "20", "30"}, 1), "", false},
		{"then the first", copied(true, keys{"10", "20", "30"}, 1, 0), "20", false},
		{"the last is through before the one below", copied(true, keys{"10", "20", ""}, 0, 2), "10", false},
		{"done", copied(true, keys{"10", ""}, 0, 1), "10", true},
		{"done, the last through before the one below", copied(true, keys{"10", "20", ""}, 0, 2, 1), "20", true},
	} {
		if got, done := c.copied.Watermark(), c.copied.Done(); got != c.want || done != c.done {
			t.Errorf("%s: %q, done %v, want %q, %v", c.name, got, done, c.want, c.done)
		}
	}
}

func TestNoGaps(t *testing.T) {
	for name, wrong := range map[string]func(){
		"a gap":                func() { c := copied(true, keys{"10"}); c.Dispatch(chunk.Range{Lo: "11", Hi: "20"}) },
		"behind the last":      func() { c := copied(true, keys{""}); c.Dispatch(chunk.Range{}) },
		"not dispatched":       func() { c := copied(true, keys{"10"}); c.Commit(chunk.Range{Hi: "9"}) },
		"committed once again": func() { c := copied(true, keys{"10"}, 0); c.Commit(chunk.Range{Hi: "10"}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			wrong()
		}()
	}
}
