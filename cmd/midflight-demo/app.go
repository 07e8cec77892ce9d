package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

// The application works at a steady rate that leaves the machine's cores time
// for the migration: a slower answer then shows as a lower rate.
const (
	writers       = 2
	readers       = 2
	writeInterval = 10 * time.Millisecond
	readInterval  = 4 * time.Millisecond
)

// hardStop is how long an answer is waited for when the application ends.
const hardStop = 5 * time.Second

// An app is the application: a few clients that know nothing of migrations.
type app struct {
	meter   *meter
	writers []*writer
	readers []*reader
}

func newApp(dsn string, rows int64) (*app, error) {
	a := &app{meter: newMeter()}
	for i := range int64(writers) {
		// Half of the writers speak the binary protocol, with prepared statements.
		db, err := open(dsn, i%2 == 0)
		if err != nil {
			return nil, errors.Join(err, a.close())
		}
		a.writers = append(a.writers, newWriter(db, a.meter, i, rows))
	}
	for i := range readers {
		db, err := open(dsn, i%2 == 0)
		if err != nil {
			return nil, errors.Join(err, a.close())
		}
		a.readers = append(a.readers, &reader{db, a.meter, rows})
	}
	return a, nil
}

func open(dsn string, text bool) (*sql.DB, error) {
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("configure the application: %w", err)
	}
	c.InterpolateParams = text
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("configure the application: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	if err := db.Ping(); err != nil { // so that no sample has the time to connect
		return nil, errors.Join(fmt.Errorf("connect the application: %w", err), db.Close())
	}
	return db, nil
}

func (a *app) close() error {
	var all []error
	for _, w := range a.writers {
		all = append(all, w.db.Close())
	}
	for _, r := range a.readers {
		all = append(all, r.db.Close())
	}
	return errors.Join(all...)
}

// start lets the application work until stop is called, which waits until every
// transaction has its answer. It can be started again.
func (a *app) start() (stop func()) {
	quit, cancel := context.WithCancel(context.Background())
	// A transaction under way is finished, unless it takes too long.
	answers, giveUp := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, w := range a.writers {
		all.Go(func() { pace(quit, writeInterval, func() { w.work(answers) }) })
	}
	for _, r := range a.readers {
		all.Go(func() { pace(quit, readInterval, func() { r.work(answers) }) })
	}
	return sync.OnceFunc(func() {
		cancel()
		bound := time.AfterFunc(hardStop, giveUp)
		all.Wait()
		bound.Stop()
		giveUp()
	})
}

// pace does work at a steady rate; time lost is not caught up.
func pace(quit context.Context, interval time.Duration, work func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-quit.Done():
			return
		case <-tick.C:
			if quit.Err() != nil {
				return
			}
			work()
		}
	}
}

// A writer has orders of its own, which nobody else changes, and remembers of
// each what the server has acknowledged. It belongs to one goroutine.
type writer struct {
	db    *sql.DB
	meter *meter
	index int64
	rows  int64 // that the table was filled with

	ids     []int64         // of its orders
	changed map[int64]order // those that are not as they were filled
	unsure  map[int64]bool  // ids whose last change has no answer
	perhaps map[int64]bool  // serials of orders whose insert has no answer
	serial  int64           // of the latest order
}

func newWriter(db *sql.DB, m *meter, index, rows int64) *writer {
	w := &writer{db: db, meter: m, index: index, rows: rows,
		changed: map[int64]order{}, unsure: map[int64]bool{}, perhaps: map[int64]bool{},
		serial: 1_000_000_000 * (index + 1)}
	for n := index; n < rows; n += writers {
		w.ids = append(w.ids, filledID(n))
	}
	return w
}

func (w *writer) order(id int64) order {
	if o, ok := w.changed[id]; ok {
		return o
	}
	return filled(id)
}

// work is one transaction: an amount moves from one order to another, then
// perhaps an order comes, goes, or gets another id.
func (w *writer) work(ctx context.Context) {
	i, j, k := w.pick()
	a, b := w.ids[i], w.ids[j]
	from, to := w.order(a), w.order(b)
	amount := rand.Int64N(50)
	from.amount, from.version = from.amount-amount, from.version+1
	to.amount, to.version = to.amount+amount, to.version+1

	more := w.draw(k)

	start := time.Now()
	certain, err := w.transact(ctx, func(tx *sql.Tx) error {
		if err := one(tx.ExecContext(ctx, "UPDATE orders SET amount = amount - ?, version = version + 1 WHERE id = ?", amount, a)); err != nil {
			return err
		}
		if err := one(tx.ExecContext(ctx, "UPDATE orders SET amount = amount + ?, version = version + 1 WHERE id = ?", amount, b)); err != nil {
			return err
		}
		return more.do(ctx, tx)
	})
	w.meter.record(start, false, err)
	switch {
	case err == nil:
		w.changed[a], w.changed[b] = from, to
		more.remember()
	case !certain:
		for _, id := range append(more.ids, a, b) {
			w.unsure[id] = true
		}
		w.perhaps[more.serial] = true
	}
}

