package proxy

import "time"

// Felt is what clients felt of some statements.
type Felt struct {
	// Latency counts those under way, too, with what they have taken so far.
	Latency Latency
	// Suffered were answered with an error that is no fault of the statement's own.
	Suffered uint64
}

// Felt tells what clients felt of the statements, text and prepared ones, that name one of
// names and were forwarded in a time, of the last two minutes at most. It goes by their
// words (see words.go): one that names a table by what isn't its own text, such as CALL or
// EXECUTE, doesn't count.
//
// It is of a sample, about 200 statements a second of all that the Server carries, and
// about as many again of those that name what is asked for again and again. How many
// statements one of them stands for differs from second to second.
//
// A statement belongs to the time in which it was forwarded: so it counts once, however
// long it takes, and is seen before it ends.
func (s *Server) Felt(names []string, from, to time.Time) (f Felt) {
	words := make([][]word, len(names))
	for i, n := range names {
		words[i] = wordsOf(n)
	}
	now := clock()
	begin := max(0, nanos(from.Sub(epoch))) // of the process, at the earliest
	s.samples.watch(words, now)
	var slots [latencySlots]uint64
	s.samples.visit(words, begin, nanos(to.Sub(epoch)), func(s *sample) {
		took := s.took
		if took == underWay {
			took = now - s.at
		}
		slots[latencySlot(took)]++
		f.Latency.Sum += time.Duration(max(took, 0))
		if s.suffered {
			f.Suffered++
		}
	})
	f.Latency.count(&slots)
	return f
}

// sample has the command that has just been taken into flight sampled. s.mu is held.
func (s *session) sample(c *command, now nanos) {
	if s.sampled != 0 {
		return // there is room for one; the next one of the loop is due, too
	}
	text := c.text
	if c.stmt.known() {
		t := c.stmt.text.Value()
		text = []byte(t[:min(len(t), maxWordsIn)])
	}
	s.sampled = s.srv.samples.begin(s.stats, c.Cmd, text, now)
	s.before = s.walker.InFlight() - 1
}

// sampleEnds takes note that the oldest command in flight has ended, of a session with a
// sampled one. s.mu is held.
func (s *session) sampleEnds(took nanos, suffered bool) {
	if s.before > 0 {
		s.before--
		return
	}
	s.srv.samples.end(s.sampled, took, suffered)
	s.sampled = 0
}
