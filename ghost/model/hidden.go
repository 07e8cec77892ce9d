package model

import (
	"slices"

	"midflight/binlog"
)

// runCommand lets a session whose binlog is off begin a command, or end it.
func (w *World) runCommand(runs bool) bool {
	if w.running == runs {
		return false
	}
	w.running = runs
	if runs == w.Rules.MoveAtBegin {
		w.moved++
	}
	return true
}

// hide is a transaction of that command, which may have several.
func (w *World) hide(writes []Write) bool {
	if !w.running {
		return false
	}
	w.hides++
	t, rows, ok := w.change(maxTx+w.hides, writes)
	if !ok {
		return false
	}
	w.latest, w.anyHidden = rows, true
	for _, k := range t.rows {
		w.visible[k] = rows[k]
	}
	return true
}

// hid is ghost's: the stream has a change without its keys.
func (w *World) hid(id int) {
	if w.Rules.NotHeard {
		return
	}
	w.mend()
	if w.Rules.LatestUnseen {
		w.unseen = nil
	}
	w.unseen = append(w.unseen, id)
	if w.Rules.NotAwaited {
		w.seenAll()
	}
	w.say("hidden")
}

// seen forgets what every reader sees by now, and has all compared again.
func (w *World) seen() {
	n := len(w.unseen)
	w.unseen = slices.DeleteFunc(w.unseen, w.horizon.has)
	if n > 0 && len(w.unseen) == 0 {
		w.seenAll()
	}
}

func (w *World) seenAll() {
	if w.unseen = nil; w.verify.On() {
		w.compareAll()
	}
}

func (w *World) mend() {
	if w.Rules.NoMend || w.Rules.MendOnce && w.mends {
		return
	}
	w.mends = true
	w.verify.Mend()
}

// compareAll begins to compare all that is copied.
func (w *World) compareAll() {
	if w.verify.On() || w.hidden() {
		w.mend()
		w.say("all, and what differs is mended")
	}
	w.began = w.moved
	w.verify.Begin(w.ranges)
}

// hidden: there are changes that the latest comparing of all may have missed.
func (w *World) hidden() bool {
	return len(w.unseen) > 0 || !w.Rules.NotCounted && (w.began != w.moved || w.running && !w.Rules.NotRunning)
}

func (w *World) applyAgain(keys []binlog.Key) {
	for _, k := range keys {
		w.backlog.Again(k, w.last)
	}
}
