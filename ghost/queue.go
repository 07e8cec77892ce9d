package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
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
	Gate    Gate          // nil: nothing is throttled but by what Door feels
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
	adopted   chan []*Ticket
	stopped   chan struct{} // closed when Run takes nothing any more
	listener  *listener
	hub       *binlog.Hub         // one stream for all migrations
	orphans   map[int64]time.Time // since when they have been seen; of the chores' goroutine
	ours      ours
	clients   clients
}

// NewQueue makes a queue; Run makes it work.
func NewQueue(c Config) *Queue {
	c = c.complete()
	return &Queue{Config: c, submitted: make(chan *Ticket), ended: make(chan *Ticket), adopted: make(chan []*Ticket), stopped: make(chan struct{}), listener: &listener{door: c.Door},
		hub: binlog.NewHub(c.DB, c.Server, c.Flavor, c.Store.FenceTable())}
}

// complete has the defaults in it.
func (c Config) complete() Config {
	if c.Bounds == (Bounds{}) {
		c.Bounds = DefaultBounds
	}
	if c.Memory == 0 {
		c.Memory = DefaultMemory
	}
	if c.Door == nil {
		c.Door = open{}
	}
	if c.Gate == nil {
		c.Gate = ungated{}
	}
	if c.Observe == nil {
		c.Observe = func(Event) {}
	}
	return c
}

// A Ticket stands for a migration that was submitted.
type Ticket struct {
	ID         int64
	queue      *Queue
	run        *run
	followed   bool // by way of the store: somebody runs it
	adopted    bool // somebody has begun it
	waited     bool // a client waits here for the answer, unless
	clientGone atomic.Bool
	cancel     context.CancelCauseFunc
	ctx        context.Context
	done       chan struct{}
	result     Result // valid when done is closed
}

// Done is closed at the migration's end.
func (t *Ticket) Done() <-chan struct{} { return t.done }

// Result of a migration that is done.
func (t *Ticket) Result() Result { <-t.done; return t.result }

// Status as it was last published.
func (t *Ticket) Status() Status { return *t.run.shown.Load() }

// Cancel asks for the migration's end, and records why. It comes too late once the
// tables are swapped.
func (t *Ticket) Cancel(why string) {
	bound, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r := t.run.request
	t.run.Store.Log(bound, t.ID, Entry{Kind: EntryControl, By: r.User + "@" + r.Host, Text: fmt.Sprintf("cancel: %s (connection %d of %s@%s)", why, r.Session, r.User, r.Host)})
	t.cancel(ErrCanceled)
}

// WasKilled tells of a session that waits for an answer, and whose connection was lost,
// whether somebody has killed it. The server has not been restarted then, within age, and
// the session does not sleep on: it does, for the rest of a slice, when only the network
// was cut. When in doubt it was killed: who was cut off can send his statement again, and
// whoever kills a session wants its work to end.
func (q *Queue) WasKilled(ctx context.Context, connection uint64, age time.Duration) bool {
	bound, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var name string
	var up int64
	if err := q.DB.QueryRowContext(bound, "SHOW /* midflight */ GLOBAL STATUS LIKE 'Uptime'").Scan(&name, &up); err != nil {
		return false
	}
	if time.Duration(up+1)*time.Second < age {
		return false
	}
	all, err := mysqld.Processes(bound, q.DB)
	return err == nil && !slices.ContainsFunc(all, func(p mysqld.Process) bool {
		return p.ID == connection && p.Command == "Query" && p.State == "User sleep"
	})
}

