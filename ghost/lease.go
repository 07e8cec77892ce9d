package ghost

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"

	"midflight/schema"
)

// A lease is the right to migrate one table. It is a lock by name on the
// server, so it ends with our connection, and no two Midflights have it.
type lease struct {
	conn *sql.Conn
	name string
}

// takeLease returns nil when somebody else has it.
func takeLease(ctx context.Context, db *sql.DB, t schema.Name) (*lease, error) {
	// A lock's name has 64 characters at most.
	sum := sha256.Sum256([]byte(t.Schema + "\x00" + t.Table))
	l := &lease{name: "midflight." + hex.EncodeToString(sum[:16])}
	var err error
	if l.conn, err = db.Conn(ctx); err != nil {
		return nil, fmt.Errorf("connect for the lease on %s: %w", t, err)
	}
	var got sql.NullBool
	err = l.conn.QueryRowContext(ctx, "SELECT /* midflight */ GET_LOCK(?, 0)", l.name).Scan(&got)
	if err != nil || !got.Bool {
		discard(l.conn)
		return nil, wrap(err, "take the lease on %s", t)
	}
	return l, nil
}

// hold makes sure that the lease is still ours, and keeps its connection from
// being idle too long.
func (l *lease) hold(ctx context.Context) error {
	var ours sql.NullBool
	err := l.conn.QueryRowContext(ctx, "SELECT /* midflight */ IS_USED_LOCK(?) = CONNECTION_ID()", l.name).Scan(&ours)
	if err != nil || !ours.Bool {
		return obstacle("the lease on the table was lost (%v): another Midflight may go on", err)
	}
	return nil
}

func (l *lease) end() { discard(l.conn) }
