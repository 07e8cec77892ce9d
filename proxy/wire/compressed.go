package wire

import (
	"errors"
	"fmt"
	"io"
)

// The compressed protocol cuts the stream of ordinary packets anywhere into
// compressed packets: the length of what follows the header (3 bytes), a number
// (1), the length of the content (3), and the content, compressed. A content
// length of 0 says that the content is stored as it is. (MySQL Internals,
// "Compressed Packet".)
//
// Its numbers are not those of the packets inside. Each end counts the
// compressed packets of both directions from 0 at a command, and expects the
// other's to go on from its own: MySQL's server and libmysqlclient give up at
// any other number (sql-common/net_serv.cc, net_read_packet_header),
// libmariadb and go-sql-driver take what comes. The numbers inside start from
// 0 at a command too, but jump at each flush to the compressed packets' number
// (net_flush) and are looked at by nobody (my_net_read, ma_net_read).
const compressedHeaderLen = 7

// A CompressedReader reads a compressed connection for someone who relays it
// unchanged: it returns the content, to be looked at, and lends the raw bytes
// that may go on once the content has been.
//
// Everyone decompresses a compressed packet in one go, when it is whole
// (my_net_read, ma_net_read, Connector/J's CompressedInputStream). So the
// receiver can act on nothing in it before it has its last byte, and the last
// byte alone is kept back until all the content has been returned. All before
// may leave as it comes, and no packet, of up to 16 MB, is held whole.
//
// It never reads beyond the end of the packet under way, and between packets
// holds neither a buffer nor a decompressor.
type CompressedReader struct {
	src       io.Reader
	algorithm Algorithm
	err       error // final

	head    [compressedHeaderLen]byte
	headLen int // of the next header that have come

	// The packet under way, or the last one.
	open    bool // its content has not been returned whole
	dropped bool
	seq     byte
	left    int // raw bytes that have not come
	length  int // of the content
	offset  int // what of the content has been returned
	content decompressor
	srcErr  error

	// buf[:end] are raw bytes. Those before taken have been lent by Raw, those
	// before fed have been decompressed. buf is nil between packets.
	buf             []byte
	taken, fed, end int
}

// NewCompressedReader reads from src, which begins at a compressed packet.
func NewCompressedReader(src io.Reader, a Algorithm) *CompressedReader {
	return &CompressedReader{src: src, algorithm: a}
}

// maxRead bounds what one Read can use up of the raw bytes.
const maxRead = 16 << 10

// Read returns content, of one compressed packet only. It blocks when the
// content that comes next needs more bytes of the source, and behind the end of
// the content until the packet is whole. An empty packet is 0 bytes, and no
// error.
//
// A source's error between packets, and in a header, lets reading go on later
// if the source does; in a packet it is final, and an io.EOF there is an
// io.ErrUnexpectedEOF. What is no compressed packet gives an ErrMalformed.
func (c *CompressedReader) Read(p []byte) (n int, err error) {
	if c.err != nil || len(p) == 0 {
		return 0, c.err
	}
	if !c.open {
		if err := c.readHeader(); err != nil {
			return 0, err
		}
		err = c.begin()
	}
	if err == nil && c.offset < c.length {
		n, err = c.readContent(p[:min(len(p), c.length-c.offset, maxRead)])
		c.offset += n
	}
	if err == nil && c.offset == c.length {
		err = c.finish()
	}
	if err != nil {
		c.fail(err)
	}
	return n, c.err
}

// Raw lends the raw bytes that have come and were not lent before: they may be
// forwarded once everything that Read has returned has been looked at. The last
// byte of a packet is among them when the packet is Done. They are valid until
// the next Read.
//
// Bytes that nobody takes are kept for the next Raw, up to 256 KiB.
func (c *CompressedReader) Raw() []byte {
	if c.dropped {
		return nil
	}
	to := c.end
	if c.open && c.left == 0 {
		to--
	}
	raw := c.buf[c.taken:to]
	c.taken = to
	return raw
}

// Drop takes back the offer of the raw bytes that have come and were not taken,
// and of those still to come of the packet under way. Read goes on with the
// content. A packet whose beginning was forwarded must not be dropped.
func (c *CompressedReader) Drop() {
	c.taken = c.end
	c.dropped = c.open
}

