package ghost

import (
	"fmt"
	"strings"
	"time"

	"midflight/schema"
	"midflight/throttle"
)

// An Event is something that happened in a migration, told outward: logs and
// metrics are made from it.
type Event interface {
	fmt.Stringer
	event()
}

// PhaseChanged: the migration entered a phase.
type PhaseChanged struct {
	ID    int64
	Table schema.Name
	Phase Phase
}

// ChunkCopied: a chunk's transaction has committed.
type ChunkCopied struct {
	Rows int64
	Took time.Duration
}

// KeysApplied: a batch of changed keys is in the shadow.
type KeysApplied struct {
	Keys int
	Took time.Duration
}

// Throttled: for a time no rows were copied.
type Throttled struct {
	ID     int64
	Signal throttle.Signal // what for
	For    time.Duration
}

// Broken: the circuit breaker has stopped the migration until somebody says resume.
type Broken struct {
	ID    int64
	Table schema.Name
	Why   string
}

// RowsCompared: rows of the two tables have been compared.
type RowsCompared struct {
	Rows   int64
	Ranges int // 1: those of a range; 0: those that were changed
	// Different of them were. Most are so by a change that is on its way, and are
	// compared again.
	Different int
	Took      time.Duration
}

// Diverged: rows differ that nobody is changing. The tables are not swapped.
type Diverged struct {
	ID    int64
	Table schema.Name
}

// CutOverTried: an attempt at the exclusive lock has ended.
type CutOverTried struct {
	ID      int64         // 0: of a statement that a client's session sends (Through)
	Locked  time.Duration // lock to unlock, 0 when it was not had
	Held    int           // statements held in the proxy
	Longest time.Duration // the longest of them
	Steps   []Step        // what was done, and when; the first is the beginning
	Err     error
}

// BlockerKilled: the operator's policy has ended a session that was in the way.
type BlockerKilled struct {
	Blocker Blocker
	Err     error
}

// Blocked: others hold the table than before, for whom the cut-over waits. By is
// empty when nobody does any more.
type Blocked struct {
	ID    int64
	Table schema.Name
	By    []Blocker
}

// A Step of an attempt ended at a moment.
type Step struct {
	Name string
	At   time.Time
}

// took tells how long each step took.
func took(steps []Step) string {
	var b strings.Builder
	for i := 1; i < len(steps); i++ {
		fmt.Fprintf(&b, ", %s %s", steps[i].Name, steps[i].At.Sub(steps[i-1].At).Round(100*time.Microsecond))
	}
	return b.String()
}

// Ended: the migration has ended.
type Ended struct {
	ID    int64
	Table schema.Name
	Phase Phase
	Rows  int64
	Err   error
}

// TakenOver: a migration is ours now that another Midflight has begun, or this one before
// it was restarted.
type TakenOver struct {
	ID    int64
	Table schema.Name
	Phase Phase // in which it was left
}

// Interrupted: the server is away, or takes nothing now. The migration goes on later.
type Interrupted struct {
	ID    int64
	Table schema.Name
	Err   error
}

// Left: the migration is not ours any more.
type Left struct {
	ID    int64
	Table schema.Name
	Phase Phase
	Err   error
}

// HeldForOther: statements were held for another Midflight's swap.
type HeldForOther struct {
	ID      int64
	Held    int
	Longest time.Duration
}

// ChoresFailed: dropping old tables, or ending what another Midflight left
// behind, did not work and will be tried again.
type ChoresFailed struct{ Err error }

func (e ChoresFailed) String() string { return "chores: " + e.Err.Error() }

func (ChoresFailed) event()  {}
func (PhaseChanged) event()  {}
func (ChunkCopied) event()   {}
func (KeysApplied) event()   {}
func (Throttled) event()     {}
func (Broken) event()        {}
func (RowsCompared) event()  {}
func (Diverged) event()      {}
func (CutOverTried) event()  {}
func (BlockerKilled) event() {}
func (Blocked) event()       {}
func (Ended) event()         {}
func (TakenOver) event()     {}
func (Interrupted) event()   {}
func (Left) event()          {}
func (HeldForOther) event()  {}

func (e HeldForOther) String() string {
	return fmt.Sprintf("m%d, which another Midflight runs: held %d statements, %s at most", e.ID, e.Held, e.Longest.Round(100*time.Microsecond))
}

func (e TakenOver) String() string {
	return fmt.Sprintf("m%d %s: taken over in phase %s", e.ID, e.Table, e.Phase)
}
func (e Interrupted) String() string {
	return fmt.Sprintf("m%d %s: interrupted, goes on when the server can: %v", e.ID, e.Table, e.Err)
}
func (e Left) String() string {
	return fmt.Sprintf("m%d %s: left in phase %s: %v", e.ID, e.Table, e.Phase, e.Err)
}

func (e PhaseChanged) String() string { return fmt.Sprintf("m%d %s: %s", e.ID, e.Table, e.Phase) }
func (e ChunkCopied) String() string  { return fmt.Sprintf("copied %d rows in %s", e.Rows, e.Took) }
func (e KeysApplied) String() string  { return fmt.Sprintf("applied %d keys in %s", e.Keys, e.Took) }
func (e Throttled) String() string {
	return fmt.Sprintf("m%d: no rows copied for %s, because of %s", e.ID, e.For.Round(time.Millisecond), e.Signal)
}
func (e Broken) String() string {
	return fmt.Sprintf("m%d %s: stopped until CALL midflight.resume(%d): %s", e.ID, e.Table, e.ID, e.Why)
}
func (e RowsCompared) String() string {
	return fmt.Sprintf("compared %d rows in %s, %d differed", e.Rows, e.Took, e.Different)
}
func (e Diverged) String() string {
	return fmt.Sprintf("m%d %s: the shadow table is not equal to the original", e.ID, e.Table)
}
func (e CutOverTried) String() string {
	who := fmt.Sprintf("m%d", e.ID)
	if e.ID == 0 {
		who = "forwarded statement"
	}
	if e.Err != nil {
		return fmt.Sprintf("%s cut-over: %v (held %d statements, %s at most%s)", who, e.Err, e.Held, e.Longest.Round(100*time.Microsecond), took(e.Steps))
	}
	if e.Locked == 0 { // of a change in place, one of its two locks
		return fmt.Sprintf("%s let in: held %d statements, %s at most%s", who, e.Held, e.Longest.Round(100*time.Microsecond), took(e.Steps))
	}
	return fmt.Sprintf("%s cut over: locked %s, held %d statements, %s at most%s", who, e.Locked.Round(10*time.Microsecond), e.Held, e.Longest.Round(100*time.Microsecond), took(e.Steps))
}
func (e BlockerKilled) String() string {
	b := e.Blocker
	b.Statement = "" // values may be in it
	return fmt.Sprintf("killed %s, for whom a schema change has waited too long (error: %v)", b, e.Err)
}
func (e Blocked) String() string {
	if len(e.By) == 0 {
		return fmt.Sprintf("m%d %s: nobody is waited for any more", e.ID, e.Table)
	}
	return fmt.Sprintf("m%d %s: waiting for %s", e.ID, e.Table, who(e.By))
}
func (e Ended) String() string {
	if e.Err != nil { // its text may have a row's values, or the statement's
		told := ErrorFor(e.Err)
		return fmt.Sprintf("m%d %s: %s: error %d (%s), the text is in midflight.migrations", e.ID, e.Table, e.Phase, told.Number, told.State)
	}
	return fmt.Sprintf("m%d %s: %s, %d rows", e.ID, e.Table, e.Phase, e.Rows)
}
