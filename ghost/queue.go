package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"midflight/binlog"
	"midflight/mysqld"
	"midflight/schema"
)

// DefaultKeepOld is how long an old table is kept after the swap.
const DefaultKeepOld = 24 * time.Hour

// lookForWishes is how often the queue looks for what is wished by way of the store.
const lookForWishes = time.Second

// A Config is the world of the engine.
type Config struct {
	Server  mysqld.Config
	Flavor  mysqld.Flavor
	DB      *sql.DB // our own connections to Server
	Store   Store
	Door    Door          // nil: no proxy in front, nothing is held
	KeepOld time.Duration // how long old tables are kept; 0: dropped right after the swap
	Bounds  Bounds        // zero: DefaultBounds
	Memory  int           // bytes, of each migration's changed keys; zero: DefaultMemory
	Observe func(Event)   // must not block; nil: nobody listens
}

// A Queue runs migrations: one at a time per table, those of different tables
// side by side.
type Queue struct {
	Config
	submitted chan *Ticket
	ended     chan *Ticket
	listener  *listener
	hub       *binlog.Hub // one stream for all migrations
}

// NewQueue makes a queue; Run makes it work.
func NewQueue(c Config) *Queue {
	if c.Bounds == (Bounds{}) {
		c.Bounds = DefaultBounds
	}
	if c.Memory == 0 {
		c.Memory = DefaultMemory
	}
	if c.Door == nil {
		c.Door = open{}
	}
	if c.Observe == nil {
		c.Observe = func(Event) {}
	}
	return &Queue{Config: c, submitted: make(chan *Ticket), ended: make(chan *Ticket), listener: &listener{door: c.Door},
		hub: binlog.NewHub(c.DB, c.Server, c.Flavor, c.Store.FenceTable())}
}

// A Ticket stands for a migration that was submitted.
type Ticket struct {
	ID     int64
	run    *run
	cancel context.CancelCauseFunc
	ctx    context.Context
	done   chan struct{}
	result Result // valid when done is closed
}

// Done is closed at the migration's end.
func (t *Ticket) Done() <-chan struct{} { return t.done }

// Result of a migration that is done.
func (t *Ticket) Result() Result { <-t.done; return t.result }

// Status as it was last published.
func (t *Ticket) Status() Status { return *t.run.shown.Load() }

// Cancel asks for the migration's end. It comes too late once the tables are
// swapped.
func (t *Ticket) Cancel() { t.cancel(ErrCanceled) }

// Submit records a migration and lets it run as soon as no other one of the
// table does. Run must be running.
func (q *Queue) Submit(ctx context.Context, r Request) (*Ticket, error) {
	id, err := q.Store.Create(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("record the migration: %w", err)
	}
	t := q.ticket(id, r)
	select {
	case q.submitted <- t:
		return t, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// ticket stands for a migration that is recorded.
func (q *Queue) ticket(id int64, r Request) *Ticket {
	t := &Ticket{ID: id, done: make(chan struct{})}
	t.run = &run{Config: q.Config, listener: q.listener, hub: q.hub, request: r, scratch: newScratch(id, r.Table),
		status: Status{ID: id, Table: r.Table, Phase: Queued, ETA: -1}}
	first := t.run.status
	t.run.shown.Store(&first)
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	return t
}

// Run starts what is submitted, or wished by way of the store, and drops old
// tables in time, until ctx ends; it returns when every migration has stopped.
func (q *Queue) Run(ctx context.Context) error {
	var migrations sync.WaitGroup
	migrations.Add(1)
	go func() {
		defer migrations.Done()
		q.listener.run(ctx)
	}()
	lines := map[schema.Name][]*Ticket{} // first of each: running
	start := func(t *Ticket) {
		migrations.Add(1)
		go func() {
			defer migrations.Done()
			t.result = q.carryOut(ctx, t)
			close(t.done)
			select {
			case q.ended <- t:
			case <-ctx.Done():
			}
		}()
	}
	enter := func(t *Ticket) {
		table := t.run.request.Table
		lines[table] = append(lines[table], t)
		if len(lines[table]) == 1 {
			start(t)
		}
	}
	defer migrations.Wait()
	wishes := time.NewTimer(lookForWishes)
	defer wishes.Stop()
	chores := time.NewTimer(0)
	defer chores.Stop()
	for {
		select {
		case t := <-q.submitted:
			enter(t)
		case t := <-q.ended:
			table := t.run.request.Table
			lines[table] = lines[table][1:]
			if len(lines[table]) > 0 {
				start(lines[table][0])
			} else {
				delete(lines, table)
			}
		case <-wishes.C:
			bound, cancel := context.WithTimeout(ctx, 10*time.Second)
			tickets, err := q.reveal(bound)
			cancel()
			if err != nil && ctx.Err() == nil {
				q.Observe(ChoresFailed{err})
			}
			for _, t := range tickets {
				enter(t)
			}
			wishes.Reset(lookForWishes)
		case <-chores.C:
			// What can't be done now is tried again at the next turn.
			if err := errors.Join(q.Store.Announce(ctx), q.recover(ctx), q.dropDue(ctx)); err != nil && ctx.Err() == nil {
				q.Observe(ChoresFailed{err})
			}
			chores.Reset(10 * time.Second)
		case <-ctx.Done():
			for _, line := range lines {
				for _, t := range line[1:] {
					t.result = Result{Err: context.Cause(ctx)}
					close(t.done)
				}
			}
			return nil
		}
	}
}

// carryOut runs one migration and records its end.
func (q *Queue) carryOut(ctx context.Context, t *Ticket) Result {
	stop := context.AfterFunc(ctx, func() { t.cancel(context.Cause(ctx)) })
	defer stop()
	defer t.cancel(nil)
	result := Result{Err: context.Cause(t.ctx)}
	if result.Err == nil {
		result = t.run.migrate(t.ctx)
	}
	if mysqld.IsCanceled(result.Err) { // the reason instead of "context canceled"
		if cause := context.Cause(t.ctx); cause != nil {
			result.Err = cause
		}
	}
	r := t.run
	phase := Completed
	switch {
	case r.swapped: // what failed afterwards doesn't undo it
		result.Err = nil
	case ctx.Err() != nil:
		phase, result.Err = Failed, obstacle("Midflight is being stopped; the table is as it was. Send the statement again")
	case errors.Is(result.Err, ErrCanceled):
		phase = Canceled
	case result.Err != nil:
		phase = Failed
	}
	r.status.Phase.mustGoTo(phase)
	r.status.Phase, r.status.WaitingFor = phase, ""
	if phase == Completed {
		r.status.Progress = 1
	}
	final := r.status
	q.wrapUp(ctx, r, final, result)
	r.end()
	r.shown.Store(&final)
	q.Observe(Ended{t.ID, r.request.Table, phase, result.Rows, result.Err})
	return result
}

// wrapUp cleans up and records the end. It must be done though the migration
// was canceled or the server is away, so it is tried until it is done or this
// process stops; then the next Midflight finds an orphan.
func (q *Queue) wrapUp(ctx context.Context, r *run, final Status, result Result) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		err := r.cleanUp(bound)
		if err == nil {
			err = q.Store.Finish(bound, final, result)
		}
		cancel()
		if err == nil {
			return
		}
		q.Observe(ChoresFailed{fmt.Errorf("m%d: %w", final.ID, err)})
		if sleep(ctx, pause) != nil {
			return
		}
	}
}
