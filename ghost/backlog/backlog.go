// Package backlog has the rules of when a changed key may be applied to the
// shadow table, when it must wait, and when it may be forgotten. It is pure:
// the engine and its model (ghost/model) run the same code.
package backlog

import "midflight/binlog"

// A Backlog holds the keys that the stream has delivered and that the shadow
// table does not show yet. ID names a transaction.
//
// Invariant: a key leaves the backlog only by being applied after its latest
// transaction was visible, or by being forgotten then, while it was Ahead.
type Backlog[ID any] struct {
	pending map[binlog.Key]ID
	taken   map[binlog.Key]ID // handed out by Take, not yet Done
}

// New makes an empty backlog.
func New[ID any]() *Backlog[ID] {
	return &Backlog[ID]{pending: map[binlog.Key]ID{}, taken: map[binlog.Key]ID{}}
}

// Add notes that transaction id changed the row of k. A key that is being
// applied at this moment is applied again: the read may have missed id.
func (b *Backlog[ID]) Add(k binlog.Key, id ID) { b.pending[k] = id }

// Again asks for k to be applied once more; a change that waits already does.
func (b *Backlog[ID]) Again(k binlog.Key, id ID) {
	if _, waits := b.pending[k]; !waits {
		b.pending[k] = id
	}
}

// Take hands out up to n keys that may be applied now, and forgets those that
// the row copy will still read.
//
// Whatever visible says must have been true before Take was called, and no
// chunk may be dispatched between the two: a chunk dispatched later reads a
// snapshot with the change in it.
func (b *Backlog[ID]) Take(n int, visible func(ID) bool, place func(binlog.Key) Place) []binlog.Key {
	var keys []binlog.Key
	for k, id := range b.pending {
		if len(keys) == n {
			break
		}
		if _, busy := b.taken[k]; busy || !visible(id) {
			continue
		}
		switch place(k) {
		case Behind:
			keys = append(keys, k)
			b.taken[k] = id
			delete(b.pending, k)
		case Ahead:
			delete(b.pending, k)
		}
	}
	return keys
}

// Done tells that keys handed out by Take are in the shadow table as committed.
func (b *Backlog[ID]) Done(keys []binlog.Key) {
	for _, k := range keys {
		delete(b.taken, k)
	}
}

// Return gives keys back that could not be applied.
func (b *Backlog[ID]) Return(keys []binlog.Key) {
	for _, k := range keys {
		id := b.taken[k]
		delete(b.taken, k)
		if _, newer := b.pending[k]; !newer {
			b.pending[k] = id
		}
	}
}

// Has tells whether k waits or is being applied.
func (b *Backlog[ID]) Has(k binlog.Key) bool {
	_, pending := b.pending[k]
	_, taken := b.taken[k]
	return pending || taken
}

// Len counts the keys that wait or are being applied.
func (b *Backlog[ID]) Len() int { return len(b.pending) + len(b.taken) }
