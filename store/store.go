package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"midflight/ghost"
	"midflight/mysqld"
	"midflight/schema"
)

//go:embed schema.sql
var tables string

// A Store implements ghost.Store on the server's own tables.
type Store struct {
	db     *sql.DB
	flavor mysqld.Flavor
	owner  string // this process

	mu    sync.Mutex
	alive *sql.Conn // has the lock by the owner's name

	startMu sync.Mutex // not mu: to announce takes as long as the server does
	start   string     // of the server, as of asked
	asked   time.Time
}

// Open makes what is missing of the schema, brings what an older version made up
// to date, and announces this process.
func Open(ctx context.Context, db *sql.DB) (*Store, error) {
	there, err := existing(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, statement := range strings.Split(tables, ";\n") {
		// CREATE … IF NOT EXISTS would wait for everybody who has read or written one of
		// them and not committed yet.
		if statement = strings.TrimSpace(statement); statement == "" || there[created(statement)] {
			continue
		}
		if _, err := db.ExecContext(ctx, strings.TrimSuffix(statement, ";")); err != nil {
			return nil, fmt.Errorf("create the schema midflight: %w", err)
		}
	}
	for _, c := range changed {
		if err := c.bring(ctx, db); err != nil {
			return nil, err
		}
	}
	for _, p := range procedures {
		if err := create(ctx, db, p.name, p.comment, p.text()); err != nil {
			return nil, err
		}
	}
	if err := create(ctx, db, "limit", limitComment, limitProcedure()); err != nil {
		return nil, err
	}
	flavor, err := mysqld.ReadFlavor(ctx, db)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, flavor: flavor, owner: randomText()}
	if err := s.Announce(ctx); err != nil {
		return nil, err
	}
	return s, s.register(ctx)
}

