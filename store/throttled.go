package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"midflight/mysqld"
	"midflight/throttle"
)

// A Throttling is what has kept a migration's copy from working.
type Throttling struct {
	Waited map[throttle.Signal]time.Duration
	Ratio  float64   // of the time in which the copy rests, by CALL midflight.throttle; 0: none
	Until  time.Time // the ratio is forgotten
}

// Throttlings reads those of the migrations that have not ended, or of one that may have.
// They are nobody's as long as no Midflight has run that books them.
func Throttlings(ctx context.Context, db *sql.DB, one int64) (map[int64]Throttling, error) {
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ id, throttled, throttle_ratio, throttle_until FROM midflight.migrations
WHERE id = ? OR ? = 0 AND phase NOT IN ('completed', 'failed', 'canceled')`, one, one)
	if n := mysqld.Number(err); n == mysqld.ErrNoSuchTable || n == 1049 || n == mysqld.ErrBadField {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what the migrations waited for: %w", err)
	}
	defer rows.Close()
	all := map[int64]Throttling{}
	for rows.Next() {
		var id int64
		var waited []byte
		var ratio sql.NullFloat64
		var until sql.NullTime
		if err := rows.Scan(&id, &waited, &ratio, &until); err != nil {
			return nil, fmt.Errorf("read what the migrations waited for: %w", err)
		}
		t := Throttling{Ratio: ratio.Float64, Until: until.Time, Waited: map[throttle.Signal]time.Duration{}}
		seconds := map[throttle.Signal]float64{}
		if len(waited) > 0 {
			if err := json.Unmarshal(waited, &seconds); err != nil {
				return nil, fmt.Errorf("read what migration %d waited for: %w", id, err)
			}
		}
		for signal, s := range seconds {
			t.Waited[signal] = time.Duration(s * float64(time.Second))
		}
		all[id] = t
	}
	return all, wrap(rows.Err(), "read what the migrations waited for")
}
