package proxy

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"midflight/proxy/wire"
)

// A Hold keeps statements that may touch some names from being forwarded, for a
// bounded time. A held statement costs the server nothing.
type Hold struct {
	srv   *Server
	names []string

	sealed atomic.Bool // nobody passes any more

	mu        sync.Mutex
	timer     *time.Timer
	waiting   []waiter // in the order in which they came
	open      bool
	committed bool                      // the caller has begun what can't be taken back
	decided   bool                      // … and knows its outcome
	outdates  func(session uint32) bool // nil: nothing was swapped, or it isn't known yet
	held      Held
}

type waiter struct {
	since  time.Time
	ses    *session
	sealed bool // it waits only since the hold is sealed
}

// Held says what a Hold has held.
type Held struct {
	Statements int
	Longest    time.Duration
}

// Hold begins to hold, in every session that is not in a transaction or has only
// begun one, each new command that may touch one of names. It opens by itself after bound.
//
// Sessions in a transaction, or with locks of their own, pass until Drained has seen
// that the caller waits for none of them. What Intercept itself sends is never held.
func (s *Server) Hold(names []string, bound time.Duration) *Hold {
	h := &Hold{srv: s, names: slices.Clone(names)}
	s.editHolds(func(l []*Hold) []*Hold { return append(l, h) })
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.open {
		h.timer = time.AfterFunc(bound, h.expire)
	}
	return h
}

// seal holds everybody, and unseal lets those go on who pass an unsealed hold.
func (h *Hold) seal() { h.sealed.Store(true) }

func (h *Hold) unseal() {
	h.sealed.Store(false)
	h.mu.Lock()
	var free []waiter
	h.waiting = slices.DeleteFunc(h.waiting, func(w waiter) bool {
		if w.sealed {
			free = append(free, w)
		}
		return w.sealed
	})
	for _, w := range free {
		h.held.Longest = max(h.held.Longest, time.Since(w.since))
	}
	h.mu.Unlock()
	for _, w := range free {
		w.ses.letGo()
	}
}

// Release lets everybody go, in the order in which they came.
func (h *Hold) Release() Held { return h.letGo(true) }

// expire is the hold's own clock. Who might see what is not decided yet is refused
// then (see outdated.go), the others go on.
func (h *Hold) expire() { h.letGo(false) }

func (h *Hold) letGo(released bool) Held {
	h.srv.editHolds(func(l []*Hold) []*Hold {
		return slices.DeleteFunc(l, func(o *Hold) bool { return o == h })
	})
	waiting, held := h.end(released)
	for _, w := range waiting {
		w.ses.letGo()
	}
	return held
}

// end opens the hold and yields who is to be let go. A session's lock comes
// before a hold's, so Release lets them go outside of it.
func (h *Hold) end(released bool) ([]waiter, Held) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.decided = h.decided || released || !h.committed
	waiting := h.waiting
	h.open, h.waiting = true, nil
	if h.timer != nil {
		h.timer.Stop()
	}
	for _, w := range waiting {
		h.held.Longest = max(h.held.Longest, time.Since(w.since))
	}
	return waiting, h.held
}

// editHolds replaces the list of holds. Sessions read it without a lock.
func (s *Server) editHolds(edit func([]*Hold) []*Hold) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*Hold
	if p := s.holds.Load(); p != nil {
		list = slices.Clone(*p)
	}
	if list = edit(list); len(list) == 0 {
		s.holds.Store(nil)
		return
	}
	s.holds.Store(&list)
}

// enter queues a session with its next command. passes: it is held by a sealed hold
// only. false: it isn't any more.
func (h *Hold) enter(ses *session, passes bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open || passes && !h.sealed.Load() {
		return false
	}
	h.waiting = append(h.waiting, waiter{time.Now(), ses, passes})
	h.held.Statements++
	return true
}

// mustWait tells whether a command must wait, and queues it: for a hold, or for
// its forerunners, whose answers say whether the session is in a transaction.
// stepRead: it needn't. s.mu is held, so that who looks for busy sessions after
// raising a hold sees each command either here, waiting, or in flight.
func (s *session) mustWait(c *command, now nanos) step {
	for {
		holds := s.srv.holds.Load()
		if holds == nil {
			return stepRead
		}
		// One that has only begun holds nothing yet. Were it let pass, a load of
		// short transactions would never drain: their BEGIN names no table.
		passes := s.sticky != 0 || s.inTransaction() && !s.log.onlyBegun()
		h := s.holding(*holds, c, passes)
		if h == nil {
			return stepRead
		}
		if s.waited == 0 {
			s.waited = now
		}
		if !s.idle() {
			s.waitsIdle = true
			return stepIdle
		}
		if h.enter(s, passes) {
			s.heldNow = true
			s.held++
			return stepHold
		}
	}
}

