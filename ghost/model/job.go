package model

import (
	"fmt"
	"slices"

	"midflight/binlog"
	"midflight/ghost/backlog"
	"midflight/ghost/chunk"
)

// A job is one worker's: a chunk that is copied, or a batch that is applied.
type job struct {
	state    state
	r        chunk.Range
	keys     []binlog.Key // of the batch; of a chunk's rows when it goes row by row
	snapshot Table
	again    bool // an earlier try may have been committed

	// Going row by row.
	shadow Table // as the transaction sees it
	todo   []binlog.Key
	other  binlog.Key // what is in the way of the last of todo
	first  Row        // the last of todo, as read when it was
	tries  int
}

type state int

const (
	idle state = iota
	bounded
	ready    // dispatched or taken, not begun
	read     // the snapshot is taken
	rowByRow // in a transaction of its own
	written  // committed; the owner does not know yet
)

// An Answer is what a worker hears of its commit.
type Answer int

const (
	OK         Answer = iota
	Lost              // committed, but the connection died
	RolledBack        // a deadlock, or the connection died before
)

// bound finds the end of the next chunk of n rows.
func (w *World) bound(n int) bool {
	if w.copier.state != idle || w.copied.Last || n < 1 {
		return false
	}
	w.copier = job{state: bounded, r: chunk.Range{Lo: w.copied.Watermark}}
	for k, r := range w.visible {
		if r.There && w.in(w.copier.r, k) {
			if n--; n == 0 {
				w.copier.r.Hi = w.literal(k, r.Caps)
			}
		}
	}
	return true
}

// in compares as the server does.
func (w *World) in(r chunk.Range, k int) bool {
	return (r.Lo == "" || k > number(r.Lo)) && (r.Hi == "" || k <= number(r.Hi))
}

func (w *World) dispatch() bool {
	if w.copier.state != bounded {
		return false
	}
	w.copier.state = ready
	if !w.Rules.MarkLate {
		w.markDispatched()
	}
	return true
}

func (w *World) markDispatched() {
	w.copied.Dispatched, w.copied.Last = w.copier.r.Hi, w.copier.r.Hi == ""
}

func (w *World) markCommitted() {
	w.copied.Watermark, w.copied.Done = w.copier.r.Hi, w.copier.r.Hi == ""
}

// takeBatch hands an applier what may be applied; only, if not nil, limits it.
func (w *World) takeBatch(j *job, only []int) bool {
	if j.state != idle {
		return false
	}
	// Batches of other keys may run side by side, but only if other keys are
	// other rows.
	if w.Spellings && !w.Rules.SideBySide && (w.apply[0].state != idle || w.apply[1].state != idle) {
		return false
	}
	keys := w.take(func(id int) bool { return w.Rules.Visible(w, id) }, func(k binlog.Key) backlog.Place { return w.Rules.Place(w, k) }, only)
	if len(keys) > 0 {
		*j = job{state: ready, keys: keys}
		if w.Rules.DoneEarly {
			w.backlog.Done(keys)
		}
	}
	return true
}

func (w *World) take(visible func(int) bool, place func(binlog.Key) backlog.Place, only []int) []binlog.Key {
	before := w.backlog.Len()
	keys := w.backlog.Take(1000, visible, func(k binlog.Key) backlog.Place {
		if len(only) > 0 && !slices.Contains(only, number(k)) {
			return backlog.InFlight // not its turn
		}
		return place(k)
	})
	slices.Sort(keys) // a map's order is none
	if forgotten := before - w.backlog.Len(); forgotten > 0 {
		w.say("forgot %d", forgotten)
	}
	return keys
}

// free: nobody else has the shadow for himself.
func (w *World) free(j *job) bool { return w.owner == nil || w.owner == j }

// look takes a snapshot of the rows to be copied or applied.
func (w *World) look(j *job) bool {
	if j.state != ready || j.again && !w.free(j) {
		return false
	}
	j.state = read
	if j == &w.copier {
		if j.again && !w.Rules.KeepRange {
			for k := range w.shadow {
				if w.in(j.r, k) {
					w.shadow[k] = Row{}
				}
			}
		}
		j.snapshot = w.rowsIn(j.r)
		if w.Rules.CommitEarly {
			w.markCommitted()
		}
	} else {
		j.snapshot = pick(w.visible, j.keys)
	}
	w.say("read %s", j.snapshot)
	return true
}

