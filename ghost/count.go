package ghost

import (
	"context"
	"database/sql"
	"sync/atomic"

	"midflight/mysqld"
)

// A count is how many rows the shadow has: the answer's "Records". Each
// statement of ours tells by how many it has grown, but a commit whose answer was
// lost does not. Then they are counted.
type count struct {
	rows int64       // the owner's
	lost atomic.Bool // set by workers
}

// heard takes the outcome of a transaction that writes the shadow.
func (c *count) heard(err error) {
	if err != nil && !mysqld.IsServerError(err) {
		c.lost.Store(true)
	}
}

// countAgain, once all is copied, counts the shadow's rows where that is not known,
// while nobody writes it.
func (s *syncer) countAgain(ctx context.Context) error {
	if !s.count.lost.Load() {
		return nil
	}
	if err := s.idle(ctx); err != nil {
		return err
	}
	s.count.lost.Store(false)
	done := false
	s.startWith(s.appliers, applyJob, func(ctx context.Context, w *worker) func() error {
		var rows int64
		err := retry(ctx, patience, func() error {
			return w.use(ctx, func(conn *sql.Conn) error {
				return conn.QueryRowContext(ctx, "SELECT /* midflight */ COUNT(*) FROM "+s.shadow.Quoted()+mysqld.TableOnly).Scan(&rows)
			})
		})
		return func() error {
			done, s.count.rows = true, rows
			return wrap(err, "count the rows of the new table")
		}
	})
	return s.pump(ctx, func() bool { return done })
}
