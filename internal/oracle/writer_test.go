package oracle

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/mysqld"
	"midflight/schema"
)

// A row is what a writer knows of a row that it owns.
type row struct {
	key    []string
	unique string
}

// keys numbers new keys and unique values; every writer of a test takes its own.
type keys struct{ last atomic.Int64 }

func (k *keys) next() int64 { return k.last.Add(1) }

// A writer makes transactions, each with the same changes of a table and of its
// twin. Writers own disjoint rows, so that every effect is known and nobody
// waits for another.
type writer struct {
	table  table
	on     [2]schema.Name // the table and its twin
	conn   *sql.Conn
	keys   *keys
	random *rand.Rand
	rows   []*row
	// mayDeadlock: two writers of one unique index meet in its gaps without any
	// help of Midflight's.
	mayDeadlock bool
	moveOnly    bool // does nothing but move unique values
	noReplace   bool // nothing tells REPLACE which row

	done      atomic.Int64 // transactions committed
	deadlocks int
	// Of the transaction in progress.
	used   map[*row]bool
	effect []func()
}

func newWriter(t *testing.T, tb table, on [2]schema.Name, db *sql.DB, k *keys, rows []*row, seed uint64) *writer {
	t.Helper()
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	w := &writer{table: tb, on: on, conn: conn, keys: k, random: rand.New(rand.NewPCG(seed, 1)), rows: rows, mayDeadlock: tb.unique != ""}
	if err := w.exec("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *writer) exec(q string) error {
	_, err := w.conn.ExecContext(context.Background(), q)
	if err != nil {
		err = fmt.Errorf("%.300s: %w", q, err)
	}
	return err
}

// both runs a statement, in which {t} is the table, on both tables. The server
// must have changed want rows, the same on both; -1 is any number.
func (w *writer) both(want int64, format string, args ...any) error {
	q := fmt.Sprintf(format, args...)
	for _, n := range w.on {
		s := strings.ReplaceAll(q, "{t}", n.Quoted())
		result, err := w.conn.ExecContext(context.Background(), s)
		if err != nil {
			return fmt.Errorf("%.300s: %w", s, err)
		}
		if got, _ := result.RowsAffected(); want >= 0 && got != want {
			return fmt.Errorf("%.300s: %d rows instead of %d", s, got, want)
		}
	}
	return nil
}

// thinking is how long a writer pauses between two transactions at most. One that never
// does takes the processor from the ALTER that it writes beside.
const thinking = 16 * time.Millisecond

// run makes transactions until stop is closed; it returns the first error.
func (w *writer) run(stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		case <-time.After(rand.N(thinking)):
		}
		err := w.transaction()
		var e *mysql.MySQLError
		if w.mayDeadlock && errors.As(err, &e) && e.Number == mysqld.ErrDeadlock {
			w.deadlocks++
			continue
		}
		if err != nil {
			return fmt.Errorf("writer, after %d transactions: %w", w.done.Load(), err)
		}
	}
}

func (w *writer) transaction() error {
	w.used, w.effect = map[*row]bool{}, nil
	// Both tables get one time: NOW() differs between statements.
	if err := w.exec(fmt.Sprintf("SET timestamp = %d.%06d", 1_700_000_000+w.random.IntN(1e6), w.random.IntN(1e6))); err != nil {
		return err
	}
	if err := w.exec("BEGIN"); err != nil {
		return err
	}
	for range 1 + w.random.IntN(3) {
		if err := w.change(); err != nil {
			return err
		}
	}
	if w.random.IntN(12) == 0 {
		return w.exec("ROLLBACK")
	}
	if err := w.exec("COMMIT"); err != nil {
		return err
	}
	for _, f := range w.effect {
		f()
	}
	w.done.Add(1)
	return nil
}

func (w *writer) change() error {
	r := w.pick()
	if r == nil || len(w.rows) < 50 {
		return w.insert()
	}
	if w.moveOnly {
		return w.moveUnique(r)
	}
	switch n := w.random.IntN(100); {
	case n < 20:
		return w.insert()
	case n < 45:
		return w.update(r)
	case n < 60:
		return w.newKey(r)
	case n < 75:
		if err := w.delete(r); err != nil {
			return err
		}
		w.effect = append(w.effect, func() { w.forget(r) })
		return nil
	case n < 85:
		if err := w.delete(r); err != nil {
			return err
		}
		return w.insertRow("INSERT", 1, r)
	case n < 90 && w.table.unique == "" && !w.noReplace:
		return w.insertRow("REPLACE", -1, r)
	}
	if w.table.unique != "" {
		return w.moveUnique(r)
	}
	return w.update(r)
}

