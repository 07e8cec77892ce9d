package proxy

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"midflight/proxy/wire"
)

func sessionOf(t testing.TB, srv *Server) *session {
	conn, _ := net.Pipe()
	t.Cleanup(func() { conn.Close() })
	s := newSession(srv, conn, func() {})
	s.wire = wire.Session{Caps: rawCaps}
	s.walker = wire.NewWalker(s.wire, wire.StatusAutocommit)
	return s
}

// A load is statements in the time of a test, in turn by several loops.
type load struct {
	samples *samples
	now     nanos
	each    func(i int, number uint64)
	rare    int // one of so many statements is on another table
	i       int
}

func newLoad(loops int) *load {
	l := &load{samples: &samples{gap: 1, dense: 1}}
	for range loops {
		l.samples.of = append(l.samples.of, newStats())
	}
	return l
}

// run has so many statements begin in a second, evenly, and tells how many were sampled.
func (l *load) run(perSecond int) (taken int) {
	first := l.samples.last
	for range perSecond {
		l.now += nanos(time.Second) / nanos(perSecond)
		st := l.samples.of[l.i*7/3%len(l.samples.of)]
		number := uint64(0)
		if st.begun(wire.ComQuery, l.now) {
			text := "SELECT a FROM t"
			if l.rare > 0 && l.i%l.rare == 0 {
				text = "SELECT a FROM rare"
			}
			number = l.samples.begin(st, wire.ComQuery, []byte(text), l.now)
		}
		if l.each != nil {
			l.each(l.i, number)
		}
		l.i++
	}
	return int(l.samples.last - first)
}

func TestSampleRate(t *testing.T) {
	l := newLoad(4)
	for second := range 5 {
		if n := l.run(100); n != 100 {
			t.Errorf("second %d of 100 statements: %d", second, n)
		}
	}
	if n := l.run(20_000); n > 8*samplesPerSecond {
		t.Errorf("the first second of 20 000 statements: %d", n)
	}
	for second := range 10 {
		if n := l.run(20_000); n < samplesPerSecond/2 || n > samplesPerSecond*3/2 {
			t.Errorf("second %d of 20 000 statements: %d", second, n)
		}
	}
	if n := l.run(100_000); n > 8*samplesPerSecond {
		t.Errorf("the first second of 100 000 statements: %d", n)
	}
	l.run(10) // it becomes quiet
	for second := range 3 {
		if n := l.run(10); n != 10 {
			t.Errorf("second %d of 10 statements: %d", second, n)
		}
	}
	l.now += nanos(time.Hour)
	if n := l.run(20_000); n > 8*samplesPerSecond {
		t.Errorf("after an hour: %d", n)
	}
}

// Each statement of a transaction is sampled about as often as the others, however many
// there are in it.
func TestSamplesOfPatterns(t *testing.T) {
	for _, length := range []int{2, 7, 20, 100} {
		l := newLoad(1)
		of := make([]int, length)
		l.each = func(i int, number uint64) {
			if number != 0 {
				of[i%length]++
			}
		}
		for range 100 {
			l.run(20_000)
		}
		mean := int(l.samples.last) / length
		for i, n := range of {
			// The deviation is at most sqrt(mean).
			if d := (n - mean) * (n - mean); d > 25*mean {
				t.Errorf("number %d of %d is sampled %d times, on average %d", i, length, n, mean)
			}
		}
	}
}

// A table that is asked for has more samples than its part, the others as many as before,
// and there are no more than the memory is for.
func TestSamplesOfWhatIsAskedFor(t *testing.T) {
	for _, rare := range []int{1, 3, 50, 400} {
		l := newLoad(4)
		l.rare = rare
		count := func(name string) (n int) {
			l.samples.visit([][]word{wordsOf(name)}, l.now-nanos(time.Second), l.now, func(*sample) { n++ })
			return n
		}
		for range 10 {
			l.run(20_000)
		}
		if dense := l.samples.dense; dense != 1 {
			t.Errorf("nobody asks, and it is %d times as dense", dense)
		}
		var asked, others int
		for second := range 20 {
			l.samples.watch([][]word{wordsOf("rare")}, l.now)
			n := l.run(20_000)
			if second < 5 {
				continue
			}
			asked, others = asked+count("rare"), others+count("t")
			if n > 3*samplesPerSecond {
				t.Errorf("one in %d: %d samples in a second", rare, n)
			}
		}
		asked, others = asked/15, others/15
		t.Logf("one in %d: %d samples a second, of others %d, %d times as dense", rare, asked, others, l.samples.dense)
		part := samplesPerSecond / rare
		if asked < min(15*part, samplesPerSecond/2) || others < (samplesPerSecond-part)*8/10 || others > (samplesPerSecond-part)*12/10 {
			t.Errorf("one in %d: %d samples a second, of others %d", rare, asked, others)
		}
		for range 10 {
			l.run(20_000)
		}
		if len(l.samples.watched) != 0 || l.samples.dense != 1 {
			t.Error("it is still watched")
		}
	}
}

func TestSamplesAreBounded(t *testing.T) {
	p := &samples{gap: 1, dense: 1}
	count := func(name string) (n int) {
		p.visit([][]word{wordsOf(name)}, 0, 1<<62, func(*sample) { n++ })
		return n
	}
	long := ""
	for i := range maxWords - 1 {
		long += fmt.Sprintf(" w%d", i)
	}
	const n = 10_000
	for i := range n {
		p.put(fmt.Appendf(nil, "t%d %s", i, long), nanos(i))
	}
	if len(p.ring) != int(sampleCount) || len(p.arena) != int(arenaWords) {
		t.Errorf("%d samples, %d words", len(p.ring), len(p.arena))
	}
	if kept := count("w7"); kept < int(arenaWords)/maxWords-2 || kept > int(arenaWords)/maxWords {
		t.Errorf("of samples with %d words %d are kept", maxWords, kept)
	}
	for i, want := range map[int]int{0: 0, n / 2: 0, n - 4000: 1, n - 1: 1} {
		if got := count(fmt.Sprint("t", i)); got != want {
			t.Errorf("number %d: %d", i, got)
		}
	}
	for i := range int(sampleCount) + 100 {
		p.put([]byte("SELECT a FROM short"), nanos(n+i))
	}
	if kept := count("short"); kept != int(sampleCount) {
		t.Errorf("of samples with few words %d are kept", kept)
	}
	// The end of one that has no place any more is not taken for another's.
	p.end(5, 7, true)
	p.visit([][]word{wordsOf("short")}, 0, 1<<62, func(s *sample) {
		if s.suffered || s.took != underWay {
			t.Fatal("another's end")
		}
	})
}

// Loops sample while somebody looks.
func TestSamplesTogether(t *testing.T) {
	p := &samples{gap: 1, dense: 1}
	for range 3 {
		p.of = append(p.of, newStats())
	}
	var wg sync.WaitGroup
	for _, st := range p.of {
		wg.Go(func() {
			for i := range 30_000 {
				now := nanos(i) * nanos(time.Millisecond)
				if st.begun(wire.ComStmtExecute, now) {
					if n := p.begin(st, wire.ComStmtExecute, []byte("SELECT a FROM t"), now); n != 0 {
						p.end(n, 5, false)
					}
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for {
		n := 0
		p.visit([][]word{wordsOf("t"), wordsOf("a")}, 0, 1<<62, func(*sample) { n++ })
		if n > int(sampleCount) {
			t.Fatalf("%d samples", n)
		}
		select {
		case <-done:
			if n == 0 {
				t.Error("no samples")
			}
			return
		default:
		}
	}
}
