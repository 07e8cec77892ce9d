package proxy

import (
	"context"
	"encoding/binary"
	"io"

	"midflight/proxy/wire"
)

// RelayOriginal sends the client's own packet unchanged and goes on as if
// nothing had been intercepted. It doesn't wait for the answer.
func (c *Conn) RelayOriginal(ctx context.Context) error {
	if err := c.mayAnswer(); err != nil {
		return err
	}
	c.answered = true
	s := c.s
	s.mu.Lock()
	s.commands-- // intercept has counted it
	s.take(&c.cmd, c.cmd.packet, clock())
	s.diverted = false
	s.wake()
	s.mu.Unlock()
	// The answer's compressed packets go on from the command's number.
	s.server.restart(c.cmd.packets)
	return c.write(c.cmd.packet)
}

// RelayOriginalAnswer sends the client's own packet unchanged, and relays the
// whole answer before it returns. The error of the server's, if it answered
// with one, is returned as well.
func (c *Conn) RelayOriginalAnswer(ctx context.Context) (*wire.Err, error) {
	if err := c.mayAnswer(); err != nil {
		return nil, err
	}
	c.relays([]byte(c.text))
	c.s.server.restart(1)
	if err := c.write(c.cmd.packet); err != nil {
		return nil, err
	}
	failed, _, err := c.relayAnswer(ctx, c.cmd.Cmd, false, nil)
	return failed, err
}

// Relay runs a statement in the client's place, as COM_QUERY with the client's
// own query attributes, and relays the whole answer. more: the client is told
// that another result follows, unless the statement failed, which ends the
// answer as it does in the server. The server's error, if it answered with one,
// is returned as well.
//
// Rows come in the text protocol: in place of a prepared statement use it only
// for statements without rows, and RelayAs for others.
func (c *Conn) Relay(ctx context.Context, sql string, more bool) (*wire.Err, error) {
	failed, _, err := c.relay(ctx, sql, more, nil)
	return failed, err
}

func (c *Conn) relay(ctx context.Context, sql string, more bool, withhold func(*wire.Err) bool) (failed *wire.Err, withheld bool, err error) {
	if err := c.mayAnswer(); err != nil {
		return nil, false, err
	}
	c.relays([]byte(sql))
	prefix := wire.AppendQuery(nil, "", c.s.wire)
	if c.cmd.Cmd == wire.ComQuery {
		prefix = c.prefix
	}
	if err := c.send(append(prefix[:len(prefix):len(prefix)], sql...)); err != nil {
		return nil, false, err
	}
	return c.relayAnswer(ctx, wire.ComQuery, more, withhold)
}

// RelayAs runs a statement in the client's place and relays its answer in the
// protocol that the client expects: text, or binary for a prepared statement.
// The statement has no parameters.
func (c *Conn) RelayAs(ctx context.Context, sql string, more bool) (*wire.Err, error) {
	failed, _, err := c.RelayUnless(ctx, sql, more, nil)
	return failed, err
}

// RelayUnless is RelayAs, but an error for which withhold says so is not told to the
// client, who can still be answered.
func (c *Conn) RelayUnless(ctx context.Context, sql string, more bool, withhold func(*wire.Err) bool) (failed *wire.Err, withheld bool, err error) {
	if c.cmd.Cmd != wire.ComStmtExecute {
		return c.relay(ctx, sql, more, withhold)
	}
	if err := c.mayAnswer(); err != nil {
		return nil, false, err
	}
	id, failed, err := c.prepare(ctx, sql)
	if err != nil {
		return nil, false, err
	}
	if failed != nil {
		return failed, false, c.ReplyErr(failed)
	}
	c.relays([]byte(sql))
	exec := binary.LittleEndian.AppendUint32([]byte{wire.ComStmtExecute}, id)
	exec = append(exec, 0)                           // no cursor
	exec = binary.LittleEndian.AppendUint32(exec, 1) // iterations
	if err := c.send(exec); err != nil {
		return nil, false, err
	}
	failed, withheld, err = c.relayAnswer(ctx, wire.ComStmtExecute, more, withhold)
	if err != nil {
		return nil, false, err
	}
	return failed, withheld, c.closeStatement(id)
}

// ReplyOK answers the client. Of the status only what the server last said of
// the session is told.
func (c *Conn) ReplyOK(ok wire.OK, more bool) error {
	if err := c.mayAnswer(); err != nil {
		return err
	}
	ok.State = nil
	ok.Status = c.Status() & wire.Lasting
	if more {
		ok.Status |= wire.StatusMoreResults
	}
	return c.reply(wire.AppendOK(nil, ok, c.s.wire), !more)
}

