package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

const alterOrders = `ALTER TABLE orders
    ADD COLUMN note VARCHAR(200) NOT NULL DEFAULT '',
    ADD INDEX by_customer (customer_id, created_at)`

// A migration is a row of midflight.migrations.
type migration struct {
	id               int64
	phase, strategy  string
	copied, estimate int64
	progress         float64
	eta              int64 // seconds, -1 when unknown
	waitingFor       string
}

func (m migration) phaseText() string {
	if m.phase == "" {
		return "sent"
	}
	return strings.ReplaceAll(m.phase, "_", " ")
}

// done is how much of the rows is copied, 0 to 1.
func (m migration) done() float64 {
	switch m.phase {
	case "catching_up", "verifying", "ready", "cutting_over", "completed":
		return 1
	}
	return m.progress
}

// latest reads the latest migration of the table, as any client can; its id is
// 0 when there is none.
func latest(ctx context.Context, db *sql.DB) (migration, error) {
	m := migration{eta: -1}
	err := db.QueryRowContext(ctx, `SELECT id, phase, strategy, rows_copied, rows_estimate, progress, COALESCE(eta_seconds, -1), waiting_for
FROM midflight.migrations WHERE schema_name = 'shop' AND table_name = 'orders' ORDER BY id DESC LIMIT 1`).
		Scan(&m.id, &m.phase, &m.strategy, &m.copied, &m.estimate, &m.progress, &m.eta, &m.waitingFor)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return m, fmt.Errorf("read the progress: %w", err)
	}
	return m, nil
}

// An answer is what the client got.
type answer struct {
	affected   int64
	err        error
	start, end time.Time
}

// alter sends the statement as an ordinary client does. The channel has the
// answer when there is one.
func alter(ctx context.Context, client *sql.DB) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		a := answer{start: time.Now()}
		r, err := client.ExecContext(ctx, alterOrders)
		a.end, a.err = time.Now(), err
		if err == nil {
			a.affected, a.err = r.RowsAffected()
		}
		done <- a
	}()
	return done
}

// A speedometer turns counts that change about once a second into rows/s.
type speedometer struct {
	rows int64
	at   time.Time
	rate float64
}

func (s *speedometer) see(rows int64) float64 {
	if rows == s.rows {
		if s.rate > 0 && time.Since(s.at) > 3*time.Second {
			s.rate = 0
		}
		return s.rate
	}
	now := time.Now()
	if !s.at.IsZero() {
		s.rate = float64(rows-s.rows) / now.Sub(s.at).Seconds()
	}
	s.rows, s.at = rows, now
	return s.rate
}
