package ghost

import (
	"context"
	"time"

	"midflight/binlog"
	"midflight/schema"
)

// A Store keeps migrations where every client can read them and the operator's
// word arrives. Its methods are safe for concurrent use.
type Store interface {
	// Create records a new migration in phase queued and returns its id.
	Create(ctx context.Context, r Request) (int64, error)
	// Save brings the record up to date.
	Save(ctx context.Context, s Status) error
	// Finish records the end.
	Finish(ctx context.Context, s Status, r Result) error
	// Announce tells other Midflights that this one is alive; to be repeated.
	Announce(ctx context.Context) error
	// Orphans lists the unfinished migrations of Midflights that are gone.
	Orphans(ctx context.Context) ([]Status, error)
	// Log adds to the migration's history.
	Log(ctx context.Context, id int64, what string) error
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
	// Checkpoint records what is needed to go on after a crash.
	Checkpoint(ctx context.Context, id int64, c Checkpoint) error

	// SaveTriggers records a table's triggers before they are moved; Triggers
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
}

// A Checkpoint is what the shadow table is known to hold.
type Checkpoint struct {
	Watermark binlog.Key      // all rows up to here are copied
	Position  binlog.Position // all changes up to here are applied
	Rows      int64           // in the shadow table
}
