package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"midflight/ghost"
	"midflight/throttle"
)

// throttled is JSON of seconds, NULL when it hasn't waited.
func throttled(by map[throttle.Signal]time.Duration) (text sql.NullString) {
	if len(by) == 0 {
		return text
	}
	seconds := map[throttle.Signal]float64{}
	for s, d := range by {
		seconds[s] = math.Round(10*d.Seconds()) / 10
	}
	b, err := json.Marshal(seconds)
	return sql.NullString{String: string(b), Valid: err == nil}
}

// parseThrottled reads what throttled writes; nothing of what it can't read, which is
// only for people.
func parseThrottled(text []byte) map[throttle.Signal]time.Duration {
	var seconds map[throttle.Signal]float64
	if json.Unmarshal(text, &seconds) != nil {
		return nil
	}
	by := map[throttle.Signal]time.Duration{}
	for s, n := range seconds {
		by[s] = time.Duration(n * float64(time.Second))
	}
	return by
}

// Stop implements ghost.Store.
func (s *Store) Stop(ctx context.Context, id int64, why string) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return fmt.Errorf("stop the migration: %w", err)
	}
	defer tx.Rollback()
	if err := s.mustBeMine(ctx, tx, id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE /* midflight */ midflight.migrations SET pause_requested = TRUE WHERE id = ?", id); err != nil {
		return fmt.Errorf("stop the migration: %w", err)
	}
	if err := log(ctx, tx, id, ghost.Entry{Kind: ghost.EntryControl, Text: "stopped until CALL midflight.resume: " + why}); err != nil {
		return fmt.Errorf("stop the migration: %w", err)
	}
	return wrap(tx.Commit(), "stop the migration")
}
