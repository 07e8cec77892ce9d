package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"midflight/proxy/wire"
)

var errUnanswered = errors.New("the interception has not answered the client")

// intercept has Config.Intercept answer a command. It runs on the session's own
// goroutine: bytes that the client sends meanwhile wait in the kernel.
func (s *session) intercept(ctx context.Context, c command) error {
	if err := s.waitIdle(); err != nil {
		return err
	}
	s.commands++
	conn := s.divert(c)
	q := Query{Text: conn.text, Prepared: c.Cmd == wire.ComStmtExecute}
	err := s.srv.cfg.Intercept(ctx, conn, q)
	if err == nil && !conn.answered {
		err = cmp.Or(conn.clientFault, conn.fault, errUnanswered)
	}
	if err == nil && !errors.Is(conn.fault, ErrServerGone) {
		// (A server that has gone ends the session by itself, behind the answer.)
		err = conn.fault
	}
	left := s.undivert(conn)
	switch {
	case errors.Is(err, ErrServerGone):
		return &blameError{BlameServer, err}
	case err != nil:
		return &blameError{BlameProxy, fmt.Errorf("intercept: %w", err)}
	}
	if len(left) > 0 && conn.fault == nil {
		// Nothing of ours is under way: it is the server's goodbye.
		_, err = s.client.Write(left)
	}
	return err
}

// divert takes the server's connection from the server pump. The session is
// idle, so the pump waits for bytes, and will hand over those that come.
func (s *session) divert(c command) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.diverted = true
	_, seq := wire.ParseHeader(c.packet)
	conn := &Conn{
		s:      s,
		cmd:    c,
		text:   string(c.text),
		prefix: c.packet[wire.HeaderLen : wire.HeaderLen+1],
		seq:    seq + 1,
	}
	if c.Cmd == wire.ComStmtExecute {
		conn.text = c.stmt.text.Value()
	} else {
		conn.prefix = c.packet[wire.HeaderLen : len(c.packet)-len(c.text)]
	}
	return conn
}

// undivert gives the server's connection back to the pump, and returns what was
// read and belongs to no answer.
func (s *session) undivert(c *Conn) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.relaying = false
	if s.walker.Idle() {
		s.settle()
	}
	s.diverted = false
	s.cond.Broadcast()
	return c.in[c.used:]
}
