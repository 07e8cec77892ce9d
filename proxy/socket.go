package proxy

import (
	"crypto/tls"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"midflight/proxy/wire"
)

// A socket is a TCP or unix connection. It can wait for bytes without a buffer
// to read them into, so that an idle session needs none.
type socket struct {
	net.Conn
	raw syscall.RawConn

	polling bool // Read returns errWouldBlock rather than wait

	// What Read and wait hand to raw, made once.
	p       []byte
	n       int
	err     error
	asked   bool
	tryRead func(fd uintptr) bool
	isReady func(fd uintptr) bool
}

// newSocket takes over a connection, and sets what a long-lived, often idle one
// needs. (Go sets NODELAY. TCP_USER_TIMEOUT is left alone: Linux also ends by it
// a connection whose other end acknowledges everything but has stopped to read,
// and how long that may take is for the server's net_write_timeout to say.)
func newSocket(c net.Conn) *socket {
	s := &socket{Conn: c}
	if t, ok := c.(*net.TCPConn); ok {
		t.SetKeepAliveConfig(net.KeepAliveConfig{
			Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3,
		})
	}
	if sc, ok := c.(syscall.Conn); ok {
		s.raw, _ = sc.SyscallConn()
	}
	s.tryRead = func(fd uintptr) bool {
		for {
			s.n, s.err = unix.Read(int(fd), s.p)
			if s.err != unix.EINTR {
				return true
			}
		}
	}
	s.isReady = func(fd uintptr) bool {
		// Go's poller tells edges, and forgets those from before this call: what
		// came between the read that found nothing and now must be looked for.
		ready := s.asked || readable(int(fd))
		s.asked = true
		return ready
	}
	return s
}

// bare is what a socket is made of.
func bare(c net.Conn) net.Conn {
	if s, ok := c.(*socket); ok {
		return s.Conn
	}
	return c
}

// errWouldBlock is a temporary net.Error: crypto/tls goes on where it was when
// it is read again.
type errWouldBlock struct{}

func (errWouldBlock) Error() string   { return "no bytes yet" }
func (errWouldBlock) Timeout() bool   { return true }
func (errWouldBlock) Temporary() bool { return true }

func (s *socket) Read(p []byte) (int, error) {
	if !s.polling || s.raw == nil {
		return s.Conn.Read(p)
	}
	s.p = p
	err := s.raw.Read(s.tryRead)
	s.p = nil
	switch {
	case err != nil:
		return 0, err
	case s.err == unix.EAGAIN:
		return 0, errWouldBlock{}
	case s.err != nil:
		return 0, s.err
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}

// wait returns when there are bytes to read, or an error is.
func (s *socket) wait() error {
	if s.raw == nil {
		return nil
	}
	s.asked = false
	return s.raw.Read(s.isReady)
}

// CloseWrite ends one direction, so that the other can still be read.
func (s *socket) CloseWrite() error {
	if w, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return s.Close()
}

// hungUp tells whether the other end has closed its side, at least for writing.
// It neither blocks nor reads.
func (s *socket) hungUp() bool {
	if s.raw == nil {
		return false
	}
	gone := false
	err := s.raw.Control(func(fd uintptr) { gone = hungUp(int(fd)) })
	return gone || err != nil
}

// hungUp tells whether the other end of a socket has closed it, at least for
// writing.
func hungUp(fd int) bool {
	return polled(fd, unix.POLLRDHUP)
}

// readable tells whether a read would yield something, or an error.
func readable(fd int) bool {
	return polled(fd, unix.POLLIN|unix.POLLRDHUP)
}

func polled(fd int, events int16) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		n, err := unix.Poll(fds[:], 0)
		if err == unix.EINTR {
			continue
		}
		return n > 0 && fds[0].Revents&(events|unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
	}
}

// cork holds what is written to a TCP socket until it is full, closed or uncorked: an
// answer, and the end behind it, reach the client as one. It would else begin with its
// next command between the two.
func cork(fd int, on bool) {
	n := 0
	if on {
		n = 1
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_CORK, n)
}

// cork is the function of this name.
func (s *socket) cork(on bool) {
	if s.raw != nil {
		s.raw.Control(func(fd uintptr) { cork(int(fd), on) })
	}
}

// readable is the function of this name.
func (s *socket) readable() (is bool) {
	if s.raw != nil {
		s.raw.Control(func(fd uintptr) { is = readable(int(fd)) })
	}
	return is
}

// A stream is a socket, or TLS over one, in the order of its bytes.
type stream struct {
	net.Conn
	socket *socket
}

// newStream makes a connection of the handshake's one of a session's.
func newStream(c net.Conn) *stream {
	s := &stream{Conn: c}
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	s.socket = c.(*socket)
	s.socket.polling = true
	return s
}

// Read waits for bytes.
func (s *stream) Read(p []byte) (int, error) {
	for {
		n, err := s.poll(p)
		if err != (errWouldBlock{}) {
			return n, err
		}
		if err := s.socket.wait(); err != nil {
			return 0, err
		}
	}
}

// poll is Read, or errWouldBlock.
func (s *stream) poll(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 && err == (errWouldBlock{}) {
		err = nil // crypto/tls has looked for the rest of an alert behind the bytes
	}
	return n, err
}

func (s *stream) wait() error  { return s.socket.wait() }
func (s *stream) hungUp() bool { return s.socket.hungUp() }
func (s *stream) restart(int)  {}

// closeWrite ends one direction, so that the other can still be read.
func closeWrite(c net.Conn) error {
	if t, ok := c.(*tls.Conn); ok {
		t.CloseWrite() // says so inside TLS only
		c = t.NetConn()
	}
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return c.Close()
}

// handshakeLimit bounds a packet before authentication, when anybody may send
// one (TiProxy #1090).
const handshakeLimit = 1 << 20

func writePacket(w io.Writer, payload []byte, seq byte) error {
	b, _ := wire.AppendPacket(make([]byte, 0, wire.HeaderLen+len(payload)), payload, seq)
	_, err := w.Write(b)
	return err
}
