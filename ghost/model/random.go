package model

import "math/rand/v2"

// A Run is one interleaving: how the world begins and what happens in it.
type Run struct {
	Setting
	Steps []Step
}

// Replay takes the steps, leaving out those that are not possible, and lets the
// migration end.
func (r Run) Replay(rules Rules) *World {
	w := New(r.Setting, rules)
	for _, s := range r.Steps {
		w.Do(s)
	}
	w.Finish()
	return w
}

// Random makes a run by trying random steps under the rules.
func Random(seed uint64, rules Rules) (Run, *World) {
	r := Run{Steps: make([]Step, 0, 100)}
	w := random(&r.Setting, seed, rules, func(s Step) { r.Steps = append(r.Steps, s) })
	return r, w
}

// random tells record, if it is not nil, what was done.
func random(setting *Setting, seed uint64, rules Rules, record func(Step)) *World {
	g := generator{Rand: rand.New(rand.NewPCG(seed, 0)), keys: maxKey}
	if g.IntN(2) == 0 {
		g.keys = 3 // everybody wants the same rows
	}
	g.slow = Worker(g.IntN(6))
	g.kinds = uint(g.IntN(1 << kinds))
	g.workers = uint(g.IntN(1 << 6))
	g.workers |= uint(g.IntN(1 << 6))
	g.values = 2 + g.IntN(values-1)
	g.copiers = 1 + g.IntN(2)
	g.uniques = 1 + g.IntN(2)
	g.spoils, g.restarts, g.twins = g.IntN(8) == 0, g.IntN(3) == 0, g.IntN(3) == 0
	r := setting
	*r = Setting{Added: [uniques]bool{g.twins || g.IntN(3) == 0, g.IntN(3) == 0}, Spellings: g.IntN(4) == 0}
	if r.Spellings {
		g.keys = 1 + g.IntN(4)
	}
	if g.restarts && g.IntN(2) == 0 { // two chunks, the first of which is late
		g.keys, g.copiers, g.slow, g.twins, g.race = maxKey, 2, Copier, false, true
		*r = Setting{}
	}
	if g.quarrel = !g.race && g.IntN(8) == 0; g.quarrel {
		g.keys, g.values, g.uniques, g.slow, g.twins = 2+g.IntN(2), 3, 1, A+2*Worker(g.IntN(2)), true
		g.kinds, g.workers = 1<<9|1<<10, 1<<A|1<<Verifier
		*r = Setting{Added: [uniques]bool{true, false}}
	}
	for k := 1; k <= g.keys; k++ {
		if g.quarrel || g.race || g.IntN(3) > 0 {
			row := Row{There: true, Caps: r.Spellings && g.IntN(2) == 0, Note: int16(-k)}
			for i := range g.uniques {
				if row.U[i] = int8(1 + g.IntN(g.values)); !g.quarrel && g.IntN(4) == 0 || r.Rows.taken(row, k) != 0 {
					row.U[i] = 0
				}
			}
			r.Rows[k] = row
		}
	}
	if g.hides = g.IntN(5) == 0; g.hides && g.IntN(3) == 0 {
		r.Broken = 1 + g.IntN(g.keys)
	}
	w := New(*r, rules)
	g.world = w
	do := func(s Step) {
		if w.Do(s) && record != nil {
			record(s)
		}
	}
	// Most of a migration's traps lie in the copy, but not all.
	if g.quarrel || !g.race && g.IntN(3) > 0 {
		for _, s := range []Step{{Op: Bound}, {Op: Dispatch}, {Op: Read}, {Op: WriteRows}, {Op: Done}} {
			do(s)
		}
		if g.restarts {
			do(Step{Op: SaveCheckpoint})
		}
	}
	// The writers stop at some time: whatever is wrong then stays wrong, since no
	// later change of the row mends it.
	n := 40 + g.IntN(80)
	stop := n/4 + g.IntN(3*n/4)
	for i := range n {
		if s := g.step(w, i < stop); s.Op >= 0 {
			do(s)
		}
	}
	w.Finish()
	return w
}

const (
	values = 6
	kinds  = 11 // of transactions
)

type generator struct {
	*rand.Rand
	world            *World
	id               int    // of the last transaction
	keys             int    // that the application uses
	slow             Worker // is seldom moved on: much happens between its steps
	copiers, uniques int
	// Each run leaves out some of what could happen, so that the rest happens
	// more often (swarm testing).
	kinds, workers   uint
	values           int
	spoils, restarts bool
	twins            bool // duplicates come, and go
	race             bool // of two chunks
	hides            bool // changes that the stream has no keys of
	quarrel          bool // two or three rows about one value, after the copy
}

var nothing = Step{Op: -1}

