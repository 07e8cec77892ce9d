package intercept

import (
	"context"
	"errors"
	"time"

	"midflight/ghost"
	"midflight/parser"
	"midflight/proxy"
	"midflight/proxy/wire"
	"midflight/schema"
)

// A Trail keeps the schema changes that are no migrations. Its methods are safe for
// concurrent use.
type Trail interface {
	// Came records a statement before the server runs it: a crash must not hide it.
	Came(ctx context.Context, s Came) (id int64, err error)
	// Refused records a statement that nobody runs.
	Refused(ctx context.Context, s Came, answer ghost.ServerError) error
	// Answered records the end of one that came; answer is nil when it was no error.
	Answered(ctx context.Context, id int64, answer *ghost.ServerError) error
}

// Came is a schema change, and who sent it.
type Came struct {
	Table             schema.Name // the first that it names
	Text, Reason      string      // why it is no migration
	Charset           string      // that the text is in, and the names from it; "": UTF-8
	Migration         int64       // that left it to the server; 0: none
	User, Host        string
	Session           uint32
	Account, Database string
}

// handed is why a statement is handed to the server.
type handed struct {
	reason    string
	migration int64 // that left it; 0: none
}

// itIsTemporary: what is done to a session's own temporary table is nobody else's business.
const itIsTemporary = "it is a temporary table"

// recordBound is how long a statement may wait for its record. A server on which nothing
// can be written (read_only, a lock on everything) will say so to the statement itself.
const recordBound = 2 * time.Second

func (q facts) came(c *proxy.Conn, s parser.Statement, why handed) Came {
	t := q.full(s.Table)
	if len(s.Tables) > 0 {
		t = q.full(s.Tables[0])
	} else if s.Kind == parser.DropTrigger {
		t = q.full(s.Trigger)
	}
	charset := ""
	if !q.readable(s.Text) {
		charset = q.setting("character_set_client")
	}
	return Came{
		Table: t, Text: s.Text, Charset: charset, Reason: why.reason, Migration: why.migration,
		User: c.User(), Host: c.ClientAddr(), Session: c.ID(), Account: q.account, Database: q.database,
	}
}

// came records a statement that the server is going to run; the function that it returns
// records its end.
func (i *Interceptor) came(ctx context.Context, c *proxy.Conn, q facts, s parser.Statement, why handed) func(context.Context, *wire.Err, error) {
	if i.Trail == nil || why.reason == itIsTemporary {
		return func(context.Context, *wire.Err, error) {}
	}
	bound, cancel := context.WithTimeout(ctx, recordBound)
	defer cancel()
	id, err := i.Trail.Came(bound, q.came(c, s, why))
	if err != nil {
		i.Observe(NotRecorded{c.ID(), err})
		return func(context.Context, *wire.Err, error) {}
	}
	return func(ctx context.Context, failed *wire.Err, err error) {
		if err != nil && failed == nil { // the client, or the server, has gone: nobody knows
			return
		}
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordBound)
		defer cancel()
		var answer *ghost.ServerError
		if failed != nil {
			answer = &ghost.ServerError{Number: failed.Number, State: failed.State, Message: failed.Message}
		}
		if err := i.Trail.Answered(bound, id, answer); err != nil {
			i.Observe(NotRecorded{c.ID(), err})
		}
	}
}

// refused records a statement that is not run, for whatever reason. (What is refused
// later, by its migration, has that record.)
func (i *Interceptor) refused(ctx context.Context, c *proxy.Conn, q facts, s parser.Statement, cause error) {
	if i.Trail == nil || errors.Is(cause, proxy.ErrServerGone) {
		return
	}
	answer := ghost.ErrorFor(cause)
	if e := asServer(cause); e != nil {
		answer = ghost.ServerError{Number: e.Number, State: e.State, Message: e.Message}
	}
	bound, cancel := context.WithTimeout(ctx, recordBound)
	defer cancel()
	if err := i.Trail.Refused(bound, q.came(c, s, handed{}), answer); err != nil {
		i.Observe(NotRecorded{c.ID(), err})
	}
}
