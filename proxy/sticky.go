package proxy

import (
	"bytes"

	"midflight/proxy/wire"
)

// sticky are the locks on tables that a session keeps without being in a
// transaction: the server's status flags don't show them.
type sticky uint8

const (
	stickyTables  sticky = 1 << iota // LOCK TABLES
	stickyFlush                      // FLUSH TABLES … WITH READ LOCK, FOR EXPORT
	stickyHandler                    // HANDLER … OPEN
	stickyXA                         // XA PREPARE (MySQL shows no flag, but keeps the locks)
	stickyBackup                     // LOCK INSTANCE FOR BACKUP, MariaDB's BACKUP LOCK and STAGE

	stickyAll = stickyBackup<<1 - 1
)

// takes is what a text may take, whether or not it succeeds: too much is safe,
// since a session with such locks is let pass. What a routine does isn't seen.
// cut: the text goes on, unseen.
func takes(text []byte, cut bool) (k sticky) {
	if cut && len(text) == 0 { // it begins behind attributes that we don't know
		return stickyAll
	}
	// All that follows a semicolon, even in a string, may be a statement, and so
	// may what follows a comment that this server, by its version, leaves out.
	versioned := versioned(text)
	for {
		k |= takesFirst(text, cut)
		next := bytes.IndexByte(text, ';')
		if versioned {
			if i := bytes.Index(text, []byte("*/")); i >= 0 && (next < 0 || i < next) {
				next = i + 1
			}
		}
		if next < 0 {
			return k
		}
		text = text[next+1:]
	}
}

// takesFirst looks at the statement that text begins with.
func takesFirst(text []byte, cut bool) (k sticky) {
	var buf [16]byte
	has := func(word string) bool { return cut || containsFold(text, word) }
	switch string(firstWord(&buf, text)) {
	case "LOCK":
		if has("TABLE") || !has("INSTANCE") {
			k = stickyTables
		}
		if has("INSTANCE") { // a table may have that name
			k |= stickyBackup
		}
	case "FLUSH":
		if has("LOCK") || has("EXPORT") {
			k = stickyFlush
		}
	case "HANDLER":
		// How many are open isn't counted; only a new session is sure to have none.
		k = stickyHandler
	case "XA":
		if has("PREPARE") {
			k = stickyXA
		}
	case "BACKUP":
		k = stickyBackup
	case "PREPARE", "EXECUTE":
		// MariaDB prepares all of them, MySQL some. EXECUTE says which only
		// where it is IMMEDIATE, so PREPARE counts.
		for _, t := range []struct {
			word string
			lock sticky
		}{{"LOCK", stickyTables | stickyBackup | stickyFlush}, {"EXPORT", stickyFlush}, {"HANDLER", stickyHandler}, {"XA", stickyXA}} {
			if has(t.word) {
				k |= t.lock
			}
		}
	case "BEGIN", "IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR": // MariaDB's compound statements
		if has("FLUSH") && has("LOCK") {
			k = stickyFlush
		}
		if has("XA") && has("PREPARE") {
			k |= stickyXA
		}
	}
	return k
}

// gives is what a text gives back if it succeeds. One with several statements is
// not looked into.
func gives(text []byte) sticky {
	if severalStatements(text) {
		return 0
	}
	var buf [16]byte
	switch string(firstWord(&buf, text)) {
	case "UNLOCK":
		if containsFold(text, "INSTANCE") {
			return stickyBackup
		}
		return stickyTables | stickyFlush
	case "BEGIN":
		if !compound(text) {
			return stickyTables
		}
	case "START": // REPLICA, too, can be started
		if containsFold(text, "TRANSACTION") {
			return stickyTables
		}
	case "XA":
		if containsFold(text, "COMMIT") || containsFold(text, "ROLLBACK") {
			return stickyXA
		}
	}
	return 0
}

// keeps notes what a command that is in flight since now does to the locks that
// the session keeps. cut: the text is only its beginning. s.mu is held.
func (s *session) keeps(text []byte, cut bool) {
	if s.mysql && (s.walker.Status()&wire.StatusAutocommit == 0 || severalStatements(text)) {
		s.uncommitted(cut || uses(text), ends(text))
	}
	s.hides(text)
	taken := takes(text, cut)
	s.giving &^= taken
	s.sticky |= taken
	if cut && s.multi {
		s.unseen = true
	}
	// With others in flight nobody knows which of them it undoes.
	if s.sticky != 0 && s.walker.InFlight() <= 1 {
		s.giving = gives(text)
	}
}

// kept takes note of a command's end. s.mu is held.
func (s *session) kept(failed, several bool) {
	s.committed(failed)
	s.worked(failed)
	if !failed {
		s.sticky &^= s.giving
	}
	s.giving = 0
	// Only now it shows that there were statements in the text that nobody saw.
	if several && s.unseen {
		s.sticky |= stickyTables | stickyFlush | stickyHandler | stickyXA
	}
}
