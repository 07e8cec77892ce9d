package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
	"unique"

	"midflight/proxy/wire"
)

// A session is one client's life: its connection, its own connection to the
// server, and what is known about it.
//
// A carrier moves the bytes: an epoll loop, or two goroutines. It reads, asks
// advance and fromServer what they mean, and writes. During an interception the
// server's bytes go to the Conn, and the goroutine of the interception writes to
// both sides.
type session struct {
	srv   *Server
	stats *stats
	addr  string // the client's
	start time.Time
	done  func() // to be called when it is over
	place *guest // in the lobby

	id        uint32
	user      string
	changing  string     // whom a COM_CHANGE_USER in flight makes of the user
	auth      *authRelay // nil: COM_CHANGE_USER's conversation is passed on as it is
	countedAs *string    // a user's name; guarded by srv.mu
	wire      wire.Session
	algorithm wire.Algorithm // what both sides are compressed with
	client    peer
	server    peer

	fromClient, fromServ uint64 // bytes; the carrier's

	// mu guards what is below. cond is signalled when any of it changes that
	// somebody waits for. Lock order: a session's mu, then the server's, a
	// hold's or a loop's.
	mu     sync.Mutex
	cond   sync.Cond
	walker *wire.Walker

	carrier carrier     // nil before the handshake's end
	conns   [2]net.Conn // to be closed until there is a carrier

	multi      bool // several statements in one text are allowed
	stmts      map[uint32]statement
	preparing  []statement // COM_STMT_PREPARE in flight, oldest first
	last       statement   // prepared last: MariaDB clients may call it by id -1
	candidates bool        // it has prepared one for Intercept
	strayed    int         // how often the current database may have become another, since
	unlogged   bool        // its binlog may be off
	hiding     bool        // … and it is at work
	relogs     bool        // the command in flight switches it on if it succeeds
	sticky     sticky
	giving     sticky // what the command in flight gives back if it succeeds
	unseen     bool   // of a text in flight, the end, in which statements may follow
	mysql      bool   // and not MariaDB
	using      bool   // statements in flight use tables
	ending     bool   // the command in flight ends the transaction if it succeeds
	unflagged  bool   // a transaction that the status flags don't show
	log        textLog
	watched    bool          // a Drained waits for this session
	older      []*Hold       // of swaps that the transaction's snapshot may be older than
	renewing   bool          // the command in flight ends the transaction if it succeeds
	killing    chan struct{} // the interception that the command in flight kills if it succeeds

	commands uint64
	held     int
	moved    nanos // when the latest command began or ended

	sampled uint64 // the number of its sample, of a statement in flight; 0: none
	before  int    // so many commands in flight before that one

	waitsIdle bool  // the carrier waits until the session is idle
	heldNow   bool  // … or for a hold to open
	waited    nanos // since when the next command has waited; 0: it hasn't

	writing    bool          // what the walker has seen is not all written yet
	diverted   bool          // an interception has the server's connection
	relaying   bool          // … and runs a statement of the client's
	inbox      []byte        // read from the server, not yet taken by the interception
	serverGone bool          // the server has closed; all it said before is in inbox or forwarded
	gone       chan struct{} // closed with it; made when asked for
	quit       bool          // the client has said COM_QUIT
	blame      Blame
	cause      error
	aborted    bool
}

// A peer is one side of a session, to the goroutine that has it during an
// interception: its calls block.
type peer interface {
	io.ReadWriter
	// restart says that a command is going to be written, in so many compressed
	// packets if the session is compressed.
	restart(packets int)
	// hungUp tells whether the other end has closed it, at least for writing. It
	// neither blocks nor reads.
	hungUp() bool
}

// A carrier moves a session's bytes. Its methods are called with s.mu held and
// don't block.
type carrier interface {
	wake()  // look at the session again: something has changed
	leave() // have both sides closed in order, if the client has not begun anything
	abort() // close both sides
}

// A statement is a prepared statement.
type statement struct {
	text      unique.Handle[string] // shared by all sessions; zero: not known
	candidate bool
	strayed   int // session.strayed when it was prepared
	// What executing it may do, if its text is known.
	sticks bool // change which locks the session keeps
	// See the functions of these names.
	uses, ends, renews bool
	kills              uint32
}

func newSession(srv *Server, client net.Conn, done func()) *session {
	s := &session{srv: srv, stats: srv.stats[0], addr: client.RemoteAddr().String(), start: time.Now(), done: done}
	s.cond.L = &s.mu
	s.conns[0] = newSocket(client)
	return s
}

// run carries the session until both sides are closed, or a loop has taken it
// over.
func (s *session) run(ctx context.Context) {
	client := s.conns[0]
	h, err := s.handshake(ctx, client)
	switch {
	case err != nil:
		client.Close()
		s.endFailed(err)
		return
	case s.wire.Caps&wire.ClientProtocol41 == 0:
		s.carryOpaquely(h.client.Conn, h.server.Conn)
	case s.algorithm == wire.Uncompressed && s.srv.loops.carry(s, h.client.Conn, h.server.Conn):
		return
	default:
		carryByPumps(ctx, s, h.client.Conn, h.server.Conn)
	}
	s.over()
}

