package proxy

import (
	"bytes"
	"errors"

	"midflight/proxy/wire"
)

// A step is what a carrier does after it has forwarded what advance walked.
type step uint8

const (
	stepRead    step = iota // read more behind what is left, and call again
	stepCollect             // bring together the whole packet of command.collect bytes, and call again
	stepIdle                // wait until the session is idle, and call again
	stepHold                // wait until the hold lets the session go, and call again
	stepOffer               // have Intercept answer command.packet
)

// A move is what advance says is to be done with bytes of the client's.
type move struct {
	forward int     // so many of them now, and
	then    step    // this
	cmd     command // what stepCollect and stepOffer are about
	left    int     // stepRead: of the current packet's frame. These may pass unseen
}

// advance walks p, bytes from the client. What isn't to be forwarded begins with
// a command that was not begun, or is less than a header. It does no I/O.
//
// The end of a step that waits is announced by a wake of the carrier.
//
// may says which commands of p can be stopped; others pass holds and Intercept.
func (s *session) advance(p []byte, now nanos, may stoppable) move {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for {
		k, stop := s.walker.Client(p[n:])
		n += k
		if stop != wire.StopCommand {
			return move{forward: n, then: stepRead, left: s.walker.ClientLeft()}
		}
		bound := may == stopNone || may != stopAny && n > 0
		switch busy := s.walker.InFlight(); {
		case busy < maxInFlight:
		case !bound:
			s.waitsIdle = true
			return move{forward: n, then: stepIdle}
		case busy >= maxTogether:
			s.abortLocked(BlameClient, errTooManyCommands)
			return move{forward: n, then: stepRead}
		}
		c := s.look(s.walker.Next(), p[n:], bound)
		if !c.wait && s.isOutdated(&c) {
			if c.collect = wire.HeaderLen + c.Length; bound || may == stopHolds || may == stopAlone && c.collect < len(p) || c.Length > maxCandidate {
				// It can't be answered by itself, and must not reach the server.
				s.abortLocked(BlameProxy, errCantRefuse)
				return move{forward: n, then: stepRead}
			}
			c.offer, c.refused = true, true
		}
		switch {
		case c.wait:
			return move{forward: n, then: stepRead}
		case c.collect > len(p)-n:
			return move{forward: n, then: stepCollect, cmd: c}
		case c.kills != 0 && !bound && !s.idle(): // so that its end is known
			s.waitsIdle = true
			return move{forward: n, then: stepIdle}
		case !c.offer, may == stopHolds, may == stopAlone && wire.HeaderLen+c.Length < len(p):
		case !s.idle():
			s.waitsIdle = true
			return move{forward: n, then: stepIdle}
		default:
			c.packet = bytes.Clone(p[n : n+wire.HeaderLen+c.Length])
			c.text = c.packet[len(c.packet)-len(c.text):]
			return move{forward: n, then: stepOffer, cmd: c}
		}
		if !bound {
			if wait := s.mustWait(&c, now); wait != stepRead {
				return move{forward: n, then: wait}
			}
		}
		s.take(&c, p[n:], now)
		n += wire.HeaderLen
	}
}

// maxInFlight commands are forwarded before their answers are waited for: each is
// remembered until then, and a client can say a million without hearing one answer.
// Those that share a compressed packet can't be kept back; more than maxTogether of
// them no client has a use for.
const (
	maxInFlight = 1 << 10
	maxTogether = 1 << 16
)

var errTooManyCommands = errors.New("the client sends too many commands in one compressed packet")

// stoppable says which of some commands can be kept from the server. A compressed
// packet is forwarded whole, so what shares one passes with it.
type stoppable uint8

const (
	stopAny   stoppable = iota
	stopAlone           // the first; Intercept may have it if nothing is behind it
	stopHolds           // the first, by a hold
	stopNone
)

// idle tells whether everything sent to the server is answered, and the answers
// are written to the client. s.mu is held.
func (s *session) idle() bool { return s.walker.Idle() && !s.writing }

// fromServer takes p, bytes from the server. true: they are walked and must now
// be written to the client. false: they are for the interception that has the
// server's connection, and still to be handed over. s.mu is held.
func (s *session) fromServer(p []byte, now nanos) bool {
	if s.diverted {
		return false
	}
	for len(p) > 0 {
		n, ev := s.walker.Server(p)
		p = p[n:]
		if ev.Kind == wire.Finished {
			s.finished(ev, now)
		}
	}
	if s.walker.Idle() {
		s.settle()
	}
	return true
}

// written wakes the carrier when the session has become idle. It is called when
// the client has been written to. s.mu is held.
func (s *session) written() {
	if s.waitsIdle && s.idle() {
		s.waitsIdle = false
		s.wake()
	}
}

// finished takes note of a command's end. s.mu is held.
func (s *session) finished(ev wire.Event, now nanos) {
	s.moved = now
	if ev.Err {
		s.rolledBack(ev.Error)
	}
	suffered := ev.Err && !ownFault(ev.Error)
	s.stats.answered(ev.Cmd, now-nanos(ev.Begun), ev.Err, suffered)
	if s.sampled != 0 {
		s.sampleEnds(now-nanos(ev.Begun), suffered)
	}
	s.kept(ev.Err, ev.Several)
	s.renewed(ev.Err, now)
	s.hasKilled(ev.Err)
	if ev.Cmd == wire.ComChangeUser && !ev.Err {
		s.becomes(s.changing)
	}
	if ev.Cmd != wire.ComStmtPrepare || len(s.preparing) == 0 {
		return
	}
	st := s.preparing[0]
	s.preparing = append(s.preparing[:0], s.preparing[1:]...)
	if ev.Err {
		return
	}
	if s.stmts == nil {
		s.stmts = make(map[uint32]statement)
	}
	s.stmts[ev.Statement] = st
	s.last = st
}

// settle forgets what was done, if nothing of it is left: no transaction and no
// lock. s.mu is held, and the server is idle.
func (s *session) settle() {
	s.unseen = false
	if s.using && s.walker.Status()&(wire.StatusAutocommit|wire.StatusInTrans) == 0 {
		s.unflagged = true
	}
	s.using = false
	if !s.inTransaction() {
		s.older = nil
	}
	if s.inTransaction() || s.sticky != 0 {
		return
	}
	s.log.clear()
	s.unwatched()
}

// unwatched tells who waits for the session that it holds nothing any more. s.mu is
// held.
func (s *session) unwatched() {
	if s.watched {
		s.watched = false
		s.srv.kick()
	}
}