// Done says that no packet is under way: all content of the last one has been
// returned, and the next Read begins another.
func (c *CompressedReader) Done() bool { return !c.open }

// Offset is how much content of the packet under way, or else of the last one,
// has been returned. What a Read of n bytes returned is a packet's beginning if
// Offset is n then.
func (c *CompressedReader) Offset() int { return c.offset }

// Seq is the number of the packet under way, or else of the last one.
func (c *CompressedReader) Seq() byte { return c.seq }

// readHeader waits for a header, without a buffer.
func (c *CompressedReader) readHeader() error {
	if c.dropped {
		c.taken, c.dropped = c.end, false
	}
	if c.taken == c.end {
		c.release()
	}
	for c.headLen < len(c.head) {
		n, err := c.src.Read(c.head[c.headLen:])
		c.headLen += n
		if err == nil || c.headLen == len(c.head) {
			continue
		}
		if err == io.EOF && c.headLen > 0 {
			c.keep(c.head[:c.headLen])
			c.err = io.ErrUnexpectedEOF
			return c.err
		}
		return err
	}
	return nil
}

// begin starts on the packet whose header has come.
func (c *CompressedReader) begin() error {
	c.headLen = 0
	c.left, c.seq = ParseHeader(c.head[:])
	c.length = int(c.head[4]) | int(c.head[5])<<8 | int(c.head[6])<<16
	c.open, c.offset = true, 0
	if err := c.keep(c.head[:]); err != nil {
		return err
	}
	c.fed = c.end
	switch {
	case c.length == 0:
		c.length = c.left
		return nil
	case c.left == 0:
		return errors.New("no bytes where some were announced")
	}
	c.content = newDecompressor(c.algorithm)
	if c.content == nil {
		return errors.New("compressed, which was not agreed on")
	}
	return c.content.reset((*rawSource)(c))
}

// readContent returns some content of the packet under way. There is some.
func (c *CompressedReader) readContent(p []byte) (int, error) {
	if c.content == nil {
		return (*rawSource)(c).Read(p)
	}
	n, err := c.content.Read(p)
	if err == io.EOF {
		if c.offset+n < c.length {
			return n, fmt.Errorf("%d bytes of content, announced as %d", c.offset+n, c.length)
		}
		err = nil
	}
	return n, err
}

// finish makes sure that the packet ends where its content does.
func (c *CompressedReader) finish() error {
	if c.content != nil {
		n, err := 0, error(nil)
		for n == 0 && err == nil {
			n, err = c.content.Read(c.head[:1])
		}
		if n > 0 {
			return fmt.Errorf("more than the %d bytes of content announced", c.length)
		}
		if err != io.EOF {
			return err
		}
		if rest := c.left + c.end - c.fed + c.content.unused(); rest > 0 {
			return fmt.Errorf("%d bytes behind the content", rest)
		}
		c.content.release()
		c.content = nil
	}
	c.open = false
	return nil
}

func (c *CompressedReader) fail(err error) {
	if c.content != nil {
		c.content.release()
		c.content = nil
	}
	c.err = c.srcErr
	if c.err == nil {
		c.err = fmt.Errorf("%w: compressed packet number %d (%v, %d bytes): %w", ErrMalformed, c.seq, c.algorithm, c.length, err)
	}
}

// rawSource is a CompressedReader as its decompressor sees it: the raw bytes of
// the packet under way, behind the header.
type rawSource CompressedReader

func (s *rawSource) Read(p []byte) (int, error) {
	c := (*CompressedReader)(s)
	if c.fed == c.end {
		if c.left == 0 {
			return 0, io.EOF
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.buf[c.fed:c.end])
	c.fed += n
	return n, nil
}

// fill gets more raw bytes of the packet under way.
func (c *CompressedReader) fill() error {
	if err := c.room(1); err != nil {
		return err
	}
	n, err := c.src.Read(c.buf[c.end:min(len(c.buf), c.end+c.left)])
	c.end += n
	c.left -= n
	if n > 0 || err == nil {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	c.srcErr = err
	return err
}

// keep puts b behind the raw bytes that are there.
func (c *CompressedReader) keep(b []byte) error {
	if err := c.room(len(b)); err != nil {
		return err
	}
	c.end += copy(c.buf[c.end:], b)
	return nil
}
