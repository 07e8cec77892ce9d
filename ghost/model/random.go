package model

import "math/rand/v2"

// A Run is one interleaving: how the world begins and what happens in it.
type Run struct {
	Rows             Table
	Added, Spellings bool
	Steps            []Step
}

// Replay takes the steps, leaving out those that are not possible, and lets the
// migration end.
func (r Run) Replay(rules Rules) *World {
	w := New(r.Rows, r.Added, r.Spellings, rules)
	for _, s := range r.Steps {
		w.Do(s)
	}
	w.Finish()
	return w
}

// Random makes a run by trying random steps under the rules.
func Random(seed uint64, rules Rules) (Run, *World) {
	g := generator{Rand: rand.New(rand.NewPCG(seed, 0)), keys: maxKey}
	if g.IntN(2) == 0 {
		g.keys = 3 // everybody wants the same rows
	}
	g.slow = Worker(g.IntN(3))
	r := Run{Added: g.IntN(2) == 0, Spellings: g.IntN(5) == 0}
	for k := 1; k <= g.keys; k++ {
		if g.IntN(3) > 0 {
			r.Rows[k] = Row{There: true, Caps: r.Spellings && g.IntN(2) == 0, Note: -k}
			if v := int8(1 + g.IntN(values)); g.IntN(4) > 0 && r.Rows.taken(v, k) == 0 {
				r.Rows[k].Value = v
			}
		}
	}
	w := New(r.Rows, r.Added, r.Spellings, rules)
	if g.IntN(3) == 0 { // most of a migration's traps lie in the copy, but not all
		for _, s := range []Step{{Op: Bound}, {Op: Dispatch}, {Op: Read}, {Op: WriteRows}, {Op: Done}} {
			if w.Do(s) {
				r.Steps = append(r.Steps, s)
			}
		}
	}
	// The writers stop at some time: whatever is wrong then stays wrong, since no
	// later change of the row mends it.
	n := 40 + g.IntN(80)
	stop := g.IntN(n)
	for i := range n {
		if s := g.step(w); (s.Op != Commit || i < stop) && w.Do(s) {
			r.Steps = append(r.Steps, s)
		}
	}
	w.Finish()
	return r, w
}

const values = 6

type generator struct {
	*rand.Rand
	id   int    // of the last transaction
	keys int    // that the application uses
	slow Worker // is seldom moved on: much happens between its steps
}

// step proposes; what is not possible now is simply not done.
func (g *generator) step(w *World) Step {
	who := Worker(g.IntN(3))
	if who == g.slow && g.IntN(8) > 0 {
		who = (who + 1) % 3
	}
	var answer Answer
	if g.IntN(6) == 0 {
		answer = Answer(1 + g.IntN(2))
	}
	switch n := g.IntN(100); {
	case n < 18:
		s := Step{Op: Commit, N: g.id + 1, Writes: g.writes(w)}
		if g.id < maxTx && len(s.Writes) > 0 {
			g.id++ // also when it is refused: ids need not follow each other
		}
		return s
	case n < 28:
		return Step{Op: Visible, N: g.pending(w)}
	case n < 38:
		return Step{Op: Executed, N: g.pending(w)}
	case n < 52:
		return Step{Op: Deliver}
	case n < 86:
		return g.work(w, who, answer)
	case n < 95:
		return Step{Op: Horizon}
	case n < 97:
		return Step{Op: Lock}
	}
	s := Step{Op: Take, Worker: A + Worker(g.IntN(2))}
	for k := 1; k <= maxKey; k++ {
		if g.IntN(2) == 0 {
			s.Only = append(s.Only, k)
		}
	}
	return s
}

