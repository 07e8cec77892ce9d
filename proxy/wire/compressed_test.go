package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"unsafe"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// A packer makes compressed packets, as the two ends do.
type packer struct {
	algorithm Algorithm
	z         *zlib.Writer
	zstd      *zstd.Encoder
	out       bytes.Buffer
}

func newPacker(t testing.TB, a Algorithm, level int) *packer {
	t.Helper()
	p := &packer{algorithm: a}
	var err error
	switch a {
	case Zlib:
		p.z, err = zlib.NewWriterLevel(nil, level)
	case Zstd:
		p.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *packer) compress(content []byte) []byte {
	if p.algorithm == Zstd {
		return p.zstd.EncodeAll(content, nil)
	}
	p.out.Reset()
	p.z.Reset(&p.out)
	p.z.Write(content)
	p.z.Close()
	return bytes.Clone(p.out.Bytes())
}

func (p *packer) append(b, content []byte, seq byte) []byte {
	return appendPacked(b, p.compress(content), len(content), seq)
}

// appendPacked appends a compressed packet as it is told to.
func appendPacked(b, body []byte, length int, seq byte) []byte {
	n := len(body)
	b = append(b, byte(n), byte(n>>8), byte(n>>16), seq, byte(length), byte(length>>8), byte(length>>16))
	return append(b, body...)
}

// rows is content like that of a result with rows of n bytes.
func rows(n, size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for id := 0; len(b) < size; id++ {
		row := fmt.Sprintf("\x08%08d\x14%s\x13%s", id, "name of customer no.", "2026-11-22 10:11:12")
		row += strings.Repeat("x", max(0, n-len(row)-40))
		for len(row) < n {
			row += string(rune('a' + r.IntN(26)))
		}
		b, _ = AppendPacket(b, []byte(row), byte(id))
	}
	return b[:size]
}

// noise is content that can't be compressed.
func noise(size int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, size)
	r.Read(b)
	return b
}

func TestCompressedPackets(t *testing.T) {
	for _, a := range []Algorithm{Zlib, Zstd} {
		p := newPacker(t, a, 6)
		one, _ := AppendStored(nil, []byte("one"), 0)
		for _, tt := range []struct {
			name string
			raw  []byte
			want string
		}{
			{"nothing", nil, ""},
			{"stored", one, "one"},
			{"compressed", p.append(nil, []byte("packet"), 7), "packet"},
			{"one byte", p.append(nil, []byte("x"), 255), "x"},
			{"both", p.append(one, []byte(" two"), 1), "one two"},
			{"an empty one between", p.append(appendPacked(one, nil, 0, 1), []byte(" two"), 2), "one two"},
		} {
			t.Run(a.String()+" "+tt.name, func(t *testing.T) {
				c := NewCompressedReader(bytes.NewReader(tt.raw), a)
				checkRelay(t, c, tt.raw, []byte(tt.want), func() int { return 100 })
			})
		}
	}
}

// checkRelay reads all, and checks what was lent when.
func checkRelay(t *testing.T, c *CompressedReader, raw, want []byte, size func() int) {
	t.Helper()
	var got, sent []byte
	ends := ends(raw)
	for {
		began := c.Done()
		p := make([]byte, size())
		n, err := c.Read(p)
		if began && n > 0 && c.Offset() != n {
			t.Fatalf("a packet's first read: %d bytes, offset %d", n, c.Offset())
		}
		got = append(got, p[:n]...)
		sent = append(sent, c.Raw()...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("after %d bytes: %v", len(got), err)
		}
		// The end of the packet is the next one, or was just reached.
		end := ends[0]
		switch {
		case c.Done():
			if len(sent) != end {
				t.Fatalf("done, and %d bytes sent of %d", len(sent), end)
			}
			if c.Seq() != raw[end-packetLen(raw, end)+3] {
				t.Fatalf("seq %d", c.Seq())
			}
			ends = ends[1:]
		case len(sent) >= end:
			t.Fatalf("the packet's end at %d was sent before its content was read", end)
		}
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes of content, want %d, or they differ", len(got), len(want))
	}
	if !bytes.Equal(sent, raw) {
		t.Fatalf("%d raw bytes, want %d, or they differ", len(sent), len(raw))
	}
	if c.buf != nil || c.content != nil {
		t.Fatal("it holds a buffer while idle")
	}
}

