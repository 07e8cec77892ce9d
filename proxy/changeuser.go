package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"

	"midflight/proxy/wire"
)

// changeUser relays the conversation of a COM_CHANGE_USER in a session whose two
// sides aren't alike, so that passwords may have to be translated.
func (c *Conn) changeUser(ctx context.Context) error {
	packet := bytes.Clone(c.cmd.packet[wire.HeaderLen:])
	c.s.mu.Lock()
	c.s.reset(clock())
	c.s.mu.Unlock()
	if err := c.send(c.s.auth.forChangeUser(packet, c.s.wire)); err != nil {
		return err
	}
	last, err := relayAuth(changingClient{c}, changingServer{c, ctx}, c.s.auth)
	c.answered = err == nil
	switch {
	case errors.Is(err, ErrServerGone):
		return ErrServerGone // behind what it has said, which was relayed
	case err != nil:
		return err
	}
	if len(last) > 0 && last[0] == 0x00 {
		ok, _ := wire.ParseOK(last, c.s.wire)
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		c.s.becomes(c.cmd.user)
		c.s.walker.SetStatus(ok.Status)
	}
	return nil
}

// changingClient is the client's side of a changeUser.
type changingClient struct{ c *Conn }

func (e changingClient) read() ([]byte, error) {
	var h [wire.HeaderLen]byte
	if _, err := io.ReadFull(e.c.s.client, h[:]); err != nil {
		return nil, err
	}
	n, seq := wire.ParseHeader(h[:])
	if n > handshakeLimit {
		return nil, errTooLong
	}
	e.c.seq = seq + 1
	p := make([]byte, n)
	_, err := io.ReadFull(e.c.s.client, p)
	return p, err
}

func (e changingClient) write(p []byte) error { return e.c.reply(p, false) }

// changingServer is the server's.
type changingServer struct {
	c   *Conn
	ctx context.Context
}

func (e changingServer) read() ([]byte, error) {
	p, err := e.c.packet(e.ctx)
	return bytes.Clone(p), err
}

func (e changingServer) write(p []byte) error { return e.c.sendFrame(p) }
