package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"midflight/binlog"
	"midflight/ghost/chunk"
	"midflight/ghost/forecast"
	"midflight/ghost/rowsql"
	"midflight/mysqld"
)

// copyRows carries all rows over, in chunks in key order, while changes are applied and
// the two tables are compared behind them.
func (s *syncer) copyRows(ctx context.Context) error {
	if names := s.tables.Uncompared(); len(names) > 0 {
		s.log(ctx, "not compared, since their type changes: %s", strings.Join(names, ", "))
	}
	s.compareAll() // what is copied, as it is copied
	s.copying, s.forecast = true, forecast.New(time.Now(), s.status.RowsTotal, len(s.deferred))
	s.brakeTurn() // before the first chunk
	return s.pump(ctx, func() bool { return s.copied.Done() })
}

// analyze gives the shadow statistics before it takes the original's place: by
// those of an empty table, which the server has until it counts again by itself
// some seconds later, every row is one of few, and no index is worth its use.
// Some pages of each index are read. The server's own ALTER leaves statistics
// too.
func (s *syncer) analyze(ctx context.Context) error {
	statement := "ANALYZE /* midflight */ NO_WRITE_TO_BINLOG TABLE " + s.shadow.Quoted()
	if s.Flavor.MariaDB { // no statistics of its own that read every row
		statement = "SET STATEMENT use_stat_tables = 'never' FOR " + statement
	}
	done := false
	s.start(analyzeJob, func(ctx context.Context) func() error {
		_, err := s.DB.ExecContext(ctx, statement)
		err = errors.Join(err, s.keepHistograms(ctx))
		return func() error {
			done = true
			if err != nil {
				s.log(ctx, "the new table has not all statistics yet: %v", err)
			}
			return nil
		}
	})
	return s.pump(ctx, func() bool { return done })
}

// dispatchCopy hands chunks to copiers, and has found ahead of them where they end. A
// chunk is marked as dispatched before its worker begins: from then on none of its keys
// may be called ahead of the copy.
func (s *syncer) dispatchCopy() {
	if !s.copying || s.control.Paused {
		return
	}
	if time.Since(s.scouted) > staleEnds {
		s.course.Forget()
	}
	for s.busy[copyJob] < s.mayCopy() && !s.copied.AllDispatched() {
		if !s.copied.Integers() && (s.applyTurn || s.busy[applyJob] > 0) {
			// Keys that Go can't order are applied between chunks, never beside
			// one: a batch that began before the chunk deletes the chunk's new rows
			// and, bounded by the watermark of before, brings none of them back.
			return
		}
		lo := s.copied.Dispatched()
		hi, ok := s.course.Next(lo, s.chunkRows())
		if !ok {
			break
		}
		s.copyRange(chunk.Range{Lo: lo, Hi: hi})
	}
	if s.busy[scoutJob] == 0 && !s.copied.AllDispatched() {
		if from, n, ok := s.course.Ask(s.copied.Dispatched(), s.chunkRows(), s.width); ok {
			s.scout(from, s.chunkRows(), n)
		}
	}
}

// staleEnds is when ends are found again: after hours of pause the last chunk, which was
// to have few rows, would have all that were inserted since.
const staleEnds = 10 * time.Second

// mayCopy is how many chunks may be under way. The apply goes first: what waits to be
// applied takes memory, and must not become ever more.
func (s *syncer) mayCopy() int {
	if !s.brake.MayCopy(time.Now()) || !s.mayWork() {
		return 0
	}
	n := s.width
	if s.plan.Numbers() { // each goes on where the one before has ended
		n = 1
	}
	switch waiting := s.backlog.Bytes(); {
	case waiting > s.Memory/2:
		return 0
	case waiting > s.Memory/8:
		n = 1
	}
	return n
}

func (s *syncer) copyRange(r chunk.Range) {
	s.copied.Dispatch(r)
	if r.Hi != "" {
		s.ends = append(s.ends, r.Hi)
	}
	s.chunks++
	number := s.chunks
	s.startWith(s.copiers, copyJob, func(ctx context.Context, w *worker) func() error {
		began := time.Now()
		rows, warned, outdated, err := s.copyChunk(ctx, w, r)
		took := time.Since(began)
		return func() error {
			if err != nil {
				return err
			}
			s.brake.Worked(time.Now(), took)
			s.copied.Commit(r)
			s.ranges = append(s.ranges, r)
			s.verify.Add(r)
			s.beginTurn()
			s.count.rows += rows
			s.warned.in(r, number, warned)
			copied := max(rows+outdated, 0) // what went out of the way isn't taken off
			s.status.RowsCopied += copied
			s.course.Copied(r, copied)
			if r.Hi != "" {
				s.sizer.Took(int(copied), took)
			}
			s.copying = !s.copied.Done()
			s.Observe(ChunkCopied{copied, took})
			return nil
		}
	})
}

// beginTurn has the copy wait for the apply, where the two can't go on side by side:
// when there is a batch, or when it has waited for long.
func (s *syncer) beginTurn() {
	if s.copied.Integers() || s.copied.Done() || s.backlog.Len() == 0 {
		return
	}
	if s.backlog.Len() >= batch || time.Since(s.turned) > 4*chunk.Target {
		s.applyTurn = true
	}
}

