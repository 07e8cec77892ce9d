package ghost

import (
	"context"
	"sync"
	"time"

	"midflight/ghost/pace"
)

// A listener knows what the applications felt when no rows were being copied: what they
// feel during a migration is compared with that.
type listener struct {
	door Door

	mu     sync.Mutex // guards the fields below
	last   pace.Latency
	ring   [listenFor]pace.Latency // one a second
	next   int
	copies int // migrations that copy now
}

// listenFor so many seconds.
const listenFor = 60

// run listens until ctx ends.
func (l *listener) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.listen()
		case <-ctx.Done():
			return
		}
	}
}

func (l *listener) listen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.door.Felt()
	if l.copies == 0 {
		l.ring[l.next] = now.Since(l.last)
		l.next = (l.next + 1) % listenFor
	}
	l.last = now
}

// begin tells that a migration begins to copy, and returns what was felt before.
func (l *listener) begin() (before pace.Latency) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.copies++
	for _, second := range l.ring {
		before = before.And(second)
	}
	return before
}

// end is the end of what began.
func (l *listener) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.copies--
}
