package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"midflight/ghost"
	"midflight/mysqld"
	"midflight/schema"
	"midflight/throttle"
)

// A Migration is a row of midflight.migrations, as people see it.
type Migration struct {
	ID                  int64
	Table, Statement    string // a long statement's beginning
	Phase               ghost.Phase
	Path, Why           string
	Copied, Estimate    int64
	Progress            float64       // 0 to 1
	ETA, ETAError       sql.NullInt64 // in seconds
	Rate                int64         // rows a second
	Backlog             int64
	WaitingFor, Failure string
	CutOver             string
	Paused              bool
	MaySwap, Canceling  bool // CALL midflight.cutover, cancel
	Throttled           map[throttle.Signal]time.Duration
	Ratio               float64      // of the time in which the copy rests, by CALL midflight.throttle; 0: none
	Until               sql.NullTime // the ratio is forgotten
	User, Host          string
	Account, Database   string
	Session             int64
	RanBy               string // the Midflight
	Records, Warnings   sql.NullInt64
	ErrorNumber         sql.NullInt64
	Verification        string
	Tries               ghost.Tries
	Created, Started    sql.NullTime
	Ready, Done         sql.NullTime
	At                  time.Time // when it was read, by the server's clock, as all the others
}

// An Event is a line of a migration's history.
type Event struct {
	At     time.Time
	Kind   ghost.EntryKind
	Phase  ghost.Phase // that was entered; "": none
	By     string      // "": Midflight itself
	Text   string
	Detail json.RawMessage // nil: none
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
	switch {
	case m.ETAError.Int64 > m.ETA.Int64:
		left += " or more"
	case m.ETAError.Int64 > 0:
		left += " ± " + (time.Duration(m.ETAError.Int64) * time.Second).String()
	}
	return left
}

// Took is the time since it left the queue, to its end or to when it was read.
func (m Migration) Took() (d time.Duration, ok bool) {
	until := m.At
	if m.Done.Valid {
		until = m.Done.Time
	}
	return max(0, until.Sub(m.Started.Time)), m.Started.Valid
}

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
	return migrations(ctx, db, beginning, "WHERE phase NOT IN ('completed', 'failed', 'canceled') ORDER BY id DESC LIMIT ?", limit)
}

// Ended reads the latest that have ended, of those before an id; 0: of all.
func Ended(ctx context.Context, db *sql.DB, before int64, limit int) ([]Migration, error) {
	return migrations(ctx, db, beginning, "WHERE completed_at IS NOT NULL AND (? = 0 OR id < ?) ORDER BY id DESC LIMIT ?", before, before, limit)
}

// One reads one migration, with its whole statement, which may have megabytes.
func One(ctx context.Context, db *sql.DB, id int64) (Migration, error) {
	return one(ctx, db, "statement", id)
}

// Brief reads one migration with so many characters of its statement, for who looks again
// and again.
func Brief(ctx context.Context, db *sql.DB, id int64, characters int) (Migration, error) {
	return one(ctx, db, fmt.Sprintf("LEFT(statement, %d)", characters), id)
}

// beginning of a statement.
const beginning = "LEFT(statement, 2000)"

func one(ctx context.Context, db *sql.DB, statement string, id int64) (Migration, error) {
	list, err := migrations(ctx, db, statement, "WHERE id = ?", id)
	if err == nil && len(list) == 0 {
		err = &NoMigrationError{id}
	}
	if err != nil {
		return Migration{}, err
	}
	return list[0], nil
}

// A NoMigrationError says that there is none of that id.
type NoMigrationError struct{ ID int64 }

func (e *NoMigrationError) Error() string {
	return fmt.Sprintf("there is no migration %d (midflight status and midflight history list them)", e.ID)
}

// neverOpened: no Midflight has been at this server yet.
func neverOpened(err error) bool {
	n := mysqld.Number(err)
	return n == mysqld.ErrNoSuchTable || n == 1049
}

var errOlder = errors.New("the schema midflight is of an older version; midflight serve of this version brings it up to date when it starts")