// pick takes a row that the transaction has not used yet.
func (w *writer) pick() *row {
	for range 10 {
		if len(w.rows) == 0 {
			return nil
		}
		if r := w.rows[w.random.IntN(len(w.rows))]; !w.used[r] {
			w.used[r] = true
			return r
		}
	}
	return nil
}

func (w *writer) forget(r *row) {
	for i := range w.rows {
		if w.rows[i] == r {
			w.rows[i] = w.rows[len(w.rows)-1]
			w.rows = w.rows[:len(w.rows)-1]
			return
		}
	}
}

func (w *writer) insert() error {
	r := w.table.newRow(w.keys, w.random)
	if !w.table.auto {
		w.effect = append(w.effect, func() { w.rows = append(w.rows, r) })
		return w.insertRow("INSERT", 1, r)
	}
	// The server numbers the row of the table; the twin gets the same number.
	columns, values := w.table.literals(r, w.random)
	result, err := w.conn.ExecContext(context.Background(), fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", w.on[0].Quoted(),
		mysqld.QuoteNames(columns[1:]), strings.Join(values[1:], ", ")))
	if err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	id, _ := result.LastInsertId()
	values[0] = fmt.Sprint(id)
	r.key = values[:1]
	w.effect = append(w.effect, func() { w.rows = append(w.rows, r) })
	return w.exec(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", w.on[1].Quoted(), mysqld.QuoteNames(columns), strings.Join(values, ", ")))
}

func (w *writer) insertRow(verb string, want int64, r *row) error {
	columns, values := w.table.literals(r, w.random)
	return w.both(want, "%s INTO {t} (%s) VALUES (%s)", verb, mysqld.QuoteNames(columns), strings.Join(values, ", "))
}

func (w *writer) update(r *row) error {
	var sets []string
	for _, c := range w.table.columns {
		if c.values != nil && (len(sets) == 0 || w.random.IntN(3) == 0) {
			sets = append(sets, mysqld.QuoteName(c.name)+" = "+c.values(w.random))
		}
	}
	if len(sets) == 0 {
		return nil
	}
	return w.both(1, "UPDATE {t} SET %s WHERE %s", strings.Join(sets, ", "), w.table.match(r))
}

// newKey gives a row another key, or another spelling of its key.
func (w *writer) newKey(r *row) error {
	key := w.table.newKey(w.keys.next(), w.random)
	if w.table.variant != nil && w.random.IntN(2) == 0 {
		key = w.table.variant(r.key, w.random)
	}
	var sets []string
	for i, c := range w.table.key {
		sets = append(sets, mysqld.QuoteName(c)+" = "+key[i])
	}
	w.effect = append(w.effect, func() { r.key = key })
	return w.both(1, "UPDATE {t} SET %s WHERE %s", strings.Join(sets, ", "), w.table.match(r))
}

func (w *writer) delete(r *row) error {
	return w.both(1, "DELETE FROM {t} WHERE %s", w.table.match(r))
}

// moveUnique lets two or three rows exchange their unique values.
func (w *writer) moveUnique(r *row) error {
	circle := []*row{r}
	for range 1 + w.random.IntN(2) {
		if other := w.pick(); other != nil {
			circle = append(circle, other)
		}
	}
	values := make([]string, len(circle))
	for i := range circle {
		values[i] = circle[(i+1)%len(circle)].unique
	}
	if w.table.nullable && w.random.IntN(3) == 0 { // one value is given up
		values[len(values)-1] = "NULL"
	}
	set := func(r *row, v string) error {
		return w.both(1, "UPDATE {t} SET %s = %s WHERE %s", mysqld.QuoteName(w.table.unique), v, w.table.match(r))
	}
	for _, r := range circle { // all part with their values first
		spare := "NULL"
		if !w.table.nullable {
			spare = w.table.newUnique(w.keys.next())
		}
		if err := set(r, spare); err != nil {
			return err
		}
	}
	for i := range circle {
		if err := set(circle[i], values[i]); err != nil {
			return err
		}
		w.effect = append(w.effect, func() { circle[i].unique = values[i] })
	}
	return nil
}

