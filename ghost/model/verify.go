package model

import (
	"slices"
	"strconv"

	"midflight/binlog"
)

// beginVerify may come when nothing is copied yet: ranges are compared behind the copy.
func (w *World) beginVerify() bool {
	if w.verify.On() {
		return false
	}
	w.compareAll()
	return true
}

// takeComparison is a range, or the keys that nothing is known to happen to.
func (w *World) takeComparison(j *job) bool {
	if j.state != idle || !w.verify.On() {
		return false
	}
	r, ok := w.verify.NextRange()
	if !ok && w.copied.Done() && w.began != w.moved && !w.Rules.NotCounted {
		w.compareAll()
		r, ok = w.verify.NextRange()
	}
	if ok {
		*j = job{state: ready, r: r}
		j.keys = slices.Collect(w.backlog.Keys()) // they are to be applied, and compared then
		w.say("a range")
		return true
	}
	if !w.is(j, Verifier) {
		return false
	}
	keys := w.settledKeys()
	if len(keys) == 0 {
		return false
	}
	w.tokens++
	*j = job{state: ready, keys: keys, token: "m" + strconv.Itoa(w.tokens)}
	if w.Rules.MarkerBefore {
		w.mark(j.token)
	}
	if w.Say != nil {
		w.say("took %s", names(keys))
	}
	return true
}

func (w *World) settledKeys() []binlog.Key {
	busy := func(k binlog.Key) bool {
		return !w.Rules.CompareBusy && w.backlog.Has(k) || !w.Rules.CompareUncopied && !w.copied.Has(k)
	}
	keys := w.verify.Settled(1000, busy)
	slices.Sort(keys)
	return keys
}

// compare is one statement that reads both tables, in one snapshot.
func (w *World) compare(j *job) bool {
	if j.token == "" {
		j.different = nil
		for k := range w.visible {
			if in(j.r, k) && !slices.ContainsFunc(j.keys, func(o binlog.Key) bool { return number(o) == k }) {
				w.compared[k] = true
				j.different = w.differences(j.different, k)
			}
		}
		if w.Rules.SkipRanges {
			j.different = nil
		}
	} else {
		j.different = w.differencesOf(j.keys)
	}
	j.state = read
	if len(j.different) == 0 || j.token == "" || w.Rules.MarkerBefore {
		j.state = written
	}
	if w.Say != nil {
		w.say("differ: %s", names(j.different))
	}
	return true
}

func (w *World) differencesOf(keys []binlog.Key) []binlog.Key {
	var wanted [maxKey + 1]bool
	for _, k := range keys {
		wanted[number(k)] = true
	}
	var different []binlog.Key
	for k := range wanted {
		if wanted[k] {
			w.compared[k] = true
			different = w.differences(different, k)
		}
	}
	return different
}

// differences adds the row's keys, as either table spells it, if it differs.
func (w *World) differences(to []binlog.Key, k int) []binlog.Key {
	o, s := w.visible[k], w.shadow[k]
	if o == s {
		return to
	}
	if o.There {
		to = append(to, w.literal(k, o.Caps))
	}
	if s.There && (!o.There || o.Caps != s.Caps) {
		to = append(to, w.literal(k, s.Caps))
	}
	return to
}

func (w *World) writeMarker(j *job) {
	w.mark(j.token)
	j.state = written
	w.say("marker %s", j.token)
}

// judge is the owner's part of a comparison.
func (w *World) judge(j *job) {
	if j.token == "" {
		if w.Rules.MendLate {
			w.verify.Again(j.different)
		} else {
			w.applyAgain(w.verify.Differ(j.different))
		}
		return
	}
	if w.Rules.MendAlways {
		w.verify.Mend()
		w.applyAgain(j.different)
	}
	mend, unexplained := w.verify.Compared(j.different, j.token)
	w.applyAgain(mend)
	if !unexplained {
		return
	}
	if w.Rules.NoMarker || w.passed[j.token] {
		w.pass(j.token)
	}
}

// pass: a marker has come back.
func (w *World) pass(token string) {
	w.passed[token] = true
	if k, convicted := w.verify.Passed(token); convicted {
		if w.hidden() && !w.Rules.NoPardon {
			w.say("pardoned")
			w.mend()
			return
		}
		w.convict(k, "")
	}
}
