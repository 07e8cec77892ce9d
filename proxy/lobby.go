package proxy

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A lobby is where clients are that have not logged in. It has so many places, and
// whoever comes when all are taken waits in the kernel's queue, as long as somebody's
// login goes on. But nobody waits for a client that keeps us waiting: the one that has
// done so for the longest time is shown out, once that is more than its patience
// (docs/decisions/0023).
type lobby struct {
	places int

	mu      sync.Mutex // taken last of all locks
	guests  []*guest
	changed chan struct{} // closed when one leaves; nil: nobody waits for that
	usual   time.Duration // what clients that have logged in had to be waited for: the most, lately
}

const (
	// defaultHandshakes is below the number of connections that a server has by
	// default, 151: those who don't log in leave some to those who do.
	defaultHandshakes = 128
	// minPatience is a hundred times what a client needs to log in, and little to
	// those who wait for its place. On a crowded machine all need longer, and have
	// it: slower is who takes patienceFactor times what others take.
	minPatience    = time.Second
	maxPatience    = clientTimeout
	patienceFactor = 4
	// showingOut is for a client that is shown out to leave, and for the server to
	// be told, before the next one is.
	showingOut = 100 * time.Millisecond
)

func newLobby(places int) *lobby {
	if places == 0 {
		places = defaultHandshakes
	}
	return &lobby{places: places}
}

// A guest is a client in the lobby. The methods that its handshake calls work on nil,
// too: a place that is nobody's.
type guest struct {
	in      *lobby
	client  net.Conn
	since   time.Time     // the client has been waited for; zero: it isn't
	spent   time.Duration // waiting for it before
	evicted bool          // shown out
	left    bool
}

// errEvicted: a client has had to leave its place to others.
var errEvicted = errors.New("others wait, and this client has kept its place without logging in")

// enter waits for a place for a client. It is nil when ctx has ended before.
func (l *lobby) enter(ctx context.Context, client net.Conn) *guest {
	g := &guest{in: l, client: client}
	for {
		l.mu.Lock()
		if len(l.guests) < l.places {
			l.guests = append(l.guests, g)
			l.mu.Unlock()
			return g
		}
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed, again := l.changed, l.showOut(time.Now())
		l.mu.Unlock()
		select {
		case <-changed:
		case <-time.After(again):
		case <-ctx.Done():
			return nil
		}
	}
}

// showOut has the client leave that has been waited for for the longest time, if that
// was long enough. It tells when to look again. mu is held.
func (l *lobby) showOut(now time.Time) (again time.Duration) {
	patience := min(max(minPatience, patienceFactor*l.usual), maxPatience)
	var slowest *guest
	for _, g := range l.guests {
		if g.since.IsZero() || g.evicted || slowest != nil && g.waited(now) <= slowest.waited(now) {
			continue
		}
		if g.waited(now) >= patience && hasSpoken(g.client) {
			continue // it is us who are slow
		}
		slowest = g
	}
	if slowest == nil {
		return minPatience // all wait for the server
	}
	if left := patience - slowest.waited(now); left > 0 {
		return left
	}
	slowest.evicted = true
	slowest.client.SetReadDeadline(now)
	return showingOut
}

func (g *guest) waited(now time.Time) time.Duration { return g.spent + now.Sub(g.since) }

// await begins to wait for the client's next bytes. The client must be read with no
// other deadline, and then heard be called.
func (g *guest) await(client net.Conn, until time.Time) error {
	if g == nil {
		return client.SetReadDeadline(until)
	}
	g.in.mu.Lock()
	defer g.in.mu.Unlock()
	if g.evicted {
		return errEvicted
	}
	g.since = time.Now()
	return client.SetReadDeadline(until)
}

// heard ends what await began, and tells what an error means.
func (g *guest) heard(err error) error {
	if g == nil {
		return err
	}
	g.in.mu.Lock()
	defer g.in.mu.Unlock()
	g.spent, g.since = g.waited(time.Now()), time.Time{}
	if err != nil && g.evicted {
		return errEvicted
	}
	return err
}

// hasSpoken tells whether there are bytes of a client's that nobody has read.
func hasSpoken(c net.Conn) (spoken bool) {
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) { spoken = readable(int(fd)) })
		}
	}
	return spoken
}

// loggedIn gives the place up of a client that has logged in.
func (g *guest) loggedIn() {
	if g == nil {
		return
	}
	g.in.mu.Lock()
	g.in.usual = max(g.spent, g.in.usual*15/16)
	g.in.mu.Unlock()
	g.leave()
}

// leave gives the place up.
func (g *guest) leave() {
	if g == nil {
		return
	}
	l := g.in
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.left {
		return
	}
	g.left = true
	l.guests = slices.DeleteFunc(l.guests, func(o *guest) bool { return o == g })
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}
