package model

import (
	"testing"

	"midflight/binlog"
	"midflight/ghost/backlog"
)

// Each mutation breaks one rule. One that no run finds would mean that the rule
// is not needed, or that the model can't tell.
var mutations = []struct {
	name   string
	broken func(*Rules)
}{
	{"apply before it is visible", func(r *Rules) {
		r.Visible = always
		r.Place = func(w *World, k binlog.Key) backlog.Place {
			if p := w.copied.Place(k); p == backlog.Behind || w.horizon.has(w.lastOf[spelling(k)][number(k)]) {
				return p
			}
			return backlog.InFlight
		}
	}},
	{"forget before it is visible", func(r *Rules) {
		r.Visible = always
		r.Place = func(w *World, k binlog.Key) backlog.Place {
			if p := w.copied.Place(k); p == backlog.Ahead || w.horizon.has(w.lastOf[spelling(k)][number(k)]) {
				return p
			}
			return backlog.InFlight
		}
	}},
	{"visible is what is delivered", func(r *Rules) { r.Visible = always }},
	{"the horizon has no gaps", func(r *Rules) { // the highest id stands for all
		r.Visible = func(w *World, id int) bool { return idSet(1)<<id <= w.horizon }
	}},
	{"in flight is behind", func(r *Rules) { r.Place = instead(backlog.InFlight, backlog.Behind) }},
	{"in flight is ahead", func(r *Rules) { r.Place = instead(backlog.InFlight, backlog.Ahead) }},
	{"behind is ahead", func(r *Rules) { r.Place = instead(backlog.Behind, backlog.Ahead) }},
	{"keys above the last chunk are ahead", func(r *Rules) {
		r.Place = func(w *World, k binlog.Key) backlog.Place {
			for _, j := range w.jobs[:A] {
				if j.state != idle && j.r.Hi == "" && in(j.r, number(k)) {
					return backlog.Ahead
				}
			}
			return w.copied.Place(k)
		}
	}},
	{"the place is older than the horizon", func(r *Rules) {
		r.RememberPlaces = true
		r.Place = func(w *World, k binlog.Key) backlog.Place {
			if w.placeWas[spelling(k)][number(k)] == backlog.Ahead {
				return backlog.Ahead
			}
			return w.copied.Place(k)
		}
	}},
	{"a chunk is marked after it was read", func(r *Rules) { r.MarkLate = true }},
	{"a chunk counts as committed before it is", func(r *Rules) { r.CommitEarly = true }},
	{"a chunk is copied beside a batch that Go can't order", func(r *Rules) { r.ChunkBesideBatch = true }},
	{"two batches have one row", func(r *Rules) { r.SideBySide = true }},
	{"a key that changes while it is taken is not added", func(r *Rules) { r.NotWhileTaken = true }},
	{"a batch counts as done when it is taken", func(r *Rules) { r.DoneEarly = true }},
	{"a batch that was rolled back counts as done", func(r *Rules) { r.ForgetOnError = true }},
	{"only after images count", func(r *Rules) { r.NoImage[0] = true }},
	{"only before images count", func(r *Rules) { r.NoImage[1] = true }},
	{"INSERT IGNORE", func(r *Rules) {
		r.Insert = func(t, rows *Table) bool {
			for k, row := range rows {
				if row.There && !t[k].There && t.taken(row, k) == 0 {
					t[k] = row
				}
			}
			return true
		}
	}},
	{"REPLACE", func(r *Rules) {
		r.Insert = func(t, rows *Table) bool {
			for k, row := range rows {
				if row.There {
					for o := t.taken(row, k); o != 0; o = t.taken(row, k) {
						t[o] = Row{}
					}
					t[k] = row
				}
			}
			return true
		}
	}},
	{"the two rows are compared as of two snapshots", func(r *Rules) { r.JudgeByRead = true }},
	{"every 1062 is the user's", func(r *Rules) { r.NoJudge = true }},
	{"the row in the way is not applied again", func(r *Rules) { r.LoseOthers = true }},
	{"the row in the way is known after the commit", func(r *Rules) { r.TellLate = true }},
	{"what is left is not deleted again", func(r *Rules) { r.KeepLeft = true }},

	{"ranges are not compared", func(r *Rules) { r.SkipRanges = true }},
	{"keys are compared that wait to be applied", func(r *Rules) { r.CompareBusy = true }},
	{"keys are compared that are not copied yet", func(r *Rules) { r.CompareUncopied = true }},
	{"a range is compared before its chunk is committed", func(r *Rules) { r.CompareEarly = true }},
	{"a change does not acquit", func(r *Rules) { r.NoAcquittal = true }},
	{"a difference counts at once", func(r *Rules) { r.NoMarker = true }},
	{"the marker is older than the comparison", func(r *Rules) { r.MarkerBefore = true }},
	{"what was applied is not compared", func(r *Rules) { r.AppliedIsCompared = true }},

	{"a hidden change is not looked for", func(r *Rules) { r.NotHeard = true }},
	{"all is compared again before the change is visible", func(r *Rules) { r.NotAwaited = true }},
	{"the latest hidden change stands for all", func(r *Rules) { r.LatestUnseen = true }},
	{"sessions without a binlog are not asked", func(r *Rules) { r.NotCounted = true }},
	{"the count moves at a command's beginning", func(r *Rules) { r.MoveAtBegin = true }},
	{"a command that is under way does not count", func(r *Rules) { r.NotRunning = true }},
	{"what was hidden convicts at once", func(r *Rules) { r.NoMend = true }},
	{"what was hidden in a range waits for the lock", func(r *Rules) { r.MendLate = true }},
	{"what was mended once is never mended again", func(r *Rules) { r.MendOnce = true }},
	{"a conviction does not ask what has hidden", func(r *Rules) { r.NoPardon = true }},
	{"nothing hidden is asked for under the lock", func(r *Rules) { r.LockHidden = true }},
	{"ranges to be compared are not asked for under the lock", func(r *Rules) { r.LockUncompared = true }},
	{"a row is mended again and again", func(r *Rules) { r.MendAlways = true }},
	{"the position moves while a hidden change is not seen", func(r *Rules) { r.PositionUnseen = true }},

	{"the lock does not wait for the stream", func(r *Rules) { r.LockBeforeDelivery = true }},
	{"the lock does not wait for the workers", func(r *Rules) { r.LockBeside = true }},
	{"nothing is compared under the lock", func(r *Rules) { r.LockWithoutComparing = true }},
	{"a lock that is given up forgets its keys", func(r *Rules) { r.LoseUnderLock = true }},

	{"a lock that is given up leaves a hole", func(r *Rules) { r.HoleUnderLock = true }},

	{"the position is the stream's", func(r *Rules) { r.PositionEarly = true }},
	{"the position is one before which keys still wait", func(r *Rules) { r.MarkUnsettled = true }},
	{"the watermark is what was dispatched", func(r *Rules) { r.WatermarkDispatched = true }},
	{"the watermark is what was committed last", func(r *Rules) { r.WatermarkLatest = true }},
	{"a chunk's range is not emptied before another try", func(r *Rules) { r.KeepRange = true }},
	{"the old engine's statements are not waited for", func(r *Rules) { r.Zombies = true }},
	{"a new engine does not repair", func(r *Rules) { r.NoRepair = true }},
}

