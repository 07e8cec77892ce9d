package ghost

import (
	"fmt"
	"slices"
)

// A Phase is where a migration stands.
type Phase string

const (
	Queued      Phase = "queued"       // another migration of the table runs
	Preparing   Phase = "preparing"    // planning, making the shadow table
	Copying     Phase = "copying"      // rows are copied, changes applied meanwhile
	CatchingUp  Phase = "catching_up"  // rows are copied, the backlog is brought to zero
	Verifying   Phase = "verifying"    // the tables are compared
	Ready       Phase = "ready"        // in sync; waiting for leave to cut over
	CuttingOver Phase = "cutting_over" // looking for the gap, or inside it
	Completed   Phase = "completed"
	Failed      Phase = "failed"
	Canceled    Phase = "canceled"
)

// next is the whole state machine. Beyond CuttingOver → Completed there is no
// way back: the tables are swapped.
var next = map[Phase][]Phase{
	Queued:    {Preparing, Failed, Canceled},
	Preparing: {Copying, CuttingOver, Preparing, Failed, Canceled}, // CuttingOver: the server needs no copy
	// Preparing: what was done can't be gone on with.
	Copying:     {CatchingUp, Preparing, Failed, Canceled},
	CatchingUp:  {Verifying, Preparing, Failed, Canceled},
	Verifying:   {Ready, Preparing, Failed, Canceled},
	Ready:       {CuttingOver, Preparing, Failed, Canceled},
	CuttingOver: {Completed, Ready, Preparing, Failed, Canceled}, // Ready: the gap was too short; Preparing: the server wants a copy after all
}

// Terminal phases are left by no migration.
func (p Phase) Terminal() bool { return p == Completed || p == Failed || p == Canceled }

func (p Phase) mustGoTo(to Phase) {
	if !slices.Contains(next[p], to) {
		panic(fmt.Sprintf("BUG: phase %s to %s", p, to))
	}
}
