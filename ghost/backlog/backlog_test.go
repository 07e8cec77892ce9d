package backlog

import (
	"slices"
	"strconv"
	"strings"
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

// With many keys that can't be taken in front, not all are looked at each time; what is
// taken or forgotten leaves the order of the others alone, and nothing is lost.
func TestLongBacklog(t *testing.T) {
	const n = 10_000
	b := New[int]()
	key := func(i int) binlog.Key { return binlog.MakeKey(strconv.Itoa(i)) }
	for i := range n {
		b.Add(key(i), i)
		b.Add(key(i), i+1) // again: once
	}
	if b.Len() != n || b.Bytes() < n*perKey {
		t.Fatalf("%d keys, %d bytes", b.Len(), b.Bytes())
	}
	looked := 0
	stuck := func(binlog.Key) Place { looked++; return InFlight }
	if keys := b.Take(10, func(int) bool { return true }, stuck); len(keys) > 0 || looked > inVain*10 {
		t.Errorf("took %d, looked at %d", len(keys), looked)
	}
	// Every third is forgotten, every third taken, and the rest taken later.
	var taken []binlog.Key
	for len(taken) < n/3 {
		keys := b.Take(500, func(int) bool { return true }, func(k binlog.Key) Place {
			i, _ := strconv.Atoi(string(k))
			return []Place{Ahead, Behind, InFlight}[i%3]
		})
		if len(keys) == 0 {
			break
		}
		taken = append(taken, keys...)
	}
	seen := map[binlog.Key]bool{}
	for k := range b.Keys() {
		seen[k] = true
	}
	if len(seen) != b.Len() {
		t.Errorf("%d keys, Len is %d", len(seen), b.Len())
	}
	b.Return(taken[:10])
	b.Done(taken[10:])
	last := -1
	for b.Len() > 0 {
		keys := b.Take(500, func(int) bool { return true }, func(binlog.Key) Place { return Behind })
		for _, k := range keys {
			i, _ := strconv.Atoi(string(k))
			if i%3 == 2 && i < last {
				t.Fatalf("%d comes after %d", i, last)
			}
			if i%3 == 2 {
				last = i
			}
			delete(seen, k)
		}
		b.Done(keys)
	}
	for k := range seen {
		if !slices.Contains(taken, k) {
			t.Fatalf("%s is lost", k)
		}
	}
	if b.Bytes() != 0 {
		t.Errorf("%d bytes of nothing", b.Bytes())
	}
}

// A generation is settled when all that was there at its end has been applied or
// forgotten, whatever came or changed again after it.
func TestGenerations(t *testing.T) {
	place := map[binlog.Key]Place{"1": Behind, "2": Behind, "3": InFlight, "4": Ahead}
	b := New[int]()
	take := func(n int) []binlog.Key {
		return b.Take(n, func(int) bool { return true }, func(k binlog.Key) Place { return place[k] })
	}
	settled := func(g int, want bool) {
		t.Helper()
		if b.Settled(g) != want {
			t.Errorf("generation %d is settled: %v, want %v", g, !want, want)
		}
	}
	empty := b.Mark()
	settled(empty, true)
	b.Add("1", 1)
	b.Add("4", 1)
	first := b.Mark()
	settled(empty, true)
	settled(first, false)
	b.Add("2", 2)
	b.Add("1", 2) // it waits since the first
	second := b.Mark()
	keys := take(9) // forgets 4
	if len(keys) != 2 {
		t.Fatalf("took %q", keys)
	}
	b.Add("1", 3) // while it is being applied
	settled(first, false)
	b.Return(keys)
	settled(first, false)
	settled(second, false)
	b.Add("3", 3)
	b.Done(take(9))
	settled(first, true)
	settled(second, true)
	if third := b.Mark(); b.Settled(third) {
		t.Error("3 has not been applied")
	}
	place["3"] = Behind
	b.Done(take(9))
	if len(b.left) > 0 || b.Len() > 0 {
		t.Errorf("%d keys, of generations %v", b.Len(), b.left)
	}
}

// A batch of long keys is bounded by their bytes, and has one at least.
func TestTakeLongKeys(t *testing.T) {
	b := New[int]()
	all := func(int) bool { return true }
	behind := func(binlog.Key) Place { return Behind }
	long := strings.Repeat("x", MostBytes/4)
	for i := range 10 {
		b.Add(binlog.MakeKey(long, strconv.Itoa(i)), 1)
	}
	b.Add(binlog.MakeKey(strings.Repeat(long, 5)), 1)
	taken := 0
	for keys := b.Take(500, all, behind); len(keys) > 0; keys = b.Take(500, all, behind) {
		taken += len(keys)
		if len(keys) > 4 || !Full(keys, 500) && b.Len() > taken {
			t.Errorf("%d keys, full: %v", len(keys), Full(keys, 500))
		}
	}
	if taken != 11 {
		t.Errorf("took %d keys of 11", taken)
	}
}
