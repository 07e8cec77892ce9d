package ghost

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"midflight/mysqld"
	"midflight/schema"
)

// A lease is the right to migrate one table. It is a lock by name on the server, so it
// ends with our connection, and no two Midflights have it. The server ends the connection
// if nothing comes by it for AliveFor: a process that is stopped must not keep others
// from going on.
//
// A lock is no fence: who was stopped may go on writing when he wakes up. The fence is
// Store.Admit (docs/decisions/0021).
type lease struct {
	db   *sql.DB
	name string
	stop context.CancelFunc
	done chan struct{}

	mu   sync.Mutex // guards conn
	conn *sql.Conn  // nil: lost
}

// takeLease returns nil when somebody else has it.
func takeLease(ctx context.Context, db *sql.DB, t schema.Name) (*lease, error) {
	// A lock's name has 64 characters at most.
	sum := sha256.Sum256([]byte(t.Schema + "\x00" + t.Table))
	l := &lease{db: db, name: "midflight." + hex.EncodeToString(sum[:16]), done: make(chan struct{})}
	if got, err := l.take(ctx); err != nil || !got {
		return nil, wrap(err, "take the lease on %s", t)
	}
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	go func() {
		defer close(l.done)
		for sleep(keep, AliveFor/4) == nil {
			bound, cancel := context.WithTimeout(keep, AliveFor)
			l.hold(bound) // whoever must know asks himself
			cancel()
		}
	}()
	return l, nil
}

func (l *lease) take(ctx context.Context) (bool, error) {
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return false, fmt.Errorf("connect: %w", err)
	}
	var got sql.NullBool
	_, err = conn.ExecContext(ctx, fmt.Sprintf("SET /* midflight */ SESSION wait_timeout = %d", AliveFor/time.Second))
	if err == nil {
		err = conn.QueryRowContext(ctx, "SELECT /* midflight */ GET_LOCK(?, 0)", l.name).Scan(&got)
	}
	if err != nil || !got.Bool {
		discard(conn)
		return false, err
	}
	l.conn = conn
	return true, nil
}

// hold makes sure that the lease is still ours, and takes it anew where only its
// connection was lost. A connection error means that nobody can tell now.
func (l *lease) hold(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		var ours sql.NullBool
		err := l.conn.QueryRowContext(ctx, "SELECT /* midflight */ IS_USED_LOCK(?) = CONNECTION_ID()", l.name).Scan(&ours)
		if err == nil && ours.Bool {
			return nil
		}
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		discard(l.conn)
		l.conn = nil
	}
	got, err := l.take(ctx)
	switch {
	case err != nil && (mysqld.IsConnectionLost(err) || mysqld.IsTooManyConnections(err) || ctx.Err() != nil):
		return fmt.Errorf("take the lease on the table anew: %w", err)
	case err != nil || !got:
		return errors.Join(errLeaseLost, err)
	}
	return nil
}

// errLeaseLost: somebody else has the lease. If it is a Midflight that takes the migration
// over, the record will say so; else it is waited for.
var errLeaseLost = obstacle("the lease on the table was lost: another Midflight may go on")

func (l *lease) end() {
	l.stop()
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		discard(l.conn)
		l.conn = nil
	}
}