// endTurn: the apply has taken what it could, unless there is more.
func (s *syncer) endTurn(more bool) {
	if s.applyTurn && !more {
		s.applyTurn, s.turned = false, time.Now()
	}
}

// scout finds where the next chunks of size rows end, from from on.
func (s *syncer) scout(from binlog.Key, size, n int) {
	adds := s.course.Adds()
	s.startWith(s.copiers, scoutJob, func(ctx context.Context, w *worker) func() error {
		var ends []binlog.Key
		var last binlog.Key
		err := retry(ctx, patience, func() error {
			return w.use(ctx, func(conn *sql.Conn) (err error) {
				if adds {
					if last, err = readKey(ctx, conn, s.tables.Last(), s.tables); err != nil {
						return err
					}
				}
				ends = nil
				for lo := from; len(ends) < n; lo = ends[len(ends)-1] {
					hi, err := readKey(ctx, conn, s.tables.Bound(lo, size), s.tables)
					if err != nil {
						return err
					}
					if ends = append(ends, hi); hi == "" {
						break
					}
				}
				return nil
			})
		})
		return func() error {
			s.course.Found(s.copied.Dispatched(), from, ends, size, last)
			s.scouted = time.Now()
			return wrap(err, "find where the next chunks end")
		}
	})
}

// readKey is the first of readKeys, "" where there is none.
func readKey(ctx context.Context, conn *sql.Conn, query string, t rowsql.Tables) (binlog.Key, error) {
	keys, err := readKeys(ctx, conn, query, t)
	if err != nil || len(keys) == 0 {
		return "", err
	}
	return keys[0], nil
}

// patience with lock conflicts and lost connections of one job.
const patience = 2 * time.Minute

// copyChunk copies one range in one transaction and returns by how many rows
// the shadow grew, how many values the server warned of, and how many rows were
// in the way and are gone.
func (s *syncer) copyChunk(ctx context.Context, w *worker, r chunk.Range) (rows, warned, outdated int64, err error) {
	again := false
	err = retry(ctx, patience, func() error {
		return w.use(ctx, func(conn *sql.Conn) (err error) {
			defer func() { s.count.heard(err) }()
			if again { // an earlier try may have been committed without our hearing of it
				if _, err := conn.ExecContext(ctx, s.tables.DeleteRange(r)); err != nil {
					return err
				}
			}
			again = true
			insert := func() (n int64, err error) {
				if n, outdated, err = s.insertChunk(ctx, conn, r); err == nil && s.plan.Converts() {
					warned, err = countWarnings(ctx, conn)
				}
				return n, err
			}
			if s.plan.Key.Enforced {
				rows, err = insert()
			} else { // no duplicate tells if a statement that was given up goes on: it must not commit itself
				rows, err = transaction(ctx, conn, insert)
			}
			return err
		})
	})
	if err == nil || !mysqld.IsServerError(err) || mysqld.IsLockConflict(err) {
		return rows, warned, outdated, wrap(err, "copy a chunk")
	}
	return 0, 0, 0, s.verdict(ctx, err, s.tables.InRange(r))
}

// insertChunk is one INSERT … SELECT. A duplicate key means that a row of the
// shadow is not up to date, or that the user's change makes two rows equal:
// then the chunk is copied like changed keys, which tells the one from the
// other.
func (s *syncer) insertChunk(ctx context.Context, conn *sql.Conn, r chunk.Range) (rows, outdated int64, err error) {
	rows, err = insertRows(ctx, conn, s.tables, s.tables.Copy(r))
	if !mysqld.IsDuplicateKey(err) {
		return rows, 0, err
	}
	keys, err := readKeys(ctx, conn, s.tables.Keys(r), s.tables)
	if err != nil {
		return 0, 0, err
	}
	return s.replaceColliding(ctx, conn, s.tables, keys)
}

// readKeys runs a query whose columns are the key's literals.
func readKeys(ctx context.Context, conn *sql.Conn, query string, t rowsql.Tables) ([]binlog.Key, error) {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	literals := make([]string, len(t.Key.Original))
	into := make([]any, len(literals))
	for i := range literals {
		into[i] = &literals[i]
	}
	var keys []binlog.Key
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		keys = append(keys, t.MakeKey(literals))
	}
	return keys, rows.Err()
}

// foreign looks at a statement that the binlog has as text: DDL, or a change
// logged without its rows.
func (s *syncer) foreign(tx binlog.TxID, st binlog.Statement) error {
	if strings.Contains(st.SQL, fmt.Sprintf("/* midflight m%d */", s.status.ID)) {
		return nil // ours
	}
	if s.ownTriggers && makesTrigger(st.SQL, s.original.Triggers) {
		return nil // what is not as it was, mustBeAsItWas sees
	}
	what, table := touches(st, s.original.Name, s.shadow)
	switch what {
	case rowsUnknown:
		if s.names == nil || mentionsAny(st.SQL, s.names) {
			s.hid(tx, fmt.Sprintf("the binlog has a statement without its rows (%.100s)", st.SQL))
		}
	case definition:
		return obstacle("somebody else's statement changed %s during the migration (%.100s)", table, st.SQL)
	}
	if makesReach(st.SQL) {
		s.names = nil
	}
	return nil
}
