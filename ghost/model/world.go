package model

import (
	"fmt"
	"slices"

	"midflight/binlog"
	"midflight/ghost/backlog"
)

// A World is a server with an application, and a migration of its one table.
type World struct {
	Added     bool // the ALTER adds the second unique key: the original does not have it
	Spellings bool // keys have two spellings
	Rules     Rules
	Say       func(format string, args ...any) // nil: nobody listens

	// The server.
	visible     Table // what a read sees now
	latest      Table // with what is in the binlog and not visible yet
	txs         []*tx // in the binlog's order
	delivered   int   // of txs
	executed    idSet // gtid_executed
	lockedKey   [maxKey + 1]bool
	lockedValue [16]bool
	duplicates  bool // at some time two visible rows were equal

	// The engine.
	shadow  Table
	backlog *backlog.Backlog[int]
	last    map[binlog.Key]int // by whom a key was changed last, of the delivered
	copied  backlog.Copied
	horizon idSet
	copier  job
	apply   [2]job
	owner   *job // who goes row by row

	Failed string // the migration's own end
	Fault  string // what must never happen
}

// idSet has the ids 1 … 63.
type idSet uint64

func (s idSet) has(id int) bool { return s&(1<<id) != 0 }

const maxTx = 63

type tx struct {
	id      int
	changes []change
	rows    []int // touched
	values  []int8
	visible bool
}

// A change is one row event: the spelled keys of the before and after images.
type change struct {
	before, after *binlog.Key
}

// New makes a world with rows; the engine's stream begins here.
func New(rows Table, added, spellings bool, rules Rules) *World {
	w := &World{Added: added, Spellings: spellings, Rules: rules, visible: rows, latest: rows,
		backlog: backlog.New[int](), last: map[binlog.Key]int{}}
	w.copied.Integers = !spellings
	w.duplicates = rows.duplicate()
	return w
}

func (w *World) say(format string, args ...any) {
	if w.Say != nil {
		w.Say(format, args...)
	}
}

// A Write is a statement of the application: From is 0 in an insert (or where
// the row of To may be there already), To is 0 in a delete.
type Write struct {
	From, To int
	Caps     bool
	Value    int8
}

// commit writes a transaction to the binlog. It is refused where it would have
// to wait for a lock, or breaks the original's unique key.
func (w *World) commit(id int, writes []Write) bool {
	if id < 1 || id > maxTx || slices.ContainsFunc(w.txs, func(t *tx) bool { return t.id == id }) {
		return false
	}
	t := &tx{id: id}
	rows := w.latest
	for i, op := range writes {
		from := op.From
		if from == 0 && rows[op.To].There {
			from = op.To
		}
		if from != 0 && !rows[from].There || op.To != 0 && op.To != from && rows[op.To].There {
			return false
		}
		var c change
		if from != 0 {
			k := w.literal(from, rows[from].Caps)
			c.before = &k
			t.rows, t.values = append(t.rows, from), append(t.values, rows[from].Value)
			rows[from] = Row{}
		}
		if op.To != 0 {
			k := w.literal(op.To, op.Caps)
			c.after = &k
			t.rows, t.values = append(t.rows, op.To), append(t.values, op.Value)
			rows[op.To] = Row{There: true, Caps: op.Caps && w.Spellings, Value: op.Value, Note: 10*id + i}
		}
		t.changes = append(t.changes, c)
	}
	for i, k := range t.rows {
		if w.lockedKey[k] || !w.Added && w.lockedValue[t.values[i]] {
			return false
		}
	}
	if !w.Added && rows.duplicate() {
		return false
	}
	w.latest = rows
	w.lock(t, true)
	w.txs = append(w.txs, t)
	return true
}

func (w *World) lock(t *tx, locked bool) {
	for i, k := range t.rows {
		w.lockedKey[k] = locked
		if v := t.values[i]; v != 0 {
			w.lockedValue[v] = locked
		}
	}
}

// show makes a transaction visible to new reads.
func (w *World) show(id int) bool {
	i := slices.IndexFunc(w.txs, func(t *tx) bool { return t.id == id })
	if i < 0 || w.txs[i].visible {
		return false
	}
	t := w.txs[i]
	t.visible = true
	for _, k := range t.rows {
		w.visible[k] = w.latest[k] // nobody else has it locked
	}
	w.lock(t, false)
	w.duplicates = w.duplicates || w.visible.duplicate()
	return true
}

// execute adds a visible transaction to gtid_executed.
func (w *World) execute(id int) bool {
	i := slices.IndexFunc(w.txs, func(t *tx) bool { return t.id == id })
	if i < 0 || !w.txs[i].visible || w.executed.has(id) {
		return false
	}
	w.executed |= 1 << id
	return true
}

// deliver hands the binlog's next transaction to the engine.
func (w *World) deliver() bool {
	if w.delivered == len(w.txs) {
		return false
	}
	t := w.txs[w.delivered]
	w.delivered++
	for _, c := range t.changes {
		for _, k := range w.Rules.Images(c.before, c.after) {
			w.say("%s", name(k))
			w.last[k] = t.id
			if w.Rules.Add(w, k) {
				w.backlog.Add(k, t.id)
			}
		}
	}
	return true
}

// settle is the cut-over's lock: nobody writes, everything is visible and
// delivered, what is left is applied, and the tables are equal: or a unique
// key is in the way, and the lock is given up. It is done by the lock session
// without a transaction, so the deletes stay.
func (w *World) settle() (level bool) {
	for _, t := range w.txs {
		w.show(t.id)
		w.execute(t.id)
	}
	for w.deliver() {
	}
	keys := w.take(func(int) bool { return true }, w.copied.Place, nil)
	w.remove(&w.shadow, keys)
	if !w.Rules.Insert(&w.shadow, pick(w.visible, keys)) {
		w.backlog.Return(keys)
		w.say("1062 under the lock, which is given up")
		return false
	}
	w.backlog.Done(keys)
	if w.backlog.Len() > 0 {
		w.Fault = fmt.Sprintf("%d keys are left under the lock", w.backlog.Len())
	}
	for k := range w.visible {
		if w.Fault == "" && w.visible[k] != w.shadow[k] {
			w.Fault = fmt.Sprintf("under the lock row %d differs: original %s, shadow %s", k, w.visible, w.shadow)
		}
	}
	w.say("applied %s; original %s, shadow %s", names(keys), w.visible, w.shadow)
	return true
}
