package proxy

import (
	"sync/atomic"

	"midflight/proxy/wire"
)

// A compressed is one side of a session that is compressed. It is a source of
// the content, and keeps the raw bytes that belong to it until they are taken,
// to be forwarded, or dropped (docs/decisions/0009).
type compressed struct {
	*stream
	in      *wire.CompressedReader
	pending []byte // raw bytes whose content was read
	begins  bool   // the content read since take or drop begins with a compressed packet

	// What an interception writes goes into stored packets.
	next    atomic.Uint32 // number of the next one: behind what was read or written last
	packets int           // how many the next Write makes; 0: as many as needed
}

func newCompressed(s *stream, a wire.Algorithm) *compressed {
	c := &compressed{stream: s}
	c.in = wire.NewCompressedReader(compressedSource{c}, a)
	return c
}

// A compressedSource waits for the bytes of a compressed packet, and not for the
// packet: meanwhile nothing is held.
type compressedSource struct{ c *compressed }

func (s compressedSource) Read(p []byte) (int, error) {
	if s.c.in.Done() {
		return s.c.stream.poll(p)
	}
	return s.c.stream.Read(p)
}

// poll reads content. An empty packet is no bytes, and no error.
func (c *compressed) poll(p []byte) (int, error) {
	fresh := c.in.Done() && c.pending == nil
	n, err := c.in.Read(p)
	if err == (errWouldBlock{}) {
		return n, err
	}
	if fresh {
		c.begins = true
	}
	c.pending = append(c.pending, c.in.Raw()...)
	c.next.Store(uint32(c.in.Seq() + 1))
	return n, err
}

func (c *compressed) Read(p []byte) (int, error) {
	for {
		n, err := c.poll(p)
		if err == (errWouldBlock{}) {
			err = c.wait()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// A compressedPeer is a compressed side to an interception: what that reads it
// doesn't forward as it came.
type compressedPeer struct{ *compressed }

func (p compressedPeer) Read(b []byte) (int, error) {
	defer p.drop()
	return p.compressed.Read(b)
}

// take yields the raw bytes of all that was read, or none of a packet that is not
// whole and may yet be written whole: its receiver can't use a part of it.
// (libmysqlclient's non-blocking calls even stop at a packet whose parts come in
// TLS records of their own, which a server never sends.)
func (c *compressed) take() []byte {
	if !c.in.Done() && len(c.pending) < bufSize {
		return nil
	}
	raw := c.pending
	c.drop()
	return raw
}

// drop forgets them.
func (c *compressed) drop() { c.pending, c.begins = nil, false }

// restart says that a command is going to be written.
func (c *compressed) restart(packets int) {
	c.next.Store(0)
	c.packets = packets
}

func (c *compressed) Write(p []byte) (int, error) {
	var b []byte
	next := byte(c.next.Load())
	for rest := p; len(rest) > 0; {
		n := len(rest)
		if c.packets > 1 {
			n /= c.packets
			c.packets--
		}
		b, next = wire.AppendStored(b, rest[:n], next)
		rest = rest[n:]
	}
	c.packets = 0
	c.next.Store(uint32(next))
	if _, err := c.stream.Write(b); err != nil {
		return 0, err
	}
	return len(p), nil
}
