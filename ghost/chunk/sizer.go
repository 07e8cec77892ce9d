package chunk

import "time"

// Bounds of a chunk's rows, and how long one should take: long enough that the
// statement's own cost doesn't count, short enough that nobody feels its locks
// on the shadow, its undo, or its weight on a replica.
const (
	Target   = 100 * time.Millisecond
	minRows  = 100
	maxRows  = 50_000
	firstRow = 1_000
)

// A Sizer chooses the next chunk's number of rows from how long the last took.
type Sizer struct{ rows int }

// Rows of the next chunk.
func (s *Sizer) Rows() int {
	if s.rows == 0 {
		return firstRow
	}
	return s.rows
}

// Took tells how long a full chunk of Rows rows took: up by at most half, down
// at once.
func (s *Sizer) Took(d time.Duration) {
	rows := s.Rows()
	want := int(float64(rows) * float64(Target) / float64(max(d, time.Millisecond)))
	s.rows = min(max(min(want, rows+rows/2), minRows), maxRows)
}
