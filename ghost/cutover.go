package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"midflight/binlog"
	"midflight/mysqld"
	"midflight/parser"
	"midflight/schema"
)

// cutOver swaps the tables in the first gap that is long enough.
func (s *syncer) cutOver(ctx context.Context) error {
	g, err := s.openSwap(ctx)
	if err != nil {
		return err
	}
	defer func() { g.close() }()
	hold := s.Bounds.Hold
	heard := time.Now()
	for pause := s.Bounds.Pause; ; pause = min(2*pause, s.Bounds.maxPause()) {
		err := s.awaitQuiet(ctx, g)
		if err == nil {
			heard = time.Now()
			if !s.request.CutOver.Open(heard, s.control.CutOver) {
				return errTooSoon
			}
			err = s.attempt(ctx, g, hold)
		} else if lost(err) && !errors.Is(err, errStream) && time.Since(heard) < patience {
			err = fmt.Errorf("%w: %w", errTooSoon, err)
		}
		if err == nil || !errors.Is(err, errTooSoon) {
			return err
		}
		if errors.Is(err, errOverran) {
			hold = min(2*hold, s.Bounds.maxHold())
		}
		// The lock session may be anywhere in its statements: a new one. (What the
		// old one still does, it does before it gives its locks up.)
		g.close()
		if err := s.forgetTriggers(ctx); err != nil {
			return err
		}
		another, err := s.openSwap(ctx)
		if err != nil {
			return err
		}
		g = another
		if err := s.restoreHelper(ctx); err != nil {
			return err
		}
		if err := s.pumpFor(ctx, pause); err != nil {
			return err
		}
	}
}

// openSwap opens a gap for the swap. Who reads the shadow table is in its way, too.
func (s *syncer) openSwap(ctx context.Context) (g *gap, err error) {
	err = retry(ctx, patience, func() (err error) {
		g, err = s.openGap(ctx, rowSession(s.request.Settings, s.plan), s.original.Name, s.shadow)
		return err
	})
	if err == nil {
		g.copied = true
	}
	return g, err
}

func (s *syncer) pumpFor(ctx context.Context, d time.Duration) error {
	until := time.Now().Add(d)
	return s.pump(ctx, func() bool { return time.Now().After(until) })
}

// awaitQuiet stays in sync until next to nothing is left to be done under the
// lock and nobody holds the table for long. Who holds it is asked last: the gap
// between two long transactions may be short.
func (s *syncer) awaitQuiet(ctx context.Context, g *gap) error {
	if err := s.countAgain(ctx); err != nil {
		return err
	}
	if err := s.fence(ctx); err != nil {
		return err
	}
	if err := s.mustBeWrittenHereOnly(ctx); err != nil { // since the path was chosen it may have come into a cluster
		return err
	}
	s.ownTriggers = false
	around, err := lookAround(ctx, s.DB, s.Flavor)
	if err != nil {
		return err
	}
	s.around = around
	if err := s.pump(ctx, func() bool { return s.backlog.Len() <= smallBacklog && s.verified() }); err != nil {
		return err
	}
	if err := s.mustBeAsItWas(ctx); err != nil {
		return err
	}
	if err := s.lease.hold(ctx); err != nil {
		return err
	}
	if err := s.raiseAutoIncrement(ctx, g.lock); err != nil {
		return err
	}
	if err := g.awaitFree(ctx, s.pumpFor); err != nil {
		return err
	}
	return g.awaitLull(ctx, s.pumpFor)
}

// attempt is one pass of hold, drain, lock, swap, release.
func (s *syncer) attempt(ctx context.Context, g *gap, hold time.Duration) error {
	if err := s.idle(ctx); err != nil {
		return err
	}
	if s.count.lost.Load() {
		return fmt.Errorf("%w: the rows have to be counted", errTooSoon)
	}
	if err := g.mindSilence(ctx); err != nil {
		return err
	}
	swap := s.swapMySQL
	if s.Flavor.MariaDB {
		swap = s.swapMariaDB
	}
	return g.through(ctx, hold, func(ctx context.Context) error {
		err := swap(ctx, g)
		if s.swapped { // and a lost answer was found to be a yes
			g.outdate(ctx)
		}
		if err == nil {
			return nil
		}
		if err := g.giveUp(context.WithoutCancel(ctx), err); err != nil {
			s.log(ctx, "the session of the exclusive lock can't be ended: %v", err)
		}
		if lost(err) && !errors.Is(err, errTooSoon) {
			return fmt.Errorf("%w: %w", errTooSoon, err)
		}
		return err
	})
}

// mindSilence has the server end the lock session by itself when nothing comes from it
// for longer than an attempt may last: if our machine or the network dies, nobody tells
// the server, and wait_timeout is 8 hours.
func (g *gap) mindSilence(ctx context.Context) error {
	seconds := 5 + int(g.Bounds.maxHold()/time.Second)
	_, err := g.lock.ExecContext(ctx, fmt.Sprintf("SET /* midflight */ SESSION wait_timeout = %d", seconds))
	if lost(err) {
		return fmt.Errorf("%w: %w", errTooSoon, err)
	}
	return wrap(err, "set up the session of the exclusive lock")
}

