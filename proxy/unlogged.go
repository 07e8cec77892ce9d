package proxy

import (
	"bytes"
	"strings"
)

// A session with sql_log_bin = 0 changes rows that no binlog shows. Nothing
// forbids that, and nothing is done about it here: whoever copies a table by the
// binlog asks whether there was such work meanwhile.

// Unlogged counts the commands that have ended of sessions that may have switched
// their binlog off, and tells whether one is under way. As long as none is, and
// the count stands still, no client of ours has changed, or committed, anything
// that the binlog lacks. What a routine switches is not seen, nor what the server
// goes on with after the client has gone.
func (s *Server) Unlogged() (ended uint64, running bool) {
	running = s.unlogging.Load() > 0 // first: it counts before it has ended
	return s.unlogged.Load(), running
}

// switchesLog tells whether a text may switch the session's binlog on or off.
func switchesLog(text []byte) bool {
	var buf [16]byte
	switch string(firstWord(&buf, text)) {
	case "SET", "PREPARE", "EXECUTE", "BEGIN", "IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR":
	default:
		if !severalStatements(text) && !bytes.Contains(text, []byte("*/")) {
			return false
		}
	}
	return containsFold(text, "SQL_LOG_BIN")
}

// switchesOn tells whether it does nothing but switch it on.
func switchesOn(text []byte) bool {
	s := strings.ToLower(strings.Join(strings.Fields(strings.TrimRight(string(text), "; \t\r\n")), " "))
	s, ok := strings.CutPrefix(s, "set ")
	for _, scope := range []string{"session ", "local ", "@@session.", "@@local.", "@@"} {
		s = strings.TrimPrefix(s, scope)
	}
	name, value, _ := strings.Cut(strings.Replace(s, ":=", "=", 1), "=")
	value = strings.TrimSpace(value)
	return ok && strings.TrimSpace(name) == "sql_log_bin" && (value == "1" || value == "on" || value == "true" || value == "default")
}

// hides notes a command that is in flight since now. s.mu is held.
func (s *session) hides(text []byte) {
	if switchesLog(text) {
		s.unlogged, s.relogs = true, switchesOn(text) && s.walker.InFlight() <= 1
	}
}

// works notes a command's beginning. s.mu is held.
func (s *session) works() {
	if s.unlogged && !s.hiding && (s.walker.InFlight() > 0 || s.relaying) {
		s.hiding = true
		s.srv.unlogging.Add(1)
	}
}

// rests: no command is under way any more. s.mu is held.
func (s *session) rests() {
	if s.hiding {
		s.hiding = false
		s.srv.unlogged.Add(1)
		s.srv.unlogging.Add(-1)
	}
}

// worked takes note of a command's end. s.mu is held.
func (s *session) worked(failed bool) {
	if s.walker.InFlight() == 0 {
		s.rests()
	}
	if s.relogs && !failed {
		s.unlogged = false
	}
	s.relogs = false
}
