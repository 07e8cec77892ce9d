package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"midflight/mysqld"
	"midflight/schema"
)

// A gap is the moment in which nobody has the table locked. It is looked for, and
// the few statements that would close it are held (docs/algorithm.md, "The gap").
type gap struct {
	*run
	tables []schema.Name // to be locked
	names  []string      // whose mention may lock them
	copied bool          // the table is swapped for another: snapshots count
	lock   *sql.Conn
	id     uint64    // of the lock connection
	watch  *sql.Conn // for the watchdog: it must not wait for a free connection
	plugin bool      // MariaDB tells who has metadata locks
	bell   *bell     // nil: no other Midflight is there

	waitedFor []Blocker
	noted     []uint64 // connections that the history has as waited for

	// Of the attempt that is under way, or was last:
	held      Held
	until     time.Time     // the hold opens by its own clock
	lockedFor time.Duration // lock to unlock; 0: not had
	outdated  bool
	applied   bool // something, under the lock
	steps     []Step
}

// newGap is enough to look who has tables locked, which a change locks.
func (r *run) newGap(ctx context.Context, tables ...schema.Name) (*gap, error) {
	g := &gap{run: r, tables: tables}
	var err error
	if g.names, err = lockers(ctx, r.DB, r.Flavor, r.request.Table); err != nil {
		return nil, err
	}
	g.plugin, err = tellsLocks(ctx, r.DB, r.Flavor)
	return g, err
}

// openGap prepares for attempts: what can be done early is done before anybody
// is held.
func (r *run) openGap(ctx context.Context, init []string, tables ...schema.Name) (*gap, error) {
	g, err := r.newGap(ctx, tables...)
	if err != nil {
		return nil, err
	}
	if err := g.openLock(ctx, init); err != nil {
		g.close()
		return nil, err
	}
	if g.bell, err = r.openBell(ctx); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// openLock opens the lock session, with these settings, and the watch over it.
func (g *gap) openLock(ctx context.Context, init []string) (err error) {
	if g.lock, err = g.DB.Conn(ctx); err != nil {
		return fmt.Errorf("connect for the exclusive lock: %w", err)
	}
	if err := g.Store.Admit(ctx, g.lock, g.status.ID); err != nil {
		return err
	}
	if g.watch, err = g.DB.Conn(ctx); err != nil {
		return fmt.Errorf("connect for the watch over the exclusive lock: %w", err)
	}
	// Between attempts it may have nothing to do for hours, and has no locks.
	init = append(init, "SET /* midflight */ SESSION lock_wait_timeout = 1, wait_timeout = 86400")
	for _, q := range init {
		if _, err = g.lock.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("set up the session of the exclusive lock (%s): %w", q, err)
		}
	}
	if _, err = g.watch.ExecContext(ctx, "SET /* midflight */ SESSION wait_timeout = 86400"); err != nil {
		return fmt.Errorf("set up the watch over the exclusive lock: %w", err)
	}
	err = g.lock.QueryRowContext(ctx, "SELECT /* midflight */ CONNECTION_ID()").Scan(&g.id)
	return wrap(err, "set up the session of the exclusive lock")
}

// close ends the lock connection, and with it whatever it had locked.
func (g *gap) close() {
	if len(g.waitedFor) > 0 {
		g.Observe(Blocked{ID: g.status.ID, Table: g.request.Table})
	}
	g.bell.close()
	for _, c := range []*sql.Conn{g.lock, g.watch} {
		if c != nil {
			discard(c)
		}
	}
}

// end kills the lock session and waits until the server has done with it.
func (g *gap) end(ctx context.Context) error { return g.endSession(ctx, g.id) }

// giveUp has the lock session lose what it has locked. To close a connection that is
// lost already would not do: the server may not have noticed, and keep everybody waiting
// for a session that nobody can end it with.
func (g *gap) giveUp(ctx context.Context, err error) error {
	if mysqld.IsConnectionLost(err) {
		return g.end(ctx)
	}
	g.close()
	return nil
}

// endSession kills a session of ours and waits until the server has done with it.
func (c *Config) endSession(ctx context.Context, id uint64) error {
	return retry(ctx, patience, func() error {
		c.DB.ExecContext(ctx, fmt.Sprintf("KILL /* midflight */ CONNECTION %d", id)) // it may be gone already
		for {
			all, err := mysqld.Processes(ctx, c.DB)
			if err != nil || !slices.ContainsFunc(all, func(p mysqld.Process) bool { return p.ID == id }) {
				return err
			}
			if err := sleep(ctx, 10*time.Millisecond); err != nil {
				return err
			}
		}
	})
}

// through runs act when nobody holds the table: statements that would begin to
// touch it are held in the proxy, those that have begun are let finish. errTooSoon:
// the moment was too short.
//
// bound is the hold's. It opens by its own clock then, whatever act does; so act
// must not begin what can't be taken back before commit has agreed.
func (g *gap) through(ctx context.Context, bound time.Duration, act func(ctx context.Context) error) (err error) {
	g.bell.ring(ctx, g.names, bound)
	defer g.bell.done(ctx)
	g.held, g.until, g.lockedFor = g.Door.Hold(g.names, bound), time.Now().Add(bound), 0
	g.steps = []Step{{At: time.Now()}}
	defer func() {
		n, longest := g.held.Release()
		event := CutOverTried{ID: g.status.ID, Locked: g.lockedFor, Held: n, Longest: longest, Steps: g.steps, Err: err}
		g.Observe(event)
		g.recordTry(ctx, event)
	}()
	// The work under the lock goes fast then: nobody else has any on the table.
	within := bound * 2 / 3
	drain, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := g.held.Drained(drain); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: still using the table after %s: %s", errTooSoon, within.Round(time.Millisecond), who(g.Door.Busy(g.names, 0)))
	}
	g.did("drained")
	return act(ctx)
}

// did notes that a step of the attempt is done.
func (g *gap) did(step string) { g.steps = append(g.steps, Step{step, time.Now()}) }

// rest is what is left of the bound.
func (g *gap) rest() time.Duration { return time.Until(g.until) }

// commit is asked before what can't be taken back.
func (g *gap) commit() error {
	if g.rest() < g.Bounds.Hold/5 || !g.held.Commit() { // a RENAME takes its time
		return fmt.Errorf("%w: the hold is about to open", errOverran)
	}
	return nil
}

// lost: the lock session was ended, by somebody or for being idle too long. That is
// no reason to begin anew with the copy.
func lost(err error) bool {
	return mysqld.IsConnectionLost(err) || mysqld.IsKilled(err) || mysqld.IsLockConflict(err)
}

var (
	// errTooSoon: the attempt has changed nothing, and may be made again.
	errTooSoon = errors.New("not now")
	// errOverran: the lock was had, and the time was not enough for the work under it.
	errOverran = fmt.Errorf("%w: the work under the lock took too long", errTooSoon)
)