// existing are the schema and its tables, by their names.
func existing(ctx context.Context, db *sql.DB) (map[string]bool, error) {
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ schema_name FROM information_schema.schemata WHERE schema_name = 'midflight'
UNION ALL SELECT CONCAT('midflight.', table_name) FROM information_schema.tables WHERE table_schema = 'midflight'`)
	if err != nil {
		return nil, fmt.Errorf("ask what there is of the schema midflight: %w", err)
	}
	defer rows.Close()
	there := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		there[name] = true
	}
	return there, rows.Err()
}

// created is what CREATE … IF NOT EXISTS makes.
func created(statement string) string {
	_, rest, _ := strings.Cut(statement, "IF NOT EXISTS ")
	return strings.Fields(rest)[0]
}

// create makes the procedure, or makes it anew where its text is another
// version's. (Replacing it each time would make a gap for somebody's CALL.)
func create(ctx context.Context, db *sql.DB, name, comment, text string) error {
	var there int
	err := db.QueryRowContext(ctx, `SELECT /* midflight */ COUNT(*) FROM information_schema.routines WHERE routine_schema = 'midflight' AND routine_name = ? AND routine_comment = ?`, name, strings.ReplaceAll(comment, "''", "'")).Scan(&there)
	if err == nil && there == 0 {
		if _, err = db.ExecContext(ctx, "DROP PROCEDURE IF EXISTS midflight."+mysqld.QuoteName(name)); err == nil {
			_, err = db.ExecContext(ctx, text)
		}
	}
	if err != nil && mysqld.Number(err) != mysqld.ErrProcedureExists { // another Midflight, which begins in this moment, has made it
		return fmt.Errorf("create the procedure midflight.%s: %w", name, err)
	}
	return nil
}

// Close ends the announcement.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.alive.ExecContext(ctx, "DO /* midflight */ RELEASE_ALL_LOCKS()") // the server takes its time to notice
	discard(s.alive)
	s.alive = nil
	_, err := s.db.ExecContext(ctx, "DELETE /* midflight */ FROM midflight.proxies WHERE owner = ?", s.owner)
	return err
}

// discard closes a connection instead of giving it back to the pool with its lock or settings.
func discard(c *sql.Conn) {
	c.Raw(func(any) error { return driver.ErrBadConn })
	c.Close()
}

// Announce holds a lock by this process's name for as long as it lives.
func (s *Store) Announce(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive != nil {
		if s.alive.PingContext(ctx) == nil {
			return nil
		}
		discard(s.alive)
		s.alive = nil
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("announce this Midflight: %w", err)
	}
	// A process that is stopped, or whose machine is gone, keeps its connections: the
	// server ends this one when nothing comes by it any more.
	var got sql.NullBool
	_, err = conn.ExecContext(ctx, fmt.Sprintf("SET /* midflight */ SESSION wait_timeout = %d", ghost.AliveFor/time.Second))
	if err == nil {
		err = conn.QueryRowContext(ctx, "SELECT /* midflight */ GET_LOCK(?, 5)", lockName(s.owner)).Scan(&got)
	}
	if err != nil || !got.Bool {
		discard(conn)
		return fmt.Errorf("announce this Midflight: the lock %s was not to be had: %w", lockName(s.owner), err)
	}
	s.alive = conn
	return nil
}

func lockName(owner string) string { return "midflight.owner." + owner }

// Create implements ghost.Store. A record whose answer was lost must not stay behind:
// the client would be told that nothing was done, and whoever adopts it would do it.
func (s *Store) Create(ctx context.Context, r ghost.Request) (int64, error) {
	token := randomText()
	for try := 0; ; try++ {
		id, err := s.create(ctx, s.db, r, token)
		if err == nil || !mysqld.IsConnectionLost(err) && !mysqld.IsDuplicateKey(err) || try == patience {
			return id, err
		}
		err = s.db.QueryRowContext(ctx, "SELECT /* midflight */ id FROM midflight.migrations WHERE token = ?", token).Scan(&id)
		if err == nil {
			return id, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// patience, in tries, with a server that is away when a record is made.
const patience = 50

// randomText of 24 characters.
func randomText() string {
	b := make([]byte, 12)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func (s *Store) create(ctx context.Context, db execer, r ghost.Request, token string) (int64, error) {
	request, err := r.Encode()
	if err != nil {
		return 0, err
	}
	result, err := db.ExecContext(ctx, `INSERT /* midflight */ INTO midflight.migrations
(schema_name, table_name, statement, request, reason, waiting_for, cutover, user, host, connection_id, account, database_name, owner, ran_by, client_at, token, created_at)
VALUES (?, ?, ?, ?, '', '', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(6))`,
		r.Table.Schema, r.Table.Table, valid(r.Statement.Text), string(request), r.CutOver.String(), r.User, r.Host, r.Session,
		r.Account, r.Database, s.owner, runner(), s.owner, token)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// Save implements ghost.Store.
func (s *Store) Save(ctx context.Context, st ghost.Status) error { return s.save(ctx, s.db, st) }

// An execer is the pool or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (s *Store) save(ctx context.Context, db execer, st ghost.Status) error {
	_, err := db.ExecContext(ctx, `UPDATE /* midflight */ midflight.migrations
SET phase = ?, strategy = ?, reason = ?, rows_copied = ?, rows_estimate = ?, progress = ?, eta_seconds = ?, eta_error_seconds = ?, rows_per_second = ?, backlog = ?, waiting_for = ?, throttled = ?,
  cutover_attempts = GREATEST(cutover_attempts, ?), locked_microseconds = GREATEST(locked_microseconds, ?),
  held_statements = GREATEST(held_statements, ?), held_microseconds = GREATEST(held_microseconds, ?), verification = COALESCE(?, verification),
  started_at = IF(? = 'queued', NULL, COALESCE(started_at, UTC_TIMESTAMP(6))), ready_at = IF(? = 'ready', COALESCE(ready_at, UTC_TIMESTAMP(6)), ready_at)
WHERE id = ? AND owner = ?`,
		st.Phase, st.Strategy, st.Reason, st.RowsCopied, st.RowsTotal, st.Progress, eta(st, st.ETA), eta(st, st.ETAError), st.Rate, st.Backlog, st.WaitingFor, throttled(st.Throttled),
		st.Tries.Number, st.Tries.Locked.Microseconds(), st.Tries.Held, st.Tries.Longest.Microseconds(), sql.NullString{String: st.Verified, Valid: st.Verified != ""},
		st.Phase, st.Phase, st.ID, s.owner)
	return err
}

func eta(st ghost.Status, d time.Duration) sql.NullInt64 {
	return sql.NullInt64{Int64: int64(d.Round(time.Second) / time.Second), Valid: st.ETA >= 0}
}

// Finish implements ghost.Store. It is one transaction: who sees the last phase
// also sees the error.
func (s *Store) Finish(ctx context.Context, st ghost.Status, r ghost.Result) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return fmt.Errorf("record the end: %w", err)
	}
	defer tx.end(ctx)
	if err := s.mustBeMine(ctx, tx, st.ID); err != nil {
		return err
	}
	if err := s.save(ctx, tx, st); err != nil {
		return err
	}
	var number sql.NullInt64
	var text, state sql.NullString
	if r.Err != nil {
		e := ghost.ErrorFor(r.Err)
		number, text, state = sql.NullInt64{Int64: int64(e.Number), Valid: true}, sql.NullString{String: valid(e.Message), Valid: true}, sql.NullString{String: e.State, Valid: true}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE /* midflight */ midflight.migrations
SET error_number = ?, error = ?, error_state = ?, records = ?, warnings = ?, completed_at = UTC_TIMESTAMP(6), eta_seconds = NULL, eta_error_seconds = NULL, rows_per_second = 0 WHERE id = ?`, number, text, state, r.Records, r.Warned, st.ID); err != nil {
		return err
	}
	for _, own := range []string{"fences", "triggers", "chunks", "sessions", "listeners", "calls"} {
		if _, err := tx.ExecContext(ctx, "DELETE /* midflight */ FROM midflight."+own+" WHERE migration_id = ?", st.ID); err != nil {
			return err
		}
	}
	if err := log(ctx, tx, st.ID, ghost.Entry{Kind: ghost.EntryPhase, Phase: st.Phase, Text: "phase " + string(st.Phase)}); err != nil {
		return err
	}
	return tx.Commit()
}

