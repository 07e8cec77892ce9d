package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"midflight/proxy/wire"
)

var errUnanswered = errors.New("the interception has not answered the client")

// intercept has Config.Intercept answer a command of an idle session. Bytes that
// the client sends meanwhile wait in the kernel.
func (s *session) intercept(ctx context.Context, c command) error {
	conn := s.divert(c)
	var err error
	switch {
	case c.refused:
		err = conn.refuse(ctx)
	case c.Cmd == wire.ComChangeUser:
		err = conn.changeUser(ctx)
	default:
		err = s.srv.cfg.Intercept(ctx, conn, Query{Text: conn.text, Prepared: c.Cmd == wire.ComStmtExecute})
	}
	if err == nil && !conn.answered {
		err = cmp.Or(conn.clientFault, conn.fault, errUnanswered)
	}
	if err == nil && !errors.Is(conn.fault, ErrServerGone) {
		// (A server that has gone ends the session by itself, behind the answer.)
		err = conn.fault
	}
	if left := conn.in[conn.used:]; len(left) > 0 && err == nil && conn.fault == nil {
		// Nothing of ours is under way: it is the server's goodbye.
		_, err = s.client.Write(left)
	}
	switch {
	case errors.Is(err, ErrServerGone):
		err = &blameError{BlameServer, err}
	case err != nil:
		// The answer to a statement of ours may be on its way, or in the inbox. Whoever
		// carries the session must not take it for the client's.
		failed := &blameError{BlameProxy, fmt.Errorf("intercept: %w", err)}
		s.abort(failed.blame, failed.err)
		err = failed
	}
	s.undivert()
	return err
}

// divert takes the server's connection from the carrier, which will hand over
// the bytes that come.
func (s *session) divert(c command) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands++
	s.diverted = true
	_, seq := wire.ParseHeader(c.packet)
	conn := &Conn{
		s:      s,
		cmd:    c,
		text:   string(c.text),
		prefix: c.packet[wire.HeaderLen : wire.HeaderLen+1],
		seq:    seq + 1,
		killed: s.srv.enterInterception(s.id),
	}
	if c.Cmd == wire.ComStmtExecute {
		conn.text = c.stmt.text.Value()
	} else {
		conn.prefix = c.packet[wire.HeaderLen : len(c.packet)-len(c.text)]
	}
	return conn
}

// undivert gives the server's connection back to the carrier.
func (s *session) undivert() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.srv.leaveInterception(s.id)
	s.relaying = false
	if s.walker.Idle() {
		s.settle()
	}
	s.diverted = false
	s.moved = clock()
	s.wake()
}
