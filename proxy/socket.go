package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"midflight/proxy/wire"
)

// tune sets what a long-lived, often idle connection needs. (Go sets NODELAY.)
func tune(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetKeepAliveConfig(net.KeepAliveConfig{
			Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3,
		})
	}
}

// hungUp tells whether the other end of a socket has closed it, at least for
// writing. It neither blocks nor reads.
func hungUp(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		for {
			n, err := unix.Poll(fds, 0)
			if err == unix.EINTR {
				continue
			}
			gone = n > 0 && fds[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
			return
		}
	})
	return gone || err != nil
}

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

// readPacket reads one packet of the handshake, and not a byte more.
func readPacket(r io.Reader) (payload []byte, seq byte, err error) {
	var h [wire.HeaderLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, 0, err
	}
	n, seq := wire.ParseHeader(h[:])
	if n > handshakeLimit {
		return nil, seq, fmt.Errorf("handshake packet of %d bytes", n)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return payload, seq, err
}

func writePacket(w io.Writer, payload []byte, seq byte) error {
	b, _ := wire.AppendPacket(make([]byte, 0, wire.HeaderLen+len(payload)), payload, seq)
	_, err := w.Write(b)
	return err
}
