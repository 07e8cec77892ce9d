package model

import (
	"slices"

	"midflight/binlog"
	"midflight/ghost/backlog"
	"midflight/ghost/chunk"
	"midflight/ghost/verify"
)

// An engine is what the migration's owner knows (ghost's syncer), and its
// workers.
type engine struct {
	delivered        int // of the server's binlog
	backlog          *backlog.Backlog[int]
	last             int                // the transaction received last
	lastOf           [2][maxKey + 1]int // … that changed a key, by spelling
	horizon          idSet
	copied           backlog.Copied
	places, placeWas [2][maxKey + 1]backlog.Place // at the horizon, and at the one before; for a mutation
	next             chunk.Range
	bounded          bool // next is known
	ranges           []chunk.Range
	again            bool // whatever chunk: its range may have rows already
	jobs             [6]job

	verify   verify.Verification
	mends    bool
	unseen   []int // hidden changes that not every reader sees yet
	began    int   // how much the sessions without a binlog had done when the comparing of all began
	compared [maxKey + 1]bool
	passed   map[string]bool // markers
	tokens   int

	applied  int // everything delivered up to here is in the shadow
	marks    []mark
	saved    checkpoint
	restarts int
}

// A checkpoint is what the next engine begins with.
type checkpoint struct {
	watermark binlog.Key
	position  int
}

// begin makes an engine.
func (w *World) begin(from checkpoint) {
	tokens, restarts := w.tokens, w.restarts
	w.engine = engine{backlog: backlog.New[int](), saved: from, delivered: from.position, applied: from.position, tokens: tokens, restarts: restarts}
	w.copied = backlog.Resume(!w.Spellings, from.watermark)
	if from.watermark != "" {
		w.ranges = []chunk.Range{{Hi: from.watermark}}
	}
	w.verify = verify.New(!w.Spellings || w.Rules.Exact)
	w.began = w.moved
	w.passed = map[string]bool{}
}

// deliver hands the binlog's next transaction to the engine.
func (w *World) deliver() bool {
	if w.delivered == len(w.binlog) {
		return false
	}
	t := &w.binlog[w.delivered]
	w.delivered++
	for _, c := range t.changes {
		for i, k := range [2]binlog.Key{c.before, c.after} {
			if k == "" || w.Rules.NoImage[i] {
				continue
			}
			if w.Say != nil {
				w.say("%s", name(k))
			}
			w.lastOf[spelling(k)][number(k)] = t.id
			if !w.Rules.NotWhileTaken || !w.isTaken(k) {
				w.backlog.Add(k, t.id)
			}
			if !w.Rules.NoAcquittal {
				w.verify.Changed(k)
			}
		}
	}
	if t.unread {
		w.hid(t.id)
	}
	if t.token != "" {
		w.say("marker %s", t.token)
		w.pass(t.token)
	} else {
		w.last = t.id
	}
	w.advance()
	return true
}

// A mark is a place in the stream, and the generation of the keys before it.
type mark struct{ generation, position int }

// advance moves the position from which the next engine could begin.
func (w *World) advance() {
	if len(w.unseen) > 0 && !w.Rules.PositionUnseen {
		return
	}
	if w.backlog.Len() == 0 {
		w.applied, w.marks = w.delivered, nil
	}
	for len(w.marks) > 0 && (w.backlog.Settled(w.marks[0].generation) || w.Rules.MarkUnsettled) {
		w.applied, w.marks = w.marks[0].position, w.marks[1:]
	}
}

func spelling(k binlog.Key) int {
	if caps(k) {
		return 1
	}
	return 0
}

func (w *World) isTaken(k binlog.Key) bool {
	for _, j := range w.batches() {
		if slices.Contains(j.keys, k) {
			return true
		}
	}
	return false
}

func (w *World) batches() []job { return w.jobs[A : B+1] }

func (w *World) readHorizon() bool {
	if w.Rules.RememberPlaces {
		w.placeWas = w.places
		for k := 1; k <= maxKey; k++ {
			w.places[0][k], w.places[1][k] = w.copied.Place(w.literal(k, false)), w.copied.Place(w.literal(k, true))
		}
	}
	w.horizon = w.executed
	w.seen()
	return true
}

// takeBatch hands an applier what may be applied; only, if not nil, limits it.
func (w *World) takeBatch(j *job, only []int) bool {
	if j.state != idle {
		return false
	}
	// Batches of other keys may run side by side, but only if other keys are
	// other rows.
	if w.Spellings && !w.Rules.SideBySide && (w.jobs[A].state != idle || w.jobs[B].state != idle) {
		return false
	}
	keys := w.take(func(id int) bool { return w.Rules.Visible(w, id) }, func(k binlog.Key) backlog.Place { return w.Rules.Place(w, k) }, only)
	if len(keys) == 0 {
		return false
	}
	*j = job{state: ready, keys: keys}
	if w.Spellings && !w.copied.Done() && !w.Rules.NoUpTo {
		j.upTo = w.copied.Watermark()
	}
	if w.Rules.DoneEarly {
		w.backlog.Done(keys)
	}
	if w.Say != nil {
		w.say("took %s", names(keys))
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

// outdated has rows applied again that were deleted since they were in the way.
func (w *World) outdated(keys []binlog.Key) {
	if w.Rules.LoseOthers {
		return
	}
	for _, k := range keys {
		w.backlog.Again(k, w.last)
		w.verify.Changed(k)
	}
}

// save writes a checkpoint.
func (w *World) save() bool {
	w.advance()
	c := checkpoint{watermark: w.copied.Watermark(), position: w.applied}
	if w.Rules.PositionEarly {
		c.position = w.delivered
	}
	if w.Rules.WatermarkDispatched {
		c.watermark = w.copied.Dispatched()
	}
	if w.Rules.WatermarkLatest && len(w.ranges) > 0 {
		c.watermark = w.ranges[len(w.ranges)-1].Hi
	}
	w.marks = append(w.marks, mark{w.backlog.Mark(), w.delivered})
	w.saved = c
	if w.Say != nil {
		w.say("watermark %q, position %d", c.watermark, c.position)
	}
	return true
}

// restart is the end of an engine and the beginning of the next one, from the
// checkpoint. What the server was doing for the old one is committed where
// finishing says so, else rolled back; the new one waits for that.
func (w *World) restart(finishing []int) bool {
	if w.restarts == 2 {
		return false
	}
	w.restarts++
	w.owner = nil
	for who := Copier; who <= B; who++ {
		j := &w.jobs[who]
		if !slices.Contains(finishing, int(who)) {
			continue
		}
		switch {
		case w.Rules.Zombies && j.state == read:
			w.zombies = append(w.zombies, *j)
		case j.state == read:
			w.insert(j)
		case j.state == replacing && j.phase == committing:
			w.shadow = j.shadow
		}
	}
	w.begin(w.saved)
	// A row that was in the way, where the original has not the unique key itself,
	// and one that was changed hidden have no change behind the position. (Who
	// resumes may always mend; here that would hide what the checkpoint's other
	// rules are for.)
	if w.again = true; (w.Added[0] || w.Added[1] || w.anyHidden) && !w.Rules.NoRepair {
		w.verify.Mend()
	}
	if w.Say != nil {
		w.say("shadow %s; behind %q, stream from %d", w.shadow, w.saved.watermark, w.saved.position)
	}
	return true
}
