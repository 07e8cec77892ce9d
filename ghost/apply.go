package ghost

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"time"

	"midflight/binlog"
	"midflight/ghost/rowsql"
	"midflight/mysqld"
)

// batch is how many keys one transaction applies.
const batch = 500

// dispatchApply finds out what has become visible, then applies it.
func (s *syncer) dispatchApply() {
	last := s.last
	s.start(applyJob, func(ctx context.Context) func() error {
		horizon, err := s.visibility.Horizon(ctx, last)
		return func() error {
			if err != nil {
				if mysqld.IsConnectionLost(err) || mysqld.IsLockConflict(err) {
					return nil // asked again at the next turn
				}
				return fmt.Errorf("ask which transactions are visible: %w", err)
			}
			keys := s.backlog.Take(batch, horizon.Covers, s.copied.Place)
			s.applyTurn = len(keys) == batch // more may be waiting
			if len(keys) > 0 {
				s.applyKeys(keys)
			}
			s.look = len(keys) > 0
			return nil
		}
	})
}

func (s *syncer) applyKeys(keys []binlog.Key) {
	t := s.tables
	if !s.copied.Integers && !s.copied.Done {
		t.UpTo = s.copied.Watermark
	}
	s.start(applyJob, func(ctx context.Context) func() error {
		began := time.Now()
		delta, err := s.apply(ctx, t, keys)
		took := time.Since(began)
		return func() error {
			if err != nil {
				return err
			}
			s.backlog.Done(keys)
			s.rows += delta
			s.verify.applied(keys)
			s.Observe(KeysApplied{len(keys), took})
			return nil
		}
	})
}

// apply makes the shadow's rows of keys what the original's are now, in one
// transaction, and returns by how many rows the shadow grew. It may be repeated
// at will: what it writes depends on the original alone.
func (s *syncer) apply(ctx context.Context, t rowsql.Tables, keys []binlog.Key) (delta int64, err error) {
	err = retry(ctx, patience, func() error {
		return s.applier.use(ctx, func(conn *sql.Conn) (err error) {
			delta, err = transaction(ctx, conn, func() (int64, error) { return deleteAndInsert(ctx, conn, t, keys) })
			if mysqld.IsDuplicateKey(err) {
				delta, err = s.replaceOneByOne(ctx, conn, t, keys)
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
	come, err := exec(ctx, conn, t.Insert(keys))
	return come - gone, err // come is 0 with an error
}

// replaceOneByOne does the same when a unique key is in the way. The row that
// has the value already is either out of date (its own change is still in the
// backlog): then it is replaced too; or the original itself has two rows that
// are equal under the shadow's unique key: then that is the user's duplicate,
// and the ALTER fails as the server's own would.
func (s *syncer) replaceOneByOne(ctx context.Context, conn *sql.Conn, t rowsql.Tables, keys []binlog.Key) (int64, error) {
	return transaction(ctx, conn, func() (delta int64, err error) {
		for part := range slicesOf(keys, batch) {
			gone, err := exec(ctx, conn, t.Delete(part))
			if err != nil {
				return 0, err
			}
			delta -= gone
		}
		todo := append([]binlog.Key(nil), keys...)
		for tries := 0; len(todo) > 0; tries++ {
			if tries > 100*len(keys)+10_000 {
				return 0, fmt.Errorf("rows exchange their unique values faster than they can be applied")
			}
			key := todo[len(todo)-1]
			// One row may have two keys ('a' and 'A' where case doesn't count):
			// the other one may have brought it back already.
			gone, err := exec(ctx, conn, t.Delete([]binlog.Key{key}))
			if err != nil {
				return 0, err
			}
			come, other, err := s.insertOne(ctx, conn, t, key)
			if err != nil {
				return 0, err
			}
			delta += come - gone
			if other == "" {
				todo = todo[:len(todo)-1]
				continue
			}
			if err := s.mustNotBeEqual(ctx, key, other); err != nil {
				return 0, err
			}
			gone, err = exec(ctx, conn, t.Delete([]binlog.Key{other}))
			if err != nil {
				return 0, err
			}
			delta -= gone
			todo = append([]binlog.Key{other}, todo...)
		}
		return delta, nil
	})
}

// insertOne inserts one row; where a unique key is in the way it returns the
// key of the row that has the value.
func (s *syncer) insertOne(ctx context.Context, conn *sql.Conn, t rowsql.Tables, key binlog.Key) (come int64, other binlog.Key, err error) {
	come, err = exec(ctx, conn, t.Insert([]binlog.Key{key}))
	if !mysqld.IsDuplicateKey(err) {
		return come, "", err
	}
	duplicate := err
	if _, err := conn.ExecContext(ctx, t.ForgetColliding()); err != nil {
		return 0, "", err
	}
	if come, err = exec(ctx, conn, t.Colliding(key)); err != nil {
		return 0, "", err
	}
	found, err := readKeys(ctx, conn, t.Collided(), len(s.plan.Key.Shadow))
	if err != nil {
		return 0, "", err
	}
	if len(found) > 0 {
		return 0, found[0], nil
	}
	if come == 0 { // the original has no such row any more
		return 0, "", nil
	}
	if come == 1 { // what was in the way has gone meanwhile
		return 1, "", nil
	}
	return 0, "", duplicate
}

// mustNotBeEqual reads both rows in one statement, so in one snapshot, into the
// empty altered table. If they collide there, the user's change makes them
// equal; the error is the server's own for a table of the original's name.
func (s *syncer) mustNotBeEqual(ctx context.Context, a, b binlog.Key) error {
	t := s.tables
	t.Shadow = s.scratch.table
	w := &worker{db: s.DB, init: rowSession(s.request.Settings, s.plan.Relaxed)}
	defer w.close()
	return w.use(ctx, func(conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
			return err
		}
		_, err := conn.ExecContext(ctx, t.Insert([]binlog.Key{a, b}))
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