// Log implements ghost.Store.
func (s *Store) Log(ctx context.Context, id int64, e ghost.Entry) error {
	return log(ctx, s.db, id, e)
}

func log(ctx context.Context, db execer, id int64, e ghost.Entry) error {
	var detail sql.NullString
	if e.Detail != nil {
		b, err := json.Marshal(e.Detail)
		if err != nil {
			return fmt.Errorf("record an event: %w", err)
		}
		detail = sql.NullString{String: string(b), Valid: true}
	}
	_, err := db.ExecContext(ctx, "INSERT /* midflight */ INTO midflight.events (migration_id, happened_at, kind, phase, said_by, event, detail) VALUES (?, UTC_TIMESTAMP(6), ?, ?, ?, ?, ?)",
		id, e.Kind, sql.NullString{String: string(e.Phase), Valid: e.Phase != ""}, sql.NullString{String: valid(e.By), Valid: e.By != ""}, valid(e.Text), detail)
	return wrap(err, "record an event")
}

// Control implements ghost.Store.
func (s *Store) Control(ctx context.Context, id int64) (c ghost.Control, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT /* midflight */ pause_requested, cancel_requested, cutover_requested, IF(throttle_until > UTC_TIMESTAMP(6), throttle_ratio, 0) FROM midflight.migrations WHERE id = ?", id).
		Scan(&c.Paused, &c.Cancel, &c.CutOver, &c.Ratio)
	if errors.Is(err, sql.ErrNoRows) { // somebody deleted the record
		return ghost.Control{Cancel: true}, nil
	}
	return c, err
}

// Fence implements ghost.Store.
func (s *Store) Fence(ctx context.Context, id int64, token string) error {
	_, err := s.db.ExecContext(ctx, `INSERT /* midflight */ INTO midflight.fences (migration_id, token) VALUES (?, ?) ON DUPLICATE KEY UPDATE token = VALUES(token)`, id, token)
	return err
}

