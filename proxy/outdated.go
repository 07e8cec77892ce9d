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

// Commit tells that what can't be taken back begins now. false: the hold is open
// already, so it must not begin.
//
// Transactions that have done something by now may read from a snapshot. The caller
// has made sure that a later one finds everything.
func (h *Hold) Commit() bool {
	for _, ses := range h.srv.all() {
		ses.mu.Lock()
		if ses.walker != nil && ses.inTransaction() && !ses.log.onlyBegun() {
			ses.older = append(slices.DeleteFunc(ses.older, (*Hold).failed), h)
		}
		ses.mu.Unlock()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.committed = !h.open
	return h.committed
}

// failed: nothing was swapped.
func (h *Hold) failed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.decided && h.outdates == nil
}

// Outdate has those transactions of the sessions ids get 1412 when they read one of
// the hold's names; nil: of all sessions. It comes between Commit and Release.
func (h *Hold) Outdate(ids []uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.outdates = func(id uint32) bool { return ids == nil || slices.Contains(ids, uint64(id)) }
}

// isOutdated tells whether c may read a swapped table by a snapshot of before. While
// nobody knows yet whether the tables were swapped, though the hold had to open, it
// may. s.mu is held.
func (s *session) isOutdated(c *command) bool {
	return slices.ContainsFunc(s.older, func(h *Hold) bool { return c.mayRead(h.names) && h.refuses(s.id) })
}

func (h *Hold) refuses(id uint32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.outdates != nil {
		return h.outdates(id)
	}
	return h.open && !h.decided
}

// renews notes, when a command is under way, whether the transaction ends with it:
// the next one has a snapshot of its own. s.mu is held.
func (s *session) renews(c *command) {
	if s.older == nil || s.walker.InFlight() > 1 {
		return
	}
	s.renewing = c.Cmd == wire.ComQuery && c.whole && ends(c.text) || c.Cmd == wire.ComStmtExecute && c.stmt.ends
}

// renewed takes note of its end. s.mu is held.
func (s *session) renewed(failed bool) {
	if s.renewing && !failed {
		s.older = nil
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
