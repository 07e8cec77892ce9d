package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"time"
)

// A client speaks just enough of the protocol to send a statement and to read
// past its result: it looks at packet headers only, so that it is not what limits
// a transfer, and is plain by construction. It belongs to one goroutine.
type client struct {
	conn  net.Conn
	in    *bufio.Reader
	start [128]byte // of the latest packet's payload
}

// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
const capabilities = 1 | // LONG_PASSWORD
	1<<9 | // PROTOCOL_41
	1<<13 | // TRANSACTIONS
	1<<15 | // SECURE_CONNECTION
	1<<19 | // PLUGIN_AUTH
	1<<24 // DEPRECATE_EOF

// answerTimeout bounds one answer, of 1 GB too: a proxy that hangs shall be told of.
const answerTimeout = 2 * time.Minute

// connect logs in as the user bench, who has no password.
func connect(ctx context.Context, addr string, buffer int) (*client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, buffer)}
	if err := c.login(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("log in on %s: %w", addr, err)
	}
	return c, nil
}

func (c *client) login() error {
	c.conn.SetReadDeadline(time.Now().Add(answerTimeout))
	if _, _, err := c.packet(); err != nil { // the greeting
		return err
	}
	var b bytes.Buffer
	for _, n := range []uint32{capabilities, 1 << 24} {
		binary.Write(&b, binary.LittleEndian, n)
	}
	b.WriteByte(45) // utf8mb4
	b.Write(make([]byte, 23))
	b.WriteString(user + "\x00" + "\x00" + "caching_sha2_password\x00")
	if err := c.send(1, b.Bytes()); err != nil {
		return err
	}
	return c.ok()
}

func (c *client) send(seq byte, payload []byte) error {
	n := len(payload)
	_, err := c.conn.Write(append([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq}, payload...))
	return err
}

// packet reads past one packet and returns its length and the beginning of its
// payload, which is valid until the next read.
func (c *client) packet() (n int, start []byte, err error) {
	h, err := c.in.Peek(4)
	if err != nil {
		return 0, nil, fmt.Errorf("read a packet: %w", err)
	}
	n = int(h[0]) | int(h[1])<<8 | int(h[2])<<16
	start, err = c.in.Peek(4 + min(n, len(c.start)))
	if err != nil {
		return 0, nil, fmt.Errorf("read a packet: %w", err)
	}
	start = c.start[:copy(c.start[:], start[4:])]
	if _, err := c.in.Discard(4 + n); err != nil {
		return 0, nil, fmt.Errorf("read a packet: %w", err)
	}
	return n, start, nil
}

func (c *client) ok() error {
	_, start, err := c.packet()
	switch {
	case err != nil:
		return err
	case len(start) == 0 || start[0] != 0:
		return refusal(start)
	}
	return nil
}

func refusal(start []byte) error {
	if len(start) > 9 && start[0] == 0xff {
		return fmt.Errorf("the server says %d: %s", binary.LittleEndian.Uint16(start[1:]), start[9:])
	}
	return fmt.Errorf("an unexpected packet: %x", start)
}

// ping sends COM_PING.
func (c *client) ping() error { return c.command(0x0e, "") }

// set sends a statement that has no result.
func (c *client) set(text string) error { return c.command(0x03, text) }

func (c *client) command(command byte, text string) error {
	c.conn.SetReadDeadline(time.Now().Add(answerTimeout))
	if err := c.send(0, append([]byte{command}, text...)); err != nil {
		return err
	}
	return c.ok()
}

// query sends a statement that has a result and reads past it. It returns how
// many bytes the result had on the wire.
func (c *client) query(text string) (size int64, rows int, err error) {
	c.conn.SetReadDeadline(time.Now().Add(answerTimeout))
	if err := c.send(0, append([]byte{0x03}, text...)); err != nil {
		return 0, 0, err
	}
	n, start, err := c.packet()
	if err != nil {
		return 0, 0, err
	}
	if n != 1 || start[0] == 0 { // the number of columns, which are few here
		return 0, 0, refusal(start)
	}
	columns := int(start[0])
	size = int64(4 + n)
	for i := 0; ; i++ {
		n, start, err := c.packet()
		if err != nil {
			return size, rows, err
		}
		size += int64(4 + n)
		switch {
		case i < columns:
		case n > 0 && start[0] == 0xff:
			return size, rows, refusal(start)
		case n > 0 && n < 0xffffff && start[0] == 0xfe: // an OK, no row: none is that large
			return size, rows, nil
		default:
			rows++
		}
	}
}

// close says goodbye, so that the server doesn't count an aborted connection.
func (c *client) close() error {
	c.send(0, []byte{0x01})
	return c.conn.Close()
}
