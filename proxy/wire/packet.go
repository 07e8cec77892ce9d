package wire

import (
	"encoding/binary"
	"errors"
)

const (
	HeaderLen = 4
	// MaxFrame is the longest payload of one frame. A payload of this length
	// or more goes on in the next frame, which may be empty.
	MaxFrame = 1<<24 - 1
)

// ErrMalformed says that bytes are not what the protocol allows there.
var ErrMalformed = errors.New("malformed packet")

// ParseHeader splits a frame's header. b has at least HeaderLen bytes.
func ParseHeader(b []byte) (length int, seq byte) {
	return int(b[0]) | int(b[1])<<8 | int(b[2])<<16, b[3]
}

// PutHeader writes a frame's header into b.
func PutHeader(b []byte, length int, seq byte) {
	b[0], b[1], b[2], b[3] = byte(length), byte(length>>8), byte(length>>16), seq
}

// AppendPacket appends payload as one packet, in as many frames as it needs,
// numbered from seq, and returns the number after the last one.
func AppendPacket(b, payload []byte, seq byte) ([]byte, byte) {
	for {
		n := min(len(payload), MaxFrame)
		b = append(b, byte(n), byte(n>>8), byte(n>>16), seq)
		b = append(b, payload[:n]...)
		payload = payload[n:]
		seq++
		if n < MaxFrame {
			return b, seq
		}
	}
}

// Lenenc reads a length-encoded integer. n is 0 when b is too short or holds
// something else (0xfb is NULL, 0xff an error packet).
func Lenenc(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	switch {
	case b[0] < 0xfb:
		return uint64(b[0]), 1
	case b[0] == 0xfc && len(b) >= 3:
		return uint64(b[1]) | uint64(b[2])<<8, 3
	case b[0] == 0xfd && len(b) >= 4:
		return uint64(b[1]) | uint64(b[2])<<8 | uint64(b[3])<<16, 4
	case b[0] == 0xfe && len(b) >= 9:
		return binary.LittleEndian.Uint64(b[1:]), 9
	}
	return 0, 0
}

// AppendLenenc appends v as a length-encoded integer.
func AppendLenenc(b []byte, v uint64) []byte {
	switch {
	case v < 0xfb:
		return append(b, byte(v))
	case v < 1<<16:
		return append(b, 0xfc, byte(v), byte(v>>8))
	case v < 1<<24:
		return append(b, 0xfd, byte(v), byte(v>>8), byte(v>>16))
	}
	return binary.LittleEndian.AppendUint64(append(b, 0xfe), v)
}

// AppendString appends s with its length before it.
func AppendString(b []byte, s string) []byte {
	return append(AppendLenenc(b, uint64(len(s))), s...)
}

// reader takes a payload apart. After the first thing that is missing it is
// bad and yields zeros, so that a decoder needs one check, at its end.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) u8() byte {
	if p := r.bytes(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if p := r.bytes(2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if p := r.bytes(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (r *reader) lenenc() uint64 {
	v, n := Lenenc(r.b)
	if n == 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) lenencBytes() []byte {
	n := r.lenenc()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	return r.bytes(int(n))
}

// untilNul takes what is before the next zero byte, and drops that byte. With
// no zero byte it takes the rest, as servers do.
func (r *reader) untilNul() []byte {
	for i, c := range r.b {
		if c == 0 {
			p := r.b[:i]
			r.b = r.b[i+1:]
			return p
		}
	}
	p := r.b
	r.b = nil
	return p
}
