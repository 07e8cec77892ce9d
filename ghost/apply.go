package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"midflight/binlog"
	"midflight/ghost/backlog"
	"midflight/ghost/rowsql"
	"midflight/mysqld"
)

// batch is how many keys one transaction applies.
const batch = 500

// dispatchApply has what is visible applied, and asks what has become visible. Whatever
// a horizon covers it covers for ever, so one is good for many batches.
func (s *syncer) dispatchApply() {
	if s.backlog.Len() == 0 { // also after exactly a batch
		s.endTurn(false)
	}
	if s.backlog.Len() == 0 && len(s.unseen) == 0 {
		return
	}
	if !s.copied.Integers() && !s.copied.Between() {
		return // nothing could be taken
	}
	for s.fresh && s.busy[applyJob] < s.mayApply() {
		keys := s.backlog.Take(batch, s.covers, s.copied.Place)
		s.fresh = backlog.Full(keys, batch)
		if s.copied.Between() {
			s.endTurn(s.fresh)
		}
		if len(keys) > 0 {
			s.applyKeys(keys)
		}
	}
	if s.look && !s.fresh && s.busy[horizonJob] == 0 && time.Since(s.looked) >= s.patient() {
		s.look = false
		s.readHorizon()
	}
}

// mayApply is how many batches may be under way: more than one only when it is worth it.
// Where other keys need not be other rows it is one (invariant 6b).
func (s *syncer) mayApply() int {
	if !s.copied.Integers() {
		return 1
	}
	if s.copying && s.backlog.Bytes() < s.Memory/8 && !s.mayWork() {
		return 1 // the one that keeps up
	}
	return min(1+s.backlog.Len()/(4*batch), s.width)
}

// patient is how long changes are collected before it is asked which are visible.
// While rows are copied nobody waits for them, and the larger the batches, the less each
// costs; a row that is changed again meanwhile costs nothing more.
func (s *syncer) patient() time.Duration {
	if s.copying && !s.applyTurn {
		return 200 * time.Millisecond
	}
	return time.Millisecond
}

func (s *syncer) covers(id *binlog.TxID) bool { return s.horizon.Covers(*id) }

// readHorizon finds out what has become visible.
func (s *syncer) readHorizon() {
	s.looked = time.Now()
	last := *s.last
	s.start(horizonJob, func(ctx context.Context) func() error {
		horizon, err := s.visibility.Horizon(ctx, last)
		return func() error {
			if err != nil {
				if mysqld.IsConnectionLost(err) || mysqld.IsLockConflict(err) {
					return nil // asked again at the next turn
				}
				return fmt.Errorf("ask which transactions are visible: %w", err)
			}
			s.seen(horizon.Covers)
			s.horizon, s.fresh = horizon, true
			s.look = false
			return nil
		}
	})
}

func (s *syncer) applyKeys(keys []binlog.Key) {
	t := s.tables
	if !s.copied.Integers() && !s.copied.Done() {
		t.UpTo = s.copied.Watermark()
	}
	s.startWith(s.appliers, applyJob, func(ctx context.Context, w *worker) func() error {
		began := time.Now()
		delta, err := s.apply(ctx, w, t, keys)
		took := time.Since(began)
		return func() error {
			if err != nil {
				return err
			}
			s.backlog.Done(keys)
			s.count.rows += delta
			s.verify.Applied(keys)
			s.Observe(KeysApplied{len(keys), took})
			return nil
		}
	})
}

// applyAgain puts rows that were deleted because they were in the way into the
// backlog. It is called before anything else is learned.
func (s *syncer) applyAgain() {
	for _, k := range s.outdated.take() {
		s.backlog.Again(k, s.last)
		s.verify.Changed(k)
	}
}

// apply makes the shadow's rows of keys what the original's are now, in one
// transaction, and returns by how many rows the shadow grew. It may be repeated
// at will: what it writes depends on the original alone.
func (s *syncer) apply(ctx context.Context, w *worker, t rowsql.Tables, keys []binlog.Key) (delta int64, err error) {
	err = retry(ctx, patience, func() error {
		return w.use(ctx, func(conn *sql.Conn) (err error) {
			defer func() { s.count.heard(err) }()
			delta, err = transaction(ctx, conn, func() (int64, error) { return deleteAndInsert(ctx, conn, t, keys) })
			if mysqld.IsDuplicateKey(err) {
				delta, _, err = s.replaceColliding(ctx, conn, t, keys)
			}
			return err
		})
	})
	if err == nil || !mysqld.IsServerError(err) || mysqld.IsLockConflict(err) {
		return delta, wrap(err, "apply changes")
	}
	return 0, s.verdict(ctx, err, s.tables.Match(keys))
}

// deleteAndInsert returns by how many rows the shadow grew, also where the
// second half failed.
func deleteAndInsert(ctx context.Context, conn *sql.Conn, t rowsql.Tables, keys []binlog.Key) (int64, error) {
	gone, err := exec(ctx, conn, t.Delete(keys))
	if err != nil {
		return 0, err
	}
	come, err := insertRows(ctx, conn, t, t.Insert(keys))
	return come - gone, err // come is 0 with an error
}

