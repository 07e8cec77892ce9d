package proxy

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config is what a Server is made of.
type Config struct {
	// Server is where sessions are carried to: "host:port" or "/path/to.sock".
	Server string

	// TLS is our certificate. nil: TLS isn't offered to clients.
	TLS *tls.Config

	// RequireTLS refuses clients on TCP that don't use TLS.
	RequireTLS bool

	// ServerTLSMode says when the server's side is encrypted.
	ServerTLSMode TLSMode

	// ServerTLS has what the server is to see of us; without a ServerName it is
	// told the client's. ServerCA: whom its certificate must come from, asked for
	// each; nil: it is not verified.
	ServerTLS *tls.Config
	ServerCA  func() *x509.CertPool

	// PrivateKey takes the place of the server's RSA key for clients that encrypt
	// their password though the server's side has TLS. nil: one is made.
	PrivateKey *rsa.PrivateKey

	// ProxyNetworks are where clients must send a PROXY header from, whose address
	// is then taken for theirs.
	ProxyNetworks []netip.Prefix

	// ServerProxyHeader is the PROXY header that the server is sent.
	ServerProxyHeader ProxyHeader

	// MaxConnections and MaxUserConnections bound the sessions, those in the
	// handshake included, of all and of each user. 0: not bounded.
	MaxConnections, MaxUserConnections int

	// MaxHandshakes bounds the clients that have not logged in. 0: 128.
	MaxHandshakes int

	// Candidate tells from a statement's text, or its first 16 KiB, whether
	// Intercept wants to see it. It is called for each statement of each session,
	// with the session locked, so it must be cheap and call nothing here. multi:
	// the text may hold several statements.
	Candidate func(text []byte, multi bool) bool

	// Intercept is called on the session's goroutine, with the server's
	// connection idle and its own until it returns. It must answer the client
	// exactly once. An error ends the session.
	Intercept func(ctx context.Context, c *Conn, q Query) error

	// Observe is told what happens. It must not block.
	Observe func(Event)
}

// A Query is a statement offered to Intercept.
type Query struct {
	Text     string
	Prepared bool // it is the execution of a statement prepared with this text
}

// A Server carries sessions.
type Server struct {
	cfg       Config
	key       func() (*rsa.PrivateKey, error) // ours, for passwords
	holds     atomic.Pointer[[]*Hold]         // in force now; nil: none
	unlogged  atomic.Uint64                   // commands that have ended, see Unlogged
	unlogging atomic.Int64                    // sessions that are running one

	drain    atomic.Pointer[drain] // nil: it goes on
	draining context.Context       // ends with the first Drain
	closing  context.CancelFunc

	lobby *lobby
	loops loops
	stats []*stats // of the pumps, then of each loop

	samples samples

	mu       sync.Mutex
	sessions map[*session]struct{}
	watchers map[chan struct{}]struct{} // of Drained
	users    map[string]int             // their sessions
	// intercepted are the interceptions, by their sessions; see kill.go.
	intercepted map[uint32]chan struct{}
}

// New makes a Server.
func New(cfg Config) *Server {
	if cfg.Candidate == nil || cfg.Intercept == nil {
		cfg.Candidate = func([]byte, bool) bool { return false }
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Event) {}
	}
	key := sync.OnceValues(newRSAKey)
	if cfg.PrivateKey != nil {
		key = func() (*rsa.PrivateKey, error) { return cfg.PrivateKey, nil }
	}
	s := &Server{
		cfg:         cfg,
		key:         key,
		lobby:       newLobby(cfg.MaxHandshakes),
		stats:       []*stats{newStats()},
		users:       make(map[string]int),
		intercepted: make(map[uint32]chan struct{}),
		sessions:    make(map[*session]struct{}),
		watchers:    make(map[chan struct{}]struct{}),
	}
	s.draining, s.closing = context.WithCancel(context.Background())
	s.loops = newLoops(s)
	s.samples = samples{of: s.stats, gap: 1, dense: 1}
	return s
}

// Serve accepts clients from the listeners and carries their sessions until ctx
// ends, Drain is done or a listener fails. It closes listeners and sessions and
// returns when the last one is over. It is called once.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	for _, l := range listeners {
		defer l.Close()
	}
	g, ctx := errgroup.WithContext(ctx)
	if err := s.loops.open(ctx); err != nil {
		return err
	}
	var loops, accepting, sessions sync.WaitGroup
	loops.Go(s.loops.run)
	accepting.Add(len(listeners))
	for _, l := range listeners {
		for _, end := range []context.Context{ctx, s.draining} {
			stop := context.AfterFunc(end, func() { l.Close() })
			defer stop()
		}
		g.Go(func() error {
			defer accepting.Done()
			return s.accept(ctx, l, &sessions)
		})
	}
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-s.draining.Done():
		}
		left := make(chan struct{})
		go func() {
			accepting.Wait()
			sessions.Wait()
			close(left)
		}()
		s.letLeave(ctx, left)
		return nil
	})
	stop := context.AfterFunc(ctx, s.closeAll)
	err := g.Wait()
	stop()
	s.closeAll()
	sessions.Wait()
	s.loops.stop()
	loops.Wait()
	return err
}

// accept accepts clients from one listener until ctx ends, or Drain is called.
func (s *Server) accept(ctx context.Context, l net.Listener, sessions *sync.WaitGroup) error {
	var pause time.Duration
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			place := s.lobby.enter(ctx, conn)
			if place == nil {
				conn.Close()
				return nil
			}
			sessions.Add(1)
			go s.carry(ctx, conn, place, sessions.Done)
			continue
		case ctx.Err() != nil, s.draining.Err() != nil:
			return nil
		// Out of file descriptors: those who are here go on, others wait. A client
		// that left before it was accepted is no reason to stop either.
		case !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) && !errors.Is(err, syscall.ECONNABORTED):
			return err
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// carry runs one session from its first byte to its last, or to where a loop
// takes it over. done is called when it is over.
func (s *Server) carry(ctx context.Context, client net.Conn, place *guest, done func()) {
	defer place.leave()
	ses := newSession(s, client, done)
	ses.place = place
	if !s.add(ses) {
		s.turnAway(client, place)
		done()
		return
	}
	if ctx.Err() != nil {
		// closeAll may have run before add.
		ses.abort(BlameProxy, errShutdown)
	}
	ses.run(ctx)
}

// add is false when there is no place.
func (s *Server) add(ses *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.MaxConnections > 0 && len(s.sessions) >= s.cfg.MaxConnections {
		return false
	}
	s.sessions[ses] = struct{}{}
	return true
}

func (s *Server) remove(ses *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, ses)
	s.departLocked(ses)
	s.kickLocked()
}

// all is a snapshot of the sessions.
func (s *Server) all() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*session, 0, len(s.sessions))
	for ses := range s.sessions {
		list = append(list, ses)
	}
	return list
}

func (s *Server) closeAll() {
	for _, ses := range s.all() {
		ses.abort(BlameProxy, errShutdown)
	}
}

var errShutdown = errors.New("the proxy shuts down")

// network tells how an address is dialled.
func network(addr string) string {
	if strings.HasPrefix(addr, "/") {
		return "unix"
	}
	return "tcp"
}
