package ghost

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"midflight/binlog"
	"midflight/ghost/chunk"
	"midflight/ghost/rowsql"
	"midflight/mysqld"
)

// convict ends the migration if a row that differed is not explained by a change
// that the stream has delivered up to the marker.
func (s *syncer) convict(token string) error {
	if k, convicted := s.verify.Passed(token); convicted {
		if s.hidden() {
			s.verify.Mend()
			return nil
		}
		s.Observe(Diverged{s.status.ID, s.request.Table})
		return obstacle("the shadow table is not equal to the original: the row with key (%s) differs and nobody is changing it. The tables are not swapped. Please report this",
			strings.Join(k.Literals(), ", "))
	}
	return nil
}

// verified: nothing is left to be compared but what the cut-over can compare
// under its lock, and nothing has hidden since the comparing of all rows began.
func (s *syncer) verified() bool {
	return s.verify.Quiet(smallBacklog) && !s.hidden()
}

// verifyAll waits until what was copied and applied is compared, while changes go on.
func (s *syncer) verifyAll(ctx context.Context) error { return s.pump(ctx, s.verified) }

// recordVerified is for whoever asks later whether the two were equal.
func (s *syncer) recordVerified(ctx context.Context) {
	s.compared.Rows = s.count.rows
	s.status.Verified = s.compared.String()
	s.record(ctx, Entry{Kind: EntryVerify, Text: s.compared.String(), Detail: s.compared})
}

// dispatchVerify compares ranges, and the keys that were applied.
func (s *syncer) dispatchVerify() {
	if !s.verify.On() {
		return
	}
	for s.busy[verifyJob] < s.mayVerify() && s.compareNextRange() {
	}
	// While rows are copied, ranges go first: a row that is applied several times is
	// then compared once.
	full := s.verify.Bytes() > s.Memory/8 // they would hold the stream up
	if s.busy[keysJob] > 0 || s.copying && (!s.copied.Integers() || !full && (s.verify.Left() < 4*batch || !s.mayWork())) || time.Since(s.settled) < 2*time.Millisecond {
		return
	}
	keys := s.verify.Settled(batch, func(k binlog.Key) bool { return s.backlog.Has(k) || !s.copied.Has(k) })
	if len(keys) == 0 {
		s.settled = time.Now()
		return
	}
	s.compareSettled(keys)
}

// mayVerify is how many ranges may be compared at a time. Behind the copy one keeps up, and
// isn't needed before the pages get cold: the building of the indexes leaves more room.
func (s *syncer) mayVerify() int {
	switch {
	case !s.brake.MayRead(time.Now()), !s.mayWork(), s.copying && !s.behind():
		return 0
	case s.copying:
		return 1
	}
	return s.width
}

// behind: what is copied and not yet compared may soon not be in the server's memory any more.
func (s *syncer) behind() bool { return s.verify.Waiting()*s.chunkRows() > s.warm }

// compareNextRange tells whether there was one.
func (s *syncer) compareNextRange() bool {
	if !s.verify.Compares() && s.copied.Done() && s.began != s.hiding() {
		s.log(s.ctx, "all rows are compared again: sessions with sql_log_bin = 0 have been at work")
		s.compareAll()
	}
	if s.backlog.Len() > mostBesides && !s.copied.Integers() || time.Since(s.crowded) < 100*time.Millisecond {
		return false
	}
	r, ok := s.verify.NextRange()
	if !ok {
		return false
	}
	without, few := s.waitingIn(r)
	if !few { // they have to be applied first
		s.verify.Add(r)
		s.crowded = time.Now() // to look through all of them each time would be all that is done
		return false
	}
	s.startWith(s.verifiers, verifyJob, func(ctx context.Context, w *worker) func() error {
		began := time.Now()
		rows, different, err := s.compareRange(ctx, w, r, without)
		took := time.Since(began)
		return func() error {
			if err == nil {
				s.Observe(RowsCompared{rows, 1, len(different), took})
			}
			s.compared.Ranges++
			s.compared.Differed += len(different)
			s.again(s.verify.Differ(different))
			return err
		}
	})
	return true
}

// mostBesides is how many rows a range can be compared without.
const mostBesides = 1000

// waitingIn are the keys of a range that wait to be applied. Their rows differ, and will
// be compared when they don't: to leave them out spares looking for them row by row. few
// is false if there are too many.
func (s *syncer) waitingIn(r chunk.Range) (keys []binlog.Key, few bool) {
	for k := range s.backlog.Keys() {
		if r.Place(k, s.copied.Integers()) == chunk.Inside || !s.copied.Integers() {
			if keys = append(keys, k); len(keys) > mostBesides {
				return nil, false
			}
		}
	}
	return keys, true
}

