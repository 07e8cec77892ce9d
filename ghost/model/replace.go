package model

import (
	"fmt"
	"slices"

	"midflight/binlog"
)

// A replacement is ghost's replaceColliding, statement by statement. The
// transaction locks what it touches in the shadow; here it has all of it.
type replacement struct {
	phase  phase
	shadow Table // as the transaction sees it
	left   []binlog.Key
	others []binlog.Key // in the way of those left
	first  Table        // what was read of those left; for a mutation
	rounds int
}

type phase int8

const (
	inserting phase = iota // delete the rows of the keys left and insert them
	colliding              // insert those that collide with none, and note who is in the way
	judging                // the user's duplicate, or out of date? Then delete
	committing
)

// replace begins; what the statement before did is rolled back.
func (w *World) replace(j *job) {
	if w.copies(j) {
		j.keys = nil
		for k, r := range w.visible {
			if r.There && in(j.r, k) {
				j.keys = append(j.keys, w.literal(k, r.Caps))
			}
		}
	}
	if w.Say != nil {
		w.say("1062: row by row %s", names(j.keys))
	}
	w.owner = j
	j.state, j.replacement = replacing, replacement{shadow: w.shadow, left: slices.Clone(j.keys)}
}

// replaceStep is its next statement.
func (w *World) replaceStep(j *job, a Answer) bool {
	if j.state != replacing {
		return false
	}
	if a == RolledBack {
		w.end(j, a)
		return true
	}
	switch j.phase {
	case inserting:
		if !w.Rules.KeepLeft {
			remove(&j.shadow, j.left)
		}
		rows := w.pick(j.left, j.upTo)
		if j.phase = colliding; w.put(&j.shadow, &rows) {
			j.phase = committing
			w.say("inserted")
		} else {
			w.say("1062")
		}
	case colliding:
		w.findColliding(j)
	case judging:
		w.tellApart(j)
	case committing:
		w.shadow = j.shadow
		w.end(j, a)
	}
	return true
}

func (w *World) findColliding(j *job) {
	rows := w.pick(j.left, j.upTo)
	j.first, j.left, j.others = rows, nil, nil
	for k, row := range rows {
		if !row.There {
			continue
		}
		o := k
		if !j.shadow[k].There {
			o = j.shadow.taken(row, k)
		}
		if o == 0 {
			j.shadow[k] = row
			w.corrupt(&j.shadow)
			continue
		}
		j.left = append(j.left, w.literal(k, row.Caps))
		if other := w.literal(o, j.shadow[o].Caps); !slices.Contains(j.others, other) {
			j.others = append(j.others, other)
		}
	}
	if j.phase = judging; len(j.left) == 0 {
		j.phase = committing
	}
	if w.Say != nil {
		w.say("%s left, since in the way: %s", names(j.left), names(j.others))
	}
}

// tellApart: are two of these rows equal in one snapshot of the original?
func (w *World) tellApart(j *job) {
	rows := w.pick(j.others, "")
	mine := w.pick(j.left, "")
	if w.Rules.JudgeByRead {
		mine = j.first
	}
	for _, k := range j.left {
		rows[number(k)] = mine[number(k)]
	}
	if w.Rules.NoJudge || rows.duplicate([uniques]bool{true, true}) {
		w.Failed = fmt.Sprintf("duplicate: rows %s, in the way %s", names(j.left), names(j.others))
		if !w.visible.duplicate([uniques]bool{true, true}) {
			w.Fault = w.Failed + ", but the original has none: " + w.visible.String()
		}
		w.say("%s", w.Failed)
		return
	}
	if j.rounds++; j.rounds > 100 {
		w.Fault = "going row by row does not end"
	}
	remove(&j.shadow, j.others)
	if w.Rules.TellLate {
		j.outdated = append(j.outdated, j.others...)
	} else {
		w.outdated(j.others)
	}
	j.phase = inserting
	if w.Say != nil {
		w.say("out of date: %s", names(j.others))
	}
}
