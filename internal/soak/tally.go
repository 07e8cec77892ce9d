package soak

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// A Tally counts what cases came to.
type Tally struct {
	mu             sync.Mutex
	cases          int
	failed         []uint64
	classes, notes map[string]int
	writes         int64
	took           time.Duration
}

func (t *Tally) Add(c Case, o Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.classes == nil {
		t.classes, t.notes = map[string]int{}, map[string]int{}
	}
	t.cases++
	t.writes += o.Writes
	t.took += o.Took
	for _, k := range o.Classes {
		t.classes[k]++
	}
	for _, k := range o.Notes {
		t.notes[k]++
	}
	if len(o.Findings) > 0 {
		t.failed = append(t.failed, c.Seed)
	}
}

// Failed are the seeds of cases with findings.
func (t *Tally) Failed() []uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.failed)
}

// Print writes the counts, the greatest first, and returns how many cases they
// are of.
func (t *Tally) Print(w io.Writer, title string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(w, "%s: %d cases, %.1f s each, %d transactions, %d failed\n", title, t.cases, t.took.Seconds()/float64(max(1, t.cases)), t.writes, len(t.failed))
	for _, counts := range []map[string]int{t.classes, t.notes} {
		keys := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
			if counts[a] != counts[b] {
				return counts[b] - counts[a]
			}
			return len(a) - len(b)
		})
		for _, k := range keys {
			fmt.Fprintf(w, "%6d  %s\n", counts[k], k)
		}
		fmt.Fprintln(w)
	}
	return t.cases
}
