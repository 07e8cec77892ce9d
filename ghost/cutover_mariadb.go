package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"midflight/mysqld"
	"midflight/schema"
)

// swapMariaDB needs two sessions, since MariaDB has no RENAME under LOCK TABLES
// (error 1192).
//
//	A: LOCK TABLES original, shadow, sentry WRITE; bring the shadow level
//	B: RENAME original TO sentry's name, shadow TO original   -- waits for A
//	A: DROP sentry; UNLOCK TABLES                             -- B goes first
//
// The sentry is an empty table with the name that the original will get: if A
// dies before B is seen waiting, B fails with 1050 instead of swapping a shadow
// that is not level.
//
// B must be waiting on the *original* when A unlocks, else a writer could slip
// in between (gh-ost #887). RENAME takes its locks one by one in the order of
// the names' bytes, so for the swap the shadow and the sentry have names that
// sort behind the original's: B's first table lock is the original's.
func (s *syncer) swapMariaDB(ctx context.Context, g *gap) error {
	original := s.original.Name
	sentry, shadow := lateOldName(original, s.status.ID), lateShadowName(original, s.status.ID)
	if sentry.Table <= original.Table || shadow.Table <= original.Table {
		return obstacle("no name sorts behind %s, which the swap on MariaDB needs; rename the table first", original)
	}
	if err := s.beginSwapMariaDB(ctx, sentry, shadow); err != nil {
		return err
	}
	lock := fmt.Sprintf("LOCK /* midflight m%d */ TABLES %s WRITE, %s WRITE, %s WRITE", s.status.ID, original.Quoted(), shadow.Quoted(), sentry.Quoted())
	if err := g.lockedBy(ctx, lock, g.rest()/2); err != nil {
		return err
	}
	locked := time.Now()
	g.did("locked")
	snapshots := g.sight(ctx)
	err := s.settleUnderLock(ctx, g)
	seen := <-snapshots
	if err == nil {
		err = g.awaitSnapshots(ctx, seen)
	}
	if err != nil {
		return err
	}
	g.did("snapshots")
	rename, err := s.queueRename(ctx, g.rest(), original, shadow, sentry)
	if err != nil {
		return err
	}
	err = s.dropHelper(ctx, g.lock)
	if err == nil {
		err = g.commit()
	}
	if err == nil {
		err = s.journalTriggers(ctx, g.rest())
	}
	if err != nil {
		if taken := rename.takeBack(ctx); taken != nil {
			return taken
		}
		return err
	}
	err = s.moveTriggersMariaDB(ctx, g, shadow)
	if err == nil && rename.ended() { // or A would unlock a table without its triggers
		err = fmt.Errorf("%w: the RENAME waits no more", errTooSoon)
	}
	if err != nil {
		if taken := rename.takeBack(ctx); taken != nil {
			return taken
		}
		return s.notSwappedAtOnce(ctx, g, err, shadow, sentry)
	}
	if err := s.letRename(ctx, g, rename, sentry); err != nil {
		if err := s.notSwappedAtOnce(ctx, g, err, shadow, sentry); err != nil {
			return err
		}
	} else {
		s.moving = false
	}
	s.swapped, s.old = true, sentry
	g.did("renamed")
	g.lockedFor = time.Since(locked)
	g.outdate(ctx)
	old := oldName(original, s.status.ID)
	ctx = context.WithoutCancel(ctx)
	err = retry(ctx, patience, func() error {
		_, err := s.DB.ExecContext(ctx, fmt.Sprintf("RENAME /* midflight m%d */ TABLE IF EXISTS %s TO %s", s.status.ID, sentry.Quoted(), old.Quoted()))
		return err
	})
	if err != nil {
		s.log(ctx, "give the old table %s its name: %v", sentry, err)
		return nil
	}
	s.old = old
	return nil
}

// letRename lets the RENAME go, and returns its outcome. When the sentry is gone it swaps
// as soon as A is gone, whatever happens to us.
func (s *syncer) letRename(ctx context.Context, g *gap, rename queuedRename, sentry schema.Name) error {
	ctx = context.WithoutCancel(ctx)
	_, err := g.lock.ExecContext(ctx, "DROP TABLE /* midflight */ "+sentry.Quoted())
	if err == nil && rename.ended() {
		return fmt.Errorf("%w: the RENAME waits no more: %w", errTooSoon, rename.end(ctx))
	}
	if err == nil {
		_, err = g.lock.ExecContext(ctx, "UNLOCK /* midflight */ TABLES")
	}
	gone := g.giveUp(ctx, err) // also when these failed: the locks must go
	outcome := <-rename.outcome
	if outcome == nil {
		return nil
	}
	if !mysqld.IsServerError(outcome) { // it may be at it yet
		gone = errors.Join(gone, rename.gone(ctx))
	}
	if gone != nil {
		return obstacle("swap the tables: %v; and the sessions that do it can't be ended: %v", errors.Join(outcome, err), gone)
	}
	return errors.Join(outcome, err)
}

const sentryComment = "midflight sentry"

