package model

import (
	"fmt"
	"slices"

	"midflight/binlog"
)

// cutOver is ghost's settleUnderLock: nobody writes, everything is visible and
// delivered, what is left is applied and compared, and the tables are swapped.
// Or the lock is given up: after so many steps (0: never), or because a unique
// key is in the way. The lock session has no transaction, so what it did stays.
func (w *World) cutOver(after int) bool {
	// It need not be quiet: that it was, was found before the gap was looked for.
	if !w.verify.On() || !w.copied.Done() {
		return false
	}
	for who := range w.jobs {
		if w.jobs[who].state != idle && !w.Rules.LockBeside {
			return false
		}
	}
	if w.owner != nil {
		return false
	}
	giveUp := func(why string) bool {
		if after--; after != 0 {
			return false
		}
		w.say("given up %s", why)
		return true
	}
	w.settleCommits()
	for !w.Rules.LockBeforeDelivery && w.deliver() {
	}
	if giveUp("before the first batch") || w.ended() {
		return true
	}
	if w.hidden() && !w.Rules.LockHidden {
		w.say("given up: something is hidden")
		return true
	}
	if w.verify.Compares() && !w.Rules.LockUncompared {
		w.say("given up: ranges are to be compared")
		return true
	}
	for {
		keys := w.take(func(int) bool { return true }, w.copied.Place, nil)
		if len(keys) == 0 {
			break
		}
		keys, rest := keys[:(len(keys)+1)/2], keys[(len(keys)+1)/2:]
		w.backlog.Return(rest)
		if !w.applyUnderLock(keys, giveUp) {
			return true
		}
	}
	for w.verify.Left() > 0 && !w.Rules.LockWithoutComparing {
		keys := w.settledKeys()
		if giveUp("while it is compared") {
			w.verify.Again(keys)
			w.verify.Forget()
			return true
		}
		different := w.differencesOf(keys)
		w.verify.Forget()
		if len(different) > 0 {
			w.convict(different[0], " under the lock")
			return true
		}
	}
	if w.backlog.Len() > 0 {
		w.Fault = fmt.Sprintf("%d keys are left under the lock", w.backlog.Len())
	}
	if giveUp("before the RENAME") {
		return true
	}
	w.Swapped = true
	for k := range w.visible {
		if w.Fault == "" && w.visible[k] != w.shadow[k] {
			w.Fault = fmt.Sprintf("swapped, and row %d differs: original %s, shadow %s", k, w.visible, w.shadow)
		}
	}
	if w.Say != nil {
		w.say("swapped; original %s, shadow %s", w.visible, w.shadow)
	}
	return true
}

func (w *World) applyUnderLock(keys []binlog.Key, giveUp func(string) bool) (goOn bool) {
	back := func() bool {
		if w.Rules.LoseUnderLock {
			w.backlog.Done(keys)
		} else {
			w.backlog.Return(keys)
		}
		if !w.Rules.HoleUnderLock {
			for _, k := range w.verify.Keys() {
				w.backlog.Again(k, w.last)
			}
		}
		return false
	}
	remove(&w.shadow, keys)
	if giveUp("after a batch's DELETE") {
		return back()
	}
	rows := w.pick(keys, "")
	if !w.put(&w.shadow, &rows) {
		w.say("1062 under the lock, which is given up")
		return back()
	}
	if giveUp("after a batch") {
		return back()
	}
	if w.Say != nil {
		w.say("applied %s", names(keys))
	}
	slices.Sort(keys)
	w.backlog.Done(keys)
	w.verify.Applied(keys)
	return true
}
