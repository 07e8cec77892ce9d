package proxy

import (
	"context"
	"database/sql"
	"errors"

	"midflight/proxy/wire"
)

// ErrServerGone says that the server has closed the session's connection: it
// was killed, or the server went down.
var ErrServerGone = errors.New("the server has closed the session's connection")

var (
	errAnswered = errors.New("the client has been answered already")
)

// A Conn is a session during an interception: its server connection to run
// statements of our own on, and its client to be answered. It belongs to the
// goroutine that Intercept was called on and is valid until that returns.
type Conn struct {
	s      *session
	cmd    command // what was intercepted
	text   string
	prefix []byte // of the client's packet, before its text: command and attributes
	seq    byte   // of the next frame to the client

	in       []byte // read from the server; the first used bytes are done with
	used     int
	room     []byte // what in began in, to be used again when in is empty
	lastSeq  byte   // of the packet read last
	answered bool   // completely
	fault    error  // the server's side is broken: the session can't go on

	killed chan struct{} // closed by a KILL

	clientFault error // the client's side is broken: it can't be answered any more
}

// ID is the session's connection id, the server's own.
func (c *Conn) ID() uint32 { return c.s.id }

// User is the name that the client gave.
func (c *Conn) User() string {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.user
}

// ClientAddr is where the client is.
func (c *Conn) ClientAddr() string { return c.s.addr }

// MultiStatements tells whether the text may hold several statements.
func (c *Conn) MultiStatements() bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.multi && c.cmd.Cmd == wire.ComQuery
}

// InTransaction tells whether the session is, or may be, in a transaction.
func (c *Conn) InTransaction() bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.inTransaction()
}

// TableLocks tells whether the session may keep locks on tables outside of
// transactions: LOCK TABLES, HANDLER, FLUSH …, a prepared XA transaction.
func (c *Conn) TableLocks() bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.sticky != 0
}

// Status are the server's latest flags.
func (c *Conn) Status() wire.Status {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.walker.Status()
}

// ClientGone tells whether the client has closed its end.
func (c *Conn) ClientGone() bool { return c.s.client.hungUp() }

// ServerGone is closed when the server has closed its end.
func (c *Conn) ServerGone() <-chan struct{} {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.gone == nil {
		c.s.gone = make(chan struct{})
		if c.s.serverGone {
			close(c.s.gone)
		}
	}
	return c.s.gone
}

// A Result is the answer to a statement of ours.
type Result struct {
	Columns []string
	Rows    [][]sql.NullString
	wire.OK // of the end; Affected, InsertID and Info only without rows
}

// Query runs a statement of ours on the session's server connection. The text
// is in the session's character_set_client, the result in its
// character_set_results. The error is a *wire.Err when it is the server's.
//
// When ctx ends first, Query returns and the session must be ended: the server
// may still be at it.
func (c *Conn) Query(ctx context.Context, sql string) (*Result, error) {
	if err := c.send(wire.AppendQuery(nil, sql, c.s.wire)); err != nil {
		return nil, err
	}
	r := new(Result)
	var failed *wire.Err
	first := true // of several results the first is kept
	err := c.answer(ctx, wire.ComQuery, func(p []byte, step wire.Step, a *wire.Answer) error {
		switch {
		case a.Err:
			failed, _ = wire.ParseErr(p)
		case step == wire.StepInfile:
			return c.sendFrame(nil) // no file
		case !first:
		case step == wire.StepColumn:
			name, err := wire.ColumnName(p)
			r.Columns = append(r.Columns, name)
			return err
		case step == wire.StepRow:
			row, err := wire.ParseTextRow(p, int(a.Columns))
			r.Rows = append(r.Rows, row)
			return err
		case step == wire.StepOK, step == wire.StepRowsEnd, step == wire.StepDone:
			first = false
			return c.parseEnd(p, &r.OK)
		}
		return nil
	}, nil)
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.ended(sql)
	return r, nil
}

// parseEnd reads the packet that ends a result.
func (c *Conn) parseEnd(p []byte, ok *wire.OK) error {
	if e, err := wire.ParseEOF(p); err == nil && len(p) == 5 {
		ok.Status, ok.Warnings = e.Status, e.Warnings
		return nil
	}
	var err error
	*ok, err = wire.ParseOK(p, c.s.wire)
	return err
}

// Prepare has the server prepare a statement, and forget it: the server's own
// verdict on its syntax, a *wire.Err when it refuses.
func (c *Conn) Prepare(ctx context.Context, sql string) error {
	id, failed, err := c.prepare(ctx, sql)
	if err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	return c.closeStatement(id)
}
