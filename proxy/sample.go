package proxy

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// The samples tell what clients felt of some tables, also before anybody asked for these.
//
// Of the statements of each loop one in a random number is sampled, gap on average, and
// gap follows the load. (In a fixed number it would be the same statement of each
// transaction; by time it would be those behind a pause.) One that isn't sampled costs two
// comparisons when it begins, and one when it ends.
//
// A table whose statements are one in two hundred would have one sample a second. So
// more statements are looked at while somebody asks for a table, and of the others than
// its own as many are passed over.
type samples struct {
	of []*stats // whose statements are sampled

	mu      sync.Mutex // guards the fields below. Lock order: last
	gap     uint64     // 1 or more
	dense   uint64     // so many times as many are looked at, 1 or more
	watched []watched  // tables that somebody asks for
	adapted nanos      // when this was last thought over,
	begun   uint64     // how many statements had begun then, and
	taken   int        // how many were sampled since
	ring    []sample   // number n is at n%sampleCount
	last    uint64     // number of the latest; the first is 1
	arena   []word     // a ring, too: of the samples' words
	written uint64     // words put there
}

const (
	samplesPerSecond = 200
	samplePeriod     = 250 * time.Millisecond // in which gap and dense are thought over
	samplesPerPeriod = samplesPerSecond * int(samplePeriod) / int(time.Second)
	// sampleTime is how far back they go, if statements have 43 words or fewer on average.
	sampleTime  = 2 * time.Minute
	sampleCount = uint64(samplesPerSecond * sampleTime / time.Second)
	arenaWords  = uint64(1 << 20) // 4 MiB
	mostDense   = 16
	watchTime   = nanos(5 * time.Second) // after the latest question
)

// A watched table is one that somebody asks for.
type watched struct {
	name  []word
	until nanos
}

// A sample is of a statement.
type sample struct {
	at       nanos  // when it was forwarded
	took     nanos  // with what it was held before; underWay, abandoned
	words    uint64 // arena's written, before its words were put there
	count    uint16 // of them
	suffered bool
}

// What a sample has instead of a duration.
const (
	underWay  nanos = -1
	abandoned nanos = -2 // by the session's end
)

// begin samples a statement if one is due in st, and yields its number; else 0.
func (p *samples) begin(st *stats, cmd byte, text []byte, now nanos) (number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now-p.adapted >= nanos(samplePeriod) {
		p.adapt(now)
	}
	c := &st.classes[classOf[cmd]]
	c.again.Store(int64(now) + int64(samplePeriod))
	n := c.begun.Load()
	if due := c.due.Load(); n < due {
		c.due.Store(min(due, n+p.step())) // the load may have become less
		return 0
	}
	if p.taken == 4*samplesPerPeriod { // it has become more, just now
		p.gap, p.taken = 2*p.gap, 0
		c.due.Store(n + p.step())
		return 0
	}
	c.due.Store(n + p.step())
	return p.put(text, now)
}

// step is to the next statement that is looked at.
func (p *samples) step() uint64 { return 1 + rand.Uint64N(2*p.look()-1) }

// look: about one in so many statements is looked at.
func (p *samples) look() uint64 { return max(1, p.gap/p.dense) }

// watch has more of a table's statements sampled from now on.
func (p *samples) watch(names [][]word, now nanos) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched = slices.DeleteFunc(p.watched, func(w watched) bool {
		return now > w.until || slices.ContainsFunc(names, func(name []word) bool { return slices.Equal(name, w.name) })
	})
	for _, name := range names {
		p.watched = append(p.watched, watched{name, now + watchTime})
	}
}

// adapt has gap follow the load, and dense what comes of it: about twice as many samples
// as without.
func (p *samples) adapt(now nanos) {
	var begun uint64
	for _, st := range p.of {
		begun += st.statements()
	}
	rate := float64(begun-p.begun) / time.Duration(now-p.adapted).Seconds()
	p.gap = max(1, uint64(rate/samplesPerSecond))
	p.watched = slices.DeleteFunc(p.watched, func(w watched) bool { return now > w.until })
	switch {
	case len(p.watched) == 0:
		p.dense = 1
	case p.taken > 2*samplesPerPeriod:
		p.dense = max(1, p.dense/2)
	case p.taken < samplesPerPeriod*3/2:
		p.dense = min(mostDense, 2*p.dense)
	}
	p.adapted, p.begun, p.taken = now, begun, 0
}

// put keeps a statement, or passes it over.
func (p *samples) put(text []byte, now nanos) (number uint64) {
	if p.ring == nil {
		p.ring, p.arena = make([]sample, sampleCount), make([]word, arenaWords)
	}
	at := p.written % arenaWords
	if at+maxWords > arenaWords { // words lie together
		p.written += arenaWords - at
		at = 0
	}
	words := appendWords(p.arena[at:at:at+maxWords], text)
	asked := slices.ContainsFunc(p.watched, func(w watched) bool { return hasAll(words, w.name) })
	if !asked && rand.Uint64N(p.gap) >= p.look() {
		return 0
	}
	p.taken++
	p.last++
	p.ring[p.last%sampleCount] = sample{at: now, took: underWay, words: p.written, count: uint16(len(words))}
	p.written += uint64(len(words))
	return p.last
}

// end notes a sampled statement's end.
func (p *samples) end(number uint64, took nanos, suffered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last-number < sampleCount { // else its place has been taken
		s := &p.ring[number%sampleCount]
		s.took, s.suffered = took, suffered
	}
}

// samplesAtOnce are looked at under the lock, which loops wait for.
const samplesAtOnce = 256

// visit calls f with the samples forwarded in a time, of which one of names has all words.
// f must be quick, and call nothing here.
func (p *samples) visit(names [][]word, from, to nanos, f func(s *sample)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Loops have clocks of their own, which are late by what they are handling.
	const late = nanos(time.Second)
	for n := p.last; n > 0 && p.last-n < sampleCount; n-- {
		if n%samplesAtOnce == 0 {
			p.mu.Unlock()
			p.mu.Lock()
			if p.last-n >= sampleCount {
				return
			}
		}
		s := &p.ring[n%sampleCount]
		if s.at < from-late || p.written-s.words > arenaWords {
			return
		}
		if s.at < from || s.at >= to || s.took == abandoned {
			continue
		}
		words := p.arena[s.words%arenaWords:][:s.count]
		for _, name := range names {
			if hasAll(words, name) {
				f(s)
				break
			}
		}
	}
}
