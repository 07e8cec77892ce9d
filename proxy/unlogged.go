package proxy

import (
	"bytes"
	"strings"
)

// A session with sql_log_bin = 0 changes rows that no binlog shows. Nothing
// forbids that, and nothing is done about it here: whoever copies a table by the
// binlog asks whether there was such work meanwhile.

// Unlogged counts what sessions do that may have switched their binlog off: once
// when a command begins, once when it has ended. As long as it stands still, no
// client of ours has changed, or committed, anything that the binlog lacks. What
// a routine switches is not seen.
func (s *Server) Unlogged() uint64 { return s.unlogged.Load() }

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

// works counts the beginning or the end of a command. s.mu is held.
func (s *session) works() {
	if s.unlogged {
		s.srv.unlogged.Add(1)
	}
}

// worked takes note of a command's end. s.mu is held.
func (s *session) worked(failed bool) {
	s.works()
	if s.relogs && !failed {
		s.unlogged = false
	}
	s.relogs = false
}
