package proxy

import (
	"bytes"
	"unique"

	"midflight/proxy/wire"
)

// maxCollect bounds a text with several statements that is collected to be
// looked at. maxCandidate bounds a statement that Intercept wants to see.
const (
	maxCollect   = 1 << 20
	maxCandidate = wire.MaxFrame - 1
)

// A command is what the session knows of a command before it goes on.
type command struct {
	wire.Command
	text    []byte // of the statement, or what is there of it
	whole   bool   // text is all of it
	stmt    statement
	user    string // of COM_CHANGE_USER
	packet  []byte // all of it, in memory of its own, of a command that is offered
	packets int    // compressed ones that it came in
	wait    bool   // look again when more has been read
	collect int    // look again when the packet, of this length, is there
	offer   bool   // to intercept
	kills   uint32 // a session, or its statement
	refused bool   // it is not for the server, but to be answered with 1412
}

// look decides what is to be known of the command at p. It changes nothing.
// bound: it won't be offered. s.mu is held.
func (s *session) look(cmd wire.Command, p []byte, bound bool) command {
	c := command{Command: cmd}
	total := wire.HeaderLen + cmd.Length
	c.whole = len(p) >= total && cmd.Length < wire.MaxFrame
	payload := p[wire.HeaderLen:min(total, len(p))]

	switch cmd.Cmd {
	case wire.ComQuery, wire.ComStmtPrepare, wire.ComFieldList, wire.ComSetOption, wire.ComChangeUser, wire.ComProcessKill:
		if len(p) < min(total, bufSize) {
			c.wait = true
			return c
		}
	}
	switch cmd.Cmd {
	case wire.ComQuery:
		at, ok := wire.TextOffset(payload, s.wire)
		if !ok && !c.whole && cmd.Length <= maxCollect && !bound {
			c.collect = total // the attributes before it are long
			return c
		}
		if !ok {
			c.whole = false
			return c
		}
		c.text = payload[at:]
		if c.whole {
			c.kills = killsBy(c.text)
		}
		switch {
		case bound:
		case c.whole || !s.multi:
			c.offer = s.srv.cfg.Candidate(c.text, s.multi) && cmd.Length <= maxCandidate
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
		if !c.whole && c.stmt.candidate && cmd.Length <= maxCandidate && !bound {
			c.collect = total
		}
	case wire.ComStmtExecute, wire.ComStmtBulkExecute, wire.ComStmtFetch:
		c.stmt = s.statement(cmd.Statement)
		c.kills = c.stmt.kills
		if c.stmt.candidate && c.stmt.strayed == s.strayed && cmd.Cmd == wire.ComStmtExecute && cmd.Length <= maxCandidate && !bound {
			c.offer, c.collect = true, total
		}
	case wire.ComProcessKill:
		c.kills = victim(payload)
	case wire.ComFieldList, wire.ComSetOption:
		c.text = payload[min(1, len(payload)):]
	case wire.ComChangeUser:
		c.user = wire.ParseChangeUser(payload, s.wire).User
		if s.auth != nil && cmd.Length <= handshakeLimit {
			c.offer, c.collect = true, total
		}
	}
	return c
}

// statement is the prepared statement with this id. s.mu is held.
func (s *session) statement(id uint32) statement {
	if id == 0xffffffff { // MariaDB: the one prepared last, perhaps in this very moment
		if n := len(s.preparing); n > 0 {
			return s.preparing[n-1]
		}
		return s.last
	}
	return s.stmts[id]
}

// take notes what a command does to the session, and that it is under way.
// After it the command's bytes, at p, must be forwarded. s.mu is held.
func (s *session) take(c *command, p []byte, now nanos) {
	s.moved = now
	if s.waited != 0 {
		now, s.waited = s.waited, 0
	}
	s.commands++
	sample := s.stats.begun(c.Cmd, s.moved)
	if c.packet == nil {
		s.walker.Begin(p, int64(now))
	} else {
		s.walker.BeginWhole(c.Cmd, int64(now))
	}
	if sample {
		s.sample(c, s.moved)
	}
	defer s.works()
	s.renews(c)
	s.kills(c)
	switch c.Cmd {
	case wire.ComQuit:
		s.quit = true
	case wire.ComQuery:
		s.keeps(c.text, !c.whole)
		if s.candidates && (!c.whole || moves(c.text)) {
			s.strayed++
		}
		if c.whole {
			s.log.add(c.text, now)
		} else {
			s.log.unknown(now)
		}
	case wire.ComStmtPrepare:
		if c.whole {
			c.stmt.text = unique.Make(string(c.text))
			c.stmt.sticks = takes(c.text, false) != 0 || gives(c.text) != 0 || switchesLog(c.text)
			c.stmt.uses, c.stmt.ends, c.stmt.renews = uses(c.text), ends(c.text), renews(c.text)
			c.stmt.kills = killsBy(c.text)
		}
		c.stmt.strayed = s.strayed
		s.candidates = s.candidates || c.stmt.candidate
		s.preparing = append(s.preparing, c.stmt)
		s.log.addPrepared(c.stmt.text, now)
	case wire.ComStmtExecute, wire.ComStmtBulkExecute:
		switch {
		case c.stmt.sticks:
			s.keeps([]byte(c.stmt.text.Value()), false)
		case s.mysql && s.walker.Status()&wire.StatusAutocommit == 0:
			s.uncommitted(c.stmt.uses || !c.stmt.known(), c.stmt.ends)
		}
		s.log.addPrepared(c.stmt.text, now)
	case wire.ComFieldList:
		s.log.add(c.text, now)
	case wire.ComInitDB:
		s.strayed++
	case wire.ComStmtClose:
		delete(s.stmts, c.Statement)
	case wire.ComChangeUser:
		s.changing = c.user
		s.reset(now)
	case wire.ComResetConnection:
		s.reset(now)
	case wire.ComSetOption:
		if len(c.text) >= 2 && c.text[1] == 0 {
			s.multi = c.text[0] == 0
		}
	}
}

// reset forgets what ends with COM_RESET_CONNECTION or COM_CHANGE_USER. s.mu is
// held.
func (s *session) reset(now nanos) {
	s.stmts, s.last = nil, statement{}
	s.sticky, s.giving, s.unseen = 0, 0, false
	s.using, s.ending, s.unflagged = false, false, false
	s.unlogged, s.relogs = false, false
	s.older, s.renewing = nil, false
	s.log.begin(now)
}

// moves tells whether a statement may give the session another current database. Those
// prepared before it are about tables of the one before, which the session can't be asked
// for any more: the server runs them itself.
func moves(text []byte) bool {
	var buf [16]byte
	switch string(firstWord(&buf, text)) {
	case "USE", "DROP":
		return true
	}
	return (severalStatements(text) || bytes.Contains(text, []byte("*/"))) && containsFold(text, "USE")
}
