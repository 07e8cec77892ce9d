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
	ErrorNumber            int
	CutOver                string
	Paused                 bool
	MaySwap, Canceling     bool // CALL midflight.cutover, cancel
	User, Host             string
	Connection             int64
	Created, Started, Done sql.NullTime
	Synced                 sql.NullTime // for the first time
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

// columns are those of a Migration, but for the statement.
const columns = `id, CONCAT(schema_name, '.', table_name), phase, strategy, reason, rows_copied, rows_estimate, progress, eta_seconds, eta_error_seconds, rows_per_second, backlog,
  waiting_for, COALESCE(error_number, 0), COALESCE(error, ''), cutover, pause_requested, cutover_requested, cancel_requested, user, host, connection_id, created_at, started_at, ready_at, completed_at`

// Recent reads the migrations that run and then the latest that have ended,
// limit in all. It needs no Store: there are none where no Midflight has run.
func Recent(ctx context.Context, db *sql.DB, limit int) ([]Migration, error) {
	running, err := Running(ctx, db, limit)
	if err != nil || len(running) == limit {
		return running, err
	}
	ended, err := Ended(ctx, db, 0, limit-len(running))
	return append(running, ended...), err
}

// Running reads the migrations that have not ended, limit at most, latest first.
func Running(ctx context.Context, db *sql.DB, limit int) ([]Migration, error) {
	return migrations(ctx, db, "SELECT /* midflight */ LEFT(statement, 2000), "+columns+`
FROM midflight.migrations WHERE phase NOT IN ('completed', 'failed', 'canceled') ORDER BY id DESC LIMIT ?`, limit)
}

// Ended reads the latest that have ended, of those before an id; 0: of all.
func Ended(ctx context.Context, db *sql.DB, before int64, limit int) ([]Migration, error) {
	return migrations(ctx, db, "SELECT /* midflight */ LEFT(statement, 2000), "+columns+`
FROM midflight.migrations WHERE completed_at IS NOT NULL AND (? = 0 OR id < ?) ORDER BY id DESC LIMIT ?`, before, before, limit)
}

// One reads a migration with its whole statement; nil: there is none of that id.
func One(ctx context.Context, db *sql.DB, id int64) (*Migration, error) {
	list, err := migrations(ctx, db, "SELECT /* midflight */ statement, "+columns+"\nFROM midflight.migrations WHERE id = ?", id)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

func migrations(ctx context.Context, db *sql.DB, query string, args ...any) ([]Migration, error) {
	rows, err := db.QueryContext(ctx, query, args...)
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
		if err := rows.Scan(&m.Statement, &m.ID, &m.Table, &m.Phase, &m.Path, &m.Why, &m.Copied, &m.Estimate, &m.Progress, &m.ETA, &m.ETAError, &m.Rate, &m.Backlog,
			&m.WaitingFor, &m.ErrorNumber, &m.Failure, &m.CutOver, &m.Paused, &m.MaySwap, &m.Canceling, &m.User, &m.Host, &m.Connection, &m.Created, &m.Started, &m.Synced, &m.Done); err != nil {
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
