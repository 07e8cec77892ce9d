package binlog

import (
	"context"
	"errors"
	"sync"
	"time"
)

// What waits for a consumer is bounded. One transaction is let in whatever its size.
const (
	maxQueued      = 256
	maxQueuedBytes = 8 << 20
)

// A tap is one consumer's end of a source. It decodes for itself: its tables, its
// keys, its XA transactions, its errors.
//
// The assembler and what follows it belong to the source's goroutine; whoever holds
// the source's mutex may read the assembler between two transactions.
type tap struct {
	source *source

	asm   *assembler
	began boundary
	out   []Tx      // not in the queue yet
	told  time.Time // when something was put there last
	moves uint64    // asm.moves then

	filled chan struct{} // has an element when something was put into the queue
	taken  chan struct{} // the same, out of it
	left   chan struct{} // closed when the consumer goes
	gone   sync.Once

	// Of the consumer.
	since  Horizon // what it covers is not delivered; zero: all is
	broken error   // of a transaction that was to be delivered

	mu     sync.Mutex // guards what follows
	queue  []Tx
	bytes  int
	end    error    // what follows the queue
	behind Position // of the last that was queued
	// late is when the queue was first full without having been half empty since.
	late time.Time
}

func newTap(s *source, asm *assembler) *tap {
	return &tap{
		source: s, asm: asm, began: asm.boundary(), moves: asm.moves, told: time.Now(), behind: asm.position(),
		filled: make(chan struct{}, 1), taken: make(chan struct{}, 1), left: make(chan struct{}),
	}
}

// collect takes from the assembler what can be delivered; the source's mutex is held.
func (t *tap) collect(now time.Time) {
	a := t.asm
	if len(a.ready) > 0 {
		t.out = append(t.out, a.ready...)
		clear(a.ready)
		a.ready = a.ready[:0]
		t.moves, t.told = a.moves, now
		return
	}
	if a.moves != t.moves && now.Sub(t.told) >= advance && len(t.out) == 0 {
		t.moves, t.told = a.moves, now
		t.out = append(t.out, Tx{ID: a.lastID, After: a.position()})
	}
}

// offer puts into the queue what has room there, and tells whether that was all.
func (t *tap) offer() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.out) > 0 {
		tx := t.out[0]
		n := len(t.queue)
		switch {
		case n > 0 && tx.Empty() && t.queue[n-1].Empty():
			t.queue[n-1] = tx
		case n > 0 && (n >= maxQueued || t.bytes+tx.size() > maxQueuedBytes):
			if t.late.IsZero() {
				t.late = time.Now()
			}
			return false
		default:
			t.queue, t.bytes = append(t.queue, tx), t.bytes+tx.size()
		}
		t.behind = tx.After
		t.out = t.out[1:]
		signal(t.filled)
	}
	t.out = nil
	return true
}

// heldUp is for how long the consumer has not kept up.
func (t *tap) heldUp() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.late.IsZero() {
		return 0
	}
	return time.Since(t.late)
}

// finish: nothing follows what is in the queue but the last transactions, whatever
// room they need, and the error.
func (t *tap) finish(err error, last ...Tx) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue, t.end = append(t.queue, last...), err
	signal(t.filled)
}

// failed is what follows the queue, nil while that is not known.
func (t *tap) failed() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.end
}

// next is for one goroutine.
func (t *tap) next(ctx context.Context) (Tx, error) {
	for t.broken == nil {
		select {
		case <-t.left:
			return Tx{}, ErrClosed
		default:
		}
		tx, ok, err := t.take()
		switch {
		case err != nil:
			return Tx{}, err
		case ok && t.since.passed(tx):
		case ok && tx.broken != nil:
			t.broken = tx.broken
			t.leave()
		case ok:
			return tx, nil
		default:
			select {
			case <-t.filled:
			case <-t.left:
			case <-ctx.Done():
				return Tx{}, ctx.Err()
			}
		}
	}
	return Tx{}, t.broken
}

func (t *tap) take() (Tx, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return Tx{}, false, t.end
	}
	tx := t.queue[0]
	t.queue[0] = Tx{}
	t.queue, t.bytes = t.queue[1:], t.bytes-tx.size()
	if len(t.queue) == 0 {
		t.queue = nil
	}
	if len(t.queue) <= maxQueued/2 && t.bytes <= maxQueuedBytes/2 {
		t.late = time.Time{}
	}
	signal(t.taken)
	return tx, true, nil
}

// leave may be called by any goroutine, and again. If nobody is left the source ends,
// which is waited for.
func (t *tap) leave() {
	t.gone.Do(func() { close(t.left) })
	t.source.remove(t)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// errDetached: what follows must be read from elsewhere.
var errDetached = errors.New("the consumer did not keep up")

// apart is a tap of a new source that goes on behind a detached one's queue. The
// source does not run yet.
func (t *tap) apart(tables *tableSet) (*tap, error) {
	t.mu.Lock()
	from := t.behind
	t.mu.Unlock()
	s, own, err := newSource(t.source.server, t.source.flavor, from, tables)
	if err != nil {
		return nil, err
	}
	s.identity, own.since = t.source.identity, t.since
	return own, nil
}
