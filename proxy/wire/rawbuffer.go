package wire

import (
	"errors"
	"sync"
)

// A small buffer does, unless a decompressor needs more bytes than it holds
// before it returns the first: zstd takes blocks of up to 128 KB, and one Read
// can need the rest of one, and then small ones for maxRead bytes of content.
const (
	smallRaw = 16 << 10
	largeRaw = 256 << 10
)

var (
	smallRaws = sync.Pool{New: func() any { return new([smallRaw]byte) }}
	largeRaws = sync.Pool{New: func() any { return new([largeRaw]byte) }}
)

var errNoContent = errors.New("no end to bytes without content")

// room makes room in buf for n bytes.
func (c *CompressedReader) room(n int) error {
	if c.dropped {
		c.taken = c.end
	}
	free := min(c.taken, c.fed)
	switch {
	case c.buf == nil:
		c.buf = smallRaws.Get().(*[smallRaw]byte)[:]
		return nil
	case free == c.end:
		c.taken, c.fed, c.end = 0, 0, 0
		return nil
	case c.end+n <= len(c.buf):
		return nil
	}
	to := c.buf
	if c.end-free+n > len(to) {
		if len(to) == largeRaw {
			return errNoContent
		}
		to = largeRaws.Get().(*[largeRaw]byte)[:]
	}
	taken, fed := c.taken-free, c.fed-free
	end := copy(to, c.buf[free:c.end])
	if len(to) != len(c.buf) {
		c.release()
	}
	c.buf, c.taken, c.fed, c.end = to, taken, fed, end
	return nil
}

// release gives buf back.
func (c *CompressedReader) release() {
	switch len(c.buf) {
	case smallRaw:
		smallRaws.Put((*[smallRaw]byte)(c.buf))
	case largeRaw:
		largeRaws.Put((*[largeRaw]byte)(c.buf))
	}
	c.buf, c.taken, c.fed, c.end = nil, 0, 0, 0
}
