package binlog

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/klauspost/compress/zstd"
)

// payload is a transaction compressed by MySQL, without its GTID event.
func (a *assembler) payload(h header, body []byte) error {
	var compressed []byte
	algorithm := uint64(0)
	for compressed == nil {
		field, w := lenenc(body)
		body = body[w:]
		if field == replication.OTW_PAYLOAD_HEADER_END_MARK {
			compressed = body
			break
		}
		length, w := lenenc(body)
		if field == replication.OTW_PAYLOAD_COMPRESSION_TYPE_FIELD {
			algorithm, _ = lenenc(body[w:])
		}
		body = body[w+int(length):]
	}
	switch algorithm {
	case replication.ZSTD:
		if a.zstd == nil {
			var err error
			if a.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(4*maxPayload)); err != nil {
				return fmt.Errorf("decompress transaction: %w", err)
			}
		}
		var err error
		if compressed, err = a.zstd.DecodeAll(compressed, nil); err != nil {
			return fmt.Errorf("decompress transaction: %w", err)
		}
	case 255: // none
	default:
		return fmt.Errorf("transaction compressed by unknown algorithm %d", algorithm)
	}
	// The events inside have no checksums and no offsets of their own.
	for b := compressed; len(b) > 0; {
		n := little(b[9:13])
		inner := readHeader(b)
		inner.at = h.at
		if inner.typ == eventPayload {
			return errors.New("a compressed transaction within another")
		}
		if err := a.event(inner, b[headerSize:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// maxEvent is the longest that a server writes: max_allowed_packet is 1 GiB at most.
const maxEvent = 1 << 30

// inflate undoes MariaDB's compression: a byte with the width of the length, the length,
// and zlib's stream. Its memory grows with what comes, and not with what is announced.
func inflate(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, nil
	}
	width := int(b[0] & 7)
	if len(b) < 1+width {
		return nil, io.ErrUnexpectedEOF
	}
	length := big(b[1 : 1+width])
	if length > maxEvent {
		return nil, fmt.Errorf("announced as %d bytes", length)
	}
	r, err := zlib.NewReader(bytes.NewReader(b[1+width:]))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, int64(length)))
	if err == nil && uint64(len(text)) < length {
		err = io.ErrUnexpectedEOF
	}
	return text, err
}
