package store

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"midflight/ghost"
	"midflight/internal/version"
)

// register lists this process among the Midflights, and forgets those that have died.
func (s *Store) register(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, "DELETE /* midflight */ FROM midflight.proxies WHERE IS_FREE_LOCK(CONCAT('midflight.owner.', owner))"); err != nil {
		return fmt.Errorf("list this Midflight: %w", err)
	}
	if _, err := s.db.ExecContext(ctx, "DELETE /* midflight */ FROM midflight.heartbeats WHERE owner NOT IN (SELECT owner FROM midflight.proxies)"); err != nil {
		return fmt.Errorf("list this Midflight: %w", err)
	}
	_, err := s.db.ExecContext(ctx, "INSERT /* midflight */ INTO midflight.proxies (owner, host, pid, started_at) VALUES (?, ?, ?, UTC_TIMESTAMP(6))", s.owner, hostName(), os.Getpid())
	return wrap(err, "list this Midflight")
}

func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return "?"
	}
	return host
}

// runner is this process, for whoever asks later.
func runner() string {
	return fmt.Sprintf("midflight %s on %s, process %d", version.String(), hostName(), os.Getpid())
}

// Peers implements ghost.Store.
func (s *Store) Peers(ctx context.Context, id int64) (live, listening int, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT /* midflight */ COUNT(*), COUNT(l.owner) FROM midflight.proxies p LEFT JOIN midflight.listeners l ON l.owner = p.owner AND l.migration_id = ?
WHERE p.owner <> ? AND IS_USED_LOCK(CONCAT('midflight.owner.', p.owner)) IS NOT NULL`, id, s.owner).Scan(&live, &listening)
	return live, listening, wrap(err, "ask for other Midflights")
}

// Call implements ghost.Store.
func (s *Store) Call(ctx context.Context, id int64, names []string, bound time.Duration) error {
	text, err := json.Marshal(names)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, "INSERT /* midflight */ INTO midflight.calls (migration_id, names, ends_at) VALUES (?, ?, UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND)", id, string(text), bound.Microseconds())
	return wrap(err, "call other Midflights")
}

// Called implements ghost.Store.
func (s *Store) Called(ctx context.Context, id, last int64) (c ghost.Call, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT /* midflight */ id, names, TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), ends_at) FROM midflight.calls
WHERE migration_id = ? AND id > ? AND ends_at > UTC_TIMESTAMP(6) ORDER BY id DESC LIMIT 1`, id, last)
	if err != nil {
		return c, err
	}
	defer rows.Close()
	for rows.Next() {
		var names []byte
		var left int64
		if err := rows.Scan(&c.ID, &names, &left); err != nil {
			return c, err
		}
		c.Bound = time.Duration(left) * time.Microsecond
		if err := json.Unmarshal(names, &c.Names); err != nil {
			return c, err
		}
	}
	return c, rows.Err()
}

// OthersSwap implements ghost.Store.
func (s *Store) OthersSwap(ctx context.Context) ([]int64, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT /* midflight */ id FROM midflight.migrations WHERE phase = 'cutting_over' AND owner <> ?", s.owner)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Listen implements ghost.Store.
func (s *Store) Listen(ctx context.Context, id int64) error {
	_, err := s.db.ExecContext(ctx, "INSERT /* midflight */ INTO midflight.listeners (migration_id, owner) VALUES (?, ?) ON DUPLICATE KEY UPDATE owner = VALUES(owner)", id, s.owner)
	return err
}
