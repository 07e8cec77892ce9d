package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"midflight/ghost"
	"midflight/mysqld"
)

// A transaction locks a migration's row, and perhaps nobody will end it, since its Midflight
// is gone. It locks no gaps, or others could not write what is not there yet; and the server
// ends it when nothing has come for AliveFor, or who takes the migration over would wait for
// longer than for its lease.
type transaction struct {
	*sql.Tx
	conn *sql.Conn
}

func (s *Store) begin(ctx context.Context) (*transaction, error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := endsAfter(ctx, conn, ghost.AliveFor); err != nil {
		discard(conn)
		return nil, err
	}
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		discard(conn)
		return nil, err
	}
	return &transaction{tx, conn}, nil
}

// end takes back what is not committed.
func (t *transaction) end(ctx context.Context) {
	t.Rollback()
	if endsAfter(ctx, t.conn, mysqld.Silence) != nil {
		discard(t.conn)
		return
	}
	t.conn.Close()
}

func endsAfter(ctx context.Context, conn *sql.Conn, silence time.Duration) error {
	_, err := conn.ExecContext(ctx, fmt.Sprintf("SET /* midflight */ SESSION wait_timeout = %d", silence/time.Second))
	return err
}
