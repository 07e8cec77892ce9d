package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"midflight/proxy/wire"
)

// bufSize holds whole all but the longest statements, and a TLS record.
const bufSize = 16 << 10

var buffers = sync.Pool{New: func() any { return new([bufSize]byte) }}

// pumps carry a session by two goroutines. The session's own one (clientPump) is
// the only reader of the client and the only writer to the server; it runs
// Intercept. The server pump is the only reader of the server. The client is
// written to by the server pump, except during an interception.
type pumps struct {
	s              *session
	client, server *stream

	// Of a compressed session: what is walked is the content, what is forwarded
	// are the raw bytes. Else nil.
	fromClient, fromServer *compressed

	resting atomic.Bool // the client pump waits for a command, and has nothing of it
	corked  bool        // the client's socket; s.mu guards it
}

func carryByPumps(ctx context.Context, s *session, client, server net.Conn) {
	p := &pumps{s: s, client: newStream(client), server: newStream(server)}
	defer client.Close()
	defer server.Close()
	toClient, toServer := peer(p.client), peer(p.server)
	if s.algorithm != wire.Uncompressed {
		p.fromClient, p.fromServer = newCompressed(p.client, s.algorithm), newCompressed(p.server, s.algorithm)
		toClient, toServer = compressedPeer{p.fromClient}, compressedPeer{p.fromServer}
	}
	if !s.carriedBy(p, toClient, toServer) {
		return
	}
	var wg sync.WaitGroup
	wg.Go(p.serverPump)
	err := p.clientPump(ctx)
	var b *blameError
	switch {
	case err == nil || errors.Is(err, io.EOF):
		// The client won't say more, but may still want its answers.
		s.end(BlameClient, nil)
		closeWrite(p.server.Conn)
	case errors.As(err, &b):
		s.abort(b.blame, b.err)
	default:
		s.abort(BlameClient, err)
	}
	wg.Wait()
	s.abort("", nil)
}

func (p *pumps) wake() {} // who waits waits for s.cond

// abort closes the sockets. To close TLS in order would mean to wait for those who
// write to it.
func (p *pumps) abort() {
	p.client.socket.Close()
	p.server.socket.Close()
}

// leave wakes the client pump, which decides: it knows what the client has begun.
func (p *pumps) leave() {
	if p.resting.Load() {
		p.client.socket.SetReadDeadline(time.Unix(1, 0))
	} else {
		p.cork(false)
	}
}