func (s *syncer) compareSettled(keys []binlog.Key) {
	token := s.nextToken()
	s.startWith(s.verifiers, keysJob, func(ctx context.Context, w *worker) func() error {
		began := time.Now()
		different, err := s.compareKeys(ctx, w, keys)
		took := time.Since(began)
		var around string
		var aroundErr error
		if err == nil && len(different) > 0 {
			around, aroundErr = lookAround(ctx, s.DB, s.Flavor) // may explain it
			err = s.Store.Fence(ctx, s.status.ID, token)
		}
		return func() error {
			if err == nil {
				s.Observe(RowsCompared{int64(len(keys)), 0, len(different), took})
			}
			s.compared.Changed += len(keys)
			s.compared.Differed += len(different)
			if len(different) > 0 && aroundErr == nil {
				s.around = around
			}
			mend, unexplained := s.verify.Compared(different, token)
			s.again(mend)
			if unexplained && s.fences[token] { // the marker was faster than this outcome
				delete(s.fences, token)
				return s.convict(token)
			}
			return err
		}
	})
}

// again has rows applied once more that differ.
func (s *syncer) again(keys []binlog.Key) {
	for _, k := range keys {
		s.backlog.Again(k, s.last)
	}
}

// compareRange compares a range's checksums, and where they differ its rows; those of
// the keys without are left out. rows is how many the original has.
func (s *syncer) compareRange(ctx context.Context, w *worker, r chunk.Range, without []binlog.Key) (rows int64, different []binlog.Key, err error) {
	err = retry(ctx, patience, func() error {
		return w.use(ctx, func(conn *sql.Conn) error {
			n, equal, err := sameChecksums(ctx, conn, s.tables.Checksums(r, without))
			if rows = n; err != nil || equal {
				return err
			}
			different, err = differentRows(ctx, conn, s.tables.RangeRowChecksums(r, without), s.tables)
			return err
		})
	})
	return rows, different, wrap(err, "compare a range of the two tables")
}

func (s *syncer) compareKeys(ctx context.Context, w *worker, keys []binlog.Key) (different []binlog.Key, err error) {
	err = retry(ctx, patience, func() error {
		return w.use(ctx, func(conn *sql.Conn) (err error) {
			different, err = differentRows(ctx, conn, s.tables.RowChecksums(keys), s.tables)
			return err
		})
	})
	return different, wrap(err, "compare changed rows of the two tables")
}

// sameChecksums also tells how many rows the original has.
func sameChecksums(ctx context.Context, q mysqld.Queryer, query string) (rows int64, same bool, err error) {
	found, err := q.QueryContext(ctx, query)
	if err != nil {
		return 0, false, err
	}
	defer found.Close()
	type side struct {
		rows int64
		sum  string
	}
	var sides []side
	for found.Next() {
		var s side
		if err := found.Scan(&s.rows, &s.sum); err != nil {
			return 0, false, err
		}
		sides = append(sides, s)
	}
	if err := found.Err(); err != nil {
		return 0, false, err
	}
	if len(sides) != 2 {
		return 0, false, fmt.Errorf("compare checksums: %d rows instead of 2", len(sides))
	}
	return sides[0].rows, sides[0] == sides[1], nil
}

// differentRows returns the keys whose row is on one side only, or has another
// checksum there, or is there twice.
func differentRows(ctx context.Context, q mysqld.Queryer, query string, t rowsql.Tables) ([]binlog.Key, error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var side string
	var crc uint64
	literals := make([]string, len(t.Key.Original))
	into := []any{&side, &crc}
	for i := range literals {
		into = append(into, &literals[i])
	}
	original, shadow := map[binlog.Key]uint64{}, map[binlog.Key]uint64{}
	different := map[binlog.Key]bool{}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		of, k := shadow, t.MakeKey(literals)
		if side == "o" {
			of = original
		}
		if _, twice := of[k]; twice { // where the shadow has no unique index of the key
			different[k] = true
		}
		of[k] = crc
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for k, c := range original {
		if o, ok := shadow[k]; !ok || o != c {
			different[k] = true
		}
	}
	for k := range shadow {
		if _, ok := original[k]; !ok {
			different[k] = true
		}
	}
	return slices.Collect(maps.Keys(different)), nil
}