// ends are the offsets behind each compressed packet.
func ends(raw []byte) (ends []int) {
	for at := 0; at < len(raw); {
		n, _ := ParseHeader(raw[at:])
		at += compressedHeaderLen + n
		ends = append(ends, at)
	}
	return ends
}

// packetLen is the length of the packet that ends at end.
func packetLen(raw []byte, end int) int {
	last := 0
	for _, e := range ends(raw) {
		if e == end {
			break
		}
		last = e
	}
	return end - last
}

// pieces reads as a socket does: in pieces of any length.
type pieces struct {
	io.Reader
	rand *rand.Rand
	max  int
}

func (p *pieces) Read(b []byte) (int, error) {
	return p.Reader.Read(b[:min(len(b), 1+p.rand.IntN(p.max))])
}

func TestCompressedRelay(t *testing.T) {
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 0))
		a := []Algorithm{Zlib, Zstd}[r.IntN(2)]
		p := newPacker(t, a, 1+r.IntN(9))
		var raw, want []byte
		for seq := range 1 + r.IntN(8) {
			content := rows(20+r.IntN(300), r.IntN(1<<r.IntN(19)+1))
			if r.IntN(3) == 0 {
				content = noise(len(content))
			}
			if len(content) == 0 || r.IntN(3) == 0 {
				raw = appendPacked(raw, content, 0, byte(seq))
			} else {
				raw = p.append(raw, content, byte(seq))
			}
			want = append(want, content...)
		}
		src := &pieces{bytes.NewReader(raw), r, 1 << (1 + r.IntN(18))}
		most := 1 << r.IntN(18)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			checkRelay(t, NewCompressedReader(src, a), raw, want, func() int { return 1 + r.IntN(most) })
		})
	}
}

func TestCompressedLongPackets(t *testing.T) {
	for _, a := range []Algorithm{Zlib, Zstd} {
		for name, content := range map[string][]byte{"rows": rows(200, MaxFrame), "noise": noise(MaxFrame - 1<<16)} {
			t.Run(a.String()+" "+name, func(t *testing.T) {
				raw := newPacker(t, a, 3).append(nil, content, 0)
				checkRelay(t, NewCompressedReader(bytes.NewReader(raw), a), raw, content, func() int { return 64 << 10 })
			})
		}
	}
}

func TestCompressedMalformed(t *testing.T) {
	for _, a := range []Algorithm{Zlib, Zstd} {
		body := newPacker(t, a, 6).compress([]byte("content, of 23 bytes ok"))
		for _, tt := range []struct {
			name string
			raw  []byte
		}{
			{"less than announced", appendPacked(nil, body, 24, 0)},
			{"more than announced", appendPacked(nil, body, 22, 0)},
			{"much less", appendPacked(nil, body, MaxFrame, 0)},
			{"cut short", appendPacked(nil, body[:len(body)-5], 23, 0)},
			{"cut by a byte", appendPacked(nil, body[:len(body)-1], 23, 0)},
			{"bytes behind", appendPacked(nil, append(bytes.Clone(body), 0), 23, 0)},
			{"twice", appendPacked(nil, append(bytes.Clone(body), body...), 23, 0)},
			{"no bytes", appendPacked(nil, nil, 23, 0)},
			{"garbage", appendPacked(nil, noise(1000), 1000, 0)},
			{"an ordinary packet", []byte("\x09\x00\x00\x00\x03SELECT 1")},
		} {
			t.Run(a.String()+" "+tt.name, func(t *testing.T) {
				c := NewCompressedReader(bytes.NewReader(tt.raw), a)
				var sent []byte
				for {
					_, err := c.Read(make([]byte, 1000))
					sent = append(sent, c.Raw()...)
					if err == nil {
						continue
					}
					if !errors.Is(err, ErrMalformed) {
						t.Fatalf("%v, want ErrMalformed", err)
					}
					if _, again := c.Read(make([]byte, 1)); again != err {
						t.Errorf("then %v", again)
					}
					if c.left == 0 && len(sent) >= len(tt.raw) {
						t.Error("its last byte was sent")
					}
					return
				}
			})
		}
	}
	c := NewCompressedReader(bytes.NewReader(newPacker(t, Zlib, 6).append(nil, []byte("x"), 0)), Stored)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("compressed where all is stored: %v", err)
	}
}

