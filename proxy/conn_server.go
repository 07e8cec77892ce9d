package proxy

import (
	"context"
	"encoding/binary"
	"fmt"

	"midflight/proxy/wire"
)

// send begins a command of ours.
func (c *Conn) send(payload []byte) error {
	if c.fault != nil {
		return c.fault
	}
	b, _ := wire.AppendPacket(make([]byte, 0, wire.HeaderLen+len(payload)), payload, 0)
	c.s.server.restart(1)
	return c.write(b)
}

// sendFrame goes on within a command. The number follows that of the packet
// read last.
func (c *Conn) sendFrame(payload []byte) error {
	b, _ := wire.AppendPacket(nil, payload, c.lastSeq+1)
	return c.write(b)
}

func (c *Conn) write(b []byte) error {
	if _, err := c.s.server.Write(b); err != nil {
		return c.broken(fmt.Errorf("%w (%w)", ErrServerGone, err))
	}
	return nil
}

func (c *Conn) broken(err error) error {
	if c.fault == nil {
		c.fault = err
	}
	return err
}

// longRow is how long a row is brought together to be passed on.
const longRow = 64 << 10

// answer reads the answer to cmd, and calls visit with each packet. Longer rows go to
// pass instead, if there is one: in pieces, renumbered and with their headers.
func (c *Conn) answer(ctx context.Context, cmd byte, visit func(p []byte, step wire.Step, a *wire.Answer) error, pass func(piece []byte) error) error {
	a := wire.NewAnswer(cmd)
	for {
		head, length, err := c.head(ctx)
		if err != nil {
			return c.broken(err)
		}
		step := a.Packet(head, length, c.s.wire)
		if step == wire.StepRow && length > longRow && pass != nil {
			if err := c.pass(ctx, pass); err != nil {
				return c.broken(err)
			}
			continue
		}
		p, err := c.packet(ctx)
		if err != nil {
			return c.broken(err)
		}
		c.note(&a)
		if err := visit(p, step, &a); err != nil {
			return c.broken(err)
		}
		if step == wire.StepInfile {
			a.FileSent() // by visit
		}
		if step == wire.StepDone {
			return nil
		}
	}
}

// note keeps the session's state in step with answers that don't pass through
// the walker.
func (c *Conn) note(a *wire.Answer) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	switch {
	case a.HasStatus:
		c.s.walker.SetStatus(a.Status)
	case a.Err:
		c.s.walker.Failed(a.Error)
		c.s.rolledBack(a.Error)
	}
}

// head waits for the first bytes of the next packet of the server's, and tells the
// length of its first frame.
func (c *Conn) head(ctx context.Context) (head []byte, length int, err error) {
	c.in = c.in[c.used:]
	c.used = 0
	if err := c.fill(ctx, wire.HeaderLen); err != nil {
		return nil, 0, err
	}
	length, _ = wire.ParseHeader(c.in)
	n := min(length, wire.HeadLen)
	if err := c.fill(ctx, wire.HeaderLen+n); err != nil {
		return nil, 0, err
	}
	return c.in[wire.HeaderLen:][:n], length, nil
}

// pass hands the next packet to to, as it comes.
func (c *Conn) pass(ctx context.Context, to func(piece []byte) error) error {
	for n := wire.MaxFrame; n == wire.MaxFrame; {
		if err := c.fill(ctx, wire.HeaderLen); err != nil {
			return err
		}
		n, c.lastSeq = wire.ParseHeader(c.in)
		c.in = c.in[wire.HeaderLen:]
		var h [wire.HeaderLen]byte
		wire.PutHeader(h[:], n, c.seq)
		c.seq++
		if err := to(h[:]); err != nil {
			return err
		}
		for left := n; left > 0; {
			if err := c.fill(ctx, 1); err != nil {
				return err
			}
			k := min(left, len(c.in))
			if err := to(c.in[:k]); err != nil {
				return err
			}
			c.in, left = c.in[k:], left-k
		}
	}
	return nil
}

// packet reads a packet of the server's, with all its frames. It is valid until
// the next call.
func (c *Conn) packet(ctx context.Context) ([]byte, error) {
	c.in = c.in[c.used:]
	c.used = 0
	end := 0 // of the payload, which is brought together in place
	at := 0
	for {
		if err := c.fill(ctx, at+wire.HeaderLen); err != nil {
			return nil, err
		}
		n, seq := wire.ParseHeader(c.in[at:])
		if err := c.fill(ctx, at+wire.HeaderLen+n); err != nil {
			return nil, err
		}
		c.lastSeq = seq
		if at == 0 {
			end = wire.HeaderLen + n
		} else {
			end += copy(c.in[end:], c.in[at+wire.HeaderLen:at+wire.HeaderLen+n])
		}
		at += wire.HeaderLen + n
		if n < wire.MaxFrame {
			c.used = at
			return c.in[wire.HeaderLen:end], nil
		}
	}
}

// fill waits until c.in has n bytes.
func (c *Conn) fill(ctx context.Context, n int) error {
	if len(c.in) >= n {
		return nil
	}
	s := c.s
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.cond.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(c.in) < n {
		switch {
		case len(s.inbox) > 0:
			if len(c.in) == 0 {
				c.in = c.room
			}
			c.in = append(c.in, s.inbox...)
			s.inbox, c.room = nil, c.in[:0]
			s.wake()
			continue
		case s.serverGone:
			return ErrServerGone
		case s.aborted:
			return errAborted
		case ctx.Err() != nil:
			return ctx.Err()
		}
		s.cond.Wait()
	}
	return nil
}

// prepare prepares a statement of ours.
func (c *Conn) prepare(ctx context.Context, sql string) (id uint32, failed *wire.Err, err error) {
	if err := c.send(append([]byte{wire.ComStmtPrepare}, sql...)); err != nil {
		return 0, nil, err
	}
	err = c.answer(ctx, wire.ComStmtPrepare, func(p []byte, _ wire.Step, a *wire.Answer) error {
		if a.Err {
			failed, _ = wire.ParseErr(p)
		}
		id = a.Statement
		return nil
	}, nil)
	return id, failed, err
}

func (c *Conn) closeStatement(id uint32) error {
	return c.send(binary.LittleEndian.AppendUint32([]byte{wire.ComStmtClose}, id))
}
