package proxy

import "io"

// A source is what a reader reads.
type source interface {
	poll(p []byte) (int, error) // Read, or errWouldBlock
	wait() error                // until poll has something
	io.Reader
}

// A reader reads a source into a buffer that it keeps only while something is
// in it: an idle session has none.
type reader struct {
	src  source
	buf  *[bufSize]byte
	long []byte // instead of buf: a packet that was collected
	from int    // buf[from:to] is what was read and not yet used
	to   int
}

// more waits for bytes, and puts them behind what there is.
func (r *reader) more() (n int, err error) {
	if r.from > 0 {
		r.to = copy(r.buf[:], r.buf[r.from:r.to])
		r.from = 0
	}
	for {
		if r.buf == nil {
			r.buf = buffers.Get().(*[bufSize]byte)
		}
		n, err = r.src.poll(r.buf[r.to:])
		if n == 0 && r.to == 0 {
			r.release()
		}
		if err != (errWouldBlock{}) {
			r.to += n
			return n, err
		}
		if err := r.src.wait(); err != nil {
			return 0, err
		}
	}
}

// have is what was read and not yet used.
func (r *reader) have() []byte {
	switch {
	case r.long != nil:
		return r.long
	case r.buf != nil:
		return r.buf[r.from:r.to]
	}
	return nil
}

// used is told how much of it is done with.
func (r *reader) used(n int) {
	if r.long != nil {
		if r.long = r.long[n:]; len(r.long) == 0 {
			r.long = nil
		}
		return
	}
	if r.from += n; r.from == r.to {
		r.release()
	}
}

// collect reads until have is n bytes.
func (r *reader) collect(n int) (read int, err error) {
	long := append(make([]byte, 0, min(n, 2*bufSize)), r.have()...)
	r.release()
	for len(long) < n && err == nil {
		long = room(long, n)
		var k int
		k, err = r.src.Read(long[len(long):cap(long)])
		long, read = long[:len(long)+k], read+k
	}
	r.long = long
	if len(long) == n {
		err = nil
	}
	return read, err
}

// drain reads and drops, so that closing the connection with unread bytes
// doesn't reset it before the other end has read our last words. Somebody has
// set a deadline.
func (r *reader) drain() {
	r.long = nil
	r.release()
	for {
		if _, err := r.more(); err != nil {
			return
		}
		r.release()
	}
}

func (r *reader) release() {
	if r.buf != nil {
		buffers.Put(r.buf)
	}
	r.buf, r.from, r.to = nil, 0, 0
}
