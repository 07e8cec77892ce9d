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
// Two goroutines carry it. The session's own one (clientPump) is the only reader
// of the client and the only writer to the server; it runs Intercept. The server
// pump is the only reader of the server. The client is written to by the server
// pump, except during an interception, when the server pump hands what it reads
// to the Conn and the session's own goroutine writes.
type session struct {
	srv    *Server
	client net.Conn // what is read and written: TLS or not
	server net.Conn
	raw    net.Conn // the client's socket

	id        uint32
	user      string
	from      net.Addr // the client's, or what a PROXY header says
	auth      *authRelay
	countedAs *string // a user's name; guarded by srv.mu
	start     time.Time
	wire      wire.Session
	opened    bool

	commands             uint64 // of the session's own goroutine
	fromClient, fromServ uint64 // each of its own goroutine
	held                 int

	// mu guards what is below. cond is signalled when any of it changes that
	// somebody waits for.
	mu     sync.Mutex
	cond   *sync.Cond
	walker *wire.Walker

	multi     bool // several statements in one text are allowed
	stmts     map[uint32]statement
	preparing []statement // COM_STMT_PREPARE in flight, oldest first
	last      statement   // prepared last: MariaDB clients may call it by id -1
	sticky    sticky
	log       textLog
	watched   bool // a Drained waits for this session

	writing    bool   // the server pump writes what the walker has seen already
	diverted   bool   // an interception has the server's connection
	relaying   bool   // … and runs a statement of the client's
	inbox      []byte // read by the server pump, not yet taken by the interception
	serverGone bool   // the server has closed; all it said before is in inbox or forwarded
	gone       chan struct{}
	over       chan struct{} // closed by abort
	blame      Blame
	cause      error
	aborted    bool
}

// A statement is a prepared statement.
type statement struct {
	text      unique.Handle[string] // shared by all sessions; zero: not known
	candidate bool
}

func newSession(srv *Server, client net.Conn) *session {
	s := &session{
		srv: srv, client: client, raw: client, from: client.RemoteAddr(), start: time.Now(),
		gone: make(chan struct{}), over: make(chan struct{}),
	}
	s.cond = sync.NewCond(&s.mu)
	return s
}

// run carries the session until both sides are closed.
func (s *session) run(ctx context.Context) {
	defer s.raw.Close()
	tune(s.raw)
	h, err := s.handshake(ctx)
	if err != nil {
		s.tellFailed(err)
		return
	}
	if s.wire.Caps&wire.ClientProtocol41 == 0 {
		s.carryOpaquely()
	} else {
		s.carry(ctx, h)
	}
	s.abort("", nil)
	s.srv.cfg.Observe(SessionClosed{
		ID: s.id, User: s.user, Client: s.clientAddr(), Blame: s.blame, Err: s.cause,
		Commands: s.commands, FromClient: s.fromClient, FromServer: s.fromServ,
		Held: s.held, Duration: time.Since(s.start),
	})
}

func (s *session) clientAddr() string { return s.from.String() }

func (s *session) handshake(ctx context.Context) (*handshake, error) {
	h := newHandshake(s.srv, s.client, func(user string) bool { return s.srv.enter(s, user) })
	if err := h.readHeader(); err != nil {
		return nil, err
	}
	s.from = h.origin.source
	if err := h.dial(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.server = h.server.Conn
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
	h.client.SetDeadline(time.Time{})
	h.server.SetDeadline(time.Time{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client, s.server, s.auth = h.client.Conn, h.server.Conn, h.auth
	s.id, s.user, s.wire = h.greeting.ConnectionID, h.response.User, h.session
	s.multi = h.session.Caps&wire.ClientMultiStatements != 0
	s.walker = wire.NewWalker(h.session, h.status)
	s.opened = true
	return h, nil
}

func (s *session) tellFailed(err error) {
	f := HandshakeFailed{Client: s.clientAddr(), Reason: ReasonServerFailed, Err: err}
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
	s.srv.cfg.Observe(f)
}

// carry runs the two pumps.
func (s *session) carry(ctx context.Context, h *handshake) {
	s.srv.cfg.Observe(SessionOpened{
		ID: s.id, User: s.user, Client: s.clientAddr(), TLS: linkOf(h.client.Conn) == linkTLS,
	})
	var wg sync.WaitGroup
	wg.Go(s.serverPump)
	err := s.clientPump(ctx)
	switch {
	case err == nil || errors.Is(err, io.EOF):
		// The client won't say more, but may still want its answers.
		s.end(BlameClient, nil)
		closeWrite(s.server)
	default:
		var b *blameError
		if errors.As(err, &b) {
			s.abort(b.blame, b.err)
		} else {
			s.abort(BlameClient, err)
		}
	}
	wg.Wait()
}

// carryOpaquely copies both ways, for a protocol that the walker doesn't know.
func (s *session) carryOpaquely() {
	var wg sync.WaitGroup
	wg.Go(func() {
		io.Copy(s.client, s.server)
		s.abort(BlameServer, nil)
	})
	io.Copy(s.server, s.client)
	closeWrite(s.server)
	wg.Wait()
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
	s.endLocked(b, err)
	if s.aborted {
		return
	}
	s.aborted = true
	close(s.over)
	s.raw.Close()
	if s.server != nil {
		s.server.Close()
	}
	s.cond.Broadcast()
}

var errAborted = errors.New("the session is over")

// waitIdle waits until everything sent to the server is answered, and the
// answers are written to the client.
func (s *session) waitIdle() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.walker.Idle() || s.writing {
		if s.aborted || s.serverGone {
			return &blameError{BlameServer, errAborted}
		}
		s.cond.Wait()
	}
	return nil
}
