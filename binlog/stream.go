package binlog

import (
	"context"
	"errors"

	"midflight/mysqld"
	"midflight/schema"
)

// Config says what to stream.
type Config struct {
	Server mysqld.Config
	Flavor mysqld.Flavor
	From   Position
	Watch  []Watch
	// Fences is our marker table: Tx.Fences are the values of its first CHAR or
	// VARCHAR column.
	Fences schema.Name
}

// ErrClosed: Next was called on a closed stream.
var ErrClosed = errors.New("the binlog stream is closed")

// A Stream delivers transactions by a connection of its own. Next is for one
// goroutine; Close is for any.
type Stream struct{ tap *tap }

// Open starts streaming. It fails if the server can't serve the position.
func Open(ctx context.Context, c Config) (*Stream, error) {
	tables, err := newTableSet(c.Watch, c.Fences)
	if err != nil {
		return nil, err
	}
	t, err := openSource(ctx, c.Server, c.Flavor, c.From, tables)
	if err != nil {
		return nil, err
	}
	return &Stream{t}, nil
}

// Close ends the stream. A Next that waits returns ErrClosed.
func (s *Stream) Close() { s.tap.leave() }

// Next waits for the next transaction, or part of a long one. Those without anything
// of interest are left out, but after a second at most an empty one tells how far they
// came.
// A lost connection is opened again from the last whole transaction; other
// errors are definitive, except that of ctx.
func (s *Stream) Next(ctx context.Context) (Tx, error) { return s.tap.next(ctx) }
