package ghost

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/schema"
)

// adopt takes over the migrations whose Midflight is gone, when they are seen for the
// second time after grace: after a lost connection theirs may be about to announce itself
// again. Whoever gets the lease on the table knows that nobody works on it.
func (q *Queue) adopt(ctx context.Context) (tickets []*Ticket, err error) {
	orphans, err := q.Store.Orphans(ctx, schema.Name{})
	if err != nil {
		return nil, err
	}
	since := map[int64]time.Time{}
	for _, o := range orphans {
		seen, ok := q.orphans[o.ID]
		if !ok {
			seen = time.Now()
		}
		if since[o.ID] = seen; time.Since(seen) < grace {
			continue
		}
		l, e := takeLease(ctx, q.DB, o.Table)
		if e != nil {
			return tickets, errors.Join(err, e)
		}
		if l == nil {
			continue
		}
		t, e := q.takeOver(ctx, o, l)
		if e != nil { // the others may be well
			err = errors.Join(err, fmt.Errorf("m%d: %w", o.ID, e))
		}
		if t == nil {
			l.end()
			continue
		}
		tickets = append(tickets, t)
	}
	q.orphans = since
	return tickets, err
}

// grace is how long an orphan must have been one.
const grace = 2 * time.Second

// takeOver makes an orphan ours: nil if somebody else has it, or nobody can go on with it.
func (q *Queue) takeOver(ctx context.Context, o Orphan, l *lease) (*Ticket, error) {
	if ours, err := q.Store.Adopt(ctx, o); !ours || err != nil {
		return nil, err
	}
	request, err := DecodeRequest(o.Request, q.Flavor)
	if o.Request == nil || err != nil {
		return nil, q.bury(ctx, o.Status, obstacle("Midflight was stopped while the migration ran, and its record can't be gone on with (%v); the table is as it was. Send the statement again", err))
	}
	request.User, request.Host, request.Session = o.User, o.Host, o.Session
	t := q.ticket(o.ID, request)
	t.run.status, t.run.lease, t.adopted = o.Status, l, true
	t.run.shown.Store(&o.Status)
	q.Observe(TakenOver{o.ID, o.Table, o.Phase})
	return t, nil
}

// takeUp finds out what became of what somebody has begun, us or another: Completed,
// Canceled, or else what a fresh attempt can go on from. It may be repeated.
func (q *Queue) takeUp(ctx context.Context, fresh *attempt, s Status) (found Phase, err error) {
	if err := q.endWork(ctx, s.ID); err != nil {
		return "", err
	}
	if err := q.dropScratches(ctx, s.ID, newScratch(s.ID, s.Table), rowsScratch(s.ID, s.Table)); err != nil {
		return "", err
	}
	claimed, err := q.Store.Claimed(ctx, s.ID)
	if err != nil {
		return "", err
	}
	resume, err := q.Store.Resume(ctx, s.ID)
	if err != nil {
		return "", err
	}
	done := false
	switch s.Strategy {
	case "":
	case plan.Copy:
		done, err = q.wasSwapped(ctx, s, claimed)
	default:
		done, err = q.wasAltered(ctx, s, resume)
	}
	if err != nil {
		return "", err
	}
	triggers, err := q.Store.Triggers(ctx, s.ID)
	if err == nil {
		err = q.mendOrLog(ctx, s.ID, triggers, s.Table, claimed...)
	}
	if err == nil && len(triggers) > 0 {
		err = q.Store.SaveTriggers(ctx, s.ID, nil)
	}
	if err != nil {
		return "", err
	}
	if done {
		return Completed, nil
	}
	if control, err := q.Store.Control(ctx, s.ID); err != nil {
		return "", err
	} else if control.Cancel {
		return Canceled, nil
	}
	why := resume.usable()
	if s.Strategy == plan.Copy && why == "" {
		fresh.resume = resume
		return "", nil
	}
	fresh.leftovers = true
	if s.Strategy == plan.Copy {
		q.Store.Log(ctx, s.ID, note("begun anew after phase %s: %s", s.Phase, why))
	}
	return "", nil
}

// bury records the end of a migration that nobody can go on with, and drops what is left
// of it.
func (q *Queue) bury(ctx context.Context, s Status, why error) error {
	found, err := q.takeUp(ctx, new(attempt), s)
	if err != nil {
		return err
	}
	claimed, err := q.Store.Claimed(ctx, s.ID)
	if err != nil {
		return err
	}
	if s.Phase, s.WaitingFor = Failed, ""; found == Completed {
		s.Phase, s.Progress, why = Completed, 1, nil
	}
	for _, t := range claimed {
		if s.Phase == Completed && (t == oldName(s.Table, s.ID) || t == apartOld(s.Table, s.ID)) {
			continue
		}
		if err := q.dropOf(ctx, s.ID, t); err != nil {
			return err
		}
	}
	if err := q.Store.Finish(ctx, s, Result{Err: why}); err != nil {
		return err
	}
	q.Observe(Ended{s.ID, s.Table, s.Phase, 0, why})
	return nil
}

