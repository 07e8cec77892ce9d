package proxy

import (
	"bytes"
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// A route is a session as its loop carries it.
type route struct {
	loop   *loop
	s      *session
	client end
	server end

	posted bool // the loop's mu guards it

	pend   []byte         // read from the client, not yet begun
	pooled *[bufSize]byte // what pend is in
	want   int            // pend is the beginning of a packet of this length

	waits      step // stepIdle, stepHold: until the session is woken
	serverLeft int  // of the server's current frame
	clientLeft int  // of the client's

	offered   bool // an interception has both ends
	inboxFull bool // … and has bytes enough
	returned  chan error

	leaving bool        // the session is to leave; s.mu guards it
	left    bool        // … and has: of the client's bytes none is forwarded any more
	goodbye *time.Timer // set when the server's last words are sent
	expired bool        // s.mu guards it
	closed  bool
}

// wake and abort are the carrier's.
func (k *route) wake()  { k.loop.post(k) }
func (k *route) abort() { k.loop.post(k) }
func (k *route) leave() { k.leaving = true; k.loop.post(k) }

// ready handles what epoll reports of an end.
func (k *route) ready(e *end, events uint32) {
	if e.events&unix.EPOLLOUT != 0 && events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		k.lost(e, e.flush())
		k.flushed()
	}
	if events&(unix.EPOLLIN|unix.EPOLLERR|unix.EPOLLHUP) != 0 && !k.closed {
		switch {
		case e.events&unix.EPOLLIN == 0:
			if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
				k.loop.unwatch(e) // it would be reported for ever
			}
		case e == &k.client:
			k.readClient()
		default:
			k.readServer()
		}
	}
	k.settle()
}

// look handles what others have done to the session.
func (k *route) look() {
	if k.closed {
		return
	}
	if k.offered {
		select {
		case err := <-k.returned:
			k.answered(err)
		default:
		}
	}
	s := k.s
	s.mu.Lock()
	if s.aborted || k.expired {
		s.mu.Unlock()
		k.close()
		return
	}
	leaving := k.leaving
	k.leaving = false
	rest := k.fromServer(nil)
	waited := k.waits == stepIdle && !s.waitsIdle || k.waits == stepHold && !s.heldNow
	s.mu.Unlock()
	k.toClient(rest)
	if waited {
		k.resume()
	}
	if leaving {
		k.takeLeave()
	}
	k.settle()
}

// takeLeave closes both sides in order, if the client has nothing under way.
func (k *route) takeLeave() {
	if k.closed || k.left || k.offered || len(k.pend) > 0 || k.client.eof || !k.client.clear() || !k.server.clear() {
		return
	}
	k.s.mu.Lock()
	k.left = k.s.leaves(readable(k.client.fd))
	k.s.mu.Unlock()
	if k.left {
		k.client.closeWrite()
		k.toServer(quitPacket)
		k.server.closeWrite()
	}
}

// resume goes on with what has waited.
func (k *route) resume() {
	held := k.waits == stepHold
	k.waits = stepRead
	if held && hungUp(k.client.fd) {
		k.s.abort(BlameClient, errLeftHeld)
		return
	}
	k.walk(k.pend)
}

// readClient reads once.
func (k *route) readClient() {
	if k.clientLeft >= spliceMin && k.server.clear() && k.spliceClient() {
		return
	}
	b := k.loop.buf[:]
	have := copy(b, k.pend)
	if k.want > 0 {
		have = len(k.pend)
		k.pend = room(k.pend, k.want)
		b = k.pend[:cap(k.pend)]
	}
	n, err := readFD(k.client.fd, b[have:])
	switch {
	case err == unix.EAGAIN:
		return
	case err == io.EOF:
		k.client.eof = true
		k.s.end(BlameClient, nil)
		k.drop()
		return
	case err != nil:
		k.client.eof = true
		k.s.abort(BlameClient, err)
		return
	}
	k.s.countIn(n, 0)
	if k.server.eof || k.left {
		return // nobody to tell
	}
	if k.want > have+n {
		k.pend = b[:have+n]
		return
	}
	k.walk(b[:have+n])
}

