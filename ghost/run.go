package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"midflight/binlog"
	"midflight/ghost/plan"
	"midflight/ghost/rowsql"
	"midflight/mysqld"
	"midflight/schema"
)

// A run is one migration from its first phase to its last. It belongs to the
// goroutine that calls migrate; others see what it publishes.
type run struct {
	Config
	listener *listener
	hub      *binlog.Hub
	request  Request
	dry      bool // it only tells (Explain): nothing but its scratch schema is touched
	shown    atomic.Pointer[Status]
	stream   atomic.Pointer[binlog.Subscription] // nil: nothing is read
	lease    *lease
	gate     presence
	attempt
}

// An attempt is what a run knows and has done; when the server was away for long another
// begins with nothing but the checkpoint.
type attempt struct {
	scratch  scratch
	status   Status
	control  Control
	early    *early
	original *schema.Table
	// definition of the original as text, when the stream began; for details that
	// the description leaves out (comments).
	definition string
	shadow     schema.Name // zero: not made
	old        schema.Name // of the original after the swap; zero before
	oldAs      schema.Name // what old will be
	shadowAs   string      // the shadow's definition when the copy began
	resume     *Resume     // nil: from the beginning
	tables     rowsql.Tables
	deferred   []plan.Index // that the shadow gets when its rows are there
	swapped    bool         // the point of no return is passed
	moving     bool         // the triggers may be on neither table
	copyOnly   bool         // the server has taken back what it accepted on an empty table
	told       bool         // which prepared statements are open
	anew       int          // how often it was begun anew
	leftovers  bool         // of before it was begun anew

	// blockedSince is when others were first seen to be in the way of the lock; zero:
	// not since the phase was entered.
	blockedSince time.Time
	lasting      map[uint64]bool // connections that have held the table for long
}

func newAttempt(id int64, t schema.Name) attempt {
	return attempt{scratch: newScratch(id, t), status: Status{ID: id, Table: t, Phase: Queued, ETA: -1}}
}

// migrate is the algorithm of docs/algorithm.md.
func (r *run) migrate(ctx context.Context) Result {
	if err := r.awaitLease(ctx); err != nil {
		return Result{Err: err}
	}
	r.gate = presence{Gate: r.Gate}
	defer r.gate.leave()
	for {
		r.gate.enter() // while it is prepared all is sampled
		if err := r.dropLeftovers(ctx); err != nil {
			return Result{Err: err}
		}
		r.enter(ctx, Preparing)
		if nothing, err := r.reveals(ctx); nothing || err != nil {
			return Result{Err: err}
		}
		p, warnings, err := r.prepare(ctx)
		if r.beginsAnew(ctx, err) {
			continue
		}
		if err != nil {
			return Result{Err: err}
		}
		if err := r.publishInvisible(ctx); err != nil {
			return Result{Err: err}
		}
		r.status.Strategy, r.status.Reason = p.Path, p.Reason
		if p.Path != plan.Copy {
			r.gate.leave()
		}
		switch p.Path {
		case plan.Direct:
			return r.leave(ctx, p)
		case plan.Copy:
			result := r.copyAndSwap(ctx, p, warnings)
			if r.beginsAnew(ctx, result.Err) {
				continue
			}
			return result
		}
		r.tellPrepared(ctx)
		warnings, err = r.inServer(ctx, p)
		if !mysqld.IsAlgorithmRefused(err) || p.Asked {
			return Result{Warnings: warnings, Warned: int64(len(warnings)), Err: err}
		}
		// The empty table has no past: the 64th (later the 255th) row version,
		// for one, is refused on the original alone.
		r.log(ctx, "the server does not do it by %s after all: %v", p.Path, err)
		r.copyOnly = true
	}
}

// beginsAnew tells whether an error is of what was done before, and not of the change: the
// checkpoint can't be gone on from, or the binlog from where it was read. Then all is
// begun anew, which the history tells.
func (r *run) beginsAnew(ctx context.Context, err error) bool {
	var u *unfit
	var lost *binlog.LostPosition
	if r.swapped || !errors.As(err, &u) && !errors.As(err, &lost) {
		return false
	}
	if r.anew++; r.anew > mostAnew {
		return false
	}
	r.log(ctx, "begun anew: %v", err)
	r.resume, r.leftovers = nil, true
	return true
}

// mostAnew is how often a migration is begun anew.
const mostAnew = 3