// replaceColliding does the same when a unique key is in the way. A row that
// has the value already is either out of date (its own change is still in the
// backlog, or will be); or the original itself has two rows that are equal
// under the shadow's unique key: then that is the user's duplicate, and the
// ALTER fails as the server's own would.
//
// A row that is out of date is only deleted here, and the owner has it applied
// again. To replace it at once could go on without end,
// since its new value may be in the way of the next row: UPDATE t SET u = u + 1
// makes one chain of the whole table.
//
// The owner is told before the deletion is committed, not after: between the two
// (long, if the answer is lost) the row would differ with no change on its way,
// and verification would convict it. It stays told whatever becomes of the
// transaction, since the next try wouldn't find the row any more.
//
// It returns by how many rows the shadow grew, and how many that were in the way
// it has lost.
func (s *syncer) replaceColliding(ctx context.Context, conn *sql.Conn, t rowsql.Tables, keys []binlog.Key) (delta, outdated int64, err error) {
	delta, err = transaction(ctx, conn, func() (delta int64, err error) {
		outdated = 0
		for part := range slicesOf(keys, batch) {
			grown, lost, err := s.replacePart(ctx, conn, t, part)
			if err != nil {
				return 0, err
			}
			delta += grown
			outdated += lost
		}
		return delta, nil
	})
	return delta, outdated, err
}

// outdated are keys that workers have deleted the rows of, see replaceColliding.
type outdated struct {
	mu   sync.Mutex // guards the field below
	keys []binlog.Key
}

func (o *outdated) add(keys []binlog.Key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keys = append(o.keys, keys...)
}

func (o *outdated) take() []binlog.Key {
	o.mu.Lock()
	defer o.mu.Unlock()
	keys := o.keys
	o.keys = nil
	return keys
}

// A row that comes into the way between two statements needs another round.
const maxRounds = 100

func (s *syncer) replacePart(ctx context.Context, conn *sql.Conn, t rowsql.Tables, keys []binlog.Key) (delta, outdated int64, err error) {
	for range maxRounds {
		grown, err := deleteAndInsert(ctx, conn, t, keys)
		delta += grown
		if !mysqld.IsDuplicateKey(err) {
			return delta, outdated, err
		}
		grown, left, others, err := findColliding(ctx, conn, t, keys)
		delta += grown
		if err != nil || len(left) == 0 { // none: what was in the way has gone meanwhile
			return delta, outdated, err
		}
		if err := s.mustNotBeEqual(ctx, slices.Concat(left, others)); err != nil {
			return 0, 0, err
		}
		gone, err := exec(ctx, conn, t.Delete(others))
		if err != nil {
			return 0, 0, err
		}
		s.outdated.add(others)
		delta -= gone
		outdated += gone
		keys = left
	}
	return 0, 0, obstacle("rows exchange their unique values faster than they can be applied")
}

// findColliding inserts the rows of keys whose unique values are free; it
// returns the keys of those that are left, and of the others that have their
// values.
func findColliding(ctx context.Context, conn *sql.Conn, t rowsql.Tables, keys []binlog.Key) (come int64, left, others []binlog.Key, err error) {
	if _, err := conn.ExecContext(ctx, t.ForgetColliding()); err != nil {
		return 0, nil, nil, err
	}
	if come, err = insertRows(ctx, conn, t, t.Colliding(keys...)); err != nil {
		return 0, nil, nil, err
	}
	var collided string
	if err := conn.QueryRowContext(ctx, t.Collided()).Scan(&collided); err != nil {
		return 0, nil, nil, err
	}
	left, others = t.CollidedKeys(collided)
	return come, left, others, nil
}

// mustNotBeEqual reads all these rows in one statement, so in one snapshot,
// into the empty altered table. If two collide there, the user's change makes
// them equal; the error is the server's own for a table of the original's name.
func (s *syncer) mustNotBeEqual(ctx context.Context, keys []binlog.Key) error {
	err := s.equal(ctx, keys)
	var d *duplicate
	if errors.As(err, &d) {
		s.logKeys(ctx, keys, d.error, func(some []binlog.Key) bool { return errors.As(s.equal(ctx, some), &d) })
	}
	return err
}

func (s *syncer) equal(ctx context.Context, keys []binlog.Key) error {
	t := s.tables
	t.Shadow = s.scratch.table
	w := s.worker(rowSession(s.request.Settings, s.plan)...)
	defer w.close()
	return w.use(ctx, func(conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
			return err
		}
		_, err := insertRows(ctx, conn, t, t.Insert(keys))
		if _, rollback := conn.ExecContext(ctx, "ROLLBACK"); err == nil {
			err = rollback
		}
		if mysqld.IsDuplicateKey(err) {
			return &duplicate{err}
		}
		return err
	})
}

// duplicate is the user's own: two rows of the original are equal under a
// unique key of the new definition.
type duplicate struct{ error }

func (d *duplicate) Unwrap() error { return d.error }

// transaction commits what f did on conn, or rolls it back.
func transaction(ctx context.Context, conn *sql.Conn, f func() (int64, error)) (int64, error) {
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return 0, err
	}
	n, err := f()
	if err == nil {
		_, err = conn.ExecContext(ctx, "COMMIT")
		return n, err
	}
	// A failed ROLLBACK means a lost connection, which rolls back as well.
	conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	return 0, err
}

// insertRows runs one of the statements that write rows of t.
func insertRows(ctx context.Context, conn *sql.Conn, t rowsql.Tables, insert string) (int64, error) {
	if number := t.Number(); number != "" {
		if _, err := conn.ExecContext(ctx, number); err != nil {
			return 0, err
		}
	}
	return exec(ctx, conn, insert)
}

func exec(ctx context.Context, conn *sql.Conn, query string) (int64, error) {
	result, err := conn.ExecContext(ctx, query)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func slicesOf(keys []binlog.Key, n int) iter.Seq[[]binlog.Key] {
	return func(yield func([]binlog.Key) bool) {
		for len(keys) > 0 {
			m := min(n, len(keys))
			if !yield(keys[:m]) {
				return
			}
			keys = keys[m:]
		}
	}
}