// walk forwards what may be of p, bytes from the client, and keeps the rest.
func (k *route) walk(p []byte) {
	m := k.s.advance(p, k.loop.now, stopAny)
	k.toServer(p[:m.forward])
	p = p[m.forward:]
	k.clientLeft = m.left
	switch m.then {
	case stepRead:
		k.keep(p, 0)
	case stepCollect:
		k.keep(p, m.cmd.collect)
	case stepIdle, stepHold:
		k.keep(p, 0)
		k.waits = m.then
	case stepOffer:
		if !k.server.clear() {
			// Commands without an answer, which don't make the session busy, are
			// still to be written: the interception must not write before them.
			k.keep(p, 0)
			k.waits = stepIdle
			k.s.mu.Lock()
			k.s.waitsIdle = true
			k.s.mu.Unlock()
			return
		}
		k.keep(p[len(m.cmd.packet):], 0)
		k.offer(m.cmd)
	}
}

// keep keeps bytes of the client's until there are more, or want of them.
func (k *route) keep(p []byte, want int) {
	pooled := k.pooled
	k.pooled, k.pend, k.want = nil, nil, want
	switch {
	case want > 0:
		k.pend = append(make([]byte, 0, min(want, 2*len(p))), p...)
	case len(p) > bufSize:
		k.pend = bytes.Clone(p)
	case len(p) > 0:
		if k.pooled = pooled; k.pooled == nil {
			k.pooled = buffers.Get().(*[bufSize]byte)
		}
		k.pend = k.pooled[:copy(k.pooled[:], p)]
	}
	if pooled != nil && k.pooled == nil {
		buffers.Put(pooled)
	}
}

// room is b with room behind it. It grows with what has come, up to want, which anybody
// may promise.
func room(b []byte, want int) []byte {
	if len(b) < cap(b) {
		return b
	}
	return append(make([]byte, 0, min(want, 2*cap(b))), b...)
}

// drop forgets what the client said and was not forwarded.
func (k *route) drop() {
	k.keep(nil, 0)
	k.waits = stepRead
}

// offer has the command answered by a goroutine of its own.
func (k *route) offer(c command) {
	k.offered = true
	k.returned = make(chan error, 1)
	go func() {
		err := k.s.intercept(k.loop.ctx, c)
		k.returned <- err
		k.loop.post(k)
	}()
}

// answered takes the ends back from an interception.
func (k *route) answered(err error) {
	k.offered = false
	var b *blameError
	switch {
	case err == nil:
	case k.server.eof:
		k.s.end(BlameServer, err) // the client may still read what the server said last
	case errors.As(err, &b):
		k.s.abort(b.blame, b.err)
	default:
		k.s.abort(BlameClient, err)
	}
	if err == nil && !k.server.eof {
		k.walk(k.pend)
	}
}

// readServer reads once.
func (k *route) readServer() {
	if k.serverLeft > spliceMin && k.client.clear() && k.spliceServer() {
		return
	}
	n, err := readFD(k.server.fd, k.loop.buf[:])
	s := k.s
	if err == unix.EAGAIN {
		return
	}
	if err != nil {
		if err == io.EOF {
			err = nil
		}
		k.server.eof = true
		s.mu.Lock()
		s.serverEnded(err)
		s.mu.Unlock()
		k.drop()
		return
	}
	p := k.loop.buf[:n]
	s.countIn(0, n)
	s.mu.Lock()
	p = k.fromServer(p)
	leaving := s.leavesNow(k.loop.now)
	s.mu.Unlock()
	if !leaving {
		k.toClient(p)
		return
	}
	cork(k.client.fd, true)
	k.toClient(p)
	k.takeLeave()
	cork(k.client.fd, false)
}