func migrations(ctx context.Context, db *sql.DB, statement, which string, args ...any) ([]Migration, error) {
	rows, err := db.QueryContext(ctx, fmt.Sprintf(`SELECT /* midflight */ id, CONCAT(schema_name, '.', table_name), %s, phase, strategy, reason, rows_copied, rows_estimate, progress, eta_seconds, eta_error_seconds, rows_per_second, backlog,
  waiting_for, error_number, COALESCE(error, ''), cutover, pause_requested, cutover_requested, cancel_requested,
  throttled, IF(throttle_until > UTC_TIMESTAMP(6), throttle_ratio, 0), throttle_until, user, host, account, database_name, connection_id, ran_by, records, warnings, COALESCE(verification, ''),
  cutover_attempts, locked_microseconds * 1000, held_statements, held_microseconds * 1000, created_at, started_at, ready_at, completed_at, UTC_TIMESTAMP(6)
FROM midflight.migrations %s`, statement, which), args...)
	if neverOpened(err) {
		return nil, nil
	}
	if mysqld.Number(err) == mysqld.ErrBadField {
		return nil, errOlder
	}
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	defer rows.Close()
	var list []Migration
	for rows.Next() {
		var m Migration
		var waited []byte
		if err := rows.Scan(&m.ID, &m.Table, &m.Statement, &m.Phase, &m.Path, &m.Why, &m.Copied, &m.Estimate, &m.Progress, &m.ETA, &m.ETAError, &m.Rate, &m.Backlog,
			&m.WaitingFor, &m.ErrorNumber, &m.Failure, &m.CutOver, &m.Paused, &m.MaySwap, &m.Canceling, &waited, &m.Ratio, &m.Until, &m.User, &m.Host, &m.Account, &m.Database, &m.Session, &m.RanBy, &m.Records, &m.Warnings, &m.Verification,
			&m.Tries.Number, &m.Tries.Locked, &m.Tries.Held, &m.Tries.Longest, &m.Created, &m.Started, &m.Ready, &m.Done, &m.At); err != nil {
			return nil, fmt.Errorf("read the migrations: %w", err)
		}
		m.Throttled = parseThrottled(waited)
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
		parts = append(parts, "(SELECT id, migration_id, "+eventColumns+" FROM midflight.events WHERE migration_id = ? ORDER BY id DESC LIMIT ?)")
		args = append(args, m.ID, n)
	}
	rows, err := db.QueryContext(ctx, "SELECT /* midflight */ migration_id, "+eventColumns+" FROM ("+strings.Join(parts, " UNION ALL ")+") AS latest ORDER BY id DESC", args...)
	if err != nil {
		return nil, fmt.Errorf("read the events: %w", err)
	}
	defer rows.Close()
	events := map[int64][]Event{}
	for rows.Next() {
		var id int64
		e, err := scanEvent(rows, &id)
		if err != nil {
			return nil, fmt.Errorf("read the events: %w", err)
		}
		events[id] = append(events[id], e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the events: %w", err)
	}
	return events, nil
}

const eventColumns = "happened_at, kind, phase, said_by, event, detail"

func scanEvent(rows *sql.Rows, id *int64) (e Event, err error) {
	var phase, by, detail sql.NullString
	err = rows.Scan(id, &e.At, &e.Kind, &phase, &by, &e.Text, &detail)
	e.Phase, e.By = ghost.Phase(phase.String), by.String
	if detail.Valid {
		e.Detail = json.RawMessage(detail.String)
	}
	return e, err
}

// Events reads all events of a migration, in their order.
func Events(ctx context.Context, db *sql.DB, id int64) ([]Event, error) {
	rows, err := db.QueryContext(ctx, "SELECT /* midflight */ migration_id, "+eventColumns+" FROM midflight.events WHERE migration_id = ? ORDER BY id", id)
	if err != nil {
		return nil, fmt.Errorf("read the events: %w", err)
	}
	defer rows.Close()
	var list []Event
	for rows.Next() {
		e, err := scanEvent(rows, &id)
		if err != nil {
			return nil, fmt.Errorf("read the events: %w", err)
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

// CheckpointAt is when the latest checkpoint was made; it is not valid without one.
func CheckpointAt(ctx context.Context, db *sql.DB, id int64) (at sql.NullTime, err error) {
	err = db.QueryRowContext(ctx, "SELECT /* midflight */ MAX(updated_at) FROM midflight.checkpoints WHERE migration_id = ?", id).Scan(&at)
	return at, wrap(err, "read when the checkpoint was made")
}

// A Stay is a migration's time in one phase.
type Stay struct {
	Phase   ghost.Phase
	Entered time.Time
	Took    time.Duration // to the next, or to now
}

// Stays tells where a migration's time has gone. A phase that is entered twice is there
// twice; the last, of one that has ended, takes no time.
func Stays(m Migration, events []Event, now time.Time) []Stay {
	stays := []Stay{{Phase: ghost.Queued, Entered: m.Created.Time}}
	enter := func(p ghost.Phase, at time.Time) {
		last := &stays[len(stays)-1]
		last.Took = max(0, at.Sub(last.Entered))
		stays = append(stays, Stay{Phase: p, Entered: at})
	}
	for _, e := range events {
		if e.Phase != "" && e.Phase != ghost.Queued {
			enter(e.Phase, e.At)
		}
	}
	switch last := &stays[len(stays)-1]; {
	case m.Ended() && !last.Phase.Terminal(): // recorded by a version that told no end
		enter(m.Phase, m.Done.Time)
	case !m.Ended():
		last.Took = max(0, now.Sub(last.Entered))
	}
	return stays
}

// Claims is what ghost.Explain asks for, of a server at which no Midflight may have been yet.
type Claims struct{ DB *sql.DB }

// Ours tells whether a migration claimed the name.
func (c Claims) Ours(ctx context.Context, t schema.Name) (bool, error) {
	ours, err := (&Store{db: c.DB}).Ours(ctx, t)
	if neverOpened(err) {
		return false, nil
	}
	return ours, err
}