// step proposes; what is not possible now is simply not done.
func (g *generator) step(w *World, writing bool) Step {
	if g.quarrel && g.IntN(8) > 0 {
		return g.inQuarrel(w, writing)
	}
	switch n := g.IntN(100); {
	case n < 18 && g.hides && g.IntN(2) == 0:
		return g.hide(w, writing)
	case n < 18 && writing:
		return Step{Op: Commit, N: g.next(), Writes: g.writes(w)}
	case n < 26:
		if g.IntN(2) == 0 {
			return Step{Op: Visible, N: w.first(func(t *tx) bool { return !t.visible })}
		}
		return Step{Op: Visible, N: g.pending(w)}
	case n < 34:
		if g.IntN(2) == 0 {
			return Step{Op: Executed, N: w.first(func(t *tx) bool { return t.visible && !w.executed.has(t.id) })}
		}
		return Step{Op: Executed, N: g.pending(w)}
	case n < 46:
		return Step{Op: Deliver}
	case n < 87:
		return g.work(w)
	case n < 93:
		return Step{Op: Horizon}
	case n < 94:
		return Step{Op: Lock, N: 1 + g.IntN(6)}
	case n < 98 && g.restarts && g.IntN(3) > 0:
		return Step{Op: SaveCheckpoint}
	case n < 98 && g.restarts && w.restarts < 2:
		return g.restart(w)
	case n < 97 && g.spoils:
		return Step{Op: Spoil + Op(g.IntN(2)), N: 1 + g.IntN(g.keys)}
	}
	return g.takeSome(A + Worker(g.IntN(2)))
}

// hide changes rows so that the stream doesn't tell which.
func (g *generator) hide(w *World, writing bool) Step {
	switch {
	case !writing:
		return Step{Op: End}
	case g.IntN(3) == 0:
		return Step{Op: Unread, N: g.next(), Writes: g.writes(w)}
	case !w.running:
		return Step{Op: Begin}
	case g.IntN(3) == 0:
		return Step{Op: End}
	}
	return Step{Op: Hide, Writes: g.writes(w)}
}

// takeSome: a batch has only so many keys, whichever they are.
func (g *generator) takeSome(who Worker) Step {
	if w := g.world; w.jobs[who].state != idle || w.backlog.Len() == 0 {
		return nothing
	}
	s := Step{Op: Take, Worker: who, Only: make([]int, 0, maxKey)}
	for mask, k := g.IntN(1<<maxKey), 1; k <= g.keys; k++ {
		if mask&(1<<(k-1)) != 0 {
			s.Only = append(s.Only, k)
		}
	}
	return s
}

// work is the next thing that a worker can do.
func (g *generator) work(w *World) Step {
	who := Worker(g.IntN(6))
	if who == g.slow && g.IntN(8) > 0 || g.workers&(1<<who) == 0 {
		who = Worker(g.IntN(6))
	}
	if g.quarrel {
		if who = A; g.IntN(4) == 0 || g.slow == A && g.IntN(2) == 0 {
			who = Verifier
		}
	}
	if who == Copier2 && g.copiers == 1 {
		who = Copier
	}
	return g.workOf(w, who)
}

func (g *generator) workOf(w *World, who Worker) Step {
	var answer Answer
	if g.IntN(6) == 0 {
		answer = Answer(1 + g.IntN(2))
	}
	switch j := &w.jobs[who]; j.state {
	case idle:
		switch {
		case who >= Verifier && !w.verify.On():
			return Step{Op: Verify}
		case who >= Verifier || who > Copier2 && g.IntN(2) == 0:
			return Step{Op: Take, Worker: who}
		case who > Copier2:
			return g.takeSome(who)
		case !w.bounded:
			return Step{Op: Bound, N: 1 + g.IntN(4)}
		}
		return Step{Op: Dispatch, Worker: who}
	case ready:
		return Step{Op: Read, Worker: who}
	case read:
		return Step{Op: WriteRows, Worker: who, Answer: answer}
	case replacing:
		if j.phase != committing && g.IntN(4) > 0 {
			answer = OK
		}
		return Step{Op: Replace, Worker: who, Answer: answer}
	default:
		return Step{Op: Done, Worker: who}
	}
}

// inQuarrel: two rows are equal for a while, which the applier sees, and no
// longer when it looks again.
func (g *generator) inQuarrel(w *World, writing bool) Step {
	equal, judges := w.visible.duplicate(w.Added), w.jobs[A].state == replacing && w.jobs[A].phase == judging
	late := w.jobs[A].state == written || w.jobs[A].state == ready && w.jobs[A].again
	switch n := g.IntN(12); {
	case late && n < 2:
		return Step{Op: Deliver}
	case late && n < 10:
		return g.workOf(w, Verifier)
	case judges && n < 6, n < 3 && !(equal && g.IntN(6) > 0):
		return Step{Op: Visible, N: w.first(func(t *tx) bool { return !t.visible })}
	case n < 3 && writing:
		return Step{Op: Commit, N: g.next(), Writes: g.writes(w)}
	case n < 4:
		return Step{Op: Executed, N: w.first(func(t *tx) bool { return t.visible && !w.executed.has(t.id) })}
	case n < 6:
		return Step{Op: Deliver}
	case n < 7:
		return Step{Op: Horizon}
	case n < 8 && g.restarts && w.restarts < 2 && !judges && g.IntN(3) == 0:
		return g.restart(w)
	}
	return g.work(w)
}

