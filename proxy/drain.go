package proxy

import (
	"context"
	"errors"
	"time"

	"midflight/proxy/wire"
)

// A drain is how the sessions leave a server that is to end: each in a moment in which
// its client loses nothing but the connection, as by wait_timeout.
type drain struct {
	last nanos // from now on clients that are never silent must leave, too
	end  nanos // who is still here is aborted
}

// silence is how long a client must have said nothing: one that is at work is about
// to send its next command.
const silence = 100 * time.Millisecond

// lookForSilent is how often silent ones are looked for.
const lookForSilent = 20 * time.Millisecond

func newDrain(now nanos, bound time.Duration) *drain {
	return &drain{last: now + nanos(bound-bound/4), end: now + nanos(bound)}
}

// silent tells whether a client that has been idle since then may be taken leave of.
func (d *drain) silent(since, now nanos) bool { return now-since >= nanos(silence) }

// atEnd tells whether one that has become idle in this moment may.
func (d *drain) atEnd(now nanos) bool { return now >= d.last }

// Drain has Serve accept nobody any more, and return when the sessions have left, or
// after bound, when it aborts those that are left. A session leaves when it is idle,
// has no transaction and no locks on tables, and its client has been silent for a
// moment; in the last quarter of bound right behind the answer that makes it so.
//
// Till then everything works as before, holds and Intercept included.
func (s *Server) Drain(bound time.Duration) {
	if s.drain.CompareAndSwap(nil, newDrain(clock(), bound)) {
		s.closing()
	}
}

// letLeave has sessions leave until all have, or the bound is reached, or ctx ends.
func (s *Server) letLeave(ctx context.Context, left <-chan struct{}) {
	d := s.drain.Load()
	bound := time.NewTimer(time.Duration(d.end - clock()))
	defer bound.Stop()
	tick := time.NewTicker(lookForSilent)
	defer tick.Stop()
	for {
		for _, ses := range s.all() {
			ses.leaveIfSilent(d)
		}
		select {
		case <-left:
			return
		case <-bound.C:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *session) leaveIfSilent(d *drain) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mayLeave() && d.silent(s.moved, clock()) {
		s.carrier.leave()
	}
}

// mayLeave tells whether the client, as far as it was read, would lose nothing but the
// connection and its settings. s.mu is held.
func (s *session) mayLeave() bool {
	return s.carrier != nil && s.walker != nil && s.idle() && !s.diverted && !s.waitsIdle && !s.heldNow &&
		!s.inTransaction() && s.sticky == 0 && !s.fetching() &&
		!s.quit && !s.serverGone && !s.aborted
}

// fetching tells whether the last command has left a cursor with rows in it. s.mu is held.
func (s *session) fetching() bool {
	return s.walker.Status()&(wire.StatusCursorExists|wire.StatusLastRowSent) == wire.StatusCursorExists
}

// leavesNow tells whether the session is to leave right behind what is about to be
// written to the client. s.mu is held.
func (s *session) leavesNow(now nanos) bool {
	d := s.srv.drain.Load()
	return d != nil && d.atEnd(now) && s.mayLeave()
}

// leaves decides, on the goroutine that reads the client and has nothing of it in hand,
// and notes it: the session goes on as if the client had quit. s.mu is held.
func (s *session) leaves(readable bool) bool {
	if readable || !s.mayLeave() {
		return false
	}
	s.endLocked(BlameProxy, errDrained)
	s.quit = true
	return true
}

var (
	errDrained = errors.New("the proxy shuts down, and the session was idle")

	quitPacket, _ = wire.AppendPacket(nil, []byte{wire.ComQuit}, 0)
)