// woken tells, when the client pump has waited for a command, whether it was woken by
// leave, and whether the session leaves then. The deadline is done with here: it must
// break off no other read.
func (p *pumps) woken(got int, err error) (woken, leaves bool) {
	s := p.s
	if s.srv.drain.Load() == nil {
		return false, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serverGone || s.aborted {
		return false, false // the deadline is that of the goodbye
	}
	p.client.socket.SetReadDeadline(time.Time{})
	woken = got == 0 && errors.Is(err, os.ErrDeadlineExceeded)
	if woken && s.leaves(p.client.socket.readable()) {
		return true, true
	}
	p.cork(false)
	return woken, false
}

// takeLeave closes both sides in order, and waits for the client to do so: serverEnd
// bounds that.
func (p *pumps) takeLeave(in *reader) {
	closeWrite(p.client.Conn)
	p.s.server.restart(1)
	p.s.server.Write(quitPacket) // (of a server that has gone the other pump tells)
	closeWrite(p.server.Conn)
	in.drain()
}

// cork is the socket's, of the client. s.mu is held.
func (p *pumps) cork(on bool) {
	if p.corked != on {
		p.corked = on
		p.client.socket.cork(on)
	}
}

// clientPump carries bytes from the client to the server until the client has
// nothing more to say.
func (p *pumps) clientPump(ctx context.Context) error {
	in := reader{src: p.client}
	if p.fromClient != nil {
		in.src = p.fromClient
	}
	defer in.release()
	for {
		p.resting.Store(len(in.have()) == 0 && (p.fromClient == nil || p.fromClient.in.Done()))
		got, err := in.more()
		p.resting.Store(false)
		switch woken, leaves := p.woken(got, err); {
		case leaves:
			p.takeLeave(&in)
			return nil
		case woken:
			continue
		}
		if got > 0 || p.fromClient != nil && err == nil {
			p.s.countIn(got, 0)
			if werr := p.forward(ctx, &in); werr != nil {
				if p.s.isServerGone() {
					in.drain()
				}
				return werr
			}
		}
		if err != nil {
			return err
		}
	}
}

// forward walks and forwards what was read, up to where more is needed.
func (p *pumps) forward(ctx context.Context, in *reader) error {
	s := p.s
	for {
		m := s.advance(in.have(), clock(), p.stoppable())
		if err := p.toServer(p.raw(m, in.have())); err != nil {
			return err
		}
		in.used(m.forward)
		switch m.then {
		case stepRead:
			return nil
		case stepCollect:
			k, err := in.collect(m.cmd.collect)
			s.countIn(k, 0)
			if err != nil {
				return err
			}
		case stepIdle, stepHold:
			if err := p.await(m.then); err != nil {
				return err
			}
		case stepOffer:
			if p.fromClient != nil {
				m.cmd.packets = int(p.fromClient.in.Seq()) + 1
				p.fromClient.drop()
			}
			in.used(len(m.cmd.packet))
			if err := s.intercept(ctx, m.cmd); err != nil {
				return err
			}
		}
	}
}

// stoppable says which of the commands that were read can be stopped.
func (p *pumps) stoppable() stoppable {
	switch c := p.fromClient; {
	case c == nil:
		return stopAny
	case !c.begins:
		return stopNone
	case c.in.Done():
		return stopAlone
	}
	return stopHolds
}

// raw is what to forward of what was read, as far as it was walked.
func (p *pumps) raw(m move, have []byte) []byte {
	c := p.fromClient
	if c == nil {
		return have[:m.forward]
	}
	if m.forward > 0 {
		c.begins = false // a part of what was read since is under way
	}
	if m.forward == len(have) && m.then == stepRead {
		return c.take()
	}
	return nil
}

// await waits for what advance has said to wait for.
func (p *pumps) await(then step) error {
	s := p.s
	s.mu.Lock()
	for s.waitsIdle || s.heldNow {
		if s.aborted || s.serverGone {
			s.mu.Unlock()
			return &blameError{BlameServer, errAborted}
		}
		s.cond.Wait()
	}
	s.mu.Unlock()
	if then == stepHold && s.client.hungUp() {
		return &blameError{BlameClient, errLeftHeld}
	}
	return nil
}

// toServer writes to the server. Only the session's own goroutine does.
func (p *pumps) toServer(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if _, err := p.server.Write(b); err != nil {
		return p.lostServer(err)
	}
	return nil
}

// lostServer turns a failed write into the session's end, behind the server's
// last words: the server pump may still be forwarding them.
func (p *pumps) lostServer(err error) error {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.serverGone && !s.aborted {
		s.cond.Wait()
	}
	return &blameError{BlameServer, err}
}

// goodbyeTime is for the client to read the server's last words and close.
const goodbyeTime = 500 * time.Millisecond

// serverPump carries bytes from the server to the client until the server
// closes.
func (p *pumps) serverPump() {
	in := reader{src: p.server}
	if p.fromServer != nil {
		in.src = p.fromServer
	}
	defer in.release()
	for {
		got, err := in.more()
		if got > 0 || p.fromServer != nil && err == nil {
			p.s.countIn(0, got)
			if werr := p.pass(in.have()); werr != nil {
				p.s.abort(BlameClient, werr)
				return
			}
			in.used(got)
		}
		if err != nil {
			p.serverEnd(err)
			return
		}
	}
}

// pass walks what the server sent and writes it to the client, or hands it to
// the interception that has the connection.
func (p *pumps) pass(b []byte) error {
	raw := b
	if p.fromServer != nil {
		raw = p.fromServer.take()
	}
	s := p.s
	s.mu.Lock()
	if s.aborted {
		s.mu.Unlock()
		return errAborted
	}
	if !s.fromServer(b, clock()) {
		if p.fromServer != nil {
			p.fromServer.drop()
		}
		if b = p.handOver(b); len(b) == 0 {
			s.mu.Unlock()
			return nil
		}
		s.fromServer(b, clock())
		if raw = b; p.fromServer != nil {
			raw, _ = wire.AppendStored(nil, b, p.fromServer.in.Seq())
		}
	}
	leaving := len(raw) > 0 && s.leavesNow(clock())
	if leaving {
		p.cork(true)
	}
	s.writing = true
	s.mu.Unlock()

	var err error
	if len(raw) > 0 {
		_, err = p.client.Write(raw)
	}

	s.mu.Lock()
	s.writing = false
	s.written()
	if leaving {
		p.leave()
	}
	s.mu.Unlock()
	return err
}

// handOver gives b to the interception and returns what is left of it when the
// interception is over. s.mu is held.
func (p *pumps) handOver(b []byte) []byte {
	s := p.s
	s.inbox = b
	s.cond.Broadcast()
	for len(s.inbox) > 0 && s.diverted && !s.aborted {
		s.cond.Wait()
	}
	b, s.inbox = s.inbox, nil
	if s.aborted {
		return nil
	}
	return b
}

// serverEnd closes the client's side behind what was forwarded.
func (p *pumps) serverEnd(err error) {
	if errors.Is(err, io.EOF) {
		err = nil
	}
	s := p.s
	s.mu.Lock()
	s.serverEnded(err)
	for s.diverted && !s.aborted {
		// The interception still has the client, and may have an answer for it.
		s.cond.Wait()
	}
	s.mu.Unlock()
	closeWrite(p.client.Conn)
	p.client.SetReadDeadline(time.Now().Add(goodbyeTime))
}

func (s *session) isServerGone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.serverGone
}
