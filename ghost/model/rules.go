package model

import (
	"midflight/binlog"
	"midflight/ghost/backlog"
)

// Rules are what the engine does where another choice would look as good. The
// tests break them one by one, to see that each is needed.
type Rules struct {
	// Images are the keys of a row event that count.
	Images func(before, after *binlog.Key) []binlog.Key
	// Add tells whether a delivered key goes into the backlog.
	Add func(w *World, k binlog.Key) bool
	// Visible and Place are what Take is given.
	Visible func(w *World, id int) bool
	Place   func(w *World, k binlog.Key) backlog.Place
	// Insert adds rows to a table, or none of them where a key is in the way.
	Insert func(t *Table, rows Table) bool

	MarkLate      bool // a chunk counts as dispatched only when it is written
	CommitEarly   bool // … and as committed as soon as it is read
	SideBySide    bool // two batches at once though one row may have two keys
	DoneEarly     bool // a batch counts as applied as soon as it is taken
	ForgetOnError bool // … also when it was rolled back
	KeepRange     bool // a chunk that is tried again leaves its rows of before
	LoseOthers    bool // row by row: the row that is in the way is only deleted
	JudgeByRead   bool // … and is compared with what was read before
	NoJudge       bool // … or called the user's duplicate at once
	KeepFirst     bool // … and a row that is there by the same key is not deleted first
}

// Real are the engine's.
func Real() Rules {
	return Rules{
		Images: func(before, after *binlog.Key) []binlog.Key {
			var keys []binlog.Key
			for _, k := range []*binlog.Key{before, after} {
				if k != nil {
					keys = append(keys, *k)
				}
			}
			return keys
		},
		Add:     func(*World, binlog.Key) bool { return true },
		Visible: func(w *World, id int) bool { return w.horizon.has(id) },
		Place:   func(w *World, k binlog.Key) backlog.Place { return w.copied.Place(k) },
		Insert:  insert,
	}
}

// insert is a plain INSERT of several rows.
func insert(t *Table, rows Table) bool {
	into := *t
	for k, r := range rows {
		if !r.There {
			continue
		}
		if into[k].There || into.taken(r.Value, k) != 0 {
			return false
		}
		into[k] = r
	}
	*t = into
	return true
}
