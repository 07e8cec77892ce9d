// Package pace decides how much work may be under way beside the applications, by what
// their statements feel. It is pure.
package pace

import "time"

// A Latency is a distribution of how long statements took: counts in slots, shortest
// first. The zero value is of none.
type Latency struct{ Slots []Slot }

// A Slot counts durations below End and not below the previous slot's.
type Slot struct {
	End   time.Duration
	Count uint64
}

// Since is what has come to an earlier state of the same counters.
func (l Latency) Since(earlier Latency) (d Latency) {
	i := 0
	for _, s := range l.Slots {
		for i < len(earlier.Slots) && earlier.Slots[i].End < s.End {
			i++
		}
		if i < len(earlier.Slots) && earlier.Slots[i].End == s.End {
			s.Count -= min(earlier.Slots[i].Count, s.Count)
		}
		if s.Count > 0 {
			d.Slots = append(d.Slots, s)
		}
	}
	return d
}

// And is both together.
func (l Latency) And(o Latency) (sum Latency) {
	i, j := 0, 0
	for i < len(l.Slots) || j < len(o.Slots) {
		switch {
		case j == len(o.Slots) || i < len(l.Slots) && l.Slots[i].End < o.Slots[j].End:
			sum.Slots = append(sum.Slots, l.Slots[i])
			i++
		case i == len(l.Slots) || o.Slots[j].End < l.Slots[i].End:
			sum.Slots = append(sum.Slots, o.Slots[j])
			j++
		default:
			sum.Slots = append(sum.Slots, Slot{l.Slots[i].End, l.Slots[i].Count + o.Slots[j].Count})
			i, j = i+1, j+1
		}
	}
	return sum
}

// Count of the statements.
func (l Latency) Count() (n uint64) {
	for _, s := range l.Slots {
		n += s.Count
	}
	return n
}

// Quantile is the duration below which a part q of the statements are, evenly spread in
// the slot; 0 of none.
func (l Latency) Quantile(q float64) time.Duration {
	rank := q * float64(l.Count())
	var below time.Duration
	for _, s := range l.Slots {
		if rank <= float64(s.Count) {
			// A slot is a quarter of its end wide, at most; the one before may be empty.
			begin := max(below, s.End*3/4)
			return begin + time.Duration(float64(s.End-begin)*rank/float64(s.Count))
		}
		rank -= float64(s.Count)
		below = s.End
	}
	return below
}