func TestZstdWindow(t *testing.T) {
	content := noise(100)
	for log, good := range map[byte]bool{20: true, 24: true, 25: false, 31: false} {
		// A frame with a window descriptor, and one raw block of 100 bytes.
		body := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3, 100<<3&0xff | 1, 100 >> 5, 0}
		raw := appendPacked(nil, append(body, content...), len(content), 0)
		c := NewCompressedReader(bytes.NewReader(raw), Zstd)
		n, err := c.Read(make([]byte, 200))
		if good && (n != 100 || err != nil) || !good && !errors.Is(err, ErrMalformed) {
			t.Errorf("window of 1<<%d: %d bytes, %v", log, n, err)
		}
	}
}

// A deflate stream can go on for ever without any content.
func TestCompressedWithoutContent(t *testing.T) {
	body := append([]byte{0x78, 0x9c}, bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 1<<20)...)
	c := NewCompressedReader(bytes.NewReader(appendPacked(nil, body, 1, 0)), Zlib)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrMalformed) || len(c.buf) > largeRaw {
		t.Errorf("%v, %d bytes kept", err, len(c.buf))
	}
}

func TestCompressedSourceEnds(t *testing.T) {
	broken := errors.New("broken")
	for _, a := range []Algorithm{Zlib, Zstd} {
		raw := newPacker(t, a, 6).append(nil, rows(100, 500), 0)
		raw = appendPacked(raw, []byte("stored"), 0, 1)
		whole := ends(raw)
		for at := range raw {
			want := io.ErrUnexpectedEOF
			if at == 0 || at == whole[0] {
				want = io.EOF
			}
			for _, tt := range []struct {
				src  io.Reader
				want error
			}{
				{bytes.NewReader(raw[:at]), want},
				{io.MultiReader(bytes.NewReader(raw[:at]), iotest.ErrReader(broken)), broken},
			} {
				c := NewCompressedReader(tt.src, a)
				var sent []byte
				var err error
				for err == nil {
					_, err = c.Read(make([]byte, 50))
					sent = append(sent, c.Raw()...)
				}
				if err != tt.want {
					t.Fatalf("%v at %d: %v, want %v", a, at, err, tt.want)
				}
				if tt.want == io.ErrUnexpectedEOF && !bytes.Equal(sent, raw[:at]) {
					t.Fatalf("%v at %d: %d bytes sent", a, at, len(sent))
				}
			}
		}
	}
}

func TestCompressedHeaderAfterTimeout(t *testing.T) {
	raw := newPacker(t, Zlib, 6).append(nil, rows(100, 500), 0)
	c := NewCompressedReader(iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(raw))), Zlib)
	b := make([]byte, 1000)
	if _, err := c.Read(b); err != iotest.ErrTimeout {
		t.Fatal(err)
	}
	n, err := c.Read(b)
	if err != nil || n != 500 || !bytes.Equal(c.Raw(), raw) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestCompressedDrop(t *testing.T) {
	for _, a := range []Algorithm{Zlib, Zstd} {
		p := newPacker(t, a, 6)
		contents := [][]byte{rows(200, 1000), noise(100_000), rows(200, 300_000), rows(100, 200)}
		var raw []byte
		for i, content := range contents {
			raw = p.append(raw, content, byte(i))
		}
		whole := ends(raw)
		for dropped := range contents {
			for _, size := range []int{10, 1 << 20} {
				c := NewCompressedReader(bytes.NewReader(raw), a)
				var got, sent []byte
				for {
					b := make([]byte, size)
					n, err := c.Read(b)
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, b[:n]...)
					if c.Seq() == byte(dropped) && c.Offset() == n {
						c.Drop()
					}
					sent = append(sent, c.Raw()...)
				}
				from := append([]int{0}, whole...)[dropped]
				if want := append(bytes.Clone(raw[:from]), raw[whole[dropped]:]...); !bytes.Equal(sent, want) {
					t.Errorf("%v, %d dropped, %d at a time: %d bytes sent, want %d", a, dropped, size, len(sent), len(want))
				}
				if !bytes.Equal(got, bytes.Join(contents, nil)) {
					t.Errorf("%v, %d dropped: the content differs", a, dropped)
				}
			}
		}
	}
}

