package wire

import (
	"bufio"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// A decompressor returns the content of one compressed packet after the other.
// After an error it can be reset like after an end.
type decompressor interface {
	io.Reader
	reset(io.Reader) error
	unused() int // bytes taken from the source and not needed
	release()
}

// newDecompressor lends a decompressor until its release. It is nil for
// Stored.
func newDecompressor(a Algorithm) decompressor {
	switch a {
	case Zlib:
		return inflaters.Get().(*inflater)
	case Zstd:
		return zstdDecoders.Get().(*zstdDecoder)
	}
	return nil
}

var inflaters = sync.Pool{New: func() any { return &inflater{src: bufio.NewReader(nil)} }}

// An inflater reads its source through a bufio.Reader: zlib has a fast path for
// it, and takes single bytes of anything else.
type inflater struct {
	io.ReadCloser // nil until the first header was a good one
	src           *bufio.Reader
}

func (i *inflater) reset(src io.Reader) (err error) {
	i.src.Reset(src)
	if i.ReadCloser != nil {
		return i.ReadCloser.(zlib.Resetter).Reset(i.src, nil)
	}
	r, err := zlib.NewReader(i.src)
	if err == nil {
		i.ReadCloser = r
	}
	return err
}

func (i *inflater) unused() int { return i.src.Buffered() }

func (i *inflater) release() {
	i.src.Reset(nil)
	inflaters.Put(i)
}

// maxWindow is what zstd needs for 16 MB of content at its highest level.
const maxWindow = 16 << 20

var zstdDecoders = sync.Pool{New: func() any {
	// With a concurrency of 1 it decodes where it is read and has no goroutine,
	// so one that the pool forgets needs no Close.
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
	if err != nil {
		panic(fmt.Sprintf("BUG: zstd options: %v", err))
	}
	return &zstdDecoder{d}
}}

type zstdDecoder struct{ *zstd.Decoder }

func (z *zstdDecoder) reset(src io.Reader) error { return z.Decoder.Reset(src) }
func (z *zstdDecoder) unused() int               { return 0 }

func (z *zstdDecoder) release() {
	z.Decoder.Reset(nil)
	zstdDecoders.Put(z)
}