// quarrelling makes two rows equal, or different again.
func (g *generator) quarrelling(w *World) []Write {
	a, b := 1+g.IntN(g.keys), 1+g.IntN(g.keys)
	row := w.latest[a]
	if w.latest.duplicate(w.Added) {
		for k := 1; k <= g.keys; k++ { // the one that was changed last
			if w.latest[k].Note > w.latest[a].Note {
				a = k
			}
		}
		row.U[0] = g.value(w, 0)
	} else {
		row.U[0] = w.latest[b].U[0]
	}
	return []Write{{To: a, U: row.U}}
}

func (g *generator) restart(w *World) Step {
	s := Step{Op: Restart}
	for who := Copier; who <= B; who++ {
		if w.jobs[who].state != idle && g.IntN(2) == 0 {
			s.Only = append(s.Only, int(who))
		}
	}
	return s
}

// next is an id for a transaction; they need not follow each other.
func (g *generator) next() int {
	g.id = min(g.id+1, maxTx)
	return g.id
}

// first finds the first transaction of a kind; 0: none.
func (w *World) first(is func(*tx) bool) int {
	for i := range w.binlog {
		if t := &w.binlog[i]; t.id != 0 && is(t) {
			return t.id
		}
	}
	return 0
}

// pending is a transaction that has a step before it.
func (g *generator) pending(w *World) int {
	if len(w.binlog) == 0 {
		return 0
	}
	return w.binlog[max(0, len(w.binlog)-1-g.IntN(5))].id
}

// writes is a transaction of one of the kinds that lose rows elsewhere.
func (g *generator) writes(w *World) []Write {
	var thereArray, freeArray [maxKey]int
	there, free := thereArray[:0], freeArray[:0]
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
	if g.quarrel && g.IntN(6) > 0 {
		return g.quarrelling(w)
	}
	caps := w.Spellings && g.IntN(2) == 0
	u := g.IntN(g.uniques) // the unique key that it is about
	set := func(k int, v int8) Write {
		write := Write{To: k, U: w.latest[k].U, Caps: caps}
		write.U[u] = v
		return write
	}
	value := func(k int) int8 { return w.latest[k].U[u] }
	if len(there) > 1 && w.Added[u] && (!g.twins || g.IntN(3) > 0) { // a duplicate goes
		for i, k := range there {
			for _, o := range there[:i] {
				if value(k) != 0 && value(k) == value(o) {
					return []Write{set(k, g.value(w, u))}
				}
			}
		}
	}
	kind := g.IntN(kinds)
	for try := 0; g.kinds&(1<<kind) == 0 && try < 3; try++ {
		kind = g.IntN(kinds)
	}
	switch {
	case kind == 0 && len(free) > 0:
		k := free[g.IntN(len(free))]
		write := Write{To: k, Caps: caps}
		for i := range g.uniques {
			write.U[i] = g.value(w, i)
		}
		return []Write{write}
	case len(there) == 0:
		return nil
	case kind == 1:
		return []Write{{From: there[0]}}
	case kind == 2 && len(free) > 0: // another key, with the value or another
		write := set(there[0], value(there[0]))
		if write.From, write.To = there[0], free[g.IntN(len(free))]; g.IntN(2) == 0 {
			write.U[u] = g.value(w, u)
		}
		return []Write{write}
	case kind == 3: // delete and insert again
		return []Write{{From: there[0]}, set(there[0], g.value(w, u))}
	case kind == 4 && len(there) > 1: // the value moves
		return []Write{set(there[0], 0), set(there[1], value(there[0]))}
	case kind == 5 && len(there) > 1: // swap
		return []Write{set(there[0], value(there[1])), set(there[1], value(there[0]))}
	case kind == 6 && len(there) > 2: // rotation
		return []Write{set(there[0], value(there[1])), set(there[1], value(there[2])), set(there[2], value(there[0]))}
	case kind == 7 && len(there) > 1: // the value goes to another row by deletion
		return []Write{{From: there[0]}, set(there[1], value(there[0]))}
	case kind == 8 && len(there) > 1: // u = u + 1
		writes := make([]Write, 0, len(there))
		for _, k := range there {
			if v := value(k); v != 0 {
				writes = append(writes, set(k, 1+v%int8(g.values)))
			}
		}
		return writes
	case kind == 9 && len(there) > 1 && g.twins && w.Added[u]: // a duplicate comes
		return []Write{set(there[0], value(there[1]))}
	}
	return []Write{set(there[0], g.value(w, u))}
}

// value is one that nobody has; where no unique key guards it, now and then one
// that somebody has, or had a moment ago.
func (g *generator) value(w *World, u int) int8 {
	if w.Added[u] && g.IntN(30) == 0 {
		return int8(1 + g.IntN(g.values))
	}
	for range 4 {
		v := int8(1 + g.IntN(g.values))
		var row Row
		if row.U[u] = v; w.latest.taken(row, 0) == 0 && (!w.lockedValue[u][v] || w.Added[u] && g.IntN(10) == 0) {
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
