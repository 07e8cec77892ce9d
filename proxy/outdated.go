package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
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
// Transactions that have done something by now may read from a snapshot, and so may
// those of statements in flight: the server tells of a transaction only with its
// answer. The caller has made sure that a later snapshot finds everything.
func (h *Hold) Commit() bool {
	for _, ses := range h.srv.all() {
		ses.mu.Lock()
		if ses.walker != nil && (ses.inTransaction() || ses.walker.InFlight() > 0 || ses.relaying) && !ses.log.onlyBegun() {
			ses.older = append(slices.DeleteFunc(ses.older, (*Hold).failed), h)
			ses.renewing = false // it may end with a snapshot, taken by now
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

// renews notes, when a command is under way, whether the transaction ends with it,
// though the flags may go on to show one: the next has a snapshot, and locks, of its
// own. s.mu is held.
func (s *session) renews(c *command) {
	if s.walker.InFlight() > 1 {
		return // of an earlier one it is known
	}
	s.renewing = s.inTransaction() &&
		(c.Cmd == wire.ComQuery && c.whole && renews(c.text) || c.Cmd == wire.ComStmtExecute && c.stmt.renews)
}

// renews tells whether a statement ends the transaction, and may begin another, if it
// succeeds. (After others that end it the flags show none.)
func renews(text []byte) bool {
	var buf [16]byte
	switch string(firstWord(&buf, text)) {
	case "COMMIT", "ROLLBACK", "BEGIN", "START":
		return ends(text) && !containsFold(text, "SNAPSHOT")
	}
	return false
}

// renewed takes note of its end. s.mu is held.
func (s *session) renewed(failed bool, now nanos) {
	if s.renewing && !failed {
		s.older = nil
		if s.walker.InFlight() == 0 && s.sticky == 0 {
			s.log.clear()
			s.log.begin(now)
			s.unwatched()
		}
	}
	s.renewing = false
}

// mayRead tells whether a command may read a row of one of names by the
// transaction's snapshot.
func (c *command) mayRead(names []string) bool {
	switch c.Cmd {
	case wire.ComQuery:
		return readsBySnapshot(c.text, !c.whole) && c.mayTouch(names)
	case wire.ComStmtExecute, wire.ComStmtBulkExecute:
		known := c.stmt.text != (unique.Handle[string]{})
		return (!known || readsBySnapshot([]byte(c.stmt.text.Value()), false)) && c.mayTouch(names)
	}
	return false
}

// readsBySnapshot: what ends the transaction first, or reads no rows, doesn't; an
// INSERT of values neither. (UPDATE and DELETE read what is there now, but the server
// gives them 1412, too.) cut: the text goes on, unseen.
func readsBySnapshot(text []byte, cut bool) bool {
	if versioned(text) { // what its first statement is depends on the server
		return true
	}
	several := cut || severalStatements(text)
	var buf [16]byte
	switch string(firstWord(&buf, text)) {
	case "COMMIT", "START":
		return false
	case "BEGIN":
		return compound(text)
	case "ROLLBACK":
		return several && !endsFirst(text)
	case "SHOW": // … WHERE has any expression
		return several || bytes.IndexByte(text, '(') >= 0
	case "ANALYZE":
		return several || !analyzesTable(text)
	case "SAVEPOINT", "RELEASE", "USE", "PREPARE", "DEALLOCATE", "KILL", "XA", "DESC", "DESCRIBE", "EXPLAIN",
		"ALTER", "DROP", "TRUNCATE", "RENAME", "LOCK", "UNLOCK", "OPTIMIZE", "REPAIR", "FLUSH", "GRANT", "REVOKE":
		return several
	case "CREATE": // a temporary table ends no transaction
		return several || containsFold(text, "TEMPORARY") && !containsFold(text, "LIKE")
	case "LOAD":
		return several || containsFold(text, "SELECT")
	case "INSERT", "REPLACE":
		return several || containsFold(text, "SELECT") || containsFold(text, "TABLE") || containsFold(text, "WITH")
	}
	return true
}

// endsFirst tells whether a text of several statements begins with a ROLLBACK of the
// whole transaction.
func endsFirst(text []byte) bool {
	first, _, _ := bytes.Cut(text, []byte{';'})
	for _, comment := range []string{"/*", "--", "#"} {
		if bytes.Contains(first, []byte(comment)) {
			first = text
		}
	}
	return !containsFold(first, "TO")
}

// refuse answers in the server's stead. Its own refusal of an execution would have
// ended with the long data of the parameters, and a cursor, gone.
func (c *Conn) refuse(ctx context.Context) error {
	refusal := errDefinitionChanged
	if c.cmd.Cmd == wire.ComStmtExecute || c.cmd.Cmd == wire.ComStmtBulkExecute {
		if err := c.send(binary.LittleEndian.AppendUint32([]byte{wire.ComStmtReset}, c.cmd.Statement)); err != nil {
			return err
		}
		err := c.answer(ctx, wire.ComStmtReset, func(p []byte, _ wire.Step, a *wire.Answer) error {
			if a.Err { // there is no such statement
				refusal, _ = wire.ParseErr(p)
			}
			return nil
		}, nil)
		if err != nil {
			return err
		}
	}
	return c.ReplyErr(refusal)
}

// errCantRefuse: the command shares a compressed packet with others, or is too large
// to be kept.
var errCantRefuse = errors.New("a command that a swapped table must be kept from can't be answered by itself")