// A change is the second part of a transaction.
type change struct {
	do       func(context.Context, *sql.Tx) error
	remember func()  // when it is acknowledged
	ids      []int64 // unsure when there is no answer
	serial   int64   // of the order that it inserts
}

// draw draws what happens to the order ids[k], or beside it.
func (w *writer) draw(k int) change {
	id := w.ids[k]
	switch dice := rand.IntN(10); {
	case dice < 3:
		return w.insert()
	case dice < 5:
		return change{
			do: func(ctx context.Context, tx *sql.Tx) error {
				return one(tx.ExecContext(ctx, "DELETE FROM orders WHERE id = ?", id))
			},
			remember: func() {
				delete(w.changed, id)
				w.ids[k] = w.ids[len(w.ids)-1]
				w.ids = w.ids[:len(w.ids)-1]
			},
			ids: []int64{id},
		}
	case dice < 7:
		if to, ok := w.free(); ok {
			return change{
				do: func(ctx context.Context, tx *sql.Tx) error {
					return one(tx.ExecContext(ctx, "UPDATE orders SET id = ? WHERE id = ?", to, id))
				},
				remember: func() {
					o := w.order(id)
					delete(w.changed, id)
					w.changed[to], w.ids[k] = o, to
				},
				ids: []int64{id, to},
			}
		}
	}
	return change{do: func(context.Context, *sql.Tx) error { return nil }, remember: func() {}}
}

// insert inserts an order whose id is the server's to choose.
func (w *writer) insert() change {
	w.serial++
	o := order{serial: w.serial, amount: firstAmount}
	var id int64
	return change{
		do: func(ctx context.Context, tx *sql.Tx) error {
			r, err := tx.ExecContext(ctx, "INSERT INTO orders ("+columns+") VALUES (?, ?, ?, ?, ?)",
				o.customer(), o.amount, o.version, o.details(), o.created())
			if err != nil {
				return err
			}
			id, err = r.LastInsertId()
			return err
		},
		remember: func() { w.changed[id] = o; w.ids = append(w.ids, id) },
		serial:   o.serial,
	}
}

// transact tells, when there is an error, whether it is certain that nothing
// was committed: then the server has refused a statement before COMMIT was sent.
func (w *writer) transact(ctx context.Context, do func(*sql.Tx) error) (certain bool, err error) {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return true, err
	}
	if err := do(tx); err != nil {
		tx.Rollback()
		return true, err
	}
	return false, tx.Commit()
}

// one makes an error of a statement that changed no row where there must be one.
func one(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("changed %d rows, not 1", n)
	}
	return nil
}

// pick picks three orders of which is certain how they are.
func (w *writer) pick() (i, j, k int) {
	var p [3]int
	for n := 0; n < len(p); {
		p[n] = rand.IntN(len(w.ids))
		again := w.unsure[w.ids[p[n]]]
		for _, other := range p[:n] {
			again = again || other == p[n]
		}
		if !again {
			n++
		}
	}
	return p[0], p[1], p[2]
}

// free finds an id of its own that no order has: anywhere in the table, so that
// orders move from what a migration has copied to what it hasn't, and back.
func (w *writer) free() (int64, bool) {
	for range 10 {
		n := rand.Int64N(freeIDs(w.rows))
		id := freeID(n - n%writers + w.index)
		if _, taken := w.changed[id]; !taken && !w.unsure[id] && id < filledID(w.rows) {
			return id, true
		}
	}
	return 0, false
}

// A reader reads orders, whoever's.
type reader struct {
	db    *sql.DB
	meter *meter
	rows  int64
}

func (r *reader) work(ctx context.Context) {
	start := time.Now()
	var amount int64
	var details string
	err := r.db.QueryRowContext(ctx, "SELECT amount, details FROM orders WHERE id = ?", filledID(rand.Int64N(r.rows))).Scan(&amount, &details)
	if errors.Is(err, sql.ErrNoRows) { // deleted, or moved to another id
		err = nil
	}
	r.meter.record(start, true, err)
}
