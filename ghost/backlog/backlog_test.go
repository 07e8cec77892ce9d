package backlog

import (
	"slices"
	"testing"

	"midflight/binlog"
)

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