func (t table) newRow(k *keys, r *rand.Rand) *row {
	n := k.next()
	made := &row{key: t.newKey(n, r)}
	if t.unique != "" {
		made.unique = t.newUnique(n)
	}
	return made
}

// literals are a row's columns, the key's first, with random values.
func (t table) literals(of *row, r *rand.Rand) (columns, values []string) {
	columns, values = append(columns, t.key...), append(values, of.key...)
	if t.unique != "" {
		columns, values = append(columns, t.unique), append(values, of.unique)
	}
	for _, c := range t.columns {
		if c.values != nil {
			columns, values = append(columns, c.name), append(values, c.values(r))
		}
	}
	return columns, values
}

func (t table) match(r *row) string {
	var parts []string
	for i, c := range t.key {
		parts = append(parts, mysqld.QuoteName(c)+" = "+r.key[i])
	}
	return strings.Join(parts, " AND ")
}

// fill makes the rows, the same in both tables.
func (t table) fill(tb testing.TB, conn *sql.Conn, on [2]schema.Name, k *keys, r *rand.Rand) []*row {
	tb.Helper()
	var rows []*row
	if _, err := conn.ExecContext(context.Background(), "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"); err != nil { // and zero moments
		tb.Fatal(err)
	}
	defer conn.ExecContext(context.Background(), "SET sql_mode = DEFAULT")
	for len(rows) < t.rows {
		var tuples []string
		var columns []string
		for range min(200, t.rows-len(rows)) {
			made := t.newRow(k, r)
			if t.auto { // with gaps
				made.key = []string{fmt.Sprint(3*len(rows) + 1)}
			}
			rows = append(rows, made)
			var values []string
			columns, values = t.literals(made, r)
			tuples = append(tuples, "("+strings.Join(values, ", ")+")")
		}
		for _, n := range on {
			q := fmt.Sprintf("INSERT INTO %s (%s) VALUES %s", n.Quoted(), mysqld.QuoteNames(columns), strings.Join(tuples, ", "))
			for _, s := range []string{"SET timestamp = 1600000000.123456", q} {
				if _, err := conn.ExecContext(context.Background(), s); err != nil {
					tb.Fatalf("fill %s: %v\n%.2000s", n, err, s)
				}
			}
		}
	}
	return rows
}

// writers run together.
type writers struct {
	all  []*writer
	stop chan struct{}
	wait sync.WaitGroup

	mu     sync.Mutex
	errors map[*writer]error
}

func startWriters(all ...*writer) *writers {
	ws := &writers{all: all, stop: make(chan struct{}), errors: map[*writer]error{}}
	for _, w := range all {
		ws.wait.Add(1)
		go func() {
			defer ws.wait.Done()
			if err := w.run(ws.stop); err != nil {
				ws.mu.Lock()
				ws.errors[w] = err
				ws.mu.Unlock()
			}
		}()
	}
	return ws
}

// awaitMore waits until each writer has committed n more transactions.
func (ws *writers) awaitMore(t *testing.T, n int64) {
	t.Helper()
	var goal []int64
	for _, w := range ws.all {
		goal = append(goal, w.done.Load()+n)
	}
	await(t, "the writers", func() bool {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		for i, w := range ws.all {
			if w.done.Load() < goal[i] && len(ws.errors) == 0 {
				return false
			}
		}
		return true
	})
}

// end stops them, and reports what they met with.
func (ws *writers) end(t *testing.T) {
	t.Helper()
	ws.endBut(t)
}

// endBut does the same, but for those whose connections are lost.
func (ws *writers) endBut(t *testing.T, lost ...*writer) {
	t.Helper()
	close(ws.stop)
	ws.wait.Wait()
	for w, err := range ws.errors {
		if !slices.Contains(lost, w) {
			t.Error(err)
		}
	}
}

// await asks again and again, since the server tells nobody.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still waiting for %s after a minute", what)
		}
	}
}
