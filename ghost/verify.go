package ghost

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"midflight/binlog"
	"midflight/ghost/chunk"
	"midflight/ghost/rowsql"
	"midflight/mysqld"
)

// A verification knows what of the shadow table still has to be compared.
//
// Two rows may differ because a change is on its way. So a difference counts
// only if no change of that key is delivered before a marker that was written
// after the comparison: everything that was committed before it has been
// delivered then.
type verification struct {
	on      bool
	exact   bool                 // one row has one key: Go tells keys apart as the server does
	ranges  []chunk.Range        // not compared yet
	dirty   map[binlog.Key]bool  // to be compared by key: changed since its range was, or different then
	checked map[binlog.Key]bool  // being compared now; false: changed meanwhile
	suspect map[binlog.Key]bool  // differed, no change seen since
	tokens  map[string][]suspect // by the marker that will convict them
}

type suspect = binlog.Key

func newVerification(exact bool) verification {
	return verification{exact: exact, dirty: map[binlog.Key]bool{}, checked: map[binlog.Key]bool{}, suspect: map[binlog.Key]bool{}, tokens: map[string][]suspect{}}
}

// changed notes that the stream has delivered a change of k.
func (v *verification) changed(k binlog.Key) {
	if !v.on {
		return
	}
	v.dirty[k] = true
	if !v.exact { // any suspect may be this row by another spelling
		for other := range v.suspect {
			v.dirty[other] = true
		}
		clear(v.suspect)
		clear(v.tokens)
		for other := range v.checked {
			v.checked[other] = false
		}
	}
	if v.suspect[k] {
		delete(v.suspect, k)
		// It may differ again, by a change that comes after its marker: that one
		// must not convict it. (Seen when the owner was slow: hundreds of
		// transactions between the change and the marker.)
		for token, keys := range v.tokens {
			v.tokens[token] = slices.DeleteFunc(keys, func(s suspect) bool { return s == k })
		}
	}
	if _, ok := v.checked[k]; ok {
		v.checked[k] = false
	}
}

// applied notes that keys were written to the shadow.
func (v *verification) applied(keys []binlog.Key) {
	if v.on {
		for _, k := range keys {
			v.dirty[k] = true
		}
	}
}

// passed convicts what differed before the marker was written.
func (v *verification) passed(token string) error {
	keys := v.tokens[token]
	delete(v.tokens, token)
	for _, k := range keys {
		if v.suspect[k] {
			return obstacle("the shadow table is not equal to the original: the row with key (%s) differs and nobody is changing it. The tables are not swapped. Please report this",
				strings.Join(k.Literals(), ", "))
		}
	}
	return nil
}

// quiet: nothing is left to be compared but a few keys that keep changing,
// which are compared under the lock.
func (v *verification) quiet() bool {
	return len(v.ranges) == 0 && len(v.dirty)+len(v.checked) <= smallBacklog && len(v.suspect) == 0
}

// verifyRanges compares everything that was copied, while changes go on.
func (s *syncer) verifyRanges(ctx context.Context) error {
	s.verify.on = true
	s.verify.ranges = slices.Clone(s.ranges)
	if names := s.tables.Uncompared(); len(names) > 0 {
		s.log(ctx, "not compared, since their type changes: %s", strings.Join(names, ", "))
	}
	return s.pump(ctx, s.verify.quiet)
}

// dispatchVerify compares the next range, or the keys that were changed.
func (s *syncer) dispatchVerify() {
	v := &s.verify
	switch {
	case !v.on:
	case len(v.ranges) > 0:
		r := v.ranges[0]
		v.ranges = v.ranges[1:]
		s.start(verifyJob, func(ctx context.Context) func() error {
			different, err := s.compareRange(ctx, r)
			return func() error {
				for _, k := range different {
					v.dirty[k] = true
				}
				return err
			}
		})
	case len(v.dirty) > 0:
		if keys := s.settledKeys(); len(keys) > 0 {
			s.compareSettled(keys)
		}
	}
}

// settledKeys are keys to compare that no known change is waiting for.
func (s *syncer) settledKeys() []binlog.Key {
	var keys []binlog.Key
	for k := range s.verify.dirty {
		if len(keys) == batch {
			break
		}
		if !s.backlog.Has(k) {
			keys = append(keys, k)
		}
	}
	for _, k := range keys {
		delete(s.verify.dirty, k)
		s.verify.checked[k] = true
	}
	return keys
}

func (s *syncer) compareSettled(keys []binlog.Key) {
	v := &s.verify
	token := s.nextToken()
	s.start(verifyJob, func(ctx context.Context) func() error {
		different, err := s.compareKeys(ctx, s.verifier, keys)
		if err == nil && len(different) > 0 {
			err = s.Store.Fence(ctx, s.status.ID, token)
		}
		return func() error {
			var unexplained []binlog.Key
			for _, k := range different {
				if v.checked[k] { // nothing was delivered since the comparison began
					v.suspect[k] = true
					unexplained = append(unexplained, k)
				} else { // changed meanwhile, perhaps by another spelling: not explained yet
					v.dirty[k] = true
				}
			}
			clear(v.checked)
			if len(unexplained) > 0 && s.fences[token] { // the marker was faster than this outcome
				delete(s.fences, token)
				v.tokens[token] = unexplained
				return v.passed(token)
			}
			if len(unexplained) > 0 {
				v.tokens[token] = unexplained
			}
			return err
		}
	})
}

// compareRange compares a range's checksums, and where they differ its rows.
func (s *syncer) compareRange(ctx context.Context, r chunk.Range) (different []binlog.Key, err error) {
	err = retry(ctx, patience, func() error {
		return s.verifier.use(ctx, func(conn *sql.Conn) error {
			equal, err := sameChecksums(ctx, conn, s.tables.Checksums(r))
			if err != nil || equal {
				return err
			}
			different, err = differentRows(ctx, conn, s.tables.RangeRowChecksums(r), s.tables)
			return err
		})
	})
	return different, wrap(err, "compare a range of the two tables")
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

func sameChecksums(ctx context.Context, q mysqld.Queryer, query string) (bool, error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	var sides [][3]string
	for rows.Next() {
		var side [3]string
		if err := rows.Scan(&side[0], &side[1], &side[2]); err != nil {
			return false, err
		}
		sides = append(sides, side)
	}
	if err := rows.Err(); err != nil {
		return false, err
	}
	if len(sides) != 2 {
		return false, fmt.Errorf("compare checksums: %d rows instead of 2", len(sides))
	}
	return sides[0] == sides[1], nil
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
