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

// gentleBytes of a chunk beside applications: what it has written goes into the binlog at
// its end, in one piece that every other commit waits for. (By time it can't be told: on
// a busy server most of the time is spent waiting, and chunks would become ever smaller.)
const gentleBytes = 512 << 10

// Gentle is the most rows that a chunk should have beside applications.
func Gentle(bytesPerRow int64) int {
	return min(max(int(gentleBytes/max(bytesPerRow, 1)), minRows), maxRows)
}

// A Sizer chooses the next chunk's number of rows from how long those before took.
type Sizer struct{ rows int }

// Rows of the next chunk.
func (s *Sizer) Rows() int {
	if s.rows == 0 {
		return firstRow
	}
	return s.rows
}

// Took tells how long a chunk of rows took: up to double the size, down at once. A
// chunk that had few rows and was short says nothing: it is a gap in the key.
func (s *Sizer) Took(rows int, d time.Duration) {
	size := s.Rows()
	if rows < size/2 && d < Target {
		return
	}
	want := int(float64(max(rows, 1)) * float64(Target) / float64(max(d, time.Millisecond)))
	s.rows = min(max(min(want, 2*size), minRows), maxRows)
}