// beginSwapMariaDB makes the sentry and gives the shadow its late name; nobody
// uses either.
func (s *syncer) beginSwapMariaDB(ctx context.Context, sentry, shadow schema.Name) error {
	if s.shadow == shadow { // from an earlier attempt, which may have ended behind the sentry's end
		return s.makeSentry(ctx, sentry)
	}
	for _, t := range []schema.Name{sentry, shadow} {
		if err := s.mustBeFree(ctx, t); err != nil {
			return err
		}
		if err := s.Store.Claim(ctx, s.status.ID, t); err != nil {
			return err
		}
	}
	if err := s.makeSentry(ctx, sentry); err != nil {
		return err
	}
	err := retry(ctx, patience, func() error {
		err := s.alone(ctx, fmt.Sprintf("RENAME /* midflight m%d */ TABLE %s TO %s", s.status.ID, s.shadow.Quoted(), shadow.Quoted()))
		if n := mysqld.Number(err); n == mysqld.ErrNoSuchTable || n == mysqld.ErrTableExists {
			if there, asked := schema.Exists(ctx, s.DB, s.shadow); !there && asked == nil { // done by a try whose answer was lost
				return nil
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("give the shadow table the name for the swap: %w", err)
	}
	s.shadow, s.tables.Shadow = shadow, shadow
	return nil
}

func (s *syncer) makeSentry(ctx context.Context, sentry schema.Name) error {
	err := s.alone(ctx, fmt.Sprintf("CREATE TABLE /* midflight m%d */ IF NOT EXISTS %s (id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB COMMENT='%s'", s.status.ID, sentry.Quoted(), sentryComment))
	return wrap(err, "create the sentry table")
}

// moveTriggersMariaDB moves them while the RENAME is waiting: it takes them along.
func (s *syncer) moveTriggersMariaDB(ctx context.Context, g *gap, shadow schema.Name) error {
	ctx = context.WithoutCancel(ctx)
	s.ownTriggers = len(s.original.Triggers) > 0
	if err := s.takeTriggers(ctx, g.lock); err != nil {
		return err
	}
	return giveTriggers(ctx, g.lock, s.Flavor, s.original.Triggers, shadow)
}

// A queuedRename is a RENAME that waits on a session of its own.
type queuedRename struct {
	config  *Config
	session uint64
	outcome chan error
}

// ended: it waits no more, or nobody will be told what becomes of it.
func (q queuedRename) ended() bool { return len(q.outcome) > 0 }

// gone ends its session, of which the server may not know that nobody is there.
func (q queuedRename) gone(ctx context.Context) error { return q.config.endSession(ctx, q.session) }

// end does the same and returns the outcome.
func (q queuedRename) end(ctx context.Context) error {
	if err := q.gone(ctx); err != nil {
		return err
	}
	return <-q.outcome
}

// takeBack ends it while the tables are locked.
func (q queuedRename) takeBack(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	if err := q.gone(ctx); err != nil {
		return obstacle("take the RENAME of the swap back: %v", err)
	}
	if err := <-q.outcome; err == nil {
		return obstacle("BUG: the RENAME went through a table lock of ours")
	}
	return nil
}

// queueRename sends the RENAME and returns when the server shows it waiting for a
// table lock.
func (s *syncer) queueRename(ctx context.Context, bound time.Duration, original, shadow, sentry schema.Name) (queuedRename, error) {
	conn, err := s.DB.Conn(ctx)
	if err != nil {
		return queuedRename{}, fmt.Errorf("connect for the swap: %w", err)
	}
	outcome := make(chan error, 1)
	rename := queuedRename{config: &s.Config, outcome: outcome}
	if err := s.Store.Admit(ctx, conn, s.status.ID); err != nil {
		discard(conn)
		return rename, err
	}
	if err := conn.QueryRowContext(ctx, "SELECT /* midflight */ CONNECTION_ID()").Scan(&rename.session); err != nil {
		discard(conn)
		return rename, fmt.Errorf("connect for the swap: %w", err)
	}
	go func() {
		defer discard(conn)
		// The unlock sets it free; the time limit is for a server on which
		// somebody else has the shadow table locked.
		_, err := conn.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("SET STATEMENT lock_wait_timeout = 2 FOR RENAME /* midflight m%d */ TABLE %s TO %s, %s TO %s",
			s.status.ID, original.Quoted(), sentry.Quoted(), shadow.Quoted(), original.Quoted()))
		outcome <- err
	}()
	for deadline := time.Now().Add(bound); time.Now().Before(deadline); {
		waiting, err := waitsForTable(ctx, s.DB, rename.session)
		if err != nil {
			break
		}
		if waiting {
			return rename, nil
		}
		select {
		case err := <-outcome:
			outcome <- err
			if err := rename.takeBack(ctx); err != nil {
				return rename, err
			}
			return rename, fmt.Errorf("%w: the RENAME did not wait: %w", errTooSoon, err)
		case <-time.After(time.Millisecond):
		}
	}
	// Take it back before A goes: else it would swap when A's locks go.
	if err := rename.takeBack(ctx); err != nil {
		return rename, err
	}
	return rename, fmt.Errorf("%w: the RENAME was not seen waiting", errTooSoon)
}

func waitsForTable(ctx context.Context, db *sql.DB, id uint64) (bool, error) {
	var state sql.NullString
	err := db.QueryRowContext(ctx, "SELECT /* midflight */ state FROM information_schema.processlist WHERE id = ?", id).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return state.String == "Waiting for table metadata lock", err
}
