package binlog

import (
	"strings"
	"time"

	"midflight/schema"
)

// A Tx is one transaction that the server has written to its binlog, or a part of a
// long one.
type Tx struct {
	ID TxID
	// Part: more of the same transaction follows. It has changes only, and After is
	// before the transaction: who resumes there is given all of it again.
	Part bool
	// After is where a stream resumes after this transaction.
	After   Position
	Changes []Change
	// Fences are the tokens of the marker rows that it wrote.
	Fences []string
	// Statements are what was logged as text: DDL, and DML of sessions with
	// binlog_format=STATEMENT.
	Statements []Statement
	// UnknownXA is the XID of an XA COMMIT whose rows were logged before the
	// stream's beginning: what it changed is not known.
	UnknownXA string
	// Unread: it changed rows of a watched table whose images lack a column of
	// the key, so which rows is not known. Changes has the others.
	Unread bool
	// At is the server's timestamp, in whole seconds.
	At time.Time

	// broken is why rows of a watched table can't be read. It ends whoever is given it.
	broken error
}

// Empty: nothing of interest, only the position has advanced.
func (t Tx) Empty() bool {
	return len(t.Changes) == 0 && len(t.Fences) == 0 && len(t.Statements) == 0 && t.UnknownXA == "" && !t.Unread && t.broken == nil
}

// size is about how much memory it takes.
func (t Tx) size() int {
	n := 512
	for _, c := range t.Changes {
		n += 64
		for _, k := range []*Key{c.Before, c.After} {
			if k != nil {
				n += 16 + len(*k)
			}
		}
	}
	for _, s := range t.Statements {
		n += 32 + len(s.Schema) + len(s.SQL)
	}
	for _, f := range t.Fences {
		n += 16 + len(f)
	}
	return n
}

// A Change is one row's change. An insert has no Before, a delete no After; an
// update has both, equal when the key did not change.
type Change struct {
	Table         schema.Name
	Before, After *Key
}

// A Statement is a statement in the binlog as text.
type Statement struct {
	Schema string // the session's default schema
	SQL    string
}

// A Key is one row's key as SQL literals, exact for the server. Equal keys are
// the same row, but one row may have two keys: 'a' and 'A' under a collation
// that ignores case.
type Key string

// MakeKey joins literals; none of them has a zero byte.
func MakeKey(literals ...string) Key { return Key(strings.Join(literals, "\x00")) }

// Literals of the key's columns, in key order.
func (k Key) Literals() []string { return strings.Split(string(k), "\x00") }

// A Watch names a table whose changes are wanted.
type Watch struct {
	Table *schema.Table
	// Key is the chunk key, in key order. Column.Position is the column's index
	// in row images.
	Key []schema.Column
}