// over is the end of a session that was opened.
func (s *session) over() {
	s.mu.Lock()
	s.rests()
	if s.sampled != 0 {
		s.srv.samples.end(s.sampled, abandoned, false)
	}
	e := SessionClosed{
		ID: s.id, User: s.user, Client: s.addr, Blame: s.blame, Err: s.cause, Reason: reasonOf(s.blame, s.quit, s.cause),
		Commands: s.commands, FromClient: s.fromClient, FromServer: s.fromServ,
		Held: s.held, Duration: time.Since(s.start),
	}
	s.mu.Unlock()
	s.srv.remove(s)
	s.srv.cfg.Observe(e)
	s.done()
}

func (s *session) handshake(ctx context.Context, client net.Conn) (*handshake, error) {
	h := newHandshake(s.srv, client, s.place, func(user string) bool { return s.srv.enter(s, user) })
	if err := h.readHeader(); err != nil {
		return nil, err
	}
	s.addr = h.origin.source.String()
	if err := h.dial(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.conns[1] = h.server.Conn
	aborted := s.aborted
	s.mu.Unlock()
	if aborted { // abort didn't see the connection
		h.server.Close()
		return nil, failed(ReasonShutdown, "handshake", errShutdown)
	}
	if err := h.run(); err != nil {
		h.server.Close()
		return nil, err
	}
	s.place.loggedIn()
	h.client.SetDeadline(time.Time{})
	h.server.SetDeadline(time.Time{})
	s.mu.Lock()
	if s.algorithm = h.algorithm; h.auth.mixed() {
		s.auth = h.auth
	}
	s.id, s.user, s.wire = h.greeting.ConnectionID, h.response.User, h.session
	s.mysql = h.greeting.Caps&wire.ClientMySQL != 0
	s.multi = h.session.Caps&wire.ClientMultiStatements != 0
	s.walker, s.moved = wire.NewWalker(h.session, h.status), clock()
	s.mu.Unlock()
	s.srv.cfg.Observe(SessionOpened{
		ID: s.id, User: s.user, Client: s.addr, TLS: linkOf(h.client.Conn) == linkTLS,
	})
	return h, nil
}

// endFailed is the end of a session that was never opened.
func (s *session) endFailed(err error) {
	f := HandshakeFailed{Client: s.addr, Reason: ReasonServerFailed, Err: err}
	var he *handshakeError
	if errors.As(err, &he) {
		f.Reason = he.reason
	}
	s.mu.Lock()
	if s.aborted { // whatever it looked like
		f.Reason = ReasonShutdown
	}
	s.mu.Unlock()
	f.Blame = f.Reason.Blame()
	s.srv.remove(s)
	s.srv.cfg.Observe(f)
	s.done()
}

// carryOpaquely copies both ways, for a protocol that the walker doesn't know.
func (s *session) carryOpaquely(client, server net.Conn) {
	var wg sync.WaitGroup
	wg.Go(func() {
		io.Copy(client, server)
		s.abort(BlameServer, nil)
	})
	io.Copy(server, client)
	closeWrite(server)
	wg.Wait()
	client.Close()
	server.Close()
}

// carriedBy says who moves the session's bytes from now on. false: it was
// aborted before.
func (s *session) carriedBy(c carrier, client, server peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client, s.server = client, server
	s.carrier, s.conns = c, [2]net.Conn{}
	return !s.aborted
}

// wake has the carrier, and all who wait, look again. s.mu is held.
func (s *session) wake() {
	s.cond.Broadcast()
	if s.carrier != nil {
		s.carrier.wake()
	}
}

// countIn counts bytes that were read. Of two pumps each counts its own side.
func (s *session) countIn(client, server int) {
	if client > 0 {
		s.fromClient += uint64(client)
		s.stats.bytes[0].Add(uint64(client))
	}
	if server > 0 {
		s.fromServ += uint64(server)
		s.stats.bytes[1].Add(uint64(server))
	}
}

// A blameError ends a session and says whose fault it was. Errors without one
// are the client's.
type blameError struct {
	blame Blame
	err   error
}

func (e *blameError) Error() string { return e.err.Error() }
func (e *blameError) Unwrap() error { return e.err }

// end notes why the session ends; the first reason counts.
func (s *session) end(b Blame, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(b, err)
}

func (s *session) endLocked(b Blame, err error) {
	if s.blame == "" {
		s.blame, s.cause = b, err
	}
}

// abort closes both connections at once.
func (s *session) abort(b Blame, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abortLocked(b, err)
}

func (s *session) abortLocked(b Blame, err error) {
	s.endLocked(b, err)
	if s.aborted {
		return
	}
	s.aborted = true
	if s.carrier != nil {
		s.carrier.abort()
	}
	for _, c := range s.conns {
		if c != nil {
			c.Close()
		}
	}
	s.cond.Broadcast()
}

var errAborted = errors.New("the session is over")

// serverEnded notes that the server has closed its side. s.mu is held.
func (s *session) serverEnded(err error) {
	b := BlameServer
	if s.quit { // as it was asked to
		b, err = BlameClient, nil
	}
	s.endLocked(b, err)
	s.serverGone = true
	if s.gone != nil {
		close(s.gone)
	}
	s.unwatched()
	s.wake()
}

// known tells whether the text is.
func (st statement) known() bool { return st.text != (unique.Handle[string]{}) }
