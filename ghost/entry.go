package ghost

import (
	"context"
	"fmt"
	"time"
)

// An Entry is a line of a migration's history: for people by its text, for programs by
// the rest.
type Entry struct {
	Kind   EntryKind
	Phase  Phase  // that was entered; of EntryPhase only
	By     string // whose word it was; "": Midflight's own doing
	Text   string
	Detail any // as JSON; nil: the text says it all
}

// An EntryKind is what an entry is about. The names are a contract.
type EntryKind string

const (
	EntryNote    EntryKind = "note"
	EntryPhase   EntryKind = "phase"   // a phase was entered
	EntryControl EntryKind = "control" // somebody's word; those of the procedures are written by the procedures
	EntryCutOver EntryKind = "cutover" // an attempt at the exclusive lock: CutOverDetail
	EntryVerify  EntryKind = "verify"  // what was compared: VerifyDetail
	EntryWarning EntryKind = "warning" // of the server's, about the statement
	EntryBlocked EntryKind = "blocked" // who is waited for before the swap
	EntryKill    EntryKind = "kill"    // a session was ended that was in the way
	EntryRunner  EntryKind = "runner"  // another Midflight runs it from here on
)

// A CutOverDetail is what an attempt has cost others.
type CutOverDetail struct {
	OK     bool  `json:"ok"`
	Locked int64 `json:"locked_microseconds"`
	Held   int   `json:"held_statements"`
	Long   int64 `json:"held_microseconds"` // the longest of them
}

// A VerifyDetail is what was compared before the swap. Rows that differed were being
// changed, and were copied again.
type VerifyDetail struct {
	Rows     int64 `json:"rows"`
	Ranges   int   `json:"ranges"`
	Changed  int   `json:"changed_rows"` // compared once more, one by one
	Differed int   `json:"differed"`
}

func (d VerifyDetail) String() string {
	return fmt.Sprintf("compared: %d rows in %d ranges, %d changed rows one by one; %d differed for a moment and were copied again", d.Rows, d.Ranges, d.Changed, d.Differed)
}

// note is an entry that only people read.
func note(format string, args ...any) Entry {
	return Entry{Kind: EntryNote, Text: fmt.Sprintf(format, args...)}
}

func (r *run) log(ctx context.Context, format string, args ...any) {
	r.record(ctx, note(format, args...))
}

// record adds to the history. That the store can't be written now is no reason to stop.
func (r *run) record(ctx context.Context, e Entry) { r.Store.Log(ctx, r.status.ID, e) }

// recordTry has an attempt at the exclusive lock in the history and in the status.
func (g *gap) recordTry(ctx context.Context, e CutOverTried) {
	t := &g.status.Tries
	t.Number++
	t.Held += e.Held
	t.Longest = max(t.Longest, e.Longest)
	if e.Err == nil {
		t.Locked = max(t.Locked, e.Locked)
	}
	g.record(ctx, Entry{Kind: EntryCutOver, Text: e.String(), Detail: CutOverDetail{
		OK: e.Err == nil, Locked: e.Locked.Microseconds(), Held: e.Held, Long: e.Longest.Microseconds(),
	}})
}

// Tries are the attempts at the exclusive lock so far.
type Tries struct {
	Number  int
	Locked  time.Duration // lock to unlock, of the one that was in time
	Held    int           // statements, in all of them
	Longest time.Duration // the longest of those
}
