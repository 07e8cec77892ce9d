package proxy

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// The server forgets a KILL QUERY of a session that is idle, as one is between two
// statements of an interception. So a KILL that comes through this proxy, and that the
// server accepts, which shows that its sender may, reaches the interception as well.
// Which one is meant is decided when the KILL is sent: one that begins later is another
// statement.

// Killed is closed when another session has killed this one, or its statement, by way of
// this proxy since the interception began. Other KILLs the server alone knows of.
func (c *Conn) Killed() <-chan struct{} { return c.killed }

// enterInterception makes the channel that is closed when a session's interception is killed.
func (s *Server) enterInterception(session uint32) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	killed := make(chan struct{})
	s.intercepted[session] = killed
	return killed
}

func (s *Server) leaveInterception(session uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.intercepted, session)
}

// interception is what enterInterception made; nil when the session is in none.
func (s *Server) interception(session uint32) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.intercepted[session]
}

// kill closes what interception gave, which may have ended since.
func (s *Server) kill(killed chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-killed:
	default:
		close(killed)
	}
}

// kills notes, when a command is under way, whose interception it kills if it succeeds.
// s.mu is held.
func (s *session) kills(c *command) {
	if c.kills != 0 && s.walker.InFlight() == 1 { // else another's end is the next
		s.killing = s.srv.interception(c.kills)
	}
}

// hasKilled takes note of a command's end. s.mu is held.
func (s *session) hasKilled(failed bool) {
	if s.killing != nil && !failed {
		s.srv.kill(s.killing)
	}
	s.killing = nil
}

// victim is the session that a COM_PROCESS_KILL is about.
func victim(payload []byte) uint32 {
	if len(payload) < 5 {
		return 0
	}
	return binary.LittleEndian.Uint32(payload[1:])
}

// killsBy is the session that a text kills, or whose statement; 0: it does not, or not
// that alone, or names it otherwise than by its number. Nothing must be taken for a KILL
// that the server doesn't: its OK would be no permission.
func killsBy(text []byte) uint32 {
	word, rest := nextWord(text)
	if !isWord(word, "KILL") {
		return 0
	}
	word, rest = nextWord(rest)
	if isWord(word, "HARD") || isWord(word, "SOFT") { // MariaDB
		word, rest = nextWord(rest)
	}
	if isWord(word, "CONNECTION") || isWord(word, "QUERY") {
		word, rest = nextWord(rest)
	}
	id, err := strconv.ParseUint(string(word), 10, 32)
	if err != nil || len(bytes.TrimRight(skipBlanks(rest), "; \t\r\n")) > 0 {
		return 0
	}
	return uint32(id)
}

// nextWord is the text's first word or number.
func nextWord(text []byte) (word, rest []byte) {
	text = skipBlanks(text)
	n := 0
	for n < len(text) && inName(text[n]) {
		n++
	}
	return text[:n], text[n:]
}

// skipBlanks skips them and comments, but for those that a server may read as text:
// /*! … */ and /*M! … */.
func skipBlanks(text []byte) []byte {
	for {
		text = bytes.TrimLeft(text, " \t\r\n")
		if !bytes.HasPrefix(text, []byte("/*")) || len(text) > 2 && (text[2] == '!' || text[2] == 'M') {
			return text
		}
		end := bytes.Index(text[2:], []byte("*/"))
		if end < 0 {
			return text
		}
		text = text[end+4:]
	}
}

func isWord(word []byte, s string) bool { return len(word) == len(s) && equalFold(word, s) }