// Raw bytes wait for who decides about several packets at once.
func TestCompressedRawWaits(t *testing.T) {
	p := newPacker(t, Zlib, 6)
	raw := p.append(p.append(nil, noise(30_000), 0), noise(40_000), 1)
	c := NewCompressedReader(bytes.NewReader(raw), Zlib)
	b := make([]byte, 1000)
	for c.Seq() == 0 || !c.Done() {
		if _, err := c.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(c.Raw(), raw) {
		t.Error("raw bytes differ")
	}
}

func TestCompressedHoldsNothingIdle(t *testing.T) {
	for _, a := range []Algorithm{Zlib, Zstd} {
		raw := newPacker(t, a, 3).append(nil, rows(200, 1<<20), 0)
		read, write := io.Pipe()
		c := NewCompressedReader(read, a)
		go func() {
			write.Write(raw)
			write.Write([]byte{1})
			// c is waiting for the rest of a header, when this is done.
			write.Write(raw[1:2])
			if c.buf != nil || c.content != nil {
				t.Errorf("%v: it holds a buffer while idle", a)
			}
			write.Close()
		}()
		var err error
		for b := make([]byte, 1<<20); err == nil; c.Raw() {
			_, err = c.Read(b)
		}
	}
	if size := unsafe.Sizeof(CompressedReader{}); size > 200 {
		t.Errorf("%d bytes per idle connection", size)
	}
}

func TestCompressedStartsNoGoroutine(t *testing.T) {
	for _, a := range []Algorithm{Zlib, Zstd} {
		raw := newPacker(t, a, 3).append(nil, rows(200, 1<<20), 0)
		before := runtime.NumGoroutine()
		c := NewCompressedReader(bytes.NewReader(raw), a)
		for b := make([]byte, 10_000); ; c.Raw() {
			if _, err := c.Read(b); err == io.EOF {
				break
			}
			if n := runtime.NumGoroutine(); n > before {
				t.Fatalf("%v: %d goroutines, %d before", a, n, before)
			}
		}
	}
}

func TestAppendStored(t *testing.T) {
	if b, seq := AppendStored(nil, nil, 3); b != nil || seq != 3 {
		t.Errorf("nothing: %x, %d", b, seq)
	}
	b, seq := AppendStored([]byte("x"), []byte("one"), 255)
	if want := "x\x03\x00\x00\xff\x00\x00\x00one"; string(b) != want || seq != 0 {
		t.Errorf("%q, %d", b, seq)
	}
	long := noise(2*MaxFrame + 5)
	b, seq = AppendStored(nil, long, 1)
	if seq != 4 || len(b) != len(long)+3*compressedHeaderLen {
		t.Errorf("%d bytes, %d", len(b), seq)
	}
	checkRelay(t, NewCompressedReader(bytes.NewReader(b), Zlib), b, long, func() int { return 1 << 20 })
}

func TestAgreed(t *testing.T) {
	both := ClientCompress | ClientZstd
	for _, tt := range []struct {
		client, server Caps
		want           Algorithm
	}{
		{0, ClientMySQL | both, Uncompressed},
		{both, ClientMySQL, Stored},
		{ClientCompress, ClientMySQL | ClientZstd, Stored},
		{ClientZstd, ClientMySQL | ClientCompress, Stored},
		{both, ClientMySQL | both, Zlib},
		{both, ClientMySQL | ClientZstd, Zstd},
		{ClientZstd, ClientMySQL | both, Zstd},
		{ClientCompress, ClientMySQL | both, Zlib},
		{both, ClientCompress, Zlib}, // MariaDB
		{ClientZstd, ClientCompress, Uncompressed},
	} {
		if got := Agreed(tt.client|ClientProtocol41, tt.server|ClientProtocol41); got != tt.want {
			t.Errorf("%x, %x: %v, want %v", tt.client, tt.server, got, tt.want)
		}
	}
}

// counted counts what a decompressor returned.
func FuzzCompressed(f *testing.F) {
	for _, a := range []Algorithm{Zlib, Zstd} {
		p := newPacker(f, a, 6)
		f.Add(p.append(nil, rows(100, 5000), 0), a == Zstd, uint16(100))
		f.Add(p.append(p.append(nil, []byte("one"), 0), noise(50), 1), a == Zstd, uint16(1))
		f.Add(appendPacked(nil, p.compress(rows(100, 3000)), 17, 0), a == Zstd, uint16(1000))
	}
	f.Fuzz(func(t *testing.T, raw []byte, useZstd bool, size uint16) {
		a := Zlib
		if useZstd {
			a = Zstd
		}
		src := bytes.NewReader(raw)
		c := NewCompressedReader(src, a)
		var sent []byte
		packets, sum, announced := 0, 0, 0
		var err error
		for err == nil {
			var n int
			began := c.Done()
			n, err = c.Read(make([]byte, int(size)+1))
			if began && err != io.EOF {
				announced += c.length
				packets++
			}
			sum += n
			if sum > announced {
				t.Fatalf("%d bytes of content, %d announced", sum, announced)
			}
			sent = append(sent, c.Raw()...)
			if len(sent) > len(raw) || !bytes.Equal(sent, raw[:len(sent)]) {
				t.Fatal("raw bytes differ")
			}
			if len(c.buf) > largeRaw {
				t.Fatalf("%d bytes kept", len(c.buf))
			}
		}
		read := len(raw) - src.Len()
		switch {
		case err == io.EOF:
			if len(sent) != len(raw) || c.buf != nil {
				t.Fatalf("all was read, and %d bytes sent of %d", len(sent), len(raw))
			}
		case err == io.ErrUnexpectedEOF:
			if len(sent) != len(raw) {
				t.Fatalf("%d bytes sent of %d", len(sent), len(raw))
			}
		case !errors.Is(err, ErrMalformed):
			t.Fatal(err)
		case c.left == 0 && len(sent) != read-1:
			t.Fatalf("%d bytes sent of a malformed packet that ends at %d", len(sent), read)
		}
		if c.content != nil {
			t.Fatal("it holds a decompressor")
		}
	})
}

// A result in compressed packets of 16 KB, as servers write it; MB/s are of the
// content.
func BenchmarkCompressed(b *testing.B) {
	for _, a := range []Algorithm{Zlib, Zstd} {
		p := newPacker(b, a, map[Algorithm]int{Zlib: 6, Zstd: 3}[a])
		content := rows(200, 64*16<<10)
		var raw []byte
		for i := range 64 {
			raw = p.append(raw, content[i*16<<10:][:16<<10], byte(i))
		}
		b.Run(a.String(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(16 << 10)
			src := bytes.NewReader(raw)
			c := NewCompressedReader(src, a)
			buf := make([]byte, 16<<10)
			sent := 0
			for b.Loop() {
				if src.Len() == 0 {
					src.Reset(raw)
				}
				for {
					if _, err := c.Read(buf); err != nil {
						b.Fatal(err)
					}
					sent += len(c.Raw())
					if c.Done() {
						break
					}
				}
			}
			b.ReportMetric(float64(sent)/float64(b.N), "raw-B/op")
		})
	}
}
