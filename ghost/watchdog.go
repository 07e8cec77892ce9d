package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"midflight/mysqld"
)

// lockedBy runs a statement that takes an exclusive lock on g.lock, and has it taken
// back when the lock isn't granted within bound: everybody who comes later queues
// behind it, and lock_wait_timeout counts whole seconds.
func (g *gap) lockedBy(ctx context.Context, statement string, bound time.Duration) error {
	ended, killed := make(chan struct{}), make(chan bool, 1)
	go func() { killed <- g.guard(ctx, ended, bound) }()
	_, err := g.lock.ExecContext(context.WithoutCancel(ctx), statement)
	close(ended)
	if <-killed && err == nil { // too late for this statement
		g.takeKill(ctx)
	}
	if mysqld.IsKilled(err) || mysqld.IsLockConflict(err) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: the exclusive lock was not granted in %s", errTooSoon, bound.Round(time.Millisecond))
	}
	return err
}

// takeKill lets a KILL that came too late hit a harmless statement: one that leaves
// the warnings of that before it as they are.
func (g *gap) takeKill(ctx context.Context) {
	g.lock.ExecContext(context.WithoutCancel(ctx), "SHOW /* midflight */ WARNINGS")
}

// guard kills the statement of the lock session if, after bound, it is still waiting
// for its lock, or nobody can tell. One that has its lock is at work, which must not
// be broken off again and again.
func (g *gap) guard(ctx context.Context, ended <-chan struct{}, bound time.Duration) (killed bool) {
	timer := time.NewTimer(bound)
	defer timer.Stop()
	for {
		select {
		case <-ended:
			return false
		case <-timer.C:
		}
		if waits, err := g.waitsForLock(ctx); waits || err != nil {
			g.kill(ctx)
			return true
		}
		timer.Reset(2 * time.Millisecond)
	}
}

// waitsForLock tells whether the lock session is waiting for somebody.
func (g *gap) waitsForLock(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	state, err := stateOf(ctx, g.watch, g.Flavor, g.id)
	return waiting(state), err
}

// stateOf is what the server shows of a connection; "" when it is gone. (MySQL's
// processlist goes through all threads, its threads table has an index.)
func stateOf(ctx context.Context, q mysqld.Queryer, f mysqld.Flavor, id uint64) (string, error) {
	query := "SELECT /* midflight */ processlist_state FROM performance_schema.threads WHERE processlist_id = ?"
	if f.MariaDB {
		query = "SELECT /* midflight */ state FROM information_schema.processlist WHERE id = ?"
	}
	var state sql.NullString
	err := q.QueryRowContext(ctx, query, id).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return state.String, err
}

// kill takes back what the lock session runs.
func (g *gap) kill(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	kill := fmt.Sprintf("KILL /* midflight */ QUERY %d", g.id)
	if _, err := g.watch.ExecContext(ctx, kill); err != nil && !mysqld.IsServerError(err) {
		g.DB.ExecContext(ctx, kill)
	}
}
