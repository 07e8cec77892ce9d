package proxy

import (
	"io"

	"golang.org/x/sys/unix"
)

// spliceMin is from how many bytes of a packet on they are moved from socket to
// socket inside the kernel (splice(2)), which costs a third of copying.
const spliceMin = 256 << 10

const (
	pipeSize  = 1 << 20
	keptPipes = 8
)

// A pipe is what splice moves bytes through.
type pipe struct {
	r, w int
	full int // bytes in it
}

func newPipe() *pipe {
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize) // a smaller one does too
	return &pipe{r: fds[0], w: fds[1]}
}

func (p *pipe) close() {
	unix.Close(p.r)
	unix.Close(p.w)
}

const spliceFlags = unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MOVE

// fill moves at most n bytes from a socket into the empty pipe.
func (p *pipe) fill(fd, n int) (int, error) {
	for {
		k, err := unix.Splice(fd, nil, p.w, nil, n, spliceFlags)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case k == 0:
			return 0, io.EOF
		}
		p.full += int(k)
		return int(k), nil
	}
}

// drain moves what the socket takes out of the pipe.
func (p *pipe) drain(fd int) error {
	for p.full > 0 {
		k, err := unix.Splice(p.r, nil, fd, nil, p.full, spliceFlags)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return nil
		case err != nil:
			return err
		}
		p.full -= int(k)
	}
	return nil
}

// splice moves at most n bytes. done is false when splice can't be used.
func (k *route) splice(to, from *end, n int) (moved int, err error, done bool) {
	if to.broken {
		return 0, nil, false
	}
	if to.pipe == nil {
		if to.pipe = k.loop.takePipe(); to.pipe == nil {
			return 0, nil, false
		}
	}
	moved, err = to.pipe.fill(from.fd, n)
	switch err {
	case nil:
	case unix.EAGAIN:
		return 0, nil, true
	default:
		return 0, err, false // reading says the same, and knows what to do
	}
	if err := to.pipe.drain(to.fd); err != nil {
		to.fail()
		k.lost(to, err)
	}
	return moved, nil, true
}

// spliceServer moves the inside of a long packet of the server's.
func (k *route) spliceServer() bool {
	s := k.s
	s.mu.Lock()
	diverted := s.diverted
	s.mu.Unlock()
	if diverted {
		return false
	}
	// The last byte passes the walker: something may happen at it.
	n, _, done := k.splice(&k.client, &k.server, min(k.serverLeft-1, pipeSize))
	if !done {
		return false
	}
	s.countIn(0, n)
	s.mu.Lock()
	s.walker.ServerPassed(n)
	k.serverLeft = s.walker.ServerLeft()
	s.mu.Unlock()
	k.wrote(&k.client)
	k.spliced(&k.client, k.serverLeft)
	return true
}

// spliceClient moves the inside of a long packet of the client's.
func (k *route) spliceClient() bool {
	n, _, done := k.splice(&k.server, &k.client, min(k.clientLeft, pipeSize))
	if !done {
		return false
	}
	s := k.s
	s.countIn(n, 0)
	s.mu.Lock()
	s.walker.ClientPassed(n)
	k.clientLeft = s.walker.ClientLeft()
	s.mu.Unlock()
	k.wrote(&k.server)
	k.spliced(&k.server, k.clientLeft)
	return true
}

// spliced gives the pipe back behind a long packet, when the last of it is
// written.
func (k *route) spliced(to *end, left int) {
	if left < spliceMin && to.pipe != nil && to.pipe.full == 0 {
		k.loop.givePipe(to.pipe)
		to.pipe = nil
	}
}

func (l *loop) takePipe() *pipe {
	if n := len(l.pipes); n > 0 {
		p := l.pipes[n-1]
		l.pipes = l.pipes[:n-1]
		return p
	}
	return newPipe()
}

func (l *loop) givePipe(p *pipe) {
	if len(l.pipes) == keptPipes {
		p.close()
		return
	}
	l.pipes = append(l.pipes, p)
}
