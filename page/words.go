package page

import (
	"midflight/ghost"
	"midflight/store"
)

// A word is what an operator can say to a migration: a procedure, and what the page tells
// of it before it is called.
type word struct {
	Procedure string
	Label     string
	Past      string // for the history
	Says      string // what will happen
	Grave     bool   // it can't be taken back
}

var words = map[string]word{
	"pause":    {"pause", "Pause", "paused", "The copy of rows stops, and the tables are not swapped, until somebody resumes it. What the applications change is applied meanwhile.", false},
	"resume":   {"resume", "Resume", "resumed", "The migration goes on where it was paused.", false},
	"cutover":  {"cutover", "Cut over", "given leave to cut over", "Leave is given to swap the tables as soon as they are in sync and nobody holds the table, without waiting for the window or for anybody. Statements on it are held for some milliseconds. The swap can’t be taken back.", true},
	"cancel":   {"cancel", "Cancel", "canceled", "The migration ends, and its client gets error 1317. The table stays as it is; what has been copied is dropped. It can’t be gone on with, only begun anew.", true},
	"throttle": {"throttle", "Throttle", "throttled", "The copy rests for a part of the time, beside what it waits anyway. After the minutes, that ends by itself.", false},
}

// sayable are the words that mean something to a migration as it is, in the order of the
// buttons.
func sayable(m store.Migration) (list []word) {
	if m.Ended() || m.Canceling {
		return nil
	}
	copies := m.Path == "copy" && m.Phase != ghost.CuttingOver
	switch {
	case m.Paused:
		list = append(list, words["resume"])
	case copies || m.Phase == ghost.Queued || m.Phase == ghost.Preparing:
		list = append(list, words["pause"])
	}
	if copies && (m.Phase == ghost.Preparing || m.Phase == ghost.Copying) {
		list = append(list, words["throttle"])
	}
	if m.CutOver != "auto" && !m.MaySwap && m.Phase != ghost.CuttingOver {
		list = append(list, words["cutover"])
	}
	return append(list, words["cancel"])
}
