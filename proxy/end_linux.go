package proxy

import (
	"io"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An end is one socket of a session that a loop carries.
type end struct {
	route  *route
	fd     int
	events uint32 // that epoll reports
	added  bool   // to epoll

	out    []byte         // still to be written to it. While there is some, the other end isn't read
	pooled *[loopBuf]byte // what out began in
	pipe   *pipe          // long packets to it pass through this

	eof    bool // it won't say more
	shut   bool // it was told that nothing more comes
	broken bool // it takes nothing more
}

var outs = sync.Pool{New: func() any { return new([loopBuf]byte) }}

// clear tells whether all that was sent to it is written.
func (e *end) clear() bool { return len(e.out) == 0 && (e.pipe == nil || e.pipe.full == 0) }

// write sends p, and keeps what the socket doesn't take now.
func (e *end) write(p []byte) error {
	if e.broken || len(p) == 0 {
		return nil
	}
	if e.clear() {
		n, err := writeFD(e.fd, p)
		if err != nil && err != unix.EAGAIN {
			e.broken = true
			return err
		}
		p = p[n:]
	}
	if len(p) == 0 {
		return nil
	}
	if e.out == nil && len(p) <= loopBuf {
		e.pooled = outs.Get().(*[loopBuf]byte)
		e.out = e.pooled[:0]
	}
	e.out = append(e.out, p...)
	return nil
}

// flush goes on with what is left.
func (e *end) flush() error {
	if e.pipe != nil && e.pipe.full > 0 {
		if err := e.pipe.drain(e.fd); err != nil {
			e.fail()
			return err
		}
		if e.pipe.full > 0 {
			return nil // what is in out comes behind it
		}
	}
	if len(e.out) == 0 {
		return nil
	}
	n, err := writeFD(e.fd, e.out)
	if err == unix.EAGAIN {
		return nil
	}
	if err != nil {
		e.fail()
		return err
	}
	if n == len(e.out) {
		e.release()
		return nil
	}
	e.out = e.out[n:]
	return nil
}

// fail drops what can't be sent any more.
func (e *end) fail() {
	e.broken = true
	e.release()
	if e.pipe != nil {
		e.pipe.close()
		e.pipe = nil
	}
}

func (e *end) release() {
	if e.pooled != nil {
		outs.Put(e.pooled)
	}
	e.out, e.pooled = nil, nil
}

// closeWrite tells the other end that nothing more comes.
func (e *end) closeWrite() {
	if !e.shut {
		e.shut = true
		unix.Shutdown(e.fd, unix.SHUT_WR)
	}
}

// Reads and writes of a loop don't block, so the scheduler needn't know.

func readFD(fd int, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return 0, errno
		case n == 0:
			return 0, io.EOF
		}
		return int(n), nil
	}
}

func writeFD(fd int, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return 0, errno
		}
		return int(n), nil
	}
}

// fdPeer is an end to an interception: its calls wait.
type fdPeer int

func (f fdPeer) Read(p []byte) (int, error) {
	for {
		n, err := readFD(int(f), p)
		if err != unix.EAGAIN {
			return n, err
		}
		f.wait(unix.POLLIN)
	}
}

func (f fdPeer) Write(p []byte) (n int, err error) {
	for n < len(p) {
		k, err := writeFD(int(f), p[n:])
		if err == unix.EAGAIN {
			f.wait(unix.POLLOUT)
			continue
		}
		if err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}

// wait returns at the latest when the loop shuts the socket down.
func (f fdPeer) wait(events int16) {
	unix.Poll([]unix.PollFd{{Fd: int32(f), Events: events}}, -1)
}

func (f fdPeer) hungUp() bool { return hungUp(int(f)) }
func (f fdPeer) restart(int)  {}

// takeFD yields a descriptor of the socket's that Go's own poller doesn't watch;
// the socket is to be closed.
func (s *socket) takeFD() (fd int, err error) {
	cerr := s.raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3) })
	if cerr != nil {
		return 0, cerr
	}
	return fd, err
}
