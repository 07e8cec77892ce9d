package binlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"midflight/mysqld"
)

const (
	// The server sends a heartbeat when it has nothing else to send for this
	// long; a connection that is silent for much longer is dead.
	heartbeat = time.Second
	silence   = 20 * time.Second
	handshake = 10 * time.Second
)

// A feed is one connection that the server sends its binlog to. Its goroutine
// reads ahead by a few packets and ends with close.
type feed struct {
	conn    *client.Conn
	packets chan []byte // closed at the end, err says why
	err     error
	stop    chan struct{}
	done    chan struct{}
}

func newFeed(conn *client.Conn, first []byte) *feed {
	f := &feed{conn: conn, packets: make(chan []byte, 64), stop: make(chan struct{}), done: make(chan struct{})}
	f.packets <- first
	go f.run()
	return f
}

func (f *feed) run() {
	defer close(f.done)
	defer close(f.packets)
	for {
		b, err := readEvent(f.conn)
		if err != nil {
			f.err = err
			return
		}
		select {
		case f.packets <- b:
		case <-f.stop:
			f.err = net.ErrClosed
			return
		}
	}
}

func (f *feed) close() {
	close(f.stop)
	cut(f.conn)
	<-f.done
}

// cut closes a connection that another goroutine may be reading from; the
// library's Close is not for that.
func cut(conn *client.Conn) { conn.Conn.Conn.Close() }

// readEvent reads one event of a dump.
func readEvent(conn *client.Conn) ([]byte, error) {
	if err := conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return nil, err
	}
	b, err := conn.ReadPacket()
	if err != nil {
		return nil, err
	}
	switch {
	case len(b) > 0 && b[0] == mysql.OK_HEADER:
		return b[1:], nil
	case len(b) > 0 && b[0] == mysql.ERR_HEADER:
		return nil, conn.HandleErrorPacket(b)
	case len(b) > 0 && b[0] == mysql.EOF_HEADER:
		return nil, io.EOF // the dump thread was killed, or the server ends
	}
	return nil, fmt.Errorf("binlog packet of %d bytes", len(b))
}

// connect logs in, with TLS where the server has it.
func connect(ctx context.Context, c mysqld.Config) (*client.Conn, error) {
	try := func(options ...client.Option) (*client.Conn, error) {
		var raw net.Conn
		stop := func() bool { return true }
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			d := net.Dialer{Timeout: handshake}
			var err error
			if raw, err = d.DialContext(ctx, network, address); err != nil {
				return nil, err
			}
			stop = context.AfterFunc(ctx, func() { raw.Close() })
			return raw, raw.SetDeadline(time.Now().Add(handshake))
		}
		conn, err := client.ConnectWithDialer(ctx, "", c.Addr, c.User, c.Password, "", dial, options...)
		stop()
		if err != nil {
			return nil, err
		}
		return conn, raw.SetDeadline(time.Time{})
	}
	if strings.HasPrefix(c.Addr, "/") {
		return try()
	}
	conn, err := try(func(c *client.Conn) error { c.UseSSL(true); return nil })
	var answered *mysql.MyError
	if err != nil && !errors.As(err, &answered) && ctx.Err() == nil {
		// The library doesn't tell a server without TLS from other failures.
		return try()
	}
	return conn, err
}

// dumpFrom asks for the binlog from p, and returns its first event: an error
// about the position comes instead of it.
func dumpFrom(conn *client.Conn, serverID uint32, gtids *gtidSet, p Position) ([]byte, error) {
	b := make([]byte, 4, 64) // room for the packet's header
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
	return readEvent(conn)
}
