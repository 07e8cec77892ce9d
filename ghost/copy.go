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
	"midflight/ghost/rowsql"
	"midflight/mysqld"
)

// copyRows carries all rows over, chunk after chunk in key order, while changes
// are applied behind it.
func (s *syncer) copyRows(ctx context.Context) error {
	s.copying, s.started = true, time.Now()
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

// dispatchCopy hands the next chunk to the copier, after it has found where the
// chunk ends. It is marked as dispatched before the worker begins: from then on
// none of its keys may be called ahead of the copy.
func (s *syncer) dispatchCopy() {
	if s.copied.AllDispatched() {
		return
	}
	lo, size := s.copied.Dispatched(), s.sizer.Rows()
	if !s.boundKnown {
		s.start(copyJob, func(ctx context.Context) func() error {
			hi, err := s.bound(ctx, lo, size)
			return func() error {
				s.nextBound, s.boundKnown = hi, err == nil
				return err
			}
		})
		return
	}
	if s.applyTurn || !s.copied.Integers() && s.busy[applyJob] {
		// Keys that Go can't order are applied between two chunks, never beside
		// one: a batch that began before the chunk deletes the chunk's new rows
		// and, bounded by the watermark of before, brings none of them back.
		return
	}
	r := chunk.Range{Lo: lo, Hi: s.nextBound}
	s.boundKnown = false
	s.copied.Dispatch(r)
	s.start(copyJob, func(ctx context.Context) func() error {
		began := time.Now()
		rows, warned, outdated, err := s.copyChunk(ctx, r)
		took := time.Since(began)
		return func() error {
			if err != nil {
				return err
			}
			s.copied.Commit(r)
			s.ranges = append(s.ranges, r)
			s.applyTurn = !s.copied.Integers() && !s.copied.Done() && s.backlog.Len() > 0
			s.count.rows += rows
			s.warned.in(r, warned)
			copied := max(rows+outdated, 0) // what went out of the way isn't taken off
			s.status.RowsCopied += copied
			if r.Hi != "" {
				s.sizer.Took(took)
			} else {
				s.copying = false
			}
			s.Observe(ChunkCopied{copied, took})
			return nil
		}
	})
}

// bound finds where a chunk of n rows after lo ends; "" when fewer are left.
func (s *syncer) bound(ctx context.Context, lo binlog.Key, n int) (binlog.Key, error) {
	var hi binlog.Key
	err := retry(ctx, patience, func() error {
		return s.copier.use(ctx, func(conn *sql.Conn) error {
			keys, err := readKeys(ctx, conn, s.tables.Bound(lo, n), s.tables)
			if err == nil && len(keys) > 0 {
				hi = keys[0]
			}
			return err
		})
	})
	return hi, wrap(err, "find the next chunk's end")
}

// patience with lock conflicts and lost connections of one job.
const patience = 2 * time.Minute

// copyChunk copies one range in one transaction and returns by how many rows
// the shadow grew, how many values the server warned of, and how many rows were
// in the way and are gone.
func (s *syncer) copyChunk(ctx context.Context, r chunk.Range) (rows, warned, outdated int64, err error) {
	again := false
	err = retry(ctx, patience, func() error {
		return s.copier.use(ctx, func(conn *sql.Conn) (err error) {
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
