package ghost

import (
	"context"
	"errors"
	"fmt"

	"midflight/schema"
)

// recover ends migrations whose Midflight is gone. Whoever gets the lease on the
// table knows that nobody works on it. What is left of them is removed; the
// original was never touched before the swap.
func (q *Queue) recover(ctx context.Context) error {
	orphans, err := q.Store.Orphans(ctx)
	if err != nil {
		return err
	}
	for _, s := range orphans {
		l, e := takeLease(ctx, q.DB, s.Table)
		if e != nil {
			return errors.Join(err, e)
		}
		if l == nil {
			continue
		}
		if e := q.bury(ctx, s); e != nil { // the others may be well
			err = errors.Join(err, fmt.Errorf("m%d: %w", s.ID, e))
		}
		l.end()
	}
	return err
}

func (q *Queue) bury(ctx context.Context, s Status) error {
	result := Result{Err: obstacle("Midflight was stopped while the migration ran; the table is as it was. Send the statement again")}
	claimed, err := q.Store.Claimed(ctx, s.ID)
	if err != nil {
		return err
	}
	if err := q.endStatements(ctx, s.ID); err != nil {
		return err
	}
	s.Phase, s.WaitingFor = Failed, ""
	if s.Strategy == "copy" {
		swapped, err := q.wasSwapped(ctx, s, claimed)
		if err != nil {
			return err
		}
		if swapped {
			s.Phase, result.Err = Completed, nil
		}
	}
	triggers, err := q.Store.Triggers(ctx, s.ID)
	if err != nil {
		return err
	}
	if err := q.mendOrLog(ctx, s.ID, triggers, s.Table, claimed...); err != nil {
		return err
	}
	for _, t := range claimed {
		if s.Phase == Completed && (t == oldName(s.Table, s.ID) || t == apartOld(s.Table, s.ID)) {
			continue
		}
		if err := q.drop(ctx, t); err != nil {
			return err
		}
	}
	for _, sc := range []scratch{newScratch(s.ID, s.Table), rowsScratch(s.ID, s.Table)} {
		if err := sc.drop(ctx, q.DB); err != nil {
			return err
		}
	}
	if err := q.Store.Finish(ctx, s, result); err != nil {
		return err
	}
	q.Observe(Ended{s.ID, s.Table, s.Phase, 0, result.Err})
	return nil
}

// endStatements ends what the server still does for a migration whose Midflight is gone:
// a RENAME that waits would make what is found now untrue.
func (q *Queue) endStatements(ctx context.Context, id int64) error {
	rows, err := q.DB.QueryContext(ctx, "SELECT /* midflight */ id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND INSTR(info, ?) > 0", fmt.Sprintf("/* midflight m%d */", id))
	if err != nil {
		return fmt.Errorf("look for its statements: %w", err)
	}
	defer rows.Close()
	var ids []uint64
	for rows.Next() {
		var id uint64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, id := range ids {
		if err := q.endSession(ctx, id); err != nil {
			return fmt.Errorf("end its statements: %w", err)
		}
	}
	return nil
}

// wasSwapped reads the truth from the names: the swap is one RENAME that takes
// the shadow's name away and makes the old table's.
func (q *Queue) wasSwapped(ctx context.Context, s Status, claimed []schema.Name) (bool, error) {
	exists := func(t schema.Name) (bool, error) {
		_, err := schema.Read(ctx, q.DB, t)
		if errors.Is(err, schema.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	}
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
		if _, err := q.DB.ExecContext(ctx, "RENAME /* midflight */ TABLE "+lateOldName(s.Table, s.ID).Quoted()+" TO "+oldName(s.Table, s.ID).Quoted()); err != nil {
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

// dropDue drops the old tables whose time has come.
func (q *Queue) dropDue(ctx context.Context) error {
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
