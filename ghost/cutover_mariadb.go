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
	if err := s.settleUnderLock(ctx, g); err != nil {
		return err
	}
	if err := g.awaitSnapshots(ctx); err != nil {
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
		g.close()
		return errors.Join(err, <-rename.outcome) // the sentry is still there
	}
	if err := s.moveTriggersMariaDB(ctx, g, shadow); err != nil {
		if back := rename.takeBack(ctx, s.DB); back == nil {
			return obstacle("BUG: the RENAME went through a table lock of ours")
		}
		return s.notSwappedAtOnce(ctx, g, err, shadow, sentry)
	}
	// From here on B swaps as soon as A is gone, whatever happens to us.
	_, err = g.lock.ExecContext(ctx, "DROP TABLE /* midflight */ "+sentry.Quoted())
	if err == nil {
		_, err = g.lock.ExecContext(ctx, "UNLOCK /* midflight */ TABLES")
	}
	g.close() // also when these failed: the locks must go
	if err := errors.Join(<-rename.outcome, err); err != nil {
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
		_, err := s.DB.ExecContext(ctx, fmt.Sprintf("RENAME /* midflight m%d */ TABLE %s TO %s", s.status.ID, s.shadow.Quoted(), shadow.Quoted()))
		if n := mysqld.Number(err); n == mysqld.ErrNoSuchTable || n == mysqld.ErrTableExists {
			if _, gone := schema.Read(ctx, s.DB, s.shadow); errors.Is(gone, schema.ErrNotFound) { // done by a try whose answer was lost
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
	_, err := s.DB.ExecContext(ctx, fmt.Sprintf("CREATE TABLE /* midflight m%d */ IF NOT EXISTS %s (id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB COMMENT='%s'", s.status.ID, sentry.Quoted(), sentryComment))
	return wrap(err, "create the sentry table")
}

// moveTriggersMariaDB moves them while the RENAME is waiting: it takes them along.
func (s *syncer) moveTriggersMariaDB(ctx context.Context, g *gap, shadow schema.Name) error {
	ctx = context.WithoutCancel(ctx)
	if err := s.takeTriggers(ctx, g.lock); err != nil {
		return err
	}
	return giveTriggers(ctx, g.lock, s.Flavor, s.original.Triggers, shadow)
}

// A queuedRename is a RENAME that waits on a session of its own.
type queuedRename struct {
	session uint64
	outcome <-chan error
}

// takeBack kills it and returns its error; nil is a RENAME that was done.
func (q queuedRename) takeBack(ctx context.Context, db *sql.DB) error {
	db.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("KILL /* midflight */ QUERY %d", q.session))
	return <-q.outcome
}

// queueRename sends the RENAME and returns when the server shows it waiting for a
// table lock.
func (s *syncer) queueRename(ctx context.Context, bound time.Duration, original, shadow, sentry schema.Name) (queuedRename, error) {
	conn, err := s.DB.Conn(ctx)
	if err != nil {
		return queuedRename{}, fmt.Errorf("connect for the swap: %w", err)
	}
	outcome := make(chan error, 1)
	rename := queuedRename{outcome: outcome}
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
			return rename, fmt.Errorf("%w: the RENAME did not wait: %w", errTooSoon, err)
		case <-time.After(time.Millisecond):
		}
	}
	// Take it back before A goes: else it would swap when A's locks go.
	if err = rename.takeBack(ctx, s.DB); err == nil {
		return rename, obstacle("BUG: the RENAME went through a table lock of ours")
	}
	return rename, fmt.Errorf("%w: the RENAME was not seen waiting: %w", errTooSoon, err)
}

func waitsForTable(ctx context.Context, db *sql.DB, id uint64) (bool, error) {
	var state sql.NullString
	err := db.QueryRowContext(ctx, "SELECT /* midflight */ state FROM information_schema.processlist WHERE id = ?", id).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return state.String == "Waiting for table metadata lock", err
}
