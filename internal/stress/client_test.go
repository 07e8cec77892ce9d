package stress

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"midflight/proxy/wire"
)

// A link is how a client is connected.
type link string

const (
	plain      link = "plain"      // carried by an epoll loop
	overTLS    link = "TLS"        // by goroutines
	compressed link = "compressed" // by goroutines, and looked into
)

// A client speaks the protocol as plainly as it can be spoken, so that it may stop
// anywhere.
type client struct {
	net.Conn
	x   *site
	s   wire.Session
	in  io.Reader // the packets
	z   bool      // compressed
	seq byte
}

const patience = 60 * time.Second

// dial logs in as app, who has no password.
func (x *site) dial(l link) *client {
	x.Helper()
	c, err := x.login(l)
	if err != nil {
		x.Fatalf("%s: %v", l, err)
	}
	return c
}

func (x *site) connect() (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", x.m.Addr, patience)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	return conn, nil
}

func (x *site) login(l link) (*client, error) {
	conn, err := x.connect()
	if err != nil {
		return nil, err
	}
	c := &client{Conn: conn, x: x, in: conn}
	if err := c.login(l); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) login(l link) error {
	hello, err := c.packet()
	if err != nil {
		return err
	}
	g, err := wire.ParseGreeting(hello)
	if err != nil {
		return err
	}
	caps := wire.ClientMySQL | wire.ClientProtocol41 | wire.ClientTransactions | wire.ClientSecureConnection | wire.ClientPluginAuth | wire.ClientMultiStatements | wire.ClientMultiResults
	switch l {
	case overTLS:
		caps |= wire.ClientSSL
	case compressed:
		caps |= wire.ClientCompress
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(caps))
	b = binary.LittleEndian.AppendUint32(b, 1<<30)
	b = append(append(b, 45), make([]byte, 23)...)
	seq := byte(1)
	if l == overTLS {
		c.send(b, seq)
		seq++
		c.Conn = tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
		c.in = c.Conn
	}
	c.send(append(b, "app\x00\x00"+g.Plugin+"\x00"...), seq)
	for {
		p, err := c.packet()
		switch {
		case err != nil:
			return err
		case p[0] == 0xfe:
			c.send(nil, c.seq+1)
			continue
		case p[0] != 0:
			continue // "fast path done"
		}
		break
	}
	c.s = wire.Session{Caps: caps & g.Caps}
	if l == compressed {
		c.z, c.in = true, content{wire.NewCompressedReader(c.Conn, wire.Zlib)}
	}
	return nil
}

// content is what is in compressed packets.
type content struct{ *wire.CompressedReader }

func (c content) Read(p []byte) (int, error) {
	n, err := c.CompressedReader.Read(p)
	c.Raw() // nobody wants these
	return n, err
}

// send sends a packet.
func (c *client) send(payload []byte, seq byte) error {
	b, _ := wire.AppendPacket(nil, payload, seq)
	if c.z {
		b, _ = wire.AppendStored(nil, b, seq)
	}
	_, err := c.Write(b)
	return err
}

// packet reads a packet. An ERR is an error.
func (c *client) packet() ([]byte, error) {
	var p []byte
	for {
		var h [wire.HeaderLen]byte
		if err := c.full(h[:]); err != nil {
			return nil, err
		}
		n, seq := wire.ParseHeader(h[:])
		c.seq = seq
		at := len(p)
		p = append(p, make([]byte, n)...)
		if err := c.full(p[at:]); err != nil {
			return nil, err
		}
		if n == wire.MaxFrame {
			continue
		}
		if len(p) == 0 {
			return nil, errors.New("an empty packet")
		}
		if p[0] == 0xff {
			e, err := wire.ParseErr(p)
			if err != nil {
				return nil, err
			}
			return nil, e
		}
		return p, nil
	}
}

// full reads all of b. (A compressed packet may have no content.)
func (c *client) full(b []byte) error {
	for len(b) > 0 {
		n, err := c.in.Read(b)
		if b = b[n:]; err != nil && len(b) > 0 {
			return err
		}
	}
	return nil
}

func (c *client) begin(sql string) error {
	return c.send(wire.AppendQuery(nil, sql, c.s), 0)
}

// each reads an answer, and hands each row over.
func (c *client) each(row func([]byte)) error {
	a := wire.NewAnswer(wire.ComQuery)
	for {
		p, err := c.packet()
		if err != nil {
			return err
		}
		switch a.Packet(p[:min(len(p), wire.HeadLen)], min(len(p), wire.MaxFrame), c.s) {
		case wire.StepRow:
			row(p)
		case wire.StepDone:
			return nil
		}
	}
}

// try runs a statement with one row of one column at most.
func (c *client) try(sql string) (value string, err error) {
	if err := c.begin(sql); err != nil {
		return "", err
	}
	var bad error
	err = c.each(func(p []byte) {
		n, size := wire.Lenenc(p)
		if value = string(p[size:]); uint64(len(value)) != n {
			bad = fmt.Errorf("a row of %d bytes, announced as %d", len(value), n)
		}
	})
	return value, errors.Join(err, bad)
}

func (c *client) query(sql string) string {
	c.x.Helper()
	v, err := c.try(sql)
	if err != nil {
		c.x.Fatalf("%.80s: %v", sql, err)
	}
	return v
}

// number is an ERR's, or 0.
func number(err error) uint16 {
	var e *wire.Err
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}