// ReplyErr answers the client with an error, which ends the answer.
func (c *Conn) ReplyErr(e *wire.Err) error {
	if err := c.mayAnswer(); err != nil {
		return err
	}
	return c.reply(wire.AppendErr(nil, e), true)
}

// ReplyRows answers a text query with rows of ours.
func (c *Conn) ReplyRows(r *Result, more bool) error {
	if err := c.mayAnswer(); err != nil {
		return err
	}
	end := wire.EOF{Warnings: r.Warnings, Status: c.Status() & wire.Lasting}
	if more {
		end.Status |= wire.StatusMoreResults
	}
	var b []byte
	b, c.seq = wire.AppendResult(nil, r.Columns, r.Rows, end, c.s.wire, c.seq)
	c.answered = !more
	return c.toClient(b)
}

func (c *Conn) mayAnswer() error {
	if c.answered {
		return errAnswered
	}
	return c.clientFault
}

func (c *Conn) reply(payload []byte, last bool) error {
	var b []byte
	b, c.seq = wire.AppendPacket(nil, payload, c.seq)
	c.answered = last
	return c.toClient(b)
}

func (c *Conn) toClient(b []byte) error {
	if _, err := c.s.client.Write(b); err != nil {
		c.clientFault = err
		return c.broken(err)
	}
	return nil
}

// relays notes that the session runs a statement of the client's: for others
// that look at who is busy.
func (c *Conn) relays(text []byte) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.relaying = true
	c.s.keeps(text, false)
	c.s.works()
	c.s.log.add(text, clock())
}

// relayed is the end of relays.
func (c *Conn) relayed(failed bool) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.kept(failed, false)
	c.s.relaying = false
	c.s.settle()
}

// relayAnswer relays the answer to cmd, renumbered, but for an error that begins it
// and is to be withheld.
func (c *Conn) relayAnswer(ctx context.Context, cmd byte, more bool, withhold func(*wire.Err) bool) (failed *wire.Err, withheld bool, err error) {
	defer func() { c.relayed(failed != nil || err != nil) }()
	var out []byte
	sent, begun := false, false
	flush := func() error {
		sent = true
		defer func() { out = out[:0] }()
		return c.toClient(out)
	}
	err = c.answer(ctx, cmd, func(p []byte, step wire.Step, a *wire.Answer) error {
		if a.Err {
			failed, _ = wire.ParseErr(p)
			if withhold != nil && !begun && withhold(failed) {
				withheld = true
				return nil
			}
		}
		begun = begun || step != wire.StepMore
		if more && step == wire.StepDone && !a.Err {
			if err := wire.SetMoreResults(p, c.s.wire); err != nil {
				return err
			}
		}
		out, c.seq = wire.AppendPacket(out, p, c.seq)
		if step == wire.StepInfile {
			if err := flush(); err != nil {
				return err
			}
			return c.relayFile()
		}
		if step == wire.StepDone || step == wire.StepMore || len(out) >= bufSize { // StepMore: MariaDB's progress
			return flush()
		}
		return nil
	}, func(piece []byte) error {
		begun = true
		if out = append(out, piece...); len(out) >= bufSize {
			return flush()
		}
		return nil
	})
	if err != nil {
		if sent {
			c.clientFault = err // half an answer can't be completed by us
		}
		return nil, false, err
	}
	c.answered = !withheld && (!more || failed != nil)
	return failed, withheld, nil
}

// relayFile sends the client's file to the server, up to its empty packet.
func (c *Conn) relayFile() error {
	serverSeq := c.lastSeq + 1
	continues := false
	for {
		var h [wire.HeaderLen]byte
		if _, err := io.ReadFull(c.s.client, h[:]); err != nil {
			return err
		}
		n, seq := wire.ParseHeader(h[:])
		c.seq = seq + 1
		wire.PutHeader(h[:], n, serverSeq)
		serverSeq++
		if err := c.write(h[:]); err != nil {
			return err
		}
		if _, err := io.CopyN(c.s.server, c.s.client, int64(n)); err != nil { // (compressed, the chunks become packets)
			return err
		}
		if n == 0 && !continues {
			return nil
		}
		continues = n == wire.MaxFrame
	}
}