// dropLeftovers drops what was made before it was begun anew.
func (r *run) dropLeftovers(ctx context.Context) error {
	if !r.leftovers {
		return nil
	}
	claimed, err := r.Store.Claimed(ctx, r.status.ID)
	if err != nil {
		return err
	}
	w := r.worker()
	defer w.close()
	err = w.use(ctx, func(conn *sql.Conn) error {
		for _, t := range claimed {
			if err := r.dropBy(ctx, conn, t); err != nil {
				return err
			}
		}
		return nil
	})
	r.leftovers = err != nil
	return err
}

// awaitLease waits while another Midflight migrates the table, or somebody has still to
// take over an earlier migration of it.
func (r *run) awaitLease(ctx context.Context) error {
	if r.lease != nil { // taken with the migration
		return nil
	}
	for {
		orphans, err := r.Store.Orphans(ctx, r.request.Table)
		if err != nil {
			return err
		}
		earlier := len(orphans) > 0 && orphans[0].ID < r.status.ID
		l, err := (*lease)(nil), error(nil)
		if !earlier {
			l, err = takeLease(ctx, r.DB, r.request.Table)
		}
		if err != nil {
			return err
		}
		if l != nil {
			r.lease = l
			return nil
		}
		r.waitingFor(ctx, "another Midflight, which migrates the table")
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
}

func (r *run) copyAndSwap(ctx context.Context, p plan.Plan, own []Warning) Result {
	s, err := r.follow(ctx, p)
	if err != nil {
		return Result{Err: err}
	}
	defer s.stop()
	if r.resume != nil {
		if err := s.goOn(ctx, r.resume); err != nil {
			return Result{Err: err}
		}
	}
	warned, err := s.copyAndSwap(ctx, own)
	if warned.count > 0 {
		r.record(ctx, Entry{Kind: EntryWarning, Text: fmt.Sprintf("%d warnings", warned.count)})
	}
	for _, w := range warned.texts[:min(10, len(warned.texts))] {
		r.record(ctx, Entry{Kind: EntryWarning, Text: fmt.Sprintf("%s %d: %s", w.Level, w.Code, w.Message)})
	}
	result := Result{Rows: s.count.rows, Warnings: warned.texts, Warned: warned.count, Err: err}
	if p.Counted {
		result.Records = s.count.rows
	}
	return result
}

func (s *syncer) copyAndSwap(ctx context.Context, own []Warning) (warned serverWarnings, err error) {
	if err := s.readControl(ctx); err != nil { // given while it was queued or prepared
		return warned, err
	}
	if _, err := snapshots(ctx, s.DB, s.Flavor); err != nil { // the swap will have to ask
		return warned, err
	}
	s.enter(ctx, Copying)
	if err := s.copyRows(ctx); err != nil {
		return warned, err
	}
	if err := s.buildIndexes(ctx); err != nil {
		return warned, err
	}
	if warned, err = s.warnings(ctx, own); err != nil {
		return warned, err
	}
	s.enter(ctx, CatchingUp)
	if err := s.catchUp(ctx); err != nil {
		return warned, err
	}
	s.enter(ctx, Verifying)
	if err := s.verifyAll(ctx); err != nil {
		return warned, err
	}
	if err := s.analyze(ctx); err != nil {
		return warned, err
	}
	for {
		s.enter(ctx, Ready)
		if err := s.awaitLeave(ctx); err != nil {
			return warned, err
		}
		s.tellPrepared(ctx)
		s.enter(ctx, CuttingOver)
		err := s.cutOver(ctx)
		if err == nil {
			s.recordVerified(context.WithoutCancel(ctx)) // what was compared under the lock included
			return warned, nil
		}
		if !errors.Is(err, errTooSoon) {
			return warned, err
		}
	}
}

// enter goes to the next phase and tells everybody.
func (r *run) enter(ctx context.Context, p Phase) {
	r.status.Phase.mustGoTo(p)
	r.status.Phase = p
	r.status.WaitingFor, r.status.waiting = "", ""
	r.blockedSince, r.lasting = time.Time{}, map[uint64]bool{}
	r.Observe(PhaseChanged{r.status.ID, r.request.Table, p})
	r.publish(ctx)
	r.record(ctx, Entry{Kind: EntryPhase, Phase: p, Text: "phase " + string(p)})
}

// publish shows the status as it is. That the store can't be written now is no
// reason to stop: the phase's own statements will meet the same server.
func (r *run) publish(ctx context.Context) {
	s := r.status
	r.shown.Store(&s)
	r.Store.Save(ctx, s)
}

// waitingFor shows why nothing moves.
func (r *run) waitingFor(ctx context.Context, reason string) {
	if reason == "" {
		r.status.waiting = ""
	}
	if r.status.WaitingFor != reason {
		r.status.WaitingFor = reason
		r.publish(ctx)
	}
}

// readControl takes notice of the operator's wishes.
func (r *run) readControl(ctx context.Context) error {
	c, err := r.Store.Control(ctx, r.status.ID)
	if err != nil {
		return err
	}
	r.control = c
	if c.Cancel {
		return ErrCanceled
	}
	return nil
}

// cleanUp leaves nothing of ours behind but the record, and the old table. It
// may be repeated.
func (r *run) cleanUp(ctx context.Context) error {
	conn, err := r.DB.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer discard(conn)
	if err := r.Store.Admit(ctx, conn, r.status.ID); err != nil {
		return err
	}
	err = r.scratch.drop(ctx, conn)
	if r.lease == nil { // nothing was begun
		return err
	}
	claimed, claimedErr := r.Store.Claimed(ctx, r.status.ID)
	err = errors.Join(err, claimedErr)
	if r.moving { // the server was away for longer than the swap's patience
		if mendErr := r.mendOrLog(ctx, r.status.ID, r.original.Triggers, r.original.Name, claimed...); mendErr != nil {
			return errors.Join(err, mendErr)
		}
		r.moving = false
	}
	for _, t := range claimed {
		if t != r.old {
			err = errors.Join(err, r.dropBy(ctx, conn, t))
		}
	}
	if r.old != (schema.Name{}) {
		err = errors.Join(err, r.keepOld(ctx, r.status.ID, r.old))
	}
	return err
}

// end gives the table free for the next migration.
func (r *run) end() {
	r.early.close()
	if r.lease != nil {
		r.lease.end()
	}
}

// retry runs f again after a lock conflict or a lost connection, with growing
// pauses, until patience ends. f must be safe to run again.
func retry(ctx context.Context, patience time.Duration, f func() error) error {
	var deadline time.Time // from the first failure on: f may take hours
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := f()
		if deadline.IsZero() {
			deadline = time.Now().Add(patience)
		}
		if err == nil || !(mysqld.IsLockConflict(err) || mysqld.IsConnectionLost(err) || mysqld.IsTooManyConnections(err)) || time.Now().After(deadline) {
			return err
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// follow reads the binlog from a place whose past every later read sees.
func (r *run) follow(ctx context.Context, p plan.Plan) (_ *syncer, err error) {
	changes, err := r.subscribe(ctx, p)
	r.early.close()
	r.early = nil
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			changes.Close()
		}
	}()
	// DDL from here on is in the stream; what came since the plan was made is not.
	now, err := r.readTable(ctx, r.status.ID, r.original.Name)
	if err != nil {
		return nil, err
	}
	if !now.SameDefinition(r.original) {
		return nil, obstacle("somebody changed the definition of %s while the migration was being prepared. Send the statement again", r.original.Name)
	}
	if r.definition, err = definitionOf(ctx, r.DB, r.original.Name); err != nil {
		return nil, err
	}
	if err := r.mustBeLogged(ctx); err != nil {
		return nil, err
	}
	if r.resume == nil {
		facts, err := r.facts(changes.Server())
		if err == nil {
			err = r.Store.Begin(ctx, r.status.ID, facts, changes.From)
		}
		if err != nil {
			return nil, err
		}
	}
	visibility, err := binlog.NewVisibility(ctx, r.DB, r.Flavor)
	if err != nil {
		return nil, fmt.Errorf("ask how the server tells what is visible: %w", err)
	}
	names, err := closure(ctx, r.DB, r.original.Name)
	if err != nil {
		return nil, err
	}
	return newSyncer(ctx, r, changes, visibility, p, names), nil
}

// subscribe waits while XA transactions are prepared, whose changes nobody will tell.
func (r *run) subscribe(ctx context.Context, p plan.Plan) (*binlog.Subscription, error) {
	watch := []binlog.Watch{{Table: r.original, Key: p.Key.Original}}
	if r.resume != nil {
		changes, err := r.hub.Resume(ctx, r.resume.Position, r.resume.Server, watch)
		return changes, wrap(err, "follow the binlog from the checkpoint")
	}
	for {
		changes, err := r.hub.Subscribe(ctx, watch)
		var prepared *binlog.XAPreparedError
		if !errors.As(err, &prepared) {
			return changes, wrap(err, "follow the binlog")
		}
		r.waitingFor(ctx, "prepared XA transactions: "+prepared.Error())
		if err := sleep(ctx, time.Second); err != nil {
			return nil, err
		}
		if err := r.readControl(ctx); err != nil {
			return nil, err
		}
	}
}
