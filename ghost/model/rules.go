package model

import (
	"midflight/binlog"
	"midflight/ghost/backlog"
)

// Rules are what the engine does where another choice would look as good. The
// tests break them one by one, to see that each is needed.
type Rules struct {
	// Visible and Place are what Take is given.
	Visible func(w *World, id int) bool
	Place   func(w *World, k binlog.Key) backlog.Place
	// Insert adds rows to a table, or none of them where a key is in the way.
	Insert func(t, rows *Table) bool

	// Following and copying.
	NoImage          [2]bool // the before or the after image of a change does not count
	NotWhileTaken    bool    // a key that changes while it is applied isn't applied again
	RememberPlaces   bool    // for a Place of its own
	MarkLate         bool    // a chunk counts as dispatched only when it is written
	CommitEarly      bool    // … and as committed as soon as it is read
	ChunkBesideBatch bool    // … and is dispatched beside a batch whose keys Go can't order
	NoUpTo           bool    // such a batch reads beyond the watermark
	SideBySide       bool    // two batches at once though one row may have two keys
	DoneEarly        bool    // a batch counts as applied as soon as it is taken
	ForgetOnError    bool    // … also when it was rolled back

	// Rows that are in the way.
	NoJudge     bool // every 1062 is the user's
	JudgeByRead bool // the two rows are compared as of two snapshots
	LoseOthers  bool // the row that is in the way is only deleted
	TellLate    bool // … and put into the backlog after that is committed
	KeepLeft    bool // what is left is not deleted before it is tried again

	// Comparing.
	Exact             bool // Go is thought to tell keys apart where it can't
	SkipRanges        bool // what differs in a range is not looked at
	CompareBusy       bool // keys are compared that a known change waits for
	CompareUncopied   bool // … or that are not copied yet
	CompareEarly      bool // a range is to be compared when its chunk is dispatched
	NoAcquittal       bool // a change does not explain a difference
	NoMarker          bool // nor is a marker waited for
	MarkerBefore      bool // … or it is written before the comparison
	AppliedIsCompared bool // what was applied is not compared again

	// Changes that hide.
	NotHeard       bool // one without its keys is not looked for
	NotAwaited     bool // … or before every reader sees it
	LatestUnseen   bool // … or when the latest one is seen
	NotCounted     bool // what sessions without a binlog do is not asked
	MoveAtBegin    bool // … or counted when a command begins, not when it has ended
	NotRunning     bool // … or only when it has ended
	NoMend         bool // what differs counts though something was hidden
	MendLate       bool // what differs in a range is not applied before it is compared by key
	NoPardon       bool // a conviction does not ask whether something has hidden
	LockHidden     bool // nor does the cut-over under its lock
	LockUncompared bool // which does not ask whether ranges are still to be compared
	MendOnce       bool // not again after another hidden change, nor is what differed before pardoned
	MendAlways     bool // what differs after it was applied is applied once more
	PositionUnseen bool // the position moves behind a hidden change that is not seen yet

	// Cutting over.
	LockBeforeDelivery   bool // what is still to be delivered is not waited for
	LockBeside           bool // workers may be busy
	LockWithoutComparing bool
	HoleUnderLock        bool // it does not look after other spellings of rows that it has deleted
	LoseUnderLock        bool // a lock that is given up takes its keys along

	// Beginning again.
	PositionEarly       bool // the position is that of the stream
	MarkUnsettled       bool // … or that of the latest checkpoint, whatever waits since before
	WatermarkDispatched bool // the watermark is where the next chunk begins
	WatermarkLatest     bool // … or where the chunk ends that was committed last
	KeepRange           bool // a chunk that is tried again leaves its rows of before
	Zombies             bool // the old engine's statements are not waited for
	NoRepair            bool // a difference is nobody's fault but counts
}

// Real are the engine's.
func Real() Rules {
	return Rules{
		Visible: func(w *World, id int) bool { return w.horizon.has(id) },
		Place:   func(w *World, k binlog.Key) backlog.Place { return w.copied.Place(k) },
		Insert:  insert,
	}
}

// insert is a plain INSERT of several rows.
func insert(t, rows *Table) bool {
	into := *t
	for k, r := range rows {
		if !r.There {
			continue
		}
		if into[k].There || into.taken(r, k) != 0 {
			return false
		}
		into[k] = r
	}
	*t = into
	return true
}
