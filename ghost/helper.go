package ghost

import (
	"context"
	"database/sql"
	"fmt"

	"midflight/ghost/plan"
	"midflight/mysqld"
)

// A helper is what the shadow has only so that its rows can be found by the
// original's key (plan.Key.Helper): made on the empty shadow, dropped under the
// lock of the swap when everything is level, and made again if that swap does
// not take place.

// makeHelper tries on the empty shadow whether the server can drop the helper
// again, in the way in which it will have to under the lock.
func (r *run) makeHelper(ctx context.Context, p plan.Plan) (plan.Plan, error) {
	add, drop := r.tables.AddHelper(), r.tables.DropHelper()
	if len(add) == 0 {
		return p, nil
	}
	w := r.worker()
	defer w.close()
	for _, statements := range [][]string{add, drop, add} {
		err := w.use(ctx, func(conn *sql.Conn) error { return each(ctx, conn, statements) })
		if !mysqld.IsServerError(err) || mysqld.IsKilled(err) || mysqld.IsLockConflict(err) {
			if err != nil {
				return p, fmt.Errorf("make an index for the chunk key: %w", err)
			}
			continue
		}
		if err := r.drop(ctx, r.shadow); err != nil {
			return p, err
		}
		return r.smallOr(ctx, plan.NoHelper(err))
	}
	return p, nil
}

func each(ctx context.Context, conn *sql.Conn, statements []string) error {
	for _, q := range statements {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// dropHelper, under the lock: from here on nobody can look rows of the shadow up.
func (s *syncer) dropHelper(ctx context.Context, conn *sql.Conn) error {
	statements := s.tables.DropHelper()
	if len(statements) == 0 {
		return nil
	}
	s.helperGone = true
	// Not to be broken off: what was done would be hard to tell.
	if err := each(context.WithoutCancel(ctx), conn, statements); err != nil {
		return fmt.Errorf("%w: drop the index of the chunk key: %w", errTooSoon, err)
	}
	return nil
}

// restoreHelper, after a swap that did not take place. The index is built anew
// while nothing is applied; the stream is read on.
func (s *syncer) restoreHelper(ctx context.Context) error {
	if !s.helperGone {
		return nil
	}
	if err := s.idle(ctx); err != nil {
		return err
	}
	done := false
	s.startWith(s.appliers, helperJob, func(ctx context.Context, w *worker) func() error {
		err := s.rebuildHelper(ctx, w)
		return func() error {
			done, s.helperGone = true, false
			return wrap(err, "make the index for the chunk key again")
		}
	})
	return s.pump(ctx, func() bool { return done })
}

func (r *run) rebuildHelper(ctx context.Context, w *worker) error {
	return retry(ctx, patience, func() error {
		return w.use(ctx, func(conn *sql.Conn) error {
			for _, q := range r.tables.DropHelper() { // what is left of it
				if _, err := conn.ExecContext(ctx, q); err != nil && !mysqld.IsServerError(err) {
					return err
				}
			}
			return each(ctx, conn, r.tables.AddHelper())
		})
	})
}
