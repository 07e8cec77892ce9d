package wire

import "encoding/binary"

// A Walker follows a session in command phase. It is given the bytes of both
// directions as they are read, before they are forwarded, and looks at the
// headers and first bytes of packets where they lie. It does no I/O, keeps no
// reference to the bytes and never needs more than HeadLen of them again.
//
// It is not safe for concurrent use: the two directions share one state.
//
// Invariant: a command is taken into flight ([Walker.Begin]) before its first
// byte is forwarded, and server bytes are walked before they are forwarded. So
// the server never answers what the walker has not seen, and the client never
// answers (a file, authentication) before the walker knows that it was asked.
type Walker struct {
	session Session
	queue   []inFlight // queue[first:] are the commands in flight, oldest first
	first   int

	client struct {
		left int  // bytes of the current frame still to pass
		cont bool // the next frame continues the packet
	}
	server struct {
		head    [HeaderLen + HeadLen]byte
		n       int // bytes in head: of a header, or first bytes, cut by a read
		left    int
		cont    bool
		pending Event // happens when the current packet has passed
	}

	next   Command // the command that Client stopped at
	status Status
	maybe  bool
}

// inFlight is a command whose answer is not complete.
type inFlight struct {
	Answer
	begun int64 // the caller's
}

// NewWalker follows a session that has just authenticated, with the status of
// the OK that said so.
func NewWalker(s Session, status Status) *Walker {
	return &Walker{session: s, status: status}
}

// Status is the server's last word on the session.
func (w *Walker) Status() Status { return w.status }

// SetStatus takes flags from an answer that did not pass through the walker.
func (w *Walker) SetStatus(s Status) { w.status, w.maybe = s, false }

// Failed takes an ERR from an answer that did not pass through the walker.
//
// An ERR has no flags. With autocommit off a statement that failed has perhaps
// opened a transaction all the same; one that met a deadlock has ended it.
func (w *Walker) Failed(e ErrorKind) {
	if e.RolledBack() {
		w.status &^= StatusInTrans | StatusInTransReadonly
		w.maybe = false
		return
	}
	if w.status&StatusAutocommit == 0 {
		w.maybe = true
	}
}

// InTransaction tells whether the session is, or may be, in a transaction.
func (w *Walker) InTransaction() bool { return w.status&StatusInTrans != 0 || w.maybe }

// Session is what the two ends agreed on.
func (w *Walker) Session() Session { return w.session }

// Idle tells whether nothing is in flight, in either direction.
func (w *Walker) Idle() bool {
	return w.InFlight() == 0 && w.client.left == 0 && !w.client.cont &&
		w.server.n == 0 && w.server.left == 0 && !w.server.cont
}

// InFlight is the number of commands whose answer is not complete.
func (w *Walker) InFlight() int { return len(w.queue) - w.first }

// A Command is the beginning of a command.
type Command struct {
	Cmd       byte
	Length    int    // of its first frame's payload; MaxFrame: it goes on
	Statement uint32 // of the commands that name a prepared statement
}

// Stop says why [Walker.Client] returned.
type Stop uint8

const (
	// StopNone: all bytes may be forwarded.
	StopNone Stop = iota
	// StopPartial: behind the n bytes is the incomplete beginning of a packet.
	// Keep it, and call again with more behind it.
	StopPartial
	// StopCommand: behind the n bytes a command begins, [Walker.Next]. Call
	// Begin to let it pass, and go on with its bytes.
	StopCommand
)

// commandHead is as much of a command as Next wants: the command byte and the
// id of a prepared statement.
const commandHead = 1 + 4

