package ghost

import (
	"testing"

	"midflight/binlog"
	"midflight/ghost/backlog"
)

// The apply's turn ends with the backlog, also when its last batch was a full one: the
// copy would wait for a next change, which may never come.
func TestTurnEndsWithTheBacklog(t *testing.T) {
	s := &syncer{backlog: backlog.New[*binlog.TxID](), copied: backlog.NewCopied(false), applyTurn: true}
	s.dispatchApply()
	if s.applyTurn {
		t.Error("it goes on with nothing to apply")
	}
}
