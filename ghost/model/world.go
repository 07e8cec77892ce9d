package model

import (
	"fmt"

	"midflight/binlog"
)

// A World is a server with an application, and a migration of its one table.
type World struct {
	Setting
	Rules Rules
	Say   func(format string, args ...any) // nil: nobody listens

	server
	engine
	shadow  Table
	owner   *job // who has the shadow to himself, in a transaction of several statements
	hides   int
	spoiled [maxKey + 1]bool // rows of the shadow that a fault of the server's changed
	zombies []job            // statements of an engine that is gone

	Swapped bool
	Failed  string // the migration's own end: the tables are not swapped
	Fault   string // what must never happen
}

// A Setting is how the world begins.
type Setting struct {
	Rows      Table
	Added     [uniques]bool // the ALTER adds the unique key: the original does not have it
	Spellings bool          // keys have two spellings
	Broken    int           // a row that the server never writes as it should
}

// New makes a world; the engine's stream begins here.
func New(s Setting, rules Rules) *World {
	w := &World{Setting: s, Rules: rules}
	w.visible, w.latest, w.executed = s.Rows, s.Rows, 1
	w.binlog = make([]tx, 0, 16)
	w.begin(checkpoint{})
	return w
}

func (w *World) say(format string, args ...any) {
	if w.Say != nil {
		w.Say(format, args...)
	}
}

func (w *World) ended() bool { return w.Swapped || w.Failed != "" || w.Fault != "" }

// spoil is a fault of a server's, or of ours that nobody knows: a row of the
// shadow gets lost, is another one, or comes from nowhere. It happens before the
// row's range is compared, or while the row is applied: later nobody would look.
func (w *World) spoil(k int, gone bool) bool {
	if k < 1 || k > maxKey || w.owner != nil || w.compared[k] && !w.beingApplied(k) || gone && !w.shadow[k].There {
		return false
	}
	w.spoiled[k] = true
	if w.shadow[k].Note = -1000; gone {
		w.shadow[k] = Row{}
	} else {
		w.shadow[k].There = true
	}
	if w.Say != nil {
		w.say("shadow %s", w.shadow)
	}
	return true
}

// put adds rows to the shadow, or none of them where a key is in the way.
func (w *World) put(t, rows *Table) bool {
	ok := w.Rules.Insert(t, rows)
	w.corrupt(t)
	return ok
}

func (w *World) corrupt(t *Table) {
	if w.Broken != 0 && t[w.Broken].There {
		t[w.Broken].Note, w.spoiled[w.Broken] = -1000, true
	}
}

func (w *World) beingApplied(k int) bool {
	for _, j := range w.batches() {
		if j.state == written {
			for _, key := range j.keys {
				if number(key) == k {
					return true
				}
			}
		}
	}
	return false
}

// convict ends the migration because of a row that differs.
func (w *World) convict(k binlog.Key, where string) {
	w.Failed = fmt.Sprintf("row %s differs%s", name(k), where)
	if !w.spoiled[number(k)] {
		w.Fault = fmt.Sprintf("%s, though nobody has spoiled it: original %s, shadow %s", w.Failed, w.visible, w.shadow)
	}
	w.say("%s", w.Failed)
}
