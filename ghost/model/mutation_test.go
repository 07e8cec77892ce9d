package model

import (
	"os"
	"strings"
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
			if p := w.copied.Place(k); p == backlog.Behind || w.horizon.has(w.last[k]) {
				return p
			}
			return backlog.InFlight
		}
	}},
	{"forget before it is visible", func(r *Rules) {
		r.Visible = always
		r.Place = func(w *World, k binlog.Key) backlog.Place {
			if p := w.copied.Place(k); p == backlog.Ahead || w.horizon.has(w.last[k]) {
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
			if w.copied.Last && !w.copied.Done && number(k) > number(w.copied.Watermark) {
				return backlog.Ahead
			}
			return w.copied.Place(k)
		}
	}},
	{"a chunk is marked after it was read", func(r *Rules) { r.MarkLate = true }},
	{"a chunk counts as committed before it is", func(r *Rules) { r.CommitEarly = true }},
	{"a key that changes while it is taken is not added", func(r *Rules) {
		r.Add = func(w *World, k binlog.Key) bool {
			for _, j := range w.apply {
				for _, taken := range j.keys {
					if taken == k {
						return false
					}
				}
			}
			return true
		}
	}},
	{"a batch counts as done when it is taken", func(r *Rules) { r.DoneEarly = true }},
	{"a batch that was rolled back counts as done", func(r *Rules) { r.ForgetOnError = true }},
	{"only after images count", func(r *Rules) { r.Images = only(func(_, after *binlog.Key) *binlog.Key { return after }) }},
	{"only before images count", func(r *Rules) { r.Images = only(func(before, _ *binlog.Key) *binlog.Key { return before }) }},
	{"INSERT IGNORE", func(r *Rules) {
		r.Insert = func(t *Table, rows Table) bool {
			for k, row := range rows {
				if row.There && !t[k].There && t.taken(row.Value, k) == 0 {
					t[k] = row
				}
			}
			return true
		}
	}},
	{"REPLACE", func(r *Rules) {
		r.Insert = func(t *Table, rows Table) bool {
			for k, row := range rows {
				if row.There {
					t[t.taken(row.Value, k)] = Row{}
					t[k] = row
				}
			}
			return true
		}
	}},
	{"the two rows are compared as of two snapshots", func(r *Rules) { r.JudgeByRead = true }},
	{"every 1062 is the user's", func(r *Rules) { r.NoJudge = true }},
	{"row by row, the same row by another spelling is in its own way", func(r *Rules) { r.KeepFirst = true }},
}

// Too rare for random runs (once in more than 60,000), so it has a script.
func TestBatchesSideBySide(t *testing.T) {
	script, err := os.ReadFile("testdata/two_spellings_two_batches.txt")
	if err != nil {
		t.Fatal(err)
	}
	steps, _, _ := strings.Cut(string(script), "----\n")
	r, err := parseRun(steps)
	if err != nil {
		t.Fatal(err)
	}
	rules := Real()
	rules.SideBySide = true
	if w := r.Replay(rules); w.Fault == "" {
		t.Errorf("two batches with one row do no harm:\n%s", narrate(r, rules))
	}
}

// What could be left out: each of these is mended later by the change that is
// still on its way. They are kept since they spare work, or a hole that a
// comparison would stumble over. If a run is found, they have become rules.
var spares = []struct {
	name   string
	broken func(*Rules)
}{
	{"the row in the way is not applied again", func(r *Rules) { r.LoseOthers = true }},
	{"a chunk's range is not emptied before another try", func(r *Rules) { r.KeepRange = true }},
}

func TestSparesAreSpare(t *testing.T) {
	for _, m := range spares {
		t.Run(m.name, func(t *testing.T) {
			rules := Real()
			m.broken(&rules)
			if runs, _, bad := search(1, 5_000, rules); bad != nil {
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

func only(image func(before, after *binlog.Key) *binlog.Key) func(before, after *binlog.Key) []binlog.Key {
	return func(before, after *binlog.Key) []binlog.Key {
		if k := image(before, after); k != nil {
			return []binlog.Key{*k}
		}
		return nil
	}
}

func TestMutationsAreFound(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			rules := Real()
			m.broken(&rules)
			runs, _, bad := search(1, 60_000, rules)
			if bad == nil {
				t.Fatalf("not found in %d runs", runs)
			}
			small := Shrink(*bad, rules)
			t.Logf("found by run %d; shrunk to\n%s----\n%s", runs, small.script(), narrate(small, rules))
		})
	}
}