// Submit records a migration and lets it run as soon as no other one of the
// table does; or it is the one that was sent before by a client who has gone. Run must
// be running; ErrStopped when it was.
func (q *Queue) Submit(ctx context.Context, r Request) (*Ticket, error) {
	select {
	case <-q.stopped:
		return nil, ErrStopped
	default:
	}
	if err := q.payOwed(ctx); err != nil { // this client may be one of those
		return nil, err
	}
	id, err := q.Store.Attach(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("look for the same statement, sent before: %w", err)
	}
	t := q.attach(id, r)
	if id == 0 {
		if id, err = q.Store.Create(ctx, r); err != nil {
			return nil, fmt.Errorf("record the migration: %w", err)
		}
		t = q.ticket(id, r)
	}
	t.waited = !r.Async
	select {
	case q.submitted <- t:
		return t, nil
	case <-q.stopped:
		return nil, &LeftError{t.ID}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// ticket stands for a migration that is recorded.
func (q *Queue) ticket(id int64, r Request) *Ticket {
	t := &Ticket{ID: id, queue: q, done: make(chan struct{})}
	t.run = &run{Config: q.Config, listener: q.listener, hub: q.hub, request: r, attempt: newAttempt(id, r.Table)}
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
			if t.followed {
				t.result = q.follow(ctx, t)
			} else {
				t.result = q.carryOut(ctx, t)
			}
			close(t.done)
			select {
			case q.ended <- t:
			case <-ctx.Done():
			}
		}()
	}
	enter := func(t *Ticket) {
		q.ours.add(t.run)
		table := t.run.request.Table
		lines[table] = append(lines[table], t)
		if len(lines[table]) == 1 {
			start(t)
		}
	}
	defer migrations.Wait()
	for _, chore := range []func(context.Context){q.announce, q.lookForOrphans, q.dropOld, q.listenToOthers} {
		migrations.Add(1)
		go func() {
			defer migrations.Done()
			chore(ctx)
		}()
	}
	wishes := time.NewTimer(lookForWishes)
	defer wishes.Stop()
	for {
		select {
		case t := <-q.submitted:
			if t.followed {
				start(t)
				continue
			}
			enter(t)
		case adopted := <-q.adopted:
			for _, t := range adopted { // they have the lease, so whoever is first in line waits for it
				q.ours.add(t.run)
				start(t)
			}
		case t := <-q.ended:
			table := t.run.request.Table
			if line := lines[table]; len(line) == 0 || line[0] != t { // it was adopted
				continue
			}
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
		case <-ctx.Done():
			close(q.stopped)
			for _, line := range lines {
				for _, t := range line[1:] {
					q.ours.remove(t.run)
					t.result = Result{Err: &LeftError{t.ID}}
					close(t.done)
				}
			}
			return nil
		}
	}
}

// announce, lookForOrphans and dropOld are the chores. What can't be done now is tried
// again at the next turn.
func (q *Queue) announce(ctx context.Context) {
	q.repeat(ctx, AliveFor/4, func(ctx context.Context) error {
		bound, cancel := context.WithTimeout(ctx, AliveFor)
		defer cancel()
		if err := q.Store.Announce(bound); err != nil {
			return err
		}
		return q.payOwed(bound)
	})
}

func (q *Queue) lookForOrphans(ctx context.Context) {
	q.repeat(ctx, time.Second, func(ctx context.Context) error {
		tickets, err := q.adopt(ctx)
		if len(tickets) > 0 {
			select {
			case q.adopted <- tickets:
			case <-ctx.Done():
				for _, t := range tickets { // whoever comes next adopts them again
					t.run.lease.end()
				}
			}
		}
		return err
	})
}

func (q *Queue) dropOld(ctx context.Context) { q.repeat(ctx, 10*time.Second, q.dropDue) }

func (q *Queue) repeat(ctx context.Context, pause time.Duration, chore func(context.Context) error) {
	for ctx.Err() == nil {
		if err := chore(ctx); err != nil && ctx.Err() == nil {
			q.Observe(ChoresFailed{err})
		}
		sleep(ctx, pause)
	}
}

// carryOut runs one migration and records its end.
func (q *Queue) carryOut(ctx context.Context, t *Ticket) Result {
	stop := context.AfterFunc(ctx, func() { t.cancel(context.Cause(ctx)) })
	defer stop()
	defer t.cancel(nil)
	result := Result{Err: context.Cause(t.ctx)}
	if result.Err == nil {
		result = q.persist(t.ctx, t)
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
	case errors.Is(result.Err, ErrCanceled):
		phase = Canceled
	case ctx.Err() != nil, errors.Is(result.Err, ErrTakenOver):
		return q.leave(ctx, t, result.Err)
	case result.Err != nil:
		phase = Failed
	}
	r.status.Phase.mustGoTo(phase)
	r.status.Phase, r.status.WaitingFor = phase, ""
	if phase == Completed {
		r.status.Progress = 1
	}
	final := r.status
	if q.wrapUp(ctx, r, final, result) {
		return q.leave(ctx, t, ErrTakenOver)
	}
	r.end()
	r.shown.Store(&final)
	q.ours.remove(r)
	q.Observe(Ended{t.ID, r.request.Table, phase, result.Rows, result.Err})
	return result
}