// swapMySQL does everything in one session that has both tables locked.
// (RENAME under LOCK TABLES: MySQL ≥ 8.0.13, WL#9826.)
func (s *syncer) swapMySQL(ctx context.Context, g *gap) error {
	original, shadow, old := s.original.Name, s.shadow, s.oldAs
	if err := g.lockedBy(ctx, fmt.Sprintf("LOCK /* midflight m%d */ TABLES %s WRITE, %s WRITE", s.status.ID, original.Quoted(), shadow.Quoted()), g.rest()/2); err != nil {
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
	if err := s.mustBeOnlyPrimary(ctx, g.lock); err != nil {
		return err
	}
	if err := s.dropHelper(ctx, g.lock); err != nil {
		return err
	}
	if err := g.commit(); err != nil {
		return err
	}
	if err := s.journalTriggers(ctx, g.rest()); err != nil {
		return err
	}
	// Not to be broken off: whether it was done would be hard to tell.
	ctx = context.WithoutCancel(ctx)
	s.ownTriggers = true
	err = s.takeTriggers(ctx, g.lock)
	if err == nil {
		_, err = g.lock.ExecContext(ctx, fmt.Sprintf("RENAME /* midflight m%d */ TABLE %s TO %s, %s TO %s", s.status.ID, original.Quoted(), old.Quoted(), shadow.Quoted(), original.Quoted()))
	}
	if err == nil {
		s.swapped, s.old = true, old
		err = giveTriggers(ctx, g.lock, s.Flavor, s.original.Triggers, original)
	}
	if err != nil {
		return s.notSwappedAtOnce(ctx, g, err, shadow, old)
	}
	s.moving = false
	g.did("renamed")
	if _, err := g.lock.ExecContext(ctx, "UNLOCK /* midflight */ TABLES"); err != nil {
		g.giveUp(ctx, err)
	}
	g.lockedFor = time.Since(locked)
	g.outdate(ctx)
	return nil
}

// notSwappedAtOnce finds out what became of a swap of which a statement failed or
// got no answer, and gives the triggers to the table that has the name now.
func (s *syncer) notSwappedAtOnce(ctx context.Context, g *gap, err error, shadow, old schema.Name) error {
	if len(s.original.Triggers) == 0 {
		return s.renamed(ctx, g, err, shadow, old)
	}
	if !s.swapped { // fails where the lock is not ours any more
		s.remakeTriggers(ctx, g.lock, s.status.ID, s.original.Triggers, s.original.Name)
	}
	cause := err
	if !s.swapped {
		err = s.renamed(ctx, g, err, shadow, old)
	}
	mendErr := g.giveUp(ctx, cause)
	mended := false
	if mendErr == nil {
		mendErr = retry(ctx, patience, func() (err error) {
			mended, err = s.mendTriggers(ctx, s.status.ID, s.original.Triggers, s.original.Name, shadow, old)
			return err
		})
	}
	s.moving = mendErr != nil
	if mended || mendErr != nil {
		s.log(ctx, "the triggers were made anew after a lost connection (error: %v)", mendErr)
	}
	switch {
	case s.swapped: // where the triggers are not back yet, cleanUp tries on
		return nil
	case mendErr == nil && errors.Is(err, errTooSoon):
		return s.triggersAreBack(ctx, err)
	}
	return obstacle("the swap failed while the triggers were moved (%v); the table is as it was. Send the statement again", errors.Join(err, mendErr))
}

// settleUnderLock brings the shadow level with the original, which nobody can
// write now, and compares what was changed since it was last compared.
//
// Invariant: the lock session has both tables exclusively, so every transaction
// that changed the original has ended and is visible, and the marker that is
// written now comes behind all of them in the stream.
func (s *syncer) settleUnderLock(ctx context.Context, g *gap) error {
	conn, bound := g.lock, g.rest()
	until, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	tooLong := func(err error) error {
		if err != nil && until.Err() != nil && ctx.Err() == nil {
			return fmt.Errorf("%w: not level after %s", errOverran, bound.Round(time.Millisecond))
		}
		return err
	}
	token, err := s.writeFence(until)
	if err != nil {
		return tooLong(err)
	}
	for !s.fences[token] {
		select {
		case tx := <-s.txs:
			if err := s.receive(tx); err != nil {
				return err
			}
		case err := <-s.streamE:
			return fmt.Errorf("%w: %w", errStream, err)
		case <-until.Done():
			return tooLong(context.Cause(until))
		}
	}
	g.did("heard")
	if err := s.nothingHid(); err != nil {
		return err
	}
	everything := func(*binlog.TxID) bool { return true }
	for {
		keys := s.backlog.Take(batch, everything, s.copied.Place)
		if len(keys) == 0 {
			break
		}
		g.applied = true
		// No transaction: BEGIN would give the table locks up, and nobody sees
		// the shadow between the two statements.
		delta, err := deleteAndInsert(until, conn, s.tables, keys)
		s.count.rows += delta
		s.count.heard(err)
		if err != nil {
			s.backlog.Return(keys)
			// The rows may be gone from the shadow, and one of them be known by
			// another spelling to the verification.
			for _, k := range s.verify.Keys() {
				s.backlog.Again(k, s.last)
			}
			if mysqld.IsDuplicateKey(err) || mysqld.IsKilled(err) { // told apart without the lock; a late watchdog
				return fmt.Errorf("%w: %w", errTooSoon, err)
			}
			return tooLong(err)
		}
		s.backlog.Done(keys)
		s.verify.Applied(keys)
	}
	g.did("applied")
	for s.verify.Left() > 0 {
		keys := s.verify.Settled(batch, s.backlog.Has)
		different, err := differentRows(until, conn, s.tables.RowChecksums(keys), s.tables)
		if err != nil {
			s.verify.Again(keys)
			s.verify.Forget()
			return tooLong(err)
		}
		s.compared.Changed += len(keys)
		s.verify.Forget()
		if len(different) > 0 {
			s.Observe(Diverged{s.status.ID, s.request.Table})
			return obstacle("the shadow table is not equal to the original under the lock: %d rows differ, one with key (%s). The tables are not swapped. Please report this",
				len(different), different[0])
		}
	}
	if s.backlog.Len() > 0 {
		return obstacle("BUG: %d keys are left in the backlog under the lock", s.backlog.Len())
	}
	g.did("compared")
	if err := s.mustNotRenumber(until, conn); err != nil {
		return tooLong(err)
	}
	return tooLong(s.raiseAutoIncrement(until, conn))
}

// renamed tells what became of a RENAME. A lost connection is neither success
// nor failure: the server's catalogue knows.
func (s *syncer) renamed(ctx context.Context, g *gap, err error, shadow, old schema.Name) error {
	if err == nil {
		s.swapped, s.old = true, old
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	// A backup that has begun since nobody was seen to hold anything; a KILL QUERY after
	// which the table could not be opened again under its lock; MariaDB's lock session
	// died, and the sentry is still there, or a KILL met the reading of the triggers.
	if mysqld.IsLockConflict(err) || mysqld.Number(err) == mysqld.ErrTableNotLocked || s.Flavor.MariaDB && (mysqld.Number(err) == mysqld.ErrTableExists || isHalfRead(err)) {
		return fmt.Errorf("%w: %w", errTooSoon, err)
	}
	if mysqld.IsServerError(err) && !mysqld.IsKilled(err) {
		return fmt.Errorf("swap the tables: %w", err)
	}
	// The server may still be at it after the connection is gone.
	if gone := g.end(ctx); gone != nil {
		return obstacle("swap the tables: %v; and the session that does it can't be ended: %v", err, gone)
	}
	asked := retry(ctx, patience, func() error {
		there, err := schema.Existing(ctx, s.DB, old, shadow)
		switch {
		case err != nil:
			return err
		case slices.Contains(there, shadow): // old may be MariaDB's sentry
			return nil
		case slices.Contains(there, old):
			s.swapped, s.old = true, old
			return nil
		}
		return fmt.Errorf("neither %s nor %s is there", shadow, old)
	})
	if s.swapped {
		return nil
	}
	if asked != nil {
		return obstacle("swap the tables: %v; and whether it was done can't be told: %v", err, asked)
	}
	return fmt.Errorf("%w: %w", errTooSoon, err)
}

// raiseAutoIncrement, on the lock session, which is shown fresh numbers, lets the shadow go on counting where the original is. Ids
// that were given and deleted again must not be given a second time.
func (s *syncer) raiseAutoIncrement(ctx context.Context, q mysqld.Queryer) error {
	for _, a := range s.request.Statement.Actions {
		if a.Kind == parser.AutoIncrement { // the user's own number
			return nil
		}
	}
	var original, shadow sql.NullString
	for t, into := range map[schema.Name]*sql.NullString{s.original.Name: &original, s.shadow: &shadow} {
		if err := s.autoIncrement(ctx, q, t, into); err != nil {
			return err
		}
	}
	if !original.Valid || !shadow.Valid || !less(shadow.String, original.String) {
		return nil
	}
	_, err := q.ExecContext(ctx, fmt.Sprintf("ALTER TABLE /* midflight m%d */ %s AUTO_INCREMENT = %s", s.status.ID, s.shadow.Quoted(), original.String))
	return wrap(err, "set AUTO_INCREMENT of the shadow table")
}

func less(a, b string) bool { return len(a) < len(b) || len(a) == len(b) && a < b }

func (s *syncer) autoIncrement(ctx context.Context, q mysqld.Queryer, t schema.Name, into *sql.NullString) error {
	err := q.QueryRowContext(ctx, "SELECT /* midflight */ auto_increment FROM information_schema.tables WHERE table_schema = ? AND table_name = ?", t.Schema, t.Table).Scan(into)
	return wrap(err, "read AUTO_INCREMENT of %s", t)
}