// SaveTriggers implements ghost.Store.
func (s *Store) SaveTriggers(ctx context.Context, id int64, triggers []schema.Trigger) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return fmt.Errorf("record the triggers: %w", err)
	}
	defer tx.end(ctx)
	if err := s.mustBeMine(ctx, tx, id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE /* midflight */ FROM midflight.triggers WHERE migration_id = ?", id); err != nil {
		return fmt.Errorf("record the triggers: %w", err)
	}
	for i, t := range triggers {
		definition, err := json.Marshal(t)
		if err != nil {
			return fmt.Errorf("record the trigger %s: %w", t.Name, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT /* midflight */ INTO midflight.triggers (migration_id, position, definition) VALUES (?, ?, ?)`, id, i, string(definition)); err != nil {
			return fmt.Errorf("record the trigger %s: %w", t.Name, err)
		}
	}
	return wrap(tx.Commit(), "record the triggers")
}

// Triggers implements ghost.Store.
func (s *Store) Triggers(ctx context.Context, id int64) ([]schema.Trigger, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT /* midflight */ definition FROM midflight.triggers WHERE migration_id = ? ORDER BY position", id)
	if err != nil {
		return nil, fmt.Errorf("read the triggers: %w", err)
	}
	defer rows.Close()
	var triggers []schema.Trigger
	for rows.Next() {
		var definition []byte
		if err := rows.Scan(&definition); err != nil {
			return nil, err
		}
		var t schema.Trigger
		if err := json.Unmarshal(definition, &t); err != nil {
			return nil, fmt.Errorf("read the triggers: %w", err)
		}
		triggers = append(triggers, t)
	}
	return triggers, rows.Err()
}

// FenceTable implements ghost.Store.
func (s *Store) FenceTable() schema.Name { return schema.Name{Schema: "midflight", Table: "fences"} }

// Claim implements ghost.Store.
func (s *Store) Claim(ctx context.Context, id int64, t schema.Name) error {
	_, err := s.db.ExecContext(ctx, `INSERT /* midflight */ INTO midflight.tables (schema_name, table_name, migration_id, drop_at) VALUES (?, ?, ?, NULL)
ON DUPLICATE KEY UPDATE migration_id = VALUES(migration_id), drop_at = NULL`, t.Schema, t.Table, id)
	return wrap(err, "record that %s is ours", t)
}

// Claimed implements ghost.Store.
func (s *Store) Claimed(ctx context.Context, id int64) ([]schema.Name, error) {
	return s.names(ctx, "WHERE migration_id = ? AND drop_at IS NULL", id)
}

// Due implements ghost.Store.
func (s *Store) Due(ctx context.Context) ([]schema.Name, error) {
	return s.names(ctx, "WHERE drop_at <= UTC_TIMESTAMP(6)")
}

func (s *Store) names(ctx context.Context, where string, args ...any) ([]schema.Name, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT /* midflight */ schema_name, table_name FROM midflight.tables "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list our tables: %w", err)
	}
	defer rows.Close()
	var names []schema.Name
	for rows.Next() {
		var n schema.Name
		if err := rows.Scan(&n.Schema, &n.Table); err != nil {
			return nil, err
		}
		names = append(names, n)
	}
	return names, rows.Err()
}

// Ours implements ghost.Store.
func (s *Store) Ours(ctx context.Context, t schema.Name) (bool, error) {
	names, err := s.names(ctx, "WHERE schema_name = ? AND table_name = ?", t.Schema, t.Table)
	return len(names) > 0, err
}

// Keep implements ghost.Store.
func (s *Store) Keep(ctx context.Context, id int64, t schema.Name, dropAt time.Time) error {
	_, err := s.db.ExecContext(ctx, `INSERT /* midflight */ INTO midflight.tables (schema_name, table_name, migration_id, drop_at) VALUES (?, ?, ?, ?)
ON DUPLICATE KEY UPDATE migration_id = VALUES(migration_id), drop_at = VALUES(drop_at)`, t.Schema, t.Table, id, dropAt.UTC())
	return wrap(err, "record the old table %s", t)
}

// Release implements ghost.Store.
func (s *Store) Release(ctx context.Context, t schema.Name) error {
	_, err := s.db.ExecContext(ctx, "DELETE /* midflight */ FROM midflight.tables WHERE schema_name = ? AND table_name = ?", t.Schema, t.Table)
	return wrap(err, "forget the table %s", t)
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

var (
	_ ghost.Store = (*Store)(nil)
)
