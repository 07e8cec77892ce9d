package model

import "midflight/binlog"

// A server has one table, and an application that writes it.
type server struct {
	visible     Table // what a read sees now
	latest      Table // with what is in the binlog and not visible yet
	binlog      []tx
	index       [maxTx + 1]int8 // of a transaction in binlog, plus 1
	executed    idSet           // gtid_executed
	lockedKey   [maxKey + 1]bool
	lockedValue [uniques][16]bool
	moved       int  // commands of sessions without a binlog that have ended
	running     bool // one is under way
	anyHidden   bool
}

// idSet has the ids 1 … 63, and 0, which nobody has to wait for.
type idSet uint64

func (s idSet) has(id int) bool { return s&(1<<id) != 0 }

const maxTx = 63

// A tx is a transaction of the application, or a marker of the engine.
type tx struct {
	id      int
	token   string // of a marker
	unread  bool   // without the keys
	changes []change
	visible bool
	rows    []int           // touched
	values  [][uniques]int8 // … before or after
}

// A change is one row event: the spelled keys of the before and after images;
// "" is none.
type change struct{ before, after binlog.Key }

// A Write is a statement of the application: From is 0 in an insert (or where
// the row of To may be there already), To is 0 in a delete.
type Write struct {
	From, To int
	Caps     bool
	U        [uniques]int8
}

// commit writes a transaction to the binlog; unread is one of which the stream
// has no keys.
func (w *World) commit(id int, writes []Write, unread bool) bool {
	if id < 1 || id > maxTx || w.index[id] != 0 {
		return false
	}
	t, rows, ok := w.change(id, writes)
	if !ok {
		return false
	}
	if t.unread = unread; unread {
		t.changes, w.anyHidden = nil, true
	}
	w.latest = rows
	w.lock(&t, true)
	w.binlog = append(w.binlog, t)
	w.index[id] = int8(len(w.binlog))
	return true
}

// change makes a transaction, and what the rows are after it. It is refused where
// it would have to wait for a lock, or breaks the original's unique key.
func (w *World) change(id int, writes []Write) (t tx, rows Table, ok bool) {
	if len(writes) == 0 {
		return t, rows, false
	}
	t = tx{id: id, rows: make([]int, 0, 2*len(writes)), values: make([][uniques]int8, 0, 2*len(writes)), changes: make([]change, 0, len(writes))}
	rows = w.latest
	for i, op := range writes {
		from := op.From
		if from == 0 && rows[op.To].There {
			from = op.To
		}
		if from != 0 && !rows[from].There || op.To != 0 && op.To != from && rows[op.To].There {
			return t, rows, false
		}
		var c change
		if from != 0 {
			c.before = w.literal(from, rows[from].Caps)
			t.rows, t.values = append(t.rows, from), append(t.values, rows[from].U)
			rows[from] = Row{}
		}
		if op.To != 0 {
			c.after = w.literal(op.To, op.Caps)
			t.rows, t.values = append(t.rows, op.To), append(t.values, op.U)
			rows[op.To] = Row{There: true, Caps: op.Caps && w.Spellings, U: op.U, Note: int16(10*id + i)}
		}
		t.changes = append(t.changes, c)
	}
	for i, k := range t.rows {
		if w.lockedKey[k] {
			return t, rows, false
		}
		for u, v := range t.values[i] {
			if !w.Added[u] && w.lockedValue[u][v] {
				return t, rows, false
			}
		}
	}
	return t, rows, !rows.duplicate([uniques]bool{!w.Added[0], !w.Added[1]})
}

func (w *World) lock(t *tx, locked bool) {
	for i, k := range t.rows {
		w.lockedKey[k] = locked
		for u, v := range t.values[i] {
			if v != 0 {
				w.lockedValue[u][v] = locked
			}
		}
	}
}

// show makes a transaction visible to new reads.
func (w *World) show(id int) bool {
	if id < 1 || id > maxTx || w.index[id] == 0 || w.binlog[w.index[id]-1].visible {
		return false
	}
	t := &w.binlog[w.index[id]-1]
	t.visible = true
	for _, k := range t.rows {
		w.visible[k] = w.latest[k] // nobody else has it locked
	}
	w.lock(t, false)
	return true
}

// execute adds a visible transaction to gtid_executed.
func (w *World) execute(id int) bool {
	if id < 1 || id > maxTx || w.index[id] == 0 || !w.binlog[w.index[id]-1].visible || w.executed.has(id) {
		return false
	}
	w.executed |= 1 << id
	return true
}

// mark commits a marker.
func (w *World) mark(token string) { w.binlog = append(w.binlog, tx{token: token, visible: true}) }

// settleCommits is what an exclusive lock on the table waits for.
func (w *World) settleCommits() {
	for i := range w.binlog {
		w.show(w.binlog[i].id)
		w.execute(w.binlog[i].id)
	}
}
