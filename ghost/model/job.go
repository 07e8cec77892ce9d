package model

import (
	"midflight/binlog"
	"midflight/ghost/chunk"
)

// A job is one worker's: a chunk that is copied, a batch that is applied, or a
// range or keys that are compared.
type job struct {
	state    state
	r        chunk.Range
	keys     []binlog.Key // of the batch; of a chunk's rows when they are in somebody's way; that a range is compared without
	upTo     binlog.Key   // bounds what a batch reads
	snapshot Table
	counted  bool         // as committed, though it is not; for a mutation
	again    bool         // an earlier try may have been committed
	outdated []binlog.Key // to be applied again

	replacement

	different []binlog.Key // of a comparison
	token     string       // … and its marker
}

type state int8

const (
	idle      state = iota
	ready           // dispatched or taken, not begun
	read            // the snapshot is taken
	replacing       // in a transaction of several statements
	written         // committed; the owner does not know yet
)

// An Answer is what a worker hears of its commit.
type Answer int

const (
	OK         Answer = iota
	Lost              // committed, but the connection died
	RolledBack        // a deadlock, or the connection died before
)

// A Worker is who copies chunks, applies batches, or compares.
type Worker int

const (
	Copier Worker = iota
	Copier2
	A
	B
	Verifier
	Verifier2 // compares ranges only
)

var workerNames = []string{"copy", "copy2", "a", "b", "v", "v2"}

func (w *World) is(j *job, who Worker) bool { return j == &w.jobs[who] }

func (w *World) compares(j *job) bool { return j == &w.jobs[Verifier] || j == &w.jobs[Verifier2] }

func (w *World) copies(j *job) bool { return j == &w.jobs[Copier] || j == &w.jobs[Copier2] }

// bound finds the end of the next chunk of n rows.
func (w *World) bound(n int) bool {
	if w.bounded || w.copied.AllDispatched() || n < 1 {
		return false
	}
	w.bounded, w.next = true, chunk.Range{Lo: w.copied.Dispatched()}
	for k, r := range w.visible {
		if r.There && in(w.next, k) {
			if n--; n == 0 {
				w.next.Hi = w.literal(k, r.Caps)
			}
		}
	}
	return true
}

// in compares as the server does.
func in(r chunk.Range, k int) bool {
	return (r.Lo == "" || k > number(r.Lo)) && (r.Hi == "" || k <= number(r.Hi))
}

func (w *World) dispatch(j *job) bool {
	if j.state != idle || !w.bounded {
		return false
	}
	// Keys that Go can't order are applied between two chunks, never beside one.
	if w.Spellings && !w.Rules.ChunkBesideBatch && (w.jobs[A].state != idle || w.jobs[B].state != idle) {
		return false
	}
	if w.Rules.MarkLate && !(w.jobs[Copier].state == idle && w.jobs[Copier2].state == idle) {
		return false
	}
	*j = job{state: ready, r: w.next, again: w.again}
	if !w.Rules.MarkLate {
		w.bounded = false
		w.copied.Dispatch(j.r)
	}
	if w.verify.On() && w.Rules.CompareEarly {
		w.verify.Add(j.r)
	}
	return true
}

func (w *World) markCommitted(r chunk.Range) {
	w.copied.Commit(r)
	w.ranges = append(w.ranges, r)
	if w.verify.On() && !w.Rules.CompareEarly {
		w.verify.Add(r)
	}
}

// free: nobody else has the shadow for himself.
func (w *World) free(j *job) bool { return w.owner == nil || w.owner == j }

// look takes a snapshot of the rows to be copied or applied.
func (w *World) look(j *job) bool {
	if j.state != ready || j.again && !w.free(j) {
		return false
	}
	if w.compares(j) {
		return w.compare(j)
	}
	j.state = read
	if w.copies(j) {
		if j.again && !w.Rules.KeepRange {
			for k := range w.shadow {
				if in(j.r, k) {
					w.shadow[k] = Row{}
				}
			}
		}
		j.snapshot = w.rowsIn(j.r)
		if w.Rules.CommitEarly && !j.counted {
			w.markCommitted(j.r)
			j.counted = true
		}
	} else {
		j.snapshot = w.pick(j.keys, j.upTo)
	}
	if w.Say != nil {
		w.say("read %s", j.snapshot)
	}
	return true
}

func (w *World) rowsIn(r chunk.Range) Table {
	var t Table
	for k, row := range w.visible {
		if row.There && in(r, k) {
			t[k] = row
		}
	}
	return t
}

// pick reads the rows of keys, up to a bound.
func (w *World) pick(keys []binlog.Key, upTo binlog.Key) Table {
	var t Table
	for _, key := range keys {
		if k := number(key); in(chunk.Range{Hi: upTo}, k) {
			t[k] = w.visible[k]
		}
	}
	return t
}

func remove(t *Table, keys []binlog.Key) {
	for _, k := range keys {
		t[number(k)] = Row{}
	}
}

// write is the one statement that a chunk is, or the two of a batch; of a
// comparison it is the marker.
func (w *World) write(j *job, a Answer) bool {
	if j.state != read || !w.free(j) {
		return false
	}
	if w.compares(j) {
		w.writeMarker(j)
		return true
	}
	for i := range w.zombies { // when it does the greatest harm
		w.insert(&w.zombies[i])
	}
	w.zombies = nil
	before := w.shadow
	if w.insert(j) {
		if a == RolledBack {
			w.shadow = before
		}
		w.end(j, a)
		return true
	}
	w.replace(j)
	return true
}

// insert is the statement's effect; false is error 1062.
func (w *World) insert(j *job) bool {
	shadow := w.shadow
	if !w.copies(j) && len(j.keys) > 0 {
		remove(&shadow, j.keys)
	}
	if !w.put(&shadow, &j.snapshot) {
		return false
	}
	w.shadow = shadow
	return true
}

// end is what the worker makes of the answer.
func (w *World) end(j *job, a Answer) {
	w.owner = nil
	j.state = written
	if a != OK && !w.Rules.ForgetOnError {
		j.state, j.again = ready, true
	}
	if w.Say != nil {
		w.say("%s; shadow %s", []string{"committed", "committed, not heard of", "rolled back"}[a], w.shadow)
	}
}

// done tells the owner that a worker has finished.
func (w *World) done(j *job) bool {
	if j.state != written {
		return false
	}
	switch {
	case w.compares(j):
		w.judge(j)
	case w.copies(j):
		if w.Rules.MarkLate {
			w.bounded = false
			w.copied.Dispatch(j.r)
		}
		if !j.counted {
			w.markCommitted(j.r)
		}
	default:
		w.backlog.Done(j.keys)
		if !w.Rules.AppliedIsCompared {
			w.verify.Applied(j.keys)
		}
	}
	w.outdated(j.outdated)
	*j = job{}
	return true
}
