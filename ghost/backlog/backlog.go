// Package backlog has the rules of when a changed key may be applied to the
// shadow table, when it must wait, and when it may be forgotten. It is pure:
// the engine and its model (ghost/model) run the same code.
package backlog

import (
	"iter"
	"slices"

	"midflight/binlog"
)

// A Backlog holds the keys that the stream has delivered and that the shadow
// table does not show yet. ID names a transaction.
//
// Invariant: a key leaves the backlog only by being applied after its latest
// transaction was visible, or by being forgotten then, while it was Ahead.
type Backlog[ID any] struct {
	pending map[binlog.Key]entry[ID]
	taken   map[binlog.Key]entry[ID] // handed out by Take, not yet Done
	// queue has the pending keys, each once, in the order in which they came: those
	// that have become visible are in front.
	queue []binlog.Key
	bytes int // of all keys' texts

	generation int         // of the keys that are added now
	left       map[int]int // how many keys of each generation are here; none is left out
}

type entry[ID any] struct {
	id ID
	// generation in which the key came: a later change does not make it younger.
	generation int
}

// New makes an empty backlog.
func New[ID any]() *Backlog[ID] {
	return &Backlog[ID]{pending: map[binlog.Key]entry[ID]{}, taken: map[binlog.Key]entry[ID]{}, left: map[int]int{}}
}

// Mark ends a generation, and returns its number.
func (b *Backlog[ID]) Mark() int {
	b.generation++
	return b.generation - 1
}

// Settled: every key that was here when the generation ended has been applied or
// forgotten since.
func (b *Backlog[ID]) Settled(generation int) bool {
	for g := range b.left { // as many as there are marks that are not settled
		if g <= generation {
			return false
		}
	}
	return true
}

func (b *Backlog[ID]) comes(e entry[ID]) { b.left[e.generation]++ }

func (b *Backlog[ID]) goes(e entry[ID]) {
	if b.left[e.generation]--; b.left[e.generation] == 0 {
		delete(b.left, e.generation)
	}
}

// Add notes that transaction id changed the row of k. A key that is being
// applied at this moment is applied again: the read may have missed id.
func (b *Backlog[ID]) Add(k binlog.Key, id ID) { b.add(k, entry[ID]{id, b.generation}) }

func (b *Backlog[ID]) add(k binlog.Key, e entry[ID]) {
	if waits, ok := b.pending[k]; ok {
		e.generation = waits.generation
	} else {
		b.queue = append(b.queue, k)
		b.bytes += len(k)
		b.comes(e)
	}
	b.pending[k] = e
}

// Again asks for k to be applied once more; a change that waits already does.
func (b *Backlog[ID]) Again(k binlog.Key, id ID) {
	if _, waits := b.pending[k]; !waits {
		b.Add(k, id)
	}
}

// inVain is how many keys that can't be taken now are looked at for each that is asked
// for: with a hundred thousand of them, looking at all each time would be all that is
// done. What is behind them came later, and most likely can't be taken either.
const inVain = 16

// MostBytes is how much the texts of a batch's keys may have, of which a statement has
// each twice at most: max_allowed_packet is 1 MiB where somebody made it small, and a key
// may have six thousand bytes.
const MostBytes = 128 << 10

// Full tells of what Take has handed out whether there may be more.
func Full(keys []binlog.Key, n int) bool {
	size := 0
	for _, k := range keys {
		size += len(k)
	}
	return len(keys) == n || size >= MostBytes
}

// Take hands out up to n keys that may be applied now, and forgets those that
// the row copy will still read.
//
// Whatever visible says must have been true before Take was called, and no
// chunk may be dispatched between the two: a chunk dispatched later reads a
// snapshot with the change in it.
func (b *Backlog[ID]) Take(n int, visible func(ID) bool, at func(binlog.Key) Place) []binlog.Key {
	var keys []binlog.Key
	kept, seen, size := 0, 0, 0
	for ; seen < len(b.queue) && len(keys) < n && size < MostBytes && kept < inVain*n; seen++ {
		k := b.queue[seen]
		e, where := b.pending[k], InFlight
		if _, busy := b.taken[k]; !busy && visible(e.id) {
			where = at(k)
		}
		switch where {
		case Behind:
			keys = append(keys, k)
			size += len(k)
			b.taken[k] = e
			delete(b.pending, k)
		case Ahead:
			b.bytes -= len(k)
			b.goes(e)
			delete(b.pending, k)
		default:
			b.queue[kept] = k
			kept++
		}
	}
	// Those that stay go right before what was not looked at.
	copy(b.queue[seen-kept:seen], b.queue[:kept])
	b.queue = b.queue[seen-kept:]
	if len(b.queue) == 0 {
		b.queue = nil
	} else if cap(b.queue) > 1024 && len(b.queue) < cap(b.queue)/4 {
		b.queue = slices.Clone(b.queue)
	}
	return keys
}

// Done tells that keys handed out by Take are in the shadow table as committed.
func (b *Backlog[ID]) Done(keys []binlog.Key) {
	for _, k := range keys {
		b.goes(b.taken[k])
		delete(b.taken, k)
		b.bytes -= len(k)
	}
}

// Return gives keys back that could not be applied.
func (b *Backlog[ID]) Return(keys []binlog.Key) {
	for _, k := range keys {
		e := b.taken[k]
		delete(b.taken, k)
		b.bytes -= len(k)
		if waits, ok := b.pending[k]; ok { // changed meanwhile: that change counts, from when the first came
			if e.generation < waits.generation {
				b.goes(waits)
				waits.generation = e.generation
				b.pending[k] = waits
			} else {
				b.goes(e)
			}
			continue
		}
		b.queue = append(b.queue, k)
		b.bytes += len(k)
		b.pending[k] = e
	}
}

// Has tells whether k waits or is being applied.
func (b *Backlog[ID]) Has(k binlog.Key) bool {
	_, pending := b.pending[k]
	_, taken := b.taken[k]
	return pending || taken
}

// Keys are those that wait or are being applied; one that does both may come twice.
func (b *Backlog[ID]) Keys() iter.Seq[binlog.Key] {
	return func(yield func(binlog.Key) bool) {
		for k := range b.pending {
			if !yield(k) {
				return
			}
		}
		for k := range b.taken {
			if !yield(k) {
				return
			}
		}
	}
}

// Len counts the keys that wait or are being applied.
func (b *Backlog[ID]) Len() int { return len(b.pending) + len(b.taken) }

// Bytes is about how much memory the keys take: their texts, and what the map and the
// queue have for each.
func (b *Backlog[ID]) Bytes() int { return b.bytes + perKey*b.Len() }

const perKey = 150
