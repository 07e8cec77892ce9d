package binlog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"testing"
)

// packets are what the server makes of an event: one after the other, each as long as
// can be but the last.
func packets(sequence byte, event []byte) (wire []byte) {
	b := append([]byte{0}, event...)
	for {
		n := min(len(b), maxPacket)
		wire = append(wire, byte(n), byte(n>>8), byte(n>>16), sequence)
		wire = append(wire, b[:n]...)
		b = b[n:]
		if sequence++; n < maxPacket {
			return wire
		}
	}
}

// rowsOf makes a rows event of n bytes, with a checksum.
func rowsOf(n int) []byte {
	b := event(30, 1000, make([]byte, n-headerSize))
	for i := headerSize; i < n; i++ {
		b[i] = byte(i * 7)
	}
	binary.LittleEndian.PutUint32(b[n-checksumSize:], crc32.ChecksumIEEE(b[:n-checksumSize]))
	return b
}

func TestFeed(t *testing.T) {
	for _, n := range []int{rowsHead, rowsHead + 1, rowsHead + checksumSize, 100, 8000, 1<<15 - 1, 1 << 15, 1<<15 + 2, 1<<18 + 3,
		maxPacket - 2, maxPacket - 1, maxPacket, maxPacket + 1, maxPacket + 3, maxPacket + 5, 2*maxPacket - 1, 2*maxPacket + 9} {
		long := rowsOf(n)
		var wire []byte
		sequence := byte(254)
		var want [][]byte
		for _, e := range [][]byte{rowsOf(60), long, rowsOf(70)} {
			p := packets(sequence, e)
			sequence += byte(1 + (len(e)+1)/maxPacket)
			wire, want = append(wire, p...), append(want, e)
		}
		for _, skipped := range []bool{false, true} {
			f := &feed{r: bufio.NewReaderSize(bytes.NewReader(wire), 1<<18), sequence: 254}
			for i, e := range want {
				got, whole, err := f.next(func([]byte) (bool, bool) { return skipped, true })
				switch {
				case err != nil:
					t.Fatalf("event of %d bytes, %d: %v", n, i, err)
				case whole && !bytes.Equal(got, e), !whole && !bytes.Equal(got, e[:rowsHead]), whole == skipped && len(e) > rowsHead:
					t.Fatalf("event of %d bytes, %d: got %d bytes, whole %t", n, i, len(got), whole)
				}
			}
			if _, _, err := f.next(nil); !errors.Is(err, io.EOF) {
				t.Errorf("at the end: %v", err)
			}
		}
		if n < rowsHead+checksumSize+1 {
			continue
		}
		// Whatever byte is wrong, a skipped event tells.
		for _, at := range []int{rowsHead - 1, rowsHead, n / 2, n - checksumSize - 1, n - 1} {
			broken := bytes.Clone(long)
			broken[at] ^= 1
			f := &feed{r: bufio.NewReaderSize(bytes.NewReader(packets(1, broken)), 1<<18), sequence: 1}
			if _, _, err := f.next(func([]byte) (bool, bool) { return true, true }); !errors.Is(err, errChecksum) {
				t.Errorf("event of %d bytes, byte %d is wrong: %v", n, at, err)
			}
			f = &feed{r: bufio.NewReaderSize(bytes.NewReader(packets(1, broken)), 1<<18), sequence: 1}
			if _, _, err := f.next(func([]byte) (bool, bool) { return true, false }); err != nil {
				t.Errorf("event of %d bytes without checksum: %v", n, err)
			}
		}
	}
}

func TestFeedEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		wire []byte
		want error
	}{
		{"eof packet", []byte{5, 0, 0, 1, 0xfe, 0, 0, 2, 0}, io.EOF},
		{"cut in a header", []byte{5, 0}, io.EOF},
		{"cut in a packet", packets(1, rowsOf(100))[:90], io.ErrUnexpectedEOF},
		{"cut in the head", packets(1, rowsOf(100))[:20], io.EOF},
		{"wrong sequence", packets(2, rowsOf(100)), nil},
		{"nothing", []byte{0, 0, 0, 1}, nil},
	} {
		f := &feed{r: bufio.NewReader(bytes.NewReader(c.wire)), sequence: 1}
		_, _, err := f.next(func([]byte) (bool, bool) { return false, false })
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
