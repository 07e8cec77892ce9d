package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"midflight/ghost"
	"midflight/mysqld"
)

// A Migration is a row of midflight.migrations, as people see it.
type Migration struct {
	ID                     int64
	Table, Statement       string // a long statement's beginning
	Phase                  ghost.Phase
	Path, Why              string
	Copied, Estimate       int64
	Progress               float64       // 0 to 1
	ETA, ETAError          sql.NullInt64 // in seconds
	Rate                   int64         // rows a second
	Backlog                int64
	WaitingFor, Failure    string
	CutOver                string
	Paused                 bool
	User, Host             string
	Created, Started, Done sql.NullTime
}

// An Event is a line of a migration's history.
type Event struct {
	At   time.Time
	Text string
}

// Ended tells whether the migration has.
func (m Migration) Ended() bool { return m.Done.Valid }

// Left is for people: the time until the end of the copy, and how far off that may be;
// "" where nobody knows.
func (m Migration) Left() string {
	if m.Ended() || !m.ETA.Valid {
		return ""
	}
	left := (time.Duration(m.ETA.Int64) * time.Second).String()
	if m.ETAError.Int64 > 0 {
		left += " ± " + (time.Duration(m.ETAError.Int64) * time.Second).String()
	}
	return left
}

// Took is the time since it left the queue, to its end or to now.
func (m Migration) Took(now time.Time) (d time.Duration, ok bool) {
	if m.Done.Valid {
		now = m.Done.Time
	}
	return max(0, now.Sub(m.Started.Time)), m.Started.Valid
}

// Recent reads the migrations that run and then the latest that have ended,
// limit in all. It needs no Store: there are none where no Midflight has run.
func Recent(ctx context.Context, db *sql.DB, limit int) ([]Migration, error) {
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ id, CONCAT(schema_name, '.', table_name), LEFT(statement, 2000), phase, strategy, reason, rows_copied, rows_estimate, progress, eta_seconds, eta_error_seconds, rows_per_second, backlog,
  waiting_for, COALESCE(error, ''), cutover, pause_requested, user, host, created_at, started_at, completed_at
FROM midflight.migrations ORDER BY completed_at IS NULL DESC, id DESC LIMIT ?`, limit)
	if n := mysqld.Number(err); n == mysqld.ErrNoSuchTable || n == 1049 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	defer rows.Close()
	var list []Migration
	for rows.Next() {
		var m Migration
		if err := rows.Scan(&m.ID, &m.Table, &m.Statement, &m.Phase, &m.Path, &m.Why, &m.Copied, &m.Estimate, &m.Progress, &m.ETA, &m.ETAError, &m.Rate, &m.Backlog,
			&m.WaitingFor, &m.Failure, &m.CutOver, &m.Paused, &m.User, &m.Host, &m.Created, &m.Started, &m.Done); err != nil {
			return nil, fmt.Errorf("read the migrations: %w", err)
		}
		list = append(list, m)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return list, nil
}

// LastEvents reads the last n events of each of the migrations, latest first.
func LastEvents(ctx context.Context, db *sql.DB, list []Migration, n int) (map[int64][]Event, error) {
	if len(list) == 0 {
		return nil, nil
	}
	// Each part reads n entries of an index, however long the history is.
	var parts []string
	var args []any
	for _, m := range list {
		parts = append(parts, "(SELECT id, migration_id, happened_at, event FROM midflight.events WHERE migration_id = ? ORDER BY id DESC LIMIT ?)")
		args = append(args, m.ID, n)
	}
	rows, err := db.QueryContext(ctx, "SELECT /* midflight */ migration_id, happened_at, event FROM ("+strings.Join(parts, " UNION ALL ")+") AS latest ORDER BY id DESC", args...)
	if err != nil {
		return nil, fmt.Errorf("read the events: %w", err)
	}
	defer rows.Close()
	events := map[int64][]Event{}
	for rows.Next() {
		var id int64
		var e Event
		if err := rows.Scan(&id, &e.At, &e.Text); err != nil {
			return nil, fmt.Errorf("read the events: %w", err)
		}
		events[id] = append(events[id], e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the events: %w", err)
	}
	return events, nil
}
