package ghost

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"midflight/ghost/chunk"
	"midflight/ghost/plan"
)

// serverWarnings are what a statement has left: the server counts all, and
// keeps the texts of max_error_count.
type serverWarnings struct {
	count int64
	texts []Warning
}

// warned are the chunks in which the server has warned of values. Rows that are
// copied again, since they were changed, are not counted again.
type warned []warnedChunk

type warnedChunk struct {
	chunk.Range
	number int
	count  int64
}

// in the chunk of a number; they become known in any order.
func (w *warned) in(r chunk.Range, number int, n int64) {
	if n > 0 {
		*w = append(*w, warnedChunk{r, number, n})
		slices.SortFunc(*w, func(a, b warnedChunk) int { return cmp.Compare(a.number, b.number) })
	}
}

// warnings are those that the server's own ALTER would have given, of which own
// are the statement's. INSERT and ALTER have different texts for one thing (1048
// and 1265), so the ALTER is run natively on a copy of the first chunk's rows.
// The others are only counted, but where ALTER is stricter than INSERT.
func (s *syncer) warnings(ctx context.Context, own []Warning) (serverWarnings, error) {
	all := serverWarnings{int64(len(own)), own}
	for i, c := range s.warned {
		all.count += c.count
		if i > 0 && !s.stricter() {
			continue
		}
		native, verdict, err := s.nativeMeanwhile(ctx, c.Range)
		if err = cmp.Or(verdict, err); err != nil {
			return all, err
		}
		if i == 0 && native.count > 0 { // else the rows have changed since
			all = native
		}
	}
	return all, nil
}

// stricter: a strict session's ALTER fails where INSERT … SELECT only notes that
// spaces at a text's end were cut. (MariaDB; seen on 10.11.)
func (s *syncer) stricter() bool {
	return s.Flavor.MariaDB && !s.tables.Lossy && slices.ContainsFunc(s.plan.Columns, func(m plan.Mapping) bool {
		return m.Converted && m.From.Charset != "" && m.To.Charset != ""
	})
}

// nativeMeanwhile is native, while changes go on being applied.
func (s *syncer) nativeMeanwhile(ctx context.Context, r chunk.Range) (warned serverWarnings, verdict, err error) {
	done := false
	s.start(nativeJob, func(ctx context.Context) func() error {
		w, v, e := s.native(ctx, s.tables.InRange(r))
		return func() error {
			warned, verdict, err, done = w, v, e, true
			return nil
		}
	})
	if pumped := s.pump(ctx, func() bool { return done }); pumped != nil {
		return serverWarnings{}, nil, pumped
	}
	return warned, verdict, err
}

// countWarnings asks how many warnings the statement before has left, and leaves
// them there.
func countWarnings(ctx context.Context, conn *sql.Conn) (n int64, err error) {
	err = conn.QueryRowContext(ctx, "SHOW COUNT(*) WARNINGS").Scan(&n)
	return n, wrap(err, "count the warnings")
}