func (w *World) rowsIn(r chunk.Range) Table {
	var t Table
	for k, row := range w.visible {
		if row.There && w.in(r, k) {
			t[k] = row
		}
	}
	return t
}

func pick(from Table, keys []binlog.Key) Table {
	var t Table
	for _, k := range keys {
		t[number(k)] = from[number(k)]
	}
	return t
}

func (w *World) remove(t *Table, keys []binlog.Key) {
	for _, k := range keys {
		t[number(k)] = Row{}
	}
}

// write is the one statement that a chunk is, or the two of a batch.
func (w *World) write(j *job, a Answer) bool {
	if j.state != read || !w.free(j) {
		return false
	}
	shadow := w.shadow
	if j != &w.copier {
		w.remove(&shadow, j.keys)
	}
	if w.Rules.Insert(&shadow, j.snapshot) {
		w.end(j, shadow, a)
		return true
	}
	if j == &w.copier {
		j.keys = nil
		for k, r := range w.visible {
			if r.There && w.in(j.r, k) {
				j.keys = append(j.keys, w.literal(k, r.Caps))
			}
		}
	}
	w.say("1062: row by row %s", names(j.keys))
	w.owner = j
	j.state, j.shadow, j.todo, j.tries = rowByRow, w.shadow, slices.Clone(j.keys), 0
	w.remove(&j.shadow, j.keys)
	return true
}

// end commits what a worker has written, or rolls it back.
func (w *World) end(j *job, shadow Table, a Answer) {
	w.owner = nil
	if a != RolledBack {
		w.shadow = shadow
	}
	j.state = written
	if a != OK {
		j.state, j.again = ready, true
		if w.Rules.ForgetOnError {
			j.state = written
		}
	}
	w.say("%s; shadow %s", []string{"committed", "committed, not heard of", "rolled back"}[a], w.shadow)
}

// row is one statement of going row by row, by the rules of ghost's
// replaceOneByOne.
func (w *World) row(j *job, a Answer) bool {
	if j.state != rowByRow {
		return false
	}
	if len(j.todo) == 0 {
		w.end(j, j.shadow, a)
		return true
	}
	if j.other != "" {
		w.judge(j)
		return true
	}
	if j.tries++; j.tries > 200 {
		w.Fault = "going row by row does not end: " + names(j.todo)
		return true
	}
	key := j.todo[len(j.todo)-1]
	k := number(key)
	if !w.Rules.KeepFirst {
		j.shadow[k] = Row{}
	}
	r := w.visible[k]
	other := 0
	if r.There {
		if other = j.shadow.taken(r.Value, k); j.shadow[k].There {
			other = k
		}
	}
	if other != 0 {
		j.other, j.first = w.literal(other, j.shadow[other].Caps), r
		w.say("%s: %s is in the way", name(key), name(j.other))
		return true
	}
	if r.There {
		j.shadow[k] = r
	}
	j.todo = j.todo[:len(j.todo)-1]
	w.say("%s: done", name(key))
	return true
}

// judge tells an outdated row from the user's duplicate.
func (w *World) judge(j *job) {
	a, b := number(j.todo[len(j.todo)-1]), number(j.other)
	mine, others := w.visible[a], w.visible[b]
	if w.Rules.JudgeByRead {
		mine = j.first
	}
	equal := a != b && mine.There && others.There && mine.Value != 0 && mine.Value == others.Value
	if equal || w.Rules.NoJudge {
		w.Failed = fmt.Sprintf("duplicate: rows %d and %d", min(a, b), max(a, b))
		if !w.visible.duplicate() {
			w.Fault = w.Failed + ", but the original has none: " + w.visible.String()
		}
		w.owner, j.state = nil, idle
		w.say("%s", w.Failed)
		return
	}
	j.shadow[b] = Row{}
	if !w.Rules.LoseOthers {
		j.todo = append([]binlog.Key{j.other}, j.todo...)
	}
	w.say("%s is out of date: again", name(j.other))
	j.other = ""
}

// done tells the owner that a worker has finished.
func (w *World) done(j *job) bool {
	if j.state != written {
		return false
	}
	if j == &w.copier {
		if w.Rules.MarkLate {
			w.markDispatched()
		}
		w.markCommitted()
	} else {
		w.backlog.Done(j.keys)
	}
	*j = job{}
	return true
}
