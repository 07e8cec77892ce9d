package proxy

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loopBuf is what a loop reads at once. There is one for all its sessions.
const loopBuf = 64 << 10

// A loop carries plain sessions, both their connections, on one thread. What a
// proxy costs is being woken up: a goroutine for each direction costs half as
// much again (docs/performance.md).
//
// A route belongs to the goroutine of its loop. Others reach it by post only.
type loop struct {
	stats *stats
	epoll int
	event int    // an eventfd, readable when something was posted
	ends  []*end // by descriptor
	buf   [loopBuf]byte
	now   nanos // of the events being handled
	shut  []int // descriptors to close when they are handled: until then no new one may have their number
	pipes []*pipe
	ctx   context.Context // of interceptions

	routes atomic.Int64

	mu      sync.Mutex
	posted  []*route
	stopped bool
	closed  bool // nobody looks any more, and the descriptors may be others'
}

// loops are those of a server. Sessions are spread over the first few of them, and
// over one more whenever these are crowded: a loop keeps a processor busy, which
// with some tens of sessions the server, the clients or the migrations need more
// (docs/performance.md has the measurements).
type loops struct {
	list []*loop
	few  int
}

// crowded is a loop with so many sessions.
const crowded = 128

func newLoops(s *Server) loops {
	l := loops{few: max(1, runtime.NumCPU()/4)}
	for range runtime.NumCPU() {
		st := newStats()
		s.stats = append(s.stats, st)
		l.list = append(l.list, &loop{stats: st})
	}
	return l
}

// open makes the loops ready to take sessions over. ctx is for interceptions.
func (l *loops) open(ctx context.Context) error {
	for i, loop := range l.list {
		loop.ctx = ctx
		if err := loop.open(); err != nil {
			for _, opened := range l.list[:i] {
				opened.close()
			}
			return err
		}
	}
	return nil
}

// run carries sessions until stop is called.
func (l *loops) run() {
	var wg sync.WaitGroup
	for _, loop := range l.list {
		wg.Go(loop.run)
	}
	wg.Wait()
}

// stop ends the loops, which must have no session left.
func (l *loops) stop() {
	for _, loop := range l.list {
		loop.stop()
	}
}

// carry has the least busy loop carry a session, if both its connections are
// plain sockets.
func (l *loops) carry(s *session, client, server net.Conn) bool {
	c, ok1 := client.(*socket)
	d, ok2 := server.(*socket)
	if !ok1 || !ok2 || len(l.list) == 0 {
		return false
	}
	cfd, err := c.takeFD()
	if err != nil {
		return false
	}
	sfd, err := d.takeFD()
	if err != nil {
		unix.Close(cfd)
		return false
	}
	least := l.least()
	least.routes.Add(1)
	s.stats = least.stats
	k := &route{loop: least, s: s}
	k.client = end{route: k, fd: cfd}
	k.server = end{route: k, fd: sfd}
	s.carriedBy(k, fdPeer(cfd), fdPeer(sfd)) // if it was aborted, the loop will see
	client.Close()
	server.Close()
	least.post(k)
	return true
}

// least is the loop that gets the next session.
func (l *loops) least() *loop {
	for n := l.few; ; n++ {
		least := slices.MinFunc(l.list[:n], func(a, b *loop) int { return int(a.routes.Load() - b.routes.Load()) })
		if n == len(l.list) || least.routes.Load() < crowded {
			return least
		}
	}
}

func (l *loop) open() (err error) {
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make an epoll instance: %w", err)
	}
	if l.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(l.epoll)
		return fmt.Errorf("make an eventfd: %w", err)
	}
	err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.event, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.event)})
	if err != nil {
		l.close()
		return fmt.Errorf("watch an eventfd: %w", err)
	}
	return nil
}

func (l *loop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	unix.Close(l.epoll)
	unix.Close(l.event)
	for _, p := range l.pipes {
		p.close()
	}
}

// run handles events until the loop was stopped and has no session left.
func (l *loop) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer l.close()
	events := make([]unix.EpollEvent, 256)
	for {
		n := l.wait(events)
		l.now = clock()
		posted := false
		for _, ev := range events[:n] {
			if int(ev.Fd) == l.event {
				posted = true
			} else if e := l.ends[ev.Fd]; e != nil {
				e.route.ready(e, ev.Events)
			}
		}
		done := posted && l.handlePosted()
		for _, fd := range l.shut {
			unix.Close(fd)
		}
		l.shut = l.shut[:0]
		if done {
			return
		}
	}
}

// wait waits for events. When there are some already, which is so under load,
// Go's scheduler needn't know of the call.
func (l *loop) wait(events []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno == 0 && n > 0 {
		return int(n)
	}
	k, err := unix.EpollWait(l.epoll, events, -1)
	if err != nil && err != unix.EINTR {
		panic(fmt.Sprintf("epoll_wait: %v", err)) // only a bug here can be the cause
	}
	return max(k, 0)
}

// post has the loop look at a route. Anybody may call it.
func (l *loop) post(k *route) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if k != nil {
		if k.posted {
			return
		}
		k.posted = true
		l.posted = append(l.posted, k)
		if len(l.posted) > 1 {
			return // signalled already
		}
	}
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(l.event, one[:])
}

func (l *loop) stop() {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	l.post(nil)
}

// handlePosted looks at the routes that were posted, in their order. It tells
// whether the loop is done.
func (l *loop) handlePosted() bool {
	var count [8]byte
	unix.Read(l.event, count[:])
	l.mu.Lock()
	list := l.posted
	l.posted = nil
	for _, k := range list {
		k.posted = false
	}
	stopped := l.stopped
	l.mu.Unlock()
	for _, k := range list {
		k.look()
	}
	return stopped && l.routes.Load() == 0
}

// watch sets what an end waits for.
func (l *loop) watch(e *end, events uint32) {
	if e.events == events && (e.added || events == 0) {
		return
	}
	op := unix.EPOLL_CTL_MOD
	if !e.added {
		op = unix.EPOLL_CTL_ADD
		for len(l.ends) <= e.fd {
			l.ends = append(l.ends, nil)
		}
		l.ends[e.fd] = e
	}
	e.events, e.added = events, true
	err := unix.EpollCtl(l.epoll, op, e.fd, &unix.EpollEvent{Events: events, Fd: int32(e.fd)})
	if err != nil { // ENOSPC: fs.epoll.max_user_watches
		e.route.s.abort(BlameProxy, fmt.Errorf("watch a socket: %w", err))
	}
}

// unwatch takes an end out, so that not even its end is reported.
func (l *loop) unwatch(e *end) {
	if e.added {
		unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, e.fd, nil)
		l.ends[e.fd] = nil
	}
	e.events, e.added = 0, false
}