// persist runs a migration until it has ended. A server that is away for longer than the
// patience of a single statement is waited for, and then the migration is gone on with
// from its checkpoint, as if another had begun it.
func (q *Queue) persist(ctx context.Context, t *Ticket) Result {
	for again, why := t.adopted, "its Midflight has gone"; ; again = true {
		if again {
			if ended, err := q.whenItCan(ctx, t.run, why); ended || err != nil {
				return Result{Err: err}
			}
		}
		result := t.run.migrate(ctx)
		if t.run.swapped || result.Err == nil || !transient(result.Err) || ctx.Err() != nil {
			return result
		}
		q.Observe(Interrupted{t.ID, t.run.request.Table, result.Err})
		why = result.Err.Error()
	}
}

// whenItCan does again, which is tried until the server answers.
func (q *Queue) whenItCan(ctx context.Context, r *run, why string) (ended bool, err error) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		if ended, err = q.again(ctx, r, why); err == nil || !transient(err) {
			return ended, err
		}
		if sleep(ctx, pause) != nil {
			return false, context.Cause(ctx)
		}
	}
}

// again makes a run a fresh one that goes on from the checkpoint, once the server
// answers; ended says that the swap was done.
func (q *Queue) again(ctx context.Context, r *run, why string) (ended bool, err error) {
	if mine, err := q.Store.Mine(ctx, r.status.ID); err != nil {
		return false, err
	} else if !mine {
		return false, ErrTakenOver
	}
	if r.lease != nil {
		if err := r.lease.hold(ctx); err != nil {
			return false, err
		}
	}
	before := r.status
	fresh := newAttempt(before.ID, before.Table)
	fresh.status.RowsCopied, fresh.status.RowsTotal, fresh.status.Throttled = before.RowsCopied, before.RowsTotal, before.Throttled
	found, err := q.takeUp(ctx, &fresh, before)
	if err != nil {
		return false, err
	}
	q.Store.Log(ctx, before.ID, note("interrupted in phase %s: %s", before.Phase, why))
	r.early.close()
	switch r.attempt = fresh; found {
	case Completed:
		r.status, r.swapped = before, true
		r.status.Phase = CuttingOver // whatever was recorded last
		return true, nil
	case Canceled:
		return false, ErrCanceled
	}
	return false, nil
}

// leave leaves a migration to another Midflight: this one is being stopped, or the other
// has it already.
func (q *Queue) leave(ctx context.Context, t *Ticket, err error) Result {
	left := Left{t.ID, t.run.request.Table, t.run.status.Phase, err}
	if !errors.Is(err, ErrTakenOver) {
		left.Err = &LeftError{t.ID}
	}
	t.run.end()
	q.ours.remove(t.run)
	q.Observe(left)
	if errors.Is(err, ErrTakenOver) {
		q.clientWaitsHere(ctx, t)
		return q.follow(ctx, t)
	}
	return Result{Err: left.Err}
}

// wrapUp cleans up and records the end. It must be done though the migration
// was canceled or the server is away, so it is tried until it is done or this
// process stops; then the next Midflight finds an orphan.
func (q *Queue) wrapUp(ctx context.Context, r *run, final Status, result Result) (takenOver bool) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		err := r.cleanUp(bound)
		if err == nil {
			err = q.Store.Finish(bound, final, result)
		}
		cancel()
		if err == nil {
			return false
		}
		if errors.Is(err, ErrTakenOver) {
			return !r.swapped
		}
		q.Observe(ChoresFailed{fmt.Errorf("m%d: %w", final.ID, err)})
		if sleep(ctx, pause) != nil {
			return false
		}
	}
}
