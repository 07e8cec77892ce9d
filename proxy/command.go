package proxy

import (
	"context"
	"io"
	"unique"

	"midflight/proxy/wire"
)

// maxCollect bounds a text with several statements that is collected to be
// looked at. maxCandidate bounds a statement that Intercept wants to see.
const (
	maxCollect   = 1 << 20
	maxCandidate = wire.MaxFrame - 1
)

// walkClient forwards p, bytes from the client, up to where more are needed,
// and returns how many are done with. What is left is less than a buffer.
func (s *session) walkClient(ctx context.Context, p []byte) (used int, err error) {
	start, off := 0, 0 // p[start:off] is walked and not yet written
	flush := func() error {
		err := s.toServer(p[start:off])
		start = off
		return err
	}
	for {
		s.mu.Lock()
		n, stop := s.walker.Client(p[off:])
		cmd := s.walker.Next()
		s.mu.Unlock()
		off += n
		if stop != wire.StopCommand {
			return off, flush()
		}
		c := s.look(cmd, p[off:])
		if c.wait {
			return off, flush()
		}
		if c.collect > 0 {
			if err := flush(); err != nil {
				return off, err
			}
			n, err := s.collected(ctx, c, p[off:])
			off += n
			start = off
			if err != nil {
				return off, err
			}
			continue
		}
		if !s.begin(c, p[off:]) {
			// Held, or not sure yet: what came before must reach the server.
			if err := flush(); err != nil {
				return off, err
			}
			for !s.begin(c, p[off:]) {
				if err := s.hold(c); err != nil {
					return off, err
				}
			}
		}
		off += wire.HeaderLen
	}
}

// A command is what the session knows of a command before it goes on.
type command struct {
	wire.Command
	text    []byte // of the statement, or what is there of it
	whole   bool   // text is all of it
	stmt    statement
	packet  []byte // all of it, when it was collected
	wait    bool   // look again when more has been read
	collect int    // collect a packet of this length, then look
	offer   bool   // to Intercept
}

// look decides what is to be known of the command at p. It changes nothing.
func (s *session) look(cmd wire.Command, p []byte) command {
	c := command{Command: cmd}
	total := wire.HeaderLen + cmd.Length
	c.whole = len(p) >= total && cmd.Length < wire.MaxFrame
	payload := p[wire.HeaderLen:min(total, len(p))]

	switch cmd.Cmd {
	case wire.ComQuery, wire.ComStmtPrepare, wire.ComFieldList, wire.ComSetOption:
		if !c.whole && total <= bufSize {
			c.wait = true
			return c
		}
	}
	switch cmd.Cmd {
	case wire.ComQuery:
		at, ok := wire.TextOffset(payload, s.wire)
		if !ok {
			c.whole = false
			return c
		}
		c.text = payload[at:]
		s.mu.Lock()
		multi := s.multi
		s.mu.Unlock()
		switch {
		case c.whole || !multi:
			c.offer = s.srv.cfg.Candidate(c.text, multi) && cmd.Length <= maxCandidate
		case cmd.Length <= maxCollect:
			c.collect = total
			return c
		}
		if c.offer {
			c.collect = total
		}
	case wire.ComStmtPrepare:
		c.text = payload[min(1, len(payload)):]
		c.stmt.candidate = s.srv.cfg.Candidate(c.text, false)
		if !c.whole && c.stmt.candidate && cmd.Length <= maxCandidate {
			c.collect = total
		}
	case wire.ComStmtExecute, wire.ComStmtBulkExecute, wire.ComStmtFetch:
		c.stmt = s.statement(cmd.Statement)
		if c.stmt.candidate && cmd.Cmd == wire.ComStmtExecute && cmd.Length <= maxCandidate {
			c.offer, c.collect = true, total
		}
	case wire.ComFieldList, wire.ComSetOption:
		c.text = payload[min(1, len(payload)):]
	}
	return c
}

// statement is the prepared statement with this id.
func (s *session) statement(id uint32) statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == 0xffffffff { // MariaDB: the one prepared last, perhaps in this very moment
		if n := len(s.preparing); n > 0 {
			return s.preparing[n-1]
		}
		return s.last
	}
	return s.stmts[id]
}

// collected reads the rest of a command's packet, and carries it out as a
// whole. p begins with it; n is how much of p belongs to it.
func (s *session) collected(ctx context.Context, c command, p []byte) (n int, err error) {
	packet := make([]byte, c.collect)
	n = copy(packet, p)
	if n < len(packet) {
		k, err := io.ReadFull(s.client, packet[n:])
		s.fromClient += uint64(k)
		if err != nil {
			return n, err
		}
	}
	// What was judged by its beginning is judged again.
	c = s.look(c.Command, packet)
	c.collect, c.packet = 0, packet
	if c.offer {
		return n, s.intercept(ctx, c)
	}
	for !s.begin(c, packet) {
		if err := s.hold(c); err != nil {
			return n, err
		}
	}
	return n, s.toServer(packet)
}

// begin takes the command at p into flight, unless it is to be held. After it
// the command's bytes must be forwarded.
func (s *session) begin(c command, p []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mustWaitLocked(c) {
		return false
	}
	s.takeLocked(c, p)
	return true
}

// takeLocked notes what a command does to the session, and that it is under way.
func (s *session) takeLocked(c command, p []byte) {
	s.commands++
	if c.packet == nil {
		s.walker.Begin(p)
	} else {
		_, seq := wire.ParseHeader(p)
		s.walker.BeginWhole(c.Cmd, seq)
	}
	switch c.Cmd {
	case wire.ComQuery:
		s.sticky = s.sticky.after(c.text)
		if c.whole {
			s.log.add(c.text)
		} else {
			s.log.unknown()
		}
	case wire.ComStmtPrepare:
		if c.whole {
			c.stmt.text = unique.Make(string(c.text))
		}
		s.preparing = append(s.preparing, c.stmt)
		s.log.addPrepared(c.stmt.text)
	case wire.ComStmtExecute, wire.ComStmtBulkExecute:
		if t := c.stmt.text; t != (unique.Handle[string]{}) {
			s.sticky = s.sticky.after([]byte(t.Value()))
		}
		s.log.addPrepared(c.stmt.text)
	case wire.ComFieldList:
		s.log.add(c.text)
	case wire.ComStmtClose:
		delete(s.stmts, c.Statement)
	case wire.ComResetConnection, wire.ComChangeUser:
		s.stmts, s.last = nil, statement{}
		s.sticky = 0
		s.log.begin()
	case wire.ComSetOption:
		if len(c.text) >= 2 && c.text[1] == 0 {
			s.multi = c.text[0] == 0
		}
	}
}
