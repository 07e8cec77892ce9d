// Package forecast tells how far a copy is, how fast it goes, and when it will be done.
// It is pure.
package forecast

import "time"

// A Forecast belongs to one copy. It is told each second what was done, and keeps what it
// has said before: by how much that has moved is how far off it may be.
type Forecast struct {
	estimate int64 // the server's, of the rows; 0: none
	indexes  int   // to be built at the end
	began    time.Time
	recent   []Seen // of the last half minute
	said     []said
	progress float64
	now      said
	known    bool
}

// Seen is how things stand at a moment.
type Seen struct {
	At   time.Time
	Rows int64 // copied
	// Position in the range of the keys, 0 to 1, where that can be told; else negative.
	Position float64
	Copied   bool      // all are
	Building time.Time // when the server began to build the indexes; zero: not yet
	Built    bool
}

// said is a forecast of the end.
type said struct{ at, end time.Time }

// What is looked back at.
const (
	lookBack = 30 * time.Second
	fewSaid  = 5
)

// buildShare of the time that a row took to be copied it takes to be put into one index.
// (Measured on MySQL: 0.2 to 0.3.)
const buildShare = 0.25

// New begins a forecast.
func New(at time.Time, estimate int64, indexes int) Forecast {
	return Forecast{estimate: estimate, indexes: indexes, began: at, recent: []Seen{{At: at, Position: -1}}}
}

// See takes how things stand now.
func (f *Forecast) See(s Seen) {
	f.recent = append(f.recent, s)
	for len(f.recent) > 2 && s.At.Sub(f.recent[0].At) > lookBack {
		f.recent = f.recent[1:]
	}
	left, ok := f.left(s)
	if f.known = ok; !ok {
		return
	}
	f.now = said{s.At, s.At.Add(left)}
	f.said = append(f.said, f.now)
	for s.At.Sub(f.said[0].at) > lookBack {
		f.said = f.said[1:]
	}
	if elapsed := s.At.Sub(f.began); elapsed > 0 { // it never goes back
		f.progress = max(f.progress, min(float64(elapsed)/float64(elapsed+left), 0.999))
	}
}

// left is the time until all is built.
func (f *Forecast) left(s Seen) (left time.Duration, ok bool) {
	if s.Built || s.Copied && f.indexes == 0 {
		return 0, true
	}
	build := f.build(s)
	if s.Copied {
		elapsed := time.Duration(0)
		if !s.Building.IsZero() {
			elapsed = s.At.Sub(s.Building)
		}
		return max(build-elapsed, elapsed/10), true // it takes longer than was thought
	}
	rate := f.Rate()
	if rate <= 0 {
		return 0, false
	}
	rows := max(f.total(s)-s.Rows, 0)
	return time.Duration(float64(rows)/rate*float64(time.Second)) + build, true
}

// build is how long the indexes will take, by the time that the rows took.
func (f *Forecast) build(s Seen) time.Duration {
	if s.Rows == 0 || f.indexes == 0 {
		return 0
	}
	spent := s.At.Sub(f.began)
	if !s.Building.IsZero() {
		spent = s.Building.Sub(f.began)
	}
	perRow := float64(spent) / float64(s.Rows)
	return time.Duration(perRow * buildShare * float64(f.indexes) * float64(f.total(s)))
}

// total is how many rows there will be: at first the server's estimate, later more and
// more by where in the range of the keys the copy is.
func (f *Forecast) total(s Seen) int64 {
	switch {
	case s.Copied:
		return s.Rows
	case s.Position <= 0.01 || s.Rows == 0:
		return max(f.estimate, s.Rows)
	}
	at := min(s.Position, 1)
	byPosition := float64(s.Rows) / at
	if f.estimate <= 0 {
		return int64(byPosition)
	}
	return max(int64(byPosition*at+float64(f.estimate)*(1-at)), s.Rows)
}

// Rate of the copy of late, in rows a second.
func (f *Forecast) Rate() float64 {
	first, last := f.recent[0], f.recent[len(f.recent)-1]
	seconds := last.At.Sub(first.At).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(last.Rows-first.Rows) / seconds
}

// Total is how many rows are thought to be there.
func (f *Forecast) Total() int64 { return f.total(f.recent[len(f.recent)-1]) }

// Progress is the part of the time that is over, 0 to 0.999.
func (f *Forecast) Progress() float64 { return f.progress }

// Left is the time until all is copied and built, and by how much that may be off; ok is
// false while nobody knows.
func (f *Forecast) Left() (left, off time.Duration, ok bool) {
	if !f.known {
		return 0, 0, false
	}
	left = f.now.end.Sub(f.now.at)
	off = left / 20
	if len(f.said) < fewSaid {
		off = left / 2
	}
	for _, s := range f.said {
		off = max(off, s.end.Sub(f.now.end).Abs())
	}
	return left, off, true
}