// wasAltered tells whether a change that needs no copy was made: the server does it
// whole or not at all. One that doesn't show must not be made again: DROP COLUMN a, ADD
// COLUMN a would take what was written since.
func (q *Queue) wasAltered(ctx context.Context, s Status, before *Resume) (bool, error) {
	if before == nil {
		return false, nil
	}
	now, err := definitionOf(ctx, q.DB, s.Table)
	if mysqld.Number(err) == mysqld.ErrNoSuchTable || errors.Is(err, schema.ErrNotFound) {
		return false, nil // what is tried next will say it
	}
	if err == nil && now == before.Definition && !before.Shows {
		return false, obstacle("Midflight was gone while the server changed the table, and its definition doesn't tell whether that was done. Look at the table before you send the statement again")
	}
	return now != before.Definition, err
}

// endWork ends what the server still does for a migration, and the connections that were
// admitted to it: a RENAME that waits would make what is found now untrue, and who was
// stopped would go on writing when he wakes up.
func (q *Queue) endWork(ctx context.Context, id int64) error {
	if err := q.endStatements(ctx, id); err != nil {
		return err
	}
	connections, err := q.Store.Admitted(ctx, id)
	if err != nil {
		return err
	}
	for _, c := range connections {
		if err := q.endSession(ctx, c); err != nil {
			return fmt.Errorf("end its connections: %w", err)
		}
	}
	return nil
}

// endStatements ends what the server still does for a migration whose Midflight is gone:
// a RENAME that waits would make what is found now untrue.
func (q *Queue) endStatements(ctx context.Context, id int64) error {
	all, err := mysqld.FullProcesses(ctx, q.DB)
	if err != nil {
		return fmt.Errorf("look for its statements: %w", err)
	}
	for _, p := range all {
		if !strings.Contains(p.Statement, fmt.Sprintf("/* midflight m%d */", id)) {
			continue
		}
		if err := q.endSession(ctx, p.ID); err != nil {
			return fmt.Errorf("end its statements: %w", err)
		}
	}
	return nil
}

// wasSwapped reads the truth from the names: the swap is one RENAME that takes
// the shadow's name away and makes the old table's.
func (q *Queue) wasSwapped(ctx context.Context, s Status, claimed []schema.Name) (bool, error) {
	exists := func(t schema.Name) (bool, error) { return schema.Exists(ctx, q.DB, t) }
	if ok, err := exists(s.Table); !ok || err != nil {
		return false, err
	}
	for _, shadow := range []schema.Name{shadowName(s.Table, s.ID), lateShadowName(s.Table, s.ID), apartShadow(s.Table, s.ID)} {
		if there, err := exists(shadow); there || err != nil {
			return false, err
		}
	}
	late := lateOldName(s.Table, s.ID)
	if there, err := exists(late); there || err != nil {
		if err != nil {
			return false, err
		}
		var comment string
		if err := q.DB.QueryRowContext(ctx, "SELECT /* midflight */ table_comment FROM information_schema.tables WHERE table_schema = ? AND table_name = ?", late.Schema, late.Table).Scan(&comment); err != nil {
			return false, err
		}
		if comment == sentryComment { // of a clean-up that was broken off
			return false, nil
		}
		// On MariaDB: swapped, and the old table has not its last name yet.
		if err := q.alone(ctx, s.ID, "RENAME /* midflight */ TABLE "+late.Quoted()+" TO "+oldName(s.Table, s.ID).Quoted()); err != nil {
			return false, err
		}
	}
	for _, old := range []schema.Name{oldName(s.Table, s.ID), apartOld(s.Table, s.ID)} {
		there, err := exists(old)
		if there && err == nil {
			err = q.keepOld(ctx, s.ID, old)
		}
		if there || err != nil {
			return there, err
		}
	}
	return false, nil
}

// dropDue drops the old tables whose time has come, and what an Explain has left.
func (q *Queue) dropDue(ctx context.Context) error {
	if err := dropStale(ctx, q.DB); err != nil {
		return err
	}
	due, err := q.Store.Due(ctx)
	if err != nil {
		return err
	}
	for _, t := range due {
		if err := q.drop(ctx, t); err != nil {
			return err
		}
	}
	return nil
}
