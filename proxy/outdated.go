package proxy

import (
	"errors"
	"slices"
	"unique"

	"midflight/proxy/wire"
)

// A transaction that reads from a snapshot finds in a table that was swapped in
// later only the rows that were in it when the snapshot was taken: a part, and
// nobody would notice. After an ALTER of its own the server answers such a read
// with 1412, and so do we.

// errDefinitionChanged is ER_TABLE_DEF_CHANGED.
var errDefinitionChanged = &wire.Err{Number: 1412, State: "HY000", Message: "Table definition has changed, please retry transaction"}

// Outdate has transactions that are open in the sessions ids, which read from a
// snapshot, get 1412 when they read one of the hold's names. nil: all sessions in a
// transaction that has done something. It is to be called between Commit and
// Release.
func (h *Hold) Outdate(ids []uint64) {
	for _, ses := range h.srv.all() {
		ses.outdate(h.names, ids)
	}
}

func (s *session) outdate(names []string, ids []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.walker == nil || !s.mayHaveSnapshot() || ids != nil && !slices.Contains(ids, uint64(s.id)) {
		return
	}
	s.outdated = append(s.outdated, names)
}

// mayHaveSnapshot: BEGIN alone takes none. s.mu is held.
func (s *session) mayHaveSnapshot() bool { return s.inTransaction() && !s.log.onlyBegun() }

// isOutdated tells whether c may read a swapped table by a snapshot of before, or
// would while it isn't known yet whether one was swapped. s.mu is held.
func (s *session) isOutdated(c *command) bool {
	if s.outdated == nil && s.srv.holds.Load() == nil {
		return false
	}
	return slices.ContainsFunc(s.outdated, c.mayRead) || s.undecided(c)
}

// undecided: the hold has opened by its clock while the tables were being swapped.
func (s *session) undecided(c *command) bool {
	holds := s.srv.holds.Load()
	if holds == nil || !s.mayHaveSnapshot() {
		return false
	}
	return slices.ContainsFunc(*holds, func(h *Hold) bool { return h.undecided() && c.mayRead(h.names) })
}

// renews notes, when a command is under way, whether the transaction ends with it:
// the next one has a snapshot of its own. s.mu is held.
func (s *session) renews(c *command) {
	if s.outdated == nil || s.walker.InFlight() > 1 {
		return
	}
	s.renewing = c.Cmd == wire.ComQuery && c.whole && ends(c.text) || c.Cmd == wire.ComStmtExecute && c.stmt.ends
}

// renewed takes note of its end. s.mu is held.
func (s *session) renewed(failed bool) {
	if s.renewing && !failed {
		s.outdated = nil
	}
	s.renewing = false
}

// mayRead tells whether a command may read a row of one of names by the
// transaction's snapshot.
func (c *command) mayRead(names []string) bool {
	switch c.Cmd {
	case wire.ComQuery:
		return readsBySnapshot(c.text) && c.mayTouch(names)
	case wire.ComStmtExecute, wire.ComStmtBulkExecute:
		known := c.stmt.text != (unique.Handle[string]{})
		return (!known || readsBySnapshot([]byte(c.stmt.text.Value()))) && c.mayTouch(names)
	}
	return false
}

// readsBySnapshot: what ends the transaction first, or reads no rows, doesn't; an
// INSERT of values neither. (UPDATE and DELETE read what is there now, but the server
// gives them 1412, too.)
func readsBySnapshot(text []byte) bool {
	var buf [16]byte
	switch string(firstWord(&buf, text)) {
	case "COMMIT", "ROLLBACK", "BEGIN", "START":
		return false
	case "SAVEPOINT", "RELEASE", "USE", "SHOW", "DESC", "DESCRIBE", "EXPLAIN", "PREPARE", "DEALLOCATE", "KILL", "XA",
		"ALTER", "CREATE", "DROP", "TRUNCATE", "RENAME", "LOCK", "UNLOCK", "ANALYZE", "OPTIMIZE", "REPAIR", "FLUSH", "GRANT", "REVOKE":
		return severalStatements(text)
	case "INSERT", "REPLACE":
		return severalStatements(text) || containsFold(text, "SELECT") || containsFold(text, "TABLE") || containsFold(text, "WITH")
	}
	return true
}

// errCantRefuse: the command shares a compressed packet with others, or is too large
// to be kept.
var errCantRefuse = errors.New("a command that a swapped table must be kept from can't be answered by itself")