// What could be left out: nothing goes wrong without these. They are kept since
// they spare work. If a run is found, they have become rules.
var spares = []struct {
	name   string
	broken func(*Rules)
}{
	// The chunk that comes to such a row later finds it in its way, which costs a
	// deletion and a look.
	{"a batch that Go can't order reads without a bound", func(r *Rules) { r.NoUpTo = true }},
	// Every change has an image with the spelling that the original has then.
	{"keys are told apart by their spelling", func(r *Rules) { r.Exact = true }},
}

func TestSparesAreSpare(t *testing.T) {
	for _, m := range spares {
		t.Run(m.name, func(t *testing.T) {
			rules := Real()
			m.broken(&rules)
			if runs, _, bad := search(1, 20_000, rules); bad != nil {
				small := Shrink(*bad, rules)
				t.Errorf("run %d goes wrong:\n%s----\n%s", runs, small.script(), narrate(small, rules))
			}
		})
	}
}

func always(*World, int) bool { return true }

func instead(of, p backlog.Place) func(*World, binlog.Key) backlog.Place {
	return func(w *World, k binlog.Key) backlog.Place {
		if got := w.copied.Place(k); got != of {
			return got
		}
		return p
	}
}

// budget of runs in which each mutation must be found.
const budget = 150_000

// rare are mutations for which random runs are no measure (100,000 and more may
// miss them); a script finds each.
var rare = map[string]string{
	"two batches have one row":                             "two_spellings_two_batches",
	"the row in the way is known after the commit":         "in_the_way_and_compared",
	"a new engine does not repair":                         "in_the_way_and_restarted",
	"the position moves while a hidden change is not seen": "hidden_and_restarted",
	"the latest hidden change stands for all":              "hidden_in_any_order",
}

func TestMutationsAreFound(t *testing.T) {
	if raceEnabled {
		t.Skip("has no races of its own, and takes ten times as long")
	}
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			rules := Real()
			m.broken(&rules)
			if script := rare[m.name]; script != "" {
				r, _ := readScript(t, "testdata/"+script+".txt")
				if r.Replay(rules).Fault == "" {
					t.Errorf("%s does not find it:\n%s", script, narrate(r.Run, rules))
				}
				return
			}
			runs, _, bad := search(1, budget, rules)
			if bad == nil {
				t.Fatalf("not found in %d runs", runs)
			}
			small := Shrink(*bad, rules)
			t.Logf("%s: found by run %d; shrunk to\n%s----\n%s", m.name, runs, small.script(), narrate(small, rules))
		})
	}
}
