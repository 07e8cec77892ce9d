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
	last   pace.Felt
	ring   [listenFor]pace.Felt // one a second
	next   int
	copies int       // migrations that copy now
	rests  time.Time // since when none has copied; zero: since ever
	quiet  []span    // in which none copied, oldest first
}

// A span is a time, without its end.
type span struct{ from, to time.Time }

// maxQuiet spans are kept. The proxy's memory is shorter than most of them anyway.
const maxQuiet = 8

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
	l.listenLocked()
}

func (l *listener) listenLocked() {
	now := l.door.Felt()
	if l.copies == 0 {
		l.ring[l.next] = now.Since(l.last)
		l.next = (l.next + 1) % listenFor
	}
	l.last = now
}

// begin tells that a migration begins to copy, and returns what was felt before: of the
// whole server, and of the statements that name one of names.
func (l *listener) begin(names []string) (before, table pace.Felt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listenLocked() // to what has come since the last second
	if l.copies == 0 {
		l.quiet = append(l.quiet, span{l.rests, time.Now()})
		l.quiet = l.quiet[max(0, len(l.quiet)-maxQuiet):]
	}
	l.copies++
	for _, second := range l.ring {
		before = before.And(second)
	}
	for _, q := range l.quiet {
		table = table.And(l.door.FeltOf(names, q.from, q.to))
	}
	return before, table
}

// end is the end of what began.
func (l *listener) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.copies--; l.copies == 0 {
		l.rests = time.Now()
	}
}
