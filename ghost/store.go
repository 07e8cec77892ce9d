package ghost

import (
	"context"
	"database/sql"
	"time"

	"midflight/binlog"
	"midflight/ghost/plan"
	"midflight/ghost/rowsql"
	"midflight/schema"
)

// A Store keeps migrations where every client can read them and the operator's
// word arrives. Its methods are safe for concurrent use.
type Store interface {
	// Create records a new migration in phase queued and returns its id.
	Create(ctx context.Context, r Request) (int64, error)
	// Save brings the record up to date, as long as it is ours.
	Save(ctx context.Context, s Status) error
	// Finish records the end; ErrTakenOver if the migration is not ours any more.
	Finish(ctx context.Context, s Status, r Result) error
	// Announce tells other Midflights that this one is alive; to be repeated within
	// AliveFor.
	Announce(ctx context.Context) error
	// Orphans lists the unfinished migrations of Midflights that are gone, oldest
	// first; those of one table only, unless that is zero.
	Orphans(ctx context.Context, of schema.Name) ([]Orphan, error)
	// Adopt makes an orphan ours, and tells whether it was still an orphan.
	Adopt(ctx context.Context, o Orphan) (bool, error)
	// Mine tells whether a migration is ours.
	Mine(ctx context.Context, id int64) (bool, error)
	// Admit records that the connection works for a migration; ErrTakenOver if that is
	// not ours. Invariant: whoever adopts it finds all connections of before.
	Admit(ctx context.Context, conn *sql.Conn, id int64) error
	// Admitted lists the connections that were admitted to a migration, by whomever, and
	// are open.
	Admitted(ctx context.Context, id int64) ([]uint64, error)
	// ClientGone records that nobody waits for the answer by way of this Midflight any
	// more, ClientWaits that somebody does.
	ClientGone(ctx context.Context, id int64) error
	ClientWaits(ctx context.Context, id int64) error
	// Attach finds the unfinished migration of the same statement by the same user for
	// whose answer nobody waits, and records that somebody does; 0: there is none.
	Attach(ctx context.Context, r Request) (int64, error)
	// Progress reads what is published of a migration, and its result when it has ended.
	Progress(ctx context.Context, id int64) (Status, *Result, error)
	// Cancel is an operator's wish.
	Cancel(ctx context.Context, id int64) error
	// Log adds to the migration's history.
	Log(ctx context.Context, id int64, e Entry) error
	// Peers counts the other Midflights that live, and those of them that listen to a
	// migration.
	Peers(ctx context.Context, id int64) (live, listening int, err error)
	// Call asks those to hold the statements that name one of names.
	Call(ctx context.Context, id int64, names []string, bound time.Duration) error
	// OthersSwap lists the migrations that others are about to swap.
	OthersSwap(ctx context.Context) ([]int64, error)
	// Listen records that this one listens to a migration.
	Listen(ctx context.Context, id int64) error
	// Called is the latest call of a migration after last that is in force; its ID is 0
	// without one.
	Called(ctx context.Context, id, last int64) (Call, error)
	// Stop is like an operator's word to pause, with the reason in the history.
	Stop(ctx context.Context, id int64, why string) error
	// Control reads the operator's wishes.
	Control(ctx context.Context, id int64) (Control, error)
	// Invisible records the columns that the migration publishes INVISIBLE.
	Invisible(ctx context.Context, id int64, columns []string) error
	// Reveals lists the wishes to make such columns visible.
	Reveals(ctx context.Context) ([]Reveal, error)
	// Grant ends such a wish of migration id and records the migration that
	// fulfills it, both or neither; 0 when somebody else has granted it.
	Grant(ctx context.Context, id int64, r Request) (int64, error)
	// Withdraw ends such a wish without one.
	Withdraw(ctx context.Context, id int64) error
	// Begin records what the tables were like when the copy began, and from where the
	// binlog is read, or when a change in place began. It forgets earlier checkpoints.
	Begin(ctx context.Context, id int64, f Facts, from binlog.Position) error
	// Checkpoint records how far the copy is.
	Checkpoint(ctx context.Context, id int64, c Checkpoint) error
	// Resume reads the latest checkpoint, and where all chunks up to it end; nil if
	// there is none.
	Resume(ctx context.Context, id int64) (*Resume, error)

	// SaveTriggers records a table's triggers before they are moved, instead of
	// those that were; Triggers
	// are those of a migration that has not ended, in the same order.
	SaveTriggers(ctx context.Context, id int64, triggers []schema.Trigger) error
	Triggers(ctx context.Context, id int64) ([]schema.Trigger, error)

	// Fence commits a marker row with the token into FenceTable; the stream
	// delivers it after everything that was committed before.
	Fence(ctx context.Context, id int64, token string) error
	FenceTable() schema.Name

	// Claim records, before it is made, that a table of this name is ours.
	Claim(ctx context.Context, id int64, t schema.Name) error
	// Claimed lists the tables that a migration claimed and that are not to be
	// kept.
	Claimed(ctx context.Context, id int64) ([]schema.Name, error)
	// Ours tells whether a migration claimed the name.
	Ours(ctx context.Context, t schema.Name) (bool, error)
	// Keep records that a claimed table is an old table, to be dropped at a
	// time.
	Keep(ctx context.Context, id int64, t schema.Name, dropAt time.Time) error
	// Due lists the old tables whose time has come.
	Due(ctx context.Context) ([]schema.Name, error)
	// Release forgets a claim: the table is dropped.
	Release(ctx context.Context, t schema.Name) error
}

// Control is what an operator may want of a running migration.
type Control struct {
	Paused, Cancel, CutOver bool
	Ratio                   float64 // 0 to 1: the part of the time that the copy rests
}

// A Checkpoint is what the shadow table is known to hold.
type Checkpoint struct {
	Watermark binlog.Key      // all rows up to here are copied
	Position  binlog.Position // all changes up to here are applied
	Rows      int64           // in the shadow table
	// Ends are where chunks end, up to the watermark, that no earlier checkpoint had,
	// and First the number of the first of them.
	Ends  []binlog.Key
	First int
}

// Facts are what must be as it was for somebody to go on.
type Facts struct {
	Version    int // of this record; another one is not gone on from
	Definition string
	Shows      bool // of a change in place: the definition will tell whether it was made
	// Of a copy:
	Shadow, Old schema.Name
	ShadowAs    string // its definition
	Deferred    []plan.Index
	Copies      string // the statement that copies all
	Started     rowsql.Start
	Server      string // its identity
}

// A Resume is where a migration can be gone on with.
type Resume struct {
	Facts
	Checkpoint
}

// A Call is what another Midflight asks for.
type Call struct {
	ID    int64
	Names []string
	Bound time.Duration // from now
}

// An Orphan is an unfinished migration of a Midflight that is gone.
type Orphan struct {
	Status
	Owner      string
	Request    []byte // nil: of a version that did not record it
	User, Host string
	Session    uint32
}

// AliveFor is how long a Midflight that is silent counts as alive.
const AliveFor = 4 * time.Second