// Client walks bytes from the client. The first n of p may be forwarded.
func (w *Walker) Client(p []byte) (n int, stop Stop) {
	c := &w.client
	for {
		if c.left > 0 {
			skip := min(c.left, len(p)-n)
			n += skip
			c.left -= skip
			if c.left > 0 {
				return n, StopNone
			}
		}
		rest := p[n:]
		if len(rest) == 0 {
			return n, StopNone
		}
		if len(rest) < HeaderLen {
			return n, StopPartial
		}
		length, seq := ParseHeader(rest)
		switch {
		case c.cont:
			w.frame(length)
		case w.expectsData(seq):
			w.frame(length)
			// The empty packet ends a file. (The empty frame behind a full one
			// does not: that is the case above.)
			if length == 0 {
				w.queue[len(w.queue)-1].FileSent()
			}
		default:
			if len(rest) < HeaderLen+min(length, commandHead) {
				return n, StopPartial
			}
			w.next = parseCommand(rest[HeaderLen:], length)
			return n, StopCommand
		}
		n += HeaderLen
	}
}

func (w *Walker) frame(length int) {
	w.client.left = length
	w.client.cont = length == MaxFrame
}

// expectsData tells whether the client's next packet answers a question of the
// server's and is no command.
func (w *Walker) expectsData(seq byte) bool {
	if w.InFlight() == 0 {
		return false
	}
	// Only the last command sent can be what the client still talks about.
	a := &w.queue[len(w.queue)-1]
	switch {
	case a.phase == phaseFile, streams(a.Cmd):
		return true
	case a.Cmd == ComChangeUser:
		// A command's number is 0; authentication's goes on from the command's.
		return a.asked || seq != 0
	}
	return false
}

func parseCommand(p []byte, length int) Command {
	c := Command{Length: length}
	if length == 0 {
		return c // servers take it for COM_SLEEP and answer with an error
	}
	c.Cmd = p[0]
	switch c.Cmd {
	case ComStmtExecute, ComStmtFetch, ComStmtClose, ComStmtReset, ComStmtSendLong, ComStmtBulkExecute:
		if length >= commandHead {
			c.Statement = binary.LittleEndian.Uint32(p[1:])
		}
	}
	return c
}

// Next is the command that Client stopped at.
func (w *Walker) Next() Command { return w.next }

// Begin takes the command at p, where Client stopped, into flight. The caller
// goes on by calling Client with what is behind the n bytes. begun is the
// caller's, and comes back in the event of the command's end.
func (w *Walker) Begin(p []byte, begun int64) (n int) {
	length, _ := ParseHeader(p)
	w.frame(length)
	w.enqueue(w.next.Cmd, begun)
	return HeaderLen
}

// BeginWhole takes into flight a command whose packet the caller forwards as a
// whole, outside Client.
func (w *Walker) BeginWhole(cmd byte, begun int64) { w.enqueue(cmd, begun) }

func (w *Walker) enqueue(cmd byte, begun int64) {
	if !Answered(cmd) {
		return
	}
	if len(w.queue) == cap(w.queue) && w.first > len(w.queue)/2 {
		w.queue = w.queue[:copy(w.queue, w.queue[w.first:])]
		w.first = 0
	}
	w.queue = append(w.queue, inFlight{NewAnswer(cmd), begun})
}

// ClientLeft is how many bytes of the client's current frame are still to pass.
// They may pass unseen, if ClientPassed is told.
func (w *Walker) ClientLeft() int { return w.client.left }

// ClientPassed tells that n of the ClientLeft bytes were forwarded unseen.
func (w *Walker) ClientPassed(n int) { w.client.left -= n }

// ServerLeft is how many bytes of the server's current frame are still to pass.
// All but the last may pass unseen, if ServerPassed is told.
func (w *Walker) ServerLeft() int { return w.server.left }

// ServerPassed tells that n of the ServerLeft bytes, not all, were forwarded
// unseen.
func (w *Walker) ServerPassed(n int) { w.server.left -= n }

// EventKind is what [Walker.Server] met.
type EventKind uint8

const (
	None     EventKind = iota // all bytes walked
	Finished                  // the oldest command's answer is complete
	Goodbye                   // a packet that nobody asked for, the server's last
)

