package backlog

import (
	"slices"
	"testing"

	"midflight/binlog"
)

func TestPlace(t *testing.T) {
	begun := Copied{Integers: true}
	first := Copied{Dispatched: "10", Integers: true}
	between := Copied{Watermark: "10", Dispatched: "10", Integers: true}
	second := Copied{Watermark: "10", Dispatched: "20", Integers: true}
	last := Copied{Watermark: "20", Last: true, Integers: true}
	only := Copied{Last: true, Integers: true} // one chunk is the whole table
	done := Copied{Watermark: "", Last: true, Done: true, Integers: true}
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
	} {
		if got := c.copied.Place(c.k); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Keys that Go can't compare are in flight from the first chunk to the last.
func TestPlaceOfOtherKeys(t *testing.T) {
	for _, c := range []struct {
		copied Copied
		want   Place
	}{
		{Copied{}, Ahead},
		{Copied{Dispatched: "'k'"}, InFlight},
		{Copied{Watermark: "'k'", Dispatched: "'t'"}, InFlight},
		{Copied{Watermark: "'t'", Last: true}, InFlight},
		{Copied{Last: true, Done: true}, Behind},
	} {
		if got := c.copied.Place("'a'"); got != c.want {
			t.Errorf("%+v: %v, want %v", c.copied, got, c.want)
		}
	}
}

// The engine stops copying at so many keys in the backlog (ghost.maxBacklog),
// until they are applied. Keys that are in flight as long as the copy lasts
// would never be: between two chunks something must move.
func TestOtherKeysDrainBetweenChunks(t *testing.T) {
	if place := (Copied{Watermark: "'k'", Dispatched: "'k'"}).Place("'a'"); place == InFlight {
		t.Error("with a chunk key that is no integer every key is InFlight from the first chunk to Done. " +
			"At maxBacklog keys the copy waits for the apply and the apply for the copy, for ever")
	}
}

func TestBacklog(t *testing.T) {
	visible := map[int]bool{}
	place := map[binlog.Key]Place{}
	b := New[int]()
	take := func(n int) []binlog.Key {
		keys := b.Take(n, func(id int) bool { return visible[id] }, func(k binlog.Key) Place { return place[k] })
		slices.Sort(keys)
		return keys
	}
	expect := func(what string, got []binlog.Key, want ...binlog.Key) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	length := func(want int) {
		t.Helper()
		if b.Len() != want {
			t.Errorf("%d keys, want %d", b.Len(), want)
		}
	}
	for k, p := range map[binlog.Key]Place{"1": Behind, "2": Behind, "5": InFlight, "9": Ahead} {
		place[k] = p
		b.Add(k, 1)
	}
	expect("not visible", take(9))
	length(4)
	visible[1] = true
	one := take(1)
	if len(one) != 1 {
		t.Errorf("took %q, want one", one)
	}
	rest := append(one, take(9)...)
	slices.Sort(rest)
	expect("one, then the rest", rest, "1", "2")
	if b.Has("9") || !b.Has("5") || !b.Has("1") || !b.Has("2") {
		t.Error("want 9 forgotten; 5 waiting; 1 and 2 taken")
	}
	length(3)

	b.Add("1", 2) // changes while it is being applied
	visible[2] = true
	expect("taken by another batch", take(9))
	length(4)
	b.Done([]binlog.Key{"1", "2"})
	expect("applied again", take(9), "1")

	b.Add("1", 3)
	b.Return([]binlog.Key{"1"}) // must not bring back transaction 2 in place of 3
	expect("the newer one counts", take(9))
	visible[3] = true
	expect("… until it is visible", take(9), "1")
	b.Return([]binlog.Key{"1"})
	expect("returned", take(9), "1")
	b.Done([]binlog.Key{"1"})

	place["5"] = Behind
	expect("its chunk is committed", take(9), "5")
	b.Done([]binlog.Key{"5"})
	length(0)
}
