package ghost

import (
	"context"
	"time"

	"midflight/ghost/pace"
)

// A Door is the proxy, seen from the engine: it can hold back the statements
// that are about to touch a table.
type Door interface {
	// Hold begins to hold statements that name one of names, in sessions that
	// hold no lock, and opens by its own clock after bound.
	Hold(names []string, bound time.Duration) Held
	// Busy lists the sessions that run such a statement or are inside a
	// transaction, other than those that have been so for less than age.
	Busy(names []string, age time.Duration) []Blocker
	// Carries tells whether a connection of the server's is one of the proxy's
	// sessions.
	Carries(connection uint64) bool
	// Unlogged counts the commands that have ended and whose changes of rows may
	// be missing in the binlog, and tells whether one is under way.
	Unlogged() (ended uint64, running bool)
	// Felt counts, since the start, how long the applications' statements took, and how
	// many failed.
	Felt() pace.Felt
	// FeltOf is that of those, in a sample, that name one of names and were sent in a
	// time, of the last two minutes at most.
	FeltOf(names []string, from, to time.Time) pace.Felt
	// Prepared lists the open prepared statements whose text has one of names.
	Prepared(names []string) []Prepared
}

// Prepared is a prepared statement, and who has it open.
type Prepared struct {
	Text     string
	Sessions int
	Some     []Preparer // of the sessions
}

// Held is a hold in force.
type Held interface {
	// Drained waits until no session that passed uses the table; from then on none
	// begins to, in a transaction or not, until the hold opens.
	Drained(ctx context.Context) error
	// Commit tells that the tables are about to be swapped. false: the hold has
	// opened by its clock, so they must not be.
	Commit() bool
	// Outdate has the transactions of these connections, which read from a snapshot
	// of before the swap, fail when they read the table. nil: of all that might.
	Outdate(connections []uint64)
	// Release lets the held statements go; it may be called again.
	Release() (statements int, longest time.Duration)
}

// A Preparer is a session with a prepared statement.
type Preparer struct {
	Connection uint64
	User, Host string
}

// A Blocker is a session that the exclusive lock would have to wait for.
type Blocker struct {
	Connection uint64 // 0: of none any more
	User, Host string
	Age        time.Duration
	Why        string // what it holds; "": a transaction, or a statement, on the table
	Statement  string // the latest that it ran; "": not known
	System     bool   // one of the server's own threads, which nobody ends
}

// open is the door of an engine without a proxy.
type open struct{}

func (open) Hold([]string, time.Duration) Held               { return open{} }
func (open) Busy([]string, time.Duration) []Blocker          { return nil }
func (open) Felt() pace.Felt                                 { return pace.Felt{} }
func (open) FeltOf([]string, time.Time, time.Time) pace.Felt { return pace.Felt{} }
func (open) Carries(uint64) bool                             { return false }
func (open) Commit() bool                                    { return true }
func (open) Outdate([]uint64)                                {}
func (open) Unlogged() (uint64, bool)                        { return 0, false }
func (open) Prepared([]string) []Prepared                    { return nil }
func (open) Drained(context.Context) error                   { return nil }
func (open) Release() (held int, long time.Duration)         { return 0, 0 }