// work is the next thing that a worker can do.
func (g *generator) work(w *World, who Worker, a Answer) Step {
	switch w.job(who).state {
	case idle:
		if who == Copier {
			return Step{Op: Bound, N: 1 + g.IntN(4)}
		}
		return Step{Op: Take, Worker: who}
	case bounded:
		return Step{Op: Dispatch}
	case ready:
		return Step{Op: Read, Worker: who}
	case read:
		return Step{Op: WriteRows, Worker: who, Answer: a}
	case rowByRow:
		return Step{Op: OneRow, Worker: who, Answer: a}
	}
	return Step{Op: Done, Worker: who}
}

// pending is a transaction that has a step before it.
func (g *generator) pending(w *World) int {
	if len(w.txs) == 0 {
		return 0
	}
	return w.txs[max(0, len(w.txs)-1-g.IntN(5))].id
}

// writes is a transaction of one of the kinds that lose rows elsewhere.
func (g *generator) writes(w *World) []Write {
	var there, free []int
	for k := 1; k <= g.keys; k++ {
		switch {
		case w.lockedKey[k]:
		case w.latest[k].There:
			there = append(there, k)
		default:
			free = append(free, k)
		}
	}
	g.Shuffle(len(there), func(i, j int) { there[i], there[j] = there[j], there[i] })
	caps := w.Spellings && g.IntN(2) == 0
	value := func(k int) int8 { return w.latest[k].Value }
	set := func(k int, v int8) Write { return Write{To: k, Value: v, Caps: caps} }
	switch kind := g.IntN(9); {
	case kind == 0 && len(free) > 0:
		return []Write{set(free[g.IntN(len(free))], g.value(w))}
	case len(there) == 0:
		return nil
	case kind == 1:
		return []Write{{From: there[0]}}
	case kind == 2 && len(free) > 0: // another key, with the value or another
		v := value(there[0])
		if g.IntN(2) == 0 {
			v = g.value(w)
		}
		return []Write{{From: there[0], To: free[g.IntN(len(free))], Caps: caps, Value: v}}
	case kind == 3: // delete and insert again
		return []Write{{From: there[0]}, set(there[0], g.value(w))}
	case kind == 4 && len(there) > 1: // the value moves
		return []Write{set(there[0], 0), set(there[1], value(there[0]))}
	case kind == 5 && len(there) > 1: // swap
		return []Write{set(there[0], value(there[1])), set(there[1], value(there[0]))}
	case kind == 6 && len(there) > 2: // rotation
		return []Write{set(there[0], value(there[1])), set(there[1], value(there[2])), set(there[2], value(there[0]))}
	case kind == 7 && len(there) > 1: // the value goes to another row by deletion
		return []Write{{From: there[0]}, set(there[1], value(there[0]))}
	}
	return []Write{set(there[0], g.value(w))}
}

// value is one that nobody has; where no unique key guards it, now and then one
// that somebody has, or had a moment ago.
func (g *generator) value(w *World) int8 {
	if w.Added && g.IntN(30) == 0 {
		return int8(1 + g.IntN(values))
	}
	for range 8 {
		v := int8(1 + g.IntN(values))
		if w.latest.taken(v, 0) == 0 && (!w.lockedValue[v] || w.Added && g.IntN(10) == 0) {
			return v
		}
	}
	return 0
}

// Shrink leaves out steps as long as the run still goes wrong.
func Shrink(r Run, rules Rules) Run {
	for size := len(r.Steps); size > 0; {
		smaller := false
		for from := 0; from+size <= len(r.Steps); {
			try := r
			try.Steps = append(append([]Step(nil), r.Steps[:from]...), r.Steps[from+size:]...)
			if try.Replay(rules).Fault != "" {
				r, smaller = try, true
			} else {
				from += size
			}
		}
		if !smaller || size > len(r.Steps) {
			size = min(size-1, max(size/2, 1))
			if size == 0 {
				break
			}
		}
	}
	for k := range r.Rows {
		try := r
		if try.Rows[k] = (Row{}); try.Replay(rules).Fault != "" {
			r = try
		}
	}
	return r
}