// fromServer takes what was read from the server, and yields what is to be written
// to the client: behind what an interception has left of what was read before,
// or nothing while it goes on. s.mu is held.
func (k *route) fromServer(p []byte) []byte {
	s := k.s
	if s.aborted {
		s.inbox = nil
		return nil
	}
	if s.diverted || len(s.inbox) > 0 {
		s.inbox = append(s.inbox, p...)
		p = nil
	}
	switch {
	case s.diverted:
		s.cond.Broadcast()
	case len(s.inbox) > 0:
		p, s.inbox = s.inbox, nil
	}
	if len(p) > 0 {
		s.fromServer(p, k.loop.now)
		k.serverLeft = s.walker.ServerLeft()
	}
	k.inboxFull = len(s.inbox) >= loopBuf
	return p
}

func (k *route) toClient(p []byte) {
	if len(p) == 0 {
		return
	}
	k.lost(&k.client, k.client.write(p))
	k.wrote(&k.client)
}

func (k *route) toServer(p []byte) {
	k.lost(&k.server, k.server.write(p))
	if !k.server.clear() {
		k.wrote(&k.server)
	}
}

// wrote tells the session whether all is written, if that matters to somebody.
func (k *route) wrote(e *end) {
	switch {
	case !e.clear():
		k.s.mu.Lock()
		k.s.writing = true
		k.s.mu.Unlock()
	case k.waits == stepIdle:
		k.flushed()
	}
}

// flushed tells the session when all is written.
func (k *route) flushed() {
	k.spliced(&k.client, k.serverLeft)
	k.spliced(&k.server, k.clientLeft)
	if k.client.clear() && k.server.clear() {
		k.s.mu.Lock()
		k.s.writing = false
		k.s.written()
		k.s.mu.Unlock()
	}
}

// lost handles a write that failed. A server that takes nothing more may still
// have something to say: it is read to its end.
func (k *route) lost(e *end, err error) {
	if err != nil && e == &k.client {
		k.s.abort(BlameClient, err)
	}
}

// settle ends what is to be ended, and sets what is waited for.
func (k *route) settle() {
	if k.closed {
		return
	}
	if k.client.eof && k.server.clear() {
		k.server.closeWrite()
	}
	if k.server.eof && !k.offered && k.client.clear() && k.goodbye == nil {
		k.client.closeWrite()
		k.goodbye = time.AfterFunc(goodbyeTime, func() {
			k.s.mu.Lock()
			defer k.s.mu.Unlock()
			k.expired = true
			k.s.wake()
		})
	}
	if k.goodbye != nil && k.client.eof {
		k.close()
		return
	}
	k.loop.watch(&k.client, interest(!k.client.eof && k.waits == stepRead && !k.offered && k.server.clear(), !k.client.clear()))
	k.loop.watch(&k.server, interest(!k.server.eof && k.client.clear() && !k.inboxFull, !k.server.clear()))
}

func interest(in, out bool) (events uint32) {
	if in {
		events |= unix.EPOLLIN
	}
	if out {
		events |= unix.EPOLLOUT
	}
	return events
}

// close ends the session. While an interception has the ends they are only shut
// down: it may be using their descriptors.
func (k *route) close() {
	if k.closed {
		return
	}
	k.loop.unwatch(&k.client)
	k.loop.unwatch(&k.server)
	if k.offered {
		unix.Shutdown(k.client.fd, unix.SHUT_RDWR)
		unix.Shutdown(k.server.fd, unix.SHUT_RDWR)
		return
	}
	k.closed = true
	if k.goodbye != nil {
		k.goodbye.Stop()
	}
	k.drop()
	for _, e := range []*end{&k.client, &k.server} {
		e.fail()
		k.loop.shut = append(k.loop.shut, e.fd)
	}
	k.s.abort("", nil)
	k.loop.routes.Add(-1)
	k.s.over()
}
