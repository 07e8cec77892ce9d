package ghost

import (
	"context"
	"database/sql"
	"time"

	"midflight/binlog"
	"midflight/ghost/chunk"
	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/throttle"
)

// A Sample is rows that were copied to see how fast that goes, and that it goes: the first
// rows by the chunk key, one statement at a time.
type Sample struct {
	Rows    int64
	Took    time.Duration // of the statements alone
	Whole   bool          // those were all rows
	Width   int           // how many statements a migration sends at a time, when nobody else is there
	Refused error         // what the server said of a row; nil: it took them
}

// A sample ends at whichever comes first. Its rows are written as a copy's are, binlog
// included, and dropped with the scratch schema.
const (
	sampleTime  = 1500 * time.Millisecond
	sampleRows  = 100_000
	sampleBytes = 64 << 20
	sampleChunk = 500 // rows: the first statement; the next ones go by how long it took
)

// sample copies rows into the scratch table, which is the altered one.
func (r *run) sample(ctx context.Context, p plan.Plan) (s Sample, err error) {
	s.Width = r.width(ctx)
	if p.Numbers() {
		s.Width = 1
	}
	if len(r.deferred) > 0 {
		ddl := r.worker(r.buildSession()...)
		defer ddl.close()
		err := ddl.use(ctx, func(conn *sql.Conn) error {
			_, err := conn.ExecContext(ctx, dropIndexes(0, r.scratch.table, r.deferred))
			return err
		})
		if err != nil && !mysqld.IsServerError(err) { // with its indexes it is slower, and no less true
			return s, err
		}
	}
	w := r.worker(rowSession(r.request.Settings, p)...)
	defer w.close()
	err = w.use(ctx, func(conn *sql.Conn) error { return r.copySample(ctx, conn, &s) })
	return s, wrap(err, "copy a sample of the rows")
}

func (r *run) copySample(ctx context.Context, conn *sql.Conn, s *Sample) error {
	began, size := time.Now(), sampleChunk
	most := min(sampleRows, sampleBytes/r.rowBytes())
	var lo binlog.Key
	for time.Since(began) < sampleTime && s.Rows < most {
		hi, err := readKey(ctx, conn, r.tables.Bound(lo, size), r.tables)
		if err != nil {
			return err
		}
		sent := time.Now()
		rows, err := insertRows(ctx, conn, r.tables, r.tables.Copy(chunk.Range{Lo: lo, Hi: hi}))
		took := time.Since(sent)
		if mysqld.IsServerError(err) && !mysqld.IsLockConflict(err) && !mysqld.IsKilled(err) {
			s.Refused = r.scratch.errAsOriginal(err, r.original.Name)
			return nil
		}
		if err != nil {
			return err
		}
		s.Rows += rows
		s.Took += took
		if hi == "" {
			s.Whole = true
			return nil
		}
		if took < 50*time.Millisecond {
			size = min(2*size, 16*sampleChunk)
		}
		lo = hi
	}
	return nil
}

// Between is how long a copy of so many rows may take, its indexes included: with all
// statements that a migration sends when nobody else is there, and with one that gives way
// for half of the time. Beside replicas it begins slowly; a slow one may bear one statement,
// of which a copy then takes half (docs/throttling.md, Measured). ok is false when the sample
// says nothing.
func (s Sample) Between(rows int64, indexes int, replicas bool) (least, most time.Duration, ok bool) {
	if s.Rows == 0 || s.Took <= 0 || s.Refused != nil {
		return 0, 0, false
	}
	alone := time.Duration(float64(s.Took) * float64(rows) / float64(s.Rows))
	build := time.Duration(plan.BuildSeconds(rows, indexes) * float64(time.Second))
	// Before and behind the copy: planning, the last comparison, the swap.
	const around = 500 * time.Millisecond
	quick := alone / time.Duration(max(1, s.Width))
	least, most = around+quick+build/2, 4*around+2*alone+2*build
	if replicas {
		least, most = least+throttle.Opening(quick), most+2*alone+throttle.Opening(alone)
	}
	return least, most, true
}
