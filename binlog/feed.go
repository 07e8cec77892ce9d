package binlog

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"slices"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

const (
	// The server sends a heartbeat when it has nothing else to send for this
	// long; a connection that is silent for much longer is dead.
	heartbeat = time.Second
	silence   = 20 * time.Second
)

// A feed is a connection that the server sends its binlog to. The packets are read
// here and not by the library, which allocates for each: most of them are the
// migrations' own copies, whose rows nobody wants.
type feed struct {
	conn     *client.Conn
	r        *bufio.Reader
	sequence byte
	event    []byte // of the last call of next, or its head
}

const (
	packetHeader = 4
	maxPacket    = 1<<24 - 1 // one of this length goes on in the next
	// What of a rows event tells whose rows they are: the header and the table's id.
	rowsHead = headerSize + 6
	// An event's buffer is kept if it isn't longer.
	usualEvent = 1 << 20
)

// startFeed asks for the binlog from p. An error about the position comes instead of the
// first event.
func startFeed(conn *client.Conn, serverID uint32, gtids *gtidSet, p Position) (*feed, error) {
	b := make([]byte, packetHeader, 64)
	if gtids != nil {
		b = append(b, mysql.COM_BINLOG_DUMP_GTID)
		b = binary.LittleEndian.AppendUint16(b, 0)
		b = binary.LittleEndian.AppendUint32(b, serverID)
		b = binary.LittleEndian.AppendUint32(b, 0) // no file
		b = binary.LittleEndian.AppendUint64(b, firstEventOfAnyFile)
		set := gtids.set.Encode()
		b = binary.LittleEndian.AppendUint32(b, uint32(len(set)))
		b = append(b, set...)
	} else {
		b = append(b, mysql.COM_BINLOG_DUMP)
		b = binary.LittleEndian.AppendUint32(b, uint32(p.Offset))
		b = binary.LittleEndian.AppendUint16(b, 0)
		b = binary.LittleEndian.AppendUint32(b, serverID)
		b = append(b, p.File...)
	}
	conn.ResetSequence()
	if err := conn.WritePacket(b); err != nil {
		return nil, err
	}
	// All answers to what was asked before have been read, so the library's buffer is
	// empty.
	f := newFeed(conn)
	first, err := f.r.Peek(packetHeader + 1)
	if err == nil && first[packetHeader] != mysql.OK_HEADER {
		_, _, err = f.next(nil)
	}
	return f, err
}

func newFeed(conn *client.Conn) *feed {
	return &feed{conn: conn, r: bufio.NewReaderSize(&patient{conn: conn.Conn.Conn}, 1<<18), sequence: 1}
}

// A patient reader gives a connection up that is silent.
type patient struct {
	conn net.Conn
	set  time.Time // when the deadline was moved last
}

func (p *patient) Read(b []byte) (int, error) {
	if now := time.Now(); now.Sub(p.set) >= time.Second {
		if err := p.conn.SetReadDeadline(now.Add(silence)); err != nil {
			return 0, err
		}
		p.set = now
	}
	return p.conn.Read(b)
}

// next reads an event, which is good until the next call. Of one that unwanted tells
// nobody wants only the head is returned. Its checksum is looked at all the same, if the
// events have one: the head may be wrong.
func (f *feed) next(unwanted func(head []byte) (skip, checksums bool)) (event []byte, whole bool, err error) {
	n, err := f.header()
	if err != nil {
		return nil, false, err
	}
	if cap(f.event) > usualEvent {
		f.event = nil
	}
	f.event = f.event[:0]
	if n > rowsHead {
		head, err := f.r.Peek(1 + rowsHead)
		if err != nil {
			return nil, false, err
		}
		if head[0] == mysql.OK_HEADER {
			if skip, checksums := unwanted(head[1:]); skip {
				f.event = append(f.event, head[1:]...)
				return f.event, false, f.skip(n, checksums)
			}
		}
	}
	event, err = f.rest(n)
	return event, true, err
}

// rest reads a packet of n bytes, and those that go on with it.
func (f *feed) rest(n int) ([]byte, error) {
	for {
		if err := f.append(n); err != nil {
			return nil, err
		}
		if n < maxPacket {
			break
		}
		var err error
		if n, err = f.header(); err != nil {
			return nil, err
		}
	}
	b := f.event
	switch {
	case len(b) > 0 && b[0] == mysql.OK_HEADER:
		return b[1:], nil
	case len(b) > 0 && b[0] == mysql.ERR_HEADER:
		return nil, serverError(b)
	case len(b) > 0 && b[0] == mysql.EOF_HEADER:
		return nil, io.EOF // the dump thread was killed, or the server ends
	}
	return nil, fmt.Errorf("binlog packet of %d bytes", len(b))
}

// serverError is what an ERR packet says. (The library's reader takes for granted that
// it is whole.)
func serverError(b []byte) error {
	if len(b) < 3 {
		return fmt.Errorf("binlog packet %x", b)
	}
	e := &mysql.MyError{Code: binary.LittleEndian.Uint16(b[1:])}
	b = b[3:]
	if len(b) >= 6 && b[0] == '#' {
		e.State, b = string(b[1:6]), b[6:]
	}
	e.Message = string(b)
	return e
}

// header reads a packet's, and returns its length.
func (f *feed) header() (int, error) {
	h, err := f.r.Peek(packetHeader)
	if err != nil {
		return 0, err
	}
	n, sequence := int(little(h[:3])), h[3]
	if sequence != f.sequence {
		return 0, fmt.Errorf("binlog packet %d where %d was expected", sequence, f.sequence)
	}
	f.sequence++
	_, err = f.r.Discard(packetHeader)
	return n, err
}

// append reads a packet's rest into the event.
func (f *feed) append(n int) error {
	at := len(f.event)
	f.event = slices.Grow(f.event, n)[:at+n]
	_, err := io.ReadFull(f.r, f.event[at:])
	return err
}

// skip reads past a packet of n bytes, and past those that go on with it.
func (f *feed) skip(n int, checksums bool) error {
	var sum uint32
	left := int(little(f.event[9:13])) // of the event
	var checksum [checksumSize]byte
	_, err := f.r.Discard(1)
	for k := n - 1; err == nil; {
		for k > 0 && err == nil {
			var b []byte
			if b, err = f.r.Peek(min(k, 1<<15)); err != nil {
				break
			}
			if checksums {
				body := b[:max(0, min(len(b), left-checksumSize))]
				sum = crc32.Update(sum, crc32.IEEETable, body)
				left -= len(body)
				for _, c := range b[len(body):] {
					checksum[(checksumSize-left)&3] = c
					left--
				}
			}
			k -= len(b)
			_, err = f.r.Discard(len(b))
		}
		if err != nil || n < maxPacket {
			break
		}
		n, err = f.header()
		k = n
	}
	if err == nil && checksums && (left != 0 || sum != uint32(little(checksum[:]))) {
		return errChecksum
	}
	return err
}

// errChecksum: the server would send the same again.
var errChecksum = errors.New("wrong checksum")

// close may be called while another goroutine reads.
func (f *feed) close() { cut(f.conn) }
