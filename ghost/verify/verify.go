// Package verify has the rules of comparing the two tables while both change:
// what is still to be compared, and when a difference counts. It is pure: the
// engine and its model (ghost/model) run the same code.
package verify

import (
	"maps"
	"slices"

	"midflight/binlog"
	"midflight/ghost/backlog"
	"midflight/ghost/chunk"
)

// A Verification knows what of the shadow table still has to be compared.
//
// Two rows may differ because a change is on its way. So a difference counts
// only if no change of that key is delivered before a marker that was written
// after the comparison: everything that was committed before it has been
// delivered then.
type Verification struct {
	on      bool
	exact   bool                 // one row has one key: Go tells keys apart as the server does
	ranges  []chunk.Range        // not compared yet
	dirty   map[binlog.Key]bool  // to be compared by key: changed since its range was, or different then
	checked map[binlog.Key]bool  // being compared now; false: changed meanwhile
	suspect map[binlog.Key]bool  // differed, no change seen since
	tokens  map[string][]suspect // by the marker that will convict them
	mend    bool                 // see Mend
	mended  map[binlog.Key]bool  // … and applied once more since the last call of it
}

type suspect = binlog.Key

// New makes a verification that has not begun; exact tells that one row has one
// key, to the letter.
func New(exact bool) Verification {
	return Verification{exact: exact, dirty: map[binlog.Key]bool{}, checked: map[binlog.Key]bool{}, suspect: map[binlog.Key]bool{}, tokens: map[string][]suspect{}, mended: map[binlog.Key]bool{}}
}

// Begin: from now on what is applied is noted, and the ranges are to be compared. It
// may be called again, to compare them once more.
func (v *Verification) Begin(ranges []chunk.Range) { v.on, v.ranges = true, slices.Clone(ranges) }

// Add has another range compared, which is copied as committed.
func (v *Verification) Add(r chunk.Range) { v.ranges = append(v.ranges, r) }

// Mend: there were changes that the stream does not deliver. Whatever differed, or
// is found to differ, may be one of them: it is applied once, and counts if it
// differs after that.
func (v *Verification) Mend() {
	v.mend = true
	clear(v.mended)
	for k := range v.suspect {
		v.dirty[k] = true
	}
	clear(v.suspect)
	clear(v.tokens)
	for k := range v.checked {
		v.checked[k] = false
	}
}

// On tells whether it has begun.
func (v *Verification) On() bool { return v.on }

// Changed notes that the stream has delivered a change of k: what is known of it is
// no measure any more. It need not be compared for that: either it is applied, and what
// was applied is compared, or its range is still to be copied, and then compared.
func (v *Verification) Changed(k binlog.Key) {
	if !v.on {
		return
	}
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
		v.dirty[k] = true
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

// Applied notes that keys were written to the shadow.
func (v *Verification) Applied(keys []binlog.Key) {
	if v.on {
		v.Again(keys)
	}
}

// Again has keys compared.
func (v *Verification) Again(keys []binlog.Key) {
	for _, k := range keys {
		v.dirty[k] = true
	}
}

// NextRange is one to be compared. What differs in it is for Differ.
func (v *Verification) NextRange() (r chunk.Range, ok bool) {
	if len(v.ranges) == 0 {
		return r, false
	}
	r, v.ranges = v.ranges[0], v.ranges[1:]
	return r, true
}

// Differ takes the keys that differ in a range, perhaps since their change is on
// the way: they are compared again. It returns those that are to be applied once
// more (see Mend); they must not be left to the comparison under the lock.
func (v *Verification) Differ(different []binlog.Key) (mend []binlog.Key) {
	v.Again(different)
	for _, k := range different {
		if v.mend && !v.mended[k] {
			v.mended[k] = true
			mend = append(mend, k)
		}
	}
	// A comparison by key that is under way may have seen what is mended now.
	if len(mend) > 0 && !v.exact {
		for k := range v.checked {
			v.checked[k] = false
		}
	}
	for _, k := range mend {
		if _, ok := v.checked[k]; ok {
			v.checked[k] = false
		}
	}
	return mend
}

// Settled are up to n keys to compare now, none of them awaited by a known
// change (busy).
func (v *Verification) Settled(n int, busy func(binlog.Key) bool) []binlog.Key {
	var keys []binlog.Key
	size := 0
	for k := range v.dirty {
		if len(keys) == n || size >= backlog.MostBytes {
			break
		}
		if !busy(k) {
			keys, size = append(keys, k), size+len(k)
		}
	}
	for _, k := range keys {
		delete(v.dirty, k)
		v.checked[k] = true
	}
	return keys
}

// Compared takes the outcome: the keys that differ, and the token of the marker
// that was written after the comparison. It returns those that are to be applied
// once more (see Mend), and tells whether the marker is to convict any.
func (v *Verification) Compared(different []binlog.Key, token string) (mend []binlog.Key, unexplained bool) {
	var keys []suspect
	for _, k := range different {
		if v.checked[k] && v.mend && !v.mended[k] {
			v.mended[k], v.dirty[k] = true, true
			mend = append(mend, k)
		} else if v.checked[k] { // nothing was delivered since the comparison began
			v.suspect[k] = true
			keys = append(keys, k)
		} else { // changed meanwhile, perhaps by another spelling: not explained yet
			v.dirty[k] = true
		}
	}
	clear(v.checked)
	if len(keys) > 0 {
		v.tokens[token] = keys
	}
	return mend, len(keys) > 0
}

// Forget ends a comparison that nobody could change anything beside.
func (v *Verification) Forget() { clear(v.checked) }

// Passed is to be called when a marker comes back; it convicts what differed
// before it was written, and names one such key.
func (v *Verification) Passed(token string) (different binlog.Key, convicted bool) {
	keys := v.tokens[token]
	delete(v.tokens, token)
	for _, k := range keys {
		if v.suspect[k] {
			return k, true
		}
	}
	return "", false
}

// Bytes is about how much memory the keys to be compared take; their texts are mostly
// the backlog's. It goes down when they are compared.
func (v *Verification) Bytes() int { return perKey * len(v.dirty) }

const perKey = 100

// Keys are those that are to be compared.
func (v *Verification) Keys() []binlog.Key { return slices.Collect(maps.Keys(v.dirty)) }

// Left counts the keys to be compared.
func (v *Verification) Left() int { return len(v.dirty) }

// Compares tells whether ranges are still to be compared.
func (v *Verification) Compares() bool { return len(v.ranges) > 0 }

// Waiting counts the ranges that are still to be compared.
func (v *Verification) Waiting() int { return len(v.ranges) }

// Quiet: nothing is left to be compared but a few keys that keep changing,
// which are compared under the lock.
func (v *Verification) Quiet(few int) bool {
	return len(v.ranges) == 0 && len(v.dirty)+len(v.checked) <= few && len(v.suspect) == 0
}