// letGo is told by the hold that has opened.
func (s *session) letGo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heldNow = false
	s.wake()
}

// holding is the first of holds that keeps c.
func (s *session) holding(holds []*Hold, c *command, passes bool) *Hold {
	for _, h := range holds {
		if (!passes || h.sealed.Load()) && c.mayTouch(h.names) {
			return h
		}
	}
	return nil
}

// mayTouch tells whether a command may touch one of names.
func (c *command) mayTouch(names []string) bool {
	switch c.Cmd {
	case wire.ComQuery, wire.ComStmtPrepare, wire.ComFieldList:
		return !c.whole || mayTouch(c.text, names)
	case wire.ComStmtExecute, wire.ComStmtBulkExecute:
		if c.stmt.text == (unique.Handle[string]{}) {
			return true
		}
		return mayTouch([]byte(c.stmt.text.Value()), names)
	}
	return false
}

// errLeftHeld: the statement of a client that has left is not sent.
var errLeftHeld = errors.New("the client left while its statement was held")

// Busy is a session that does something now.
type Busy struct {
	ID            uint32
	User, Client  string
	Since         time.Time // of the transaction, or of the statement
	Statement     string    // the latest
	InTransaction bool      // or with locks of its own
	Touches       bool      // it may have touched, or be touching, one of the names
}

// Busy lists the sessions that run a statement that may touch one of names, and
// all that are in a transaction or keep table locks; oldest first. Sessions that
// are being intercepted and have no transaction are not listed.
func (s *Server) Busy(names []string) []Busy {
	var list []Busy
	for _, ses := range s.all() {
		if b, ok := ses.busy(names, false); ok {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(a, b Busy) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// busy tells what the session does. watch: have the server's watchers called
// when it is done, if it touches names.
func (s *session) busy(names []string, watch bool) (Busy, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.walker == nil || s.aborted || s.serverGone {
		return Busy{}, false
	}
	runs := s.walker.InFlight() > 0 || s.relaying
	// A schema change has committed what came before it, and waits for others: were
	// it itself taken for busy, it would wait for ever.
	keeps := s.walker.InTransaction() || s.unflagged && !s.diverted || s.sticky != 0
	if !runs && !keeps {
		return Busy{}, false
	}
	b := Busy{
		ID: s.id, User: s.user, Client: s.addr, Since: epoch.Add(time.Duration(s.log.since)),
		InTransaction: keeps, Touches: s.log.mayTouch(names),
	}
	if watch && b.Touches {
		s.watched = true
	}
	b.Statement = s.log.statement()
	return b, b.Touches || keeps
}

// Drained waits until no session runs, or has in its transaction run, a statement
// that may touch the names, and seals the hold in that moment: from then on nobody
// touches them, until the hold opens. Or it waits until ctx ends. Sessions in a
// transaction that has not touched the names are not waited for.
func (h *Hold) Drained(ctx context.Context) error {
	w := make(chan struct{}, 1)
	h.srv.watch(w)
	defer h.srv.unwatch(w)
	for {
		if !h.inUse() {
			h.seal()
			if !h.inUse() { // nobody has slipped in between
				return nil
			}
			h.unseal()
		}
		select {
		case <-w:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// inUse tells whether somebody uses the names, and has the server's watchers called
// when he is done.
func (h *Hold) inUse() (used bool) {
	for _, ses := range h.srv.all() {
		b, _ := ses.busy(h.names, true)
		used = used || b.Touches
	}
	return used
}

func (s *Server) watch(w chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[w] = struct{}{}
}

func (s *Server) unwatch(w chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, w)
}

// kick has each Drained look again. Lock order: a session's mu, then the
// server's.
func (s *Server) kick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kickLocked()
}

func (s *Server) kickLocked() {
	for w := range s.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// Carries tells whether a session has this connection id of the server's, and is
// followed: of a client from before protocol 4.1 nothing is seen, or held.
func (s *Server) Carries(id uint32) bool {
	return slices.ContainsFunc(s.all(), func(ses *session) bool {
		ses.mu.Lock()
		defer ses.mu.Unlock()
		return ses.id == id && ses.wire.Caps&wire.ClientProtocol41 != 0
	})
}
