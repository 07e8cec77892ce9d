package proxy

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"midflight/proxy/wire"
)

// bufSize holds whole all but the longest statements, and a TLS record.
const bufSize = 16 << 10

var buffers = sync.Pool{New: func() any { return new([bufSize]byte) }}

// clientPump carries bytes from the client to the server until the client has
// nothing more to say.
func (s *session) clientPump(ctx context.Context) error {
	b := buffers.Get().(*[bufSize]byte)
	defer buffers.Put(b)
	have := 0
	for {
		n, err := s.client.Read(b[have:])
		have += n
		s.fromClient += uint64(n)
		if n > 0 {
			used, ferr := s.walkClient(ctx, b[:have])
			if ferr != nil {
				if s.isServerGone() {
					s.drainClient(b[:])
				}
				return ferr
			}
			have = copy(b[:], b[used:have])
		}
		if err != nil {
			return err
		}
	}
}

// drainClient reads and drops, so that closing the connection with unread
// bytes doesn't reset it before the client has read the server's last words.
// The server pump has set a deadline.
func (s *session) drainClient(b []byte) {
	for {
		if _, err := s.client.Read(b); err != nil {
			return
		}
	}
}

// goodbyeTime is for the client to read the server's last words and close.
const goodbyeTime = 500 * time.Millisecond

// serverPump carries bytes from the server to the client until the server
// closes.
func (s *session) serverPump() {
	b := buffers.Get().(*[bufSize]byte)
	defer buffers.Put(b)
	for {
		n, err := s.server.Read(b[:])
		if n > 0 {
			s.fromServ += uint64(n)
			if werr := s.pass(b[:n]); werr != nil {
				s.abort(BlameClient, werr)
				return
			}
		}
		if err != nil {
			s.serverEnd(err)
			return
		}
	}
}

// pass walks what the server sent and writes it to the client, or hands it to
// the interception that has the connection.
func (s *session) pass(p []byte) error {
	s.mu.Lock()
	if s.diverted {
		if p = s.handOver(p); len(p) == 0 {
			s.mu.Unlock()
			return nil
		}
	}
	s.walkServer(p)
	s.writing = true
	s.mu.Unlock()

	_, err := s.client.Write(p)

	s.mu.Lock()
	s.writing = false
	s.cond.Broadcast()
	s.mu.Unlock()
	return err
}

// handOver gives p to the interception and returns what is left of it when the
// interception is over. s.mu is held.
func (s *session) handOver(p []byte) []byte {
	s.inbox = p
	s.cond.Broadcast()
	for len(s.inbox) > 0 && s.diverted && !s.aborted {
		s.cond.Wait()
	}
	p, s.inbox = s.inbox, nil
	if s.aborted {
		return nil
	}
	return p
}

// walkServer follows what the server says. s.mu is held.
func (s *session) walkServer(p []byte) {
	for len(p) > 0 {
		n, ev := s.walker.Server(p)
		p = p[n:]
		if ev.Kind == wire.Finished {
			s.finished(ev)
		}
	}
	if s.walker.Idle() {
		s.settle()
	}
}

// finished takes note of a command's end. s.mu is held.
func (s *session) finished(ev wire.Event) {
	if ev.Cmd != wire.ComStmtPrepare || len(s.preparing) == 0 {
		return
	}
	st := s.preparing[0]
	s.preparing = append(s.preparing[:0], s.preparing[1:]...)
	if ev.Err {
		return
	}
	if s.stmts == nil {
		s.stmts = make(map[uint32]statement)
	}
	s.stmts[ev.Statement] = st
	s.last = st
}

// settle forgets what was done, if nothing of it is left: no transaction and no
// lock. s.mu is held, and the server is idle.
func (s *session) settle() {
	if s.walker.InTransaction() || s.sticky != 0 {
		return
	}
	s.log.clear()
	if s.watched {
		s.watched = false
		s.srv.kick()
	}
}

// serverEnd closes the client's side behind what was forwarded.
func (s *session) serverEnd(err error) {
	if errors.Is(err, io.EOF) {
		err = nil
	}
	s.mu.Lock()
	s.endLocked(BlameServer, err)
	s.serverGone = true
	close(s.gone)
	s.cond.Broadcast()
	if s.watched {
		s.watched = false
		s.srv.kick()
	}
	for s.diverted && !s.aborted {
		// The interception still has the client, and may have an answer for it.
		s.cond.Wait()
	}
	s.mu.Unlock()
	closeWrite(s.client)
	s.client.SetReadDeadline(time.Now().Add(goodbyeTime))
}

func (s *session) isServerGone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.serverGone
}

// toServer writes to the server. Only the session's own goroutine does.
func (s *session) toServer(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := s.server.Write(p); err != nil {
		return s.lostServer(err)
	}
	return nil
}

// lostServer turns a failed write into the session's end, behind the server's
// last words: the server pump may still be forwarding them.
func (s *session) lostServer(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.serverGone && !s.aborted {
		s.cond.Wait()
	}
	return &blameError{BlameServer, err}
}