// An Event is something that the server's bytes said.
type Event struct {
	Kind      EventKind
	Cmd       byte // Finished: of this command
	Err       bool // Finished: by an ERR
	Error     ErrorKind
	Several   bool // Finished: it had more than one result
	Statement uint32
	Begun     int64 // Finished: what Begin was given
}

// Server walks bytes from the server, up to and with the packet that an event
// happens at. All of them may be forwarded; the caller goes on with what is
// behind the n bytes until the event is None.
func (w *Walker) Server(p []byte) (n int, ev Event) {
	s := &w.server
	for {
		if s.left > 0 {
			skip := min(s.left, len(p)-n)
			n += skip
			s.left -= skip
			if s.left > 0 {
				return n, Event{}
			}
			if ev, ok := w.passed(); ok {
				return n, ev
			}
		}
		if n == len(p) && s.n == 0 {
			return n, Event{}
		}
		// Bring together the header and as much of the head as there will be.
		if s.n == 0 {
			if rest := p[n:]; len(rest) >= HeaderLen {
				length, _ := ParseHeader(rest)
				want := HeaderLen + w.headLen(length)
				if len(rest) >= want {
					w.packet(rest[HeaderLen:want], length)
					n += want
					if s.left -= want - HeaderLen; s.left == 0 {
						if ev, ok := w.passed(); ok {
							return n, ev
						}
					}
					continue
				}
			}
		}
		if n == len(p) {
			return n, Event{}
		}
		n += w.gather(p[n:])
		if s.n < HeaderLen {
			continue
		}
		length, _ := ParseHeader(s.head[:])
		want := HeaderLen + w.headLen(length)
		if s.n < want {
			continue
		}
		s.n = 0
		w.packet(s.head[HeaderLen:want], length)
		if s.left -= want - HeaderLen; s.left == 0 {
			if ev, ok := w.passed(); ok {
				return n, ev
			}
		}
	}
}

// headLen is how many first bytes of a frame are looked at.
func (w *Walker) headLen(length int) int {
	if w.server.cont {
		return 0
	}
	return min(length, HeadLen)
}

// gather copies the beginning of a packet that a read has cut.
func (w *Walker) gather(p []byte) int {
	s := &w.server
	want := HeaderLen
	if s.n >= HeaderLen {
		length, _ := ParseHeader(s.head[:])
		want += w.headLen(length)
	}
	k := copy(s.head[s.n:want], p)
	s.n += k
	return k
}

// packet looks at the head of a frame and notes what will have happened when
// its packet has passed.
func (w *Walker) packet(head []byte, length int) {
	s := &w.server
	s.left = length
	continues := s.cont
	s.cont = length == MaxFrame
	if continues {
		return
	}
	s.pending = Event{}
	if w.InFlight() == 0 {
		s.pending = Event{Kind: Goodbye}
		return
	}
	a := &w.queue[w.first]
	step := a.Packet(head, length, w.session)
	switch {
	case a.HasStatus:
		w.SetStatus(a.Status)
	case a.Err:
		w.Failed(a.Error)
	}
	if step == StepDone {
		s.pending = Event{Kind: Finished, Cmd: a.Cmd, Err: a.Err, Error: a.Error, Several: a.several, Statement: a.Statement, Begun: a.begun}
	}
}

// passed is called when the last byte of a frame has been walked.
func (w *Walker) passed() (Event, bool) {
	s := &w.server
	if s.cont || s.pending.Kind == None {
		return Event{}, false
	}
	ev := s.pending
	s.pending = Event{}
	if ev.Kind == Finished {
		w.pop()
	}
	return ev, true
}

// keptQueue is how long a queue may be that an idle session keeps.
const keptQueue = 16

func (w *Walker) pop() {
	if w.first++; w.first < len(w.queue) {
		return
	}
	w.queue, w.first = w.queue[:0], 0
	if cap(w.queue) > keptQueue {
		w.queue = nil
	}
}
