package store

import (
	"context"
	"crypto/rand"
	"database/sql"
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
	db    *sql.DB
	owner string // this process

	mu    sync.Mutex
	alive *sql.Conn // has the lock by the owner's name
}

// Open makes what is missing of the schema, brings what an older version made up
// to date, and announces this process.
func Open(ctx context.Context, db *sql.DB) (*Store, error) {
	for _, statement := range strings.Split(tables, ";\n") {
		if statement = strings.TrimSpace(statement); statement == "" {
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
		if err := p.create(ctx, db); err != nil {
			return nil, err
		}
	}
	id := make([]byte, 12)
	rand.Read(id)
	s := &Store{db: db, owner: hex.EncodeToString(id)}
	return s, s.Announce(ctx)
}

// create makes the procedure, or makes it anew where its text is another
// version's. (Replacing it each time would make a gap for somebody's CALL.)
func (p procedure) create(ctx context.Context, db *sql.DB) error {
	var there int
	err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = 'midflight' AND routine_name = ? AND routine_comment = ?`, p.name, p.comment).Scan(&there)
	if err == nil && there == 0 {
		if _, err = db.ExecContext(ctx, "DROP PROCEDURE IF EXISTS midflight."+p.name); err == nil {
			_, err = db.ExecContext(ctx, p.text())
		}
	}
	if err != nil && mysqld.Number(err) != mysqld.ErrProcedureExists { // another Midflight, which begins in this moment, has made it
		return fmt.Errorf("create the procedure midflight.%s: %w", p.name, err)
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
	// The lock must not stay with a pooled connection.
	s.alive.ExecContext(context.Background(), "DO /* midflight */ RELEASE_ALL_LOCKS()")
	err := s.alive.Close()
	s.alive = nil
	return err
}

// Announce holds a lock by this process's name for as long as it lives.
func (s *Store) Announce(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive != nil {
		if s.alive.PingContext(ctx) == nil {
			return nil
		}
		s.alive.Close()
		s.alive = nil
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("announce this Midflight: %w", err)
	}
	var got sql.NullBool
	if err := conn.QueryRowContext(ctx, "SELECT /* midflight */ GET_LOCK(?, 5)", lockName(s.owner)).Scan(&got); err != nil || !got.Bool {
		conn.Close()
		return fmt.Errorf("announce this Midflight: the lock %s was not to be had: %w", lockName(s.owner), err)
	}
	s.alive = conn
	return nil
}

func lockName(owner string) string { return "midflight.owner." + owner }

// Create implements ghost.Store.
func (s *Store) Create(ctx context.Context, r ghost.Request) (int64, error) {
	return s.create(ctx, s.db, r)
}

func (s *Store) create(ctx context.Context, db execer, r ghost.Request) (int64, error) {
	result, err := db.ExecContext(ctx, `INSERT /* midflight */ INTO midflight.migrations
(schema_name, table_name, statement, reason, waiting_for, cutover, user, host, connection_id, owner, created_at)
VALUES (?, ?, ?, '', '', ?, ?, ?, ?, ?, UTC_TIMESTAMP(6))`,
		r.Table.Schema, r.Table.Table, strings.ToValidUTF8(r.Statement.Text, "?"), r.CutOver.String(), r.User, r.Host, r.Session, s.owner)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// Save implements ghost.Store.
func (s *Store) Save(ctx context.Context, st ghost.Status) error { return save(ctx, s.db, st) }

// An execer is the pool or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func save(ctx context.Context, db execer, st ghost.Status) error {
	_, err := db.ExecContext(ctx, `UPDATE /* midflight */ midflight.migrations
SET phase = ?, strategy = ?, reason = ?, rows_copied = ?, rows_estimate = ?, progress = ?, eta_seconds = ?, eta_error_seconds = ?, rows_per_second = ?, backlog = ?, waiting_for = ?,
  started_at = IF(? = 'queued', NULL, COALESCE(started_at, UTC_TIMESTAMP(6))), ready_at = IF(? = 'ready', COALESCE(ready_at, UTC_TIMESTAMP(6)), ready_at)
WHERE id = ?`,
		st.Phase, st.Strategy, st.Reason, st.RowsCopied, st.RowsTotal, st.Progress, eta(st, st.ETA), eta(st, st.ETAError), st.Rate, st.Backlog, st.WaitingFor, st.Phase, st.Phase, st.ID)
	return err
}

func eta(st ghost.Status, d time.Duration) sql.NullInt64 {
	return sql.NullInt64{Int64: int64(d.Round(time.Second) / time.Second), Valid: st.ETA >= 0}
}

// Finish implements ghost.Store. It is one transaction: who sees the last phase
// also sees the error.
func (s *Store) Finish(ctx context.Context, st ghost.Status, r ghost.Result) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("record the end: %w", err)
	}
	defer tx.Rollback()
	if err := save(ctx, tx, st); err != nil {
		return err
	}
	var number sql.NullInt64
	var text sql.NullString
	if r.Err != nil {
		e := ghost.ErrorFor(r.Err)
		number, text = sql.NullInt64{Int64: int64(e.Number), Valid: true}, sql.NullString{String: e.Message, Valid: true}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE /* midflight */ midflight.migrations
SET error_number = ?, error = ?, completed_at = UTC_TIMESTAMP(6), eta_seconds = NULL, eta_error_seconds = NULL, rows_per_second = 0 WHERE id = ?`, number, text, st.ID); err != nil {
		return err
	}
	for _, own := range []string{"fences", "triggers"} {
		if _, err := tx.ExecContext(ctx, "DELETE /* midflight */ FROM midflight."+own+" WHERE migration_id = ?", st.ID); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Orphans implements ghost.Store.
func (s *Store) Orphans(ctx context.Context) ([]ghost.Status, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT /* midflight */ id, schema_name, table_name, phase, strategy, reason, owner FROM midflight.migrations
WHERE phase NOT IN ('completed', 'failed', 'canceled') AND owner <> ?`, s.owner)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	owners := map[string][]ghost.Status{}
	for rows.Next() {
		st := ghost.Status{ETA: -1}
		var owner string
		if err := rows.Scan(&st.ID, &st.Table.Schema, &st.Table.Table, &st.Phase, &st.Strategy, &st.Reason, &owner); err != nil {
			return nil, err
		}
		owners[owner] = append(owners[owner], st)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	var orphans []ghost.Status
	for owner, theirs := range owners {
		var free sql.NullBool
		if err := s.db.QueryRowContext(ctx, "SELECT /* midflight */ IS_FREE_LOCK(?)", lockName(owner)).Scan(&free); err != nil {
			return nil, err
		}
		if free.Bool {
			orphans = append(orphans, theirs...)
		}
	}
	return orphans, nil
}

// Log implements ghost.Store.
func (s *Store) Log(ctx context.Context, id int64, what string) error {
	_, err := s.db.ExecContext(ctx, "INSERT /* midflight */ INTO midflight.events (migration_id, happened_at, event) VALUES (?, UTC_TIMESTAMP(6), ?)", id, what)
	return err
}

// Control implements ghost.Store.
func (s *Store) Control(ctx context.Context, id int64) (c ghost.Control, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT /* midflight */ pause_requested, cancel_requested, cutover_requested FROM midflight.migrations WHERE id = ?", id).
		Scan(&c.Paused, &c.Cancel, &c.CutOver)
	if errors.Is(err, sql.ErrNoRows) { // somebody deleted the record
		return ghost.Control{Cancel: true}, nil
	}
	return c, err
}

// Checkpoint implements ghost.Store.
func (s *Store) Checkpoint(ctx context.Context, id int64, c ghost.Checkpoint) error {
	// Hex, because a key's literals are joined by a zero byte, and because a
	// watermark that reads as another type is how rows get lost (spirit #1030).
	_, err := s.db.ExecContext(ctx, `INSERT /* midflight */ INTO midflight.checkpoints (migration_id, watermark, position, rows_in_shadow, updated_at) VALUES (?, ?, ?, ?, UTC_TIMESTAMP(6))
ON DUPLICATE KEY UPDATE watermark = VALUES(watermark), position = VALUES(position), rows_in_shadow = VALUES(rows_in_shadow), updated_at = VALUES(updated_at)`,
		id, hex.EncodeToString([]byte(c.Watermark)), c.Position.String(), c.Rows)
	return err
}

// Fence implements ghost.Store.
func (s *Store) Fence(ctx context.Context, id int64, token string) error {
	_, err := s.db.ExecContext(ctx, `INSERT /* midflight */ INTO midflight.fences (migration_id, token) VALUES (?, ?) ON DUPLICATE KEY UPDATE token = VALUES(token)`, id, token)
	return err
}

// SaveTriggers implements ghost.Store.
func (s *Store) SaveTriggers(ctx context.Context, id int64, triggers []schema.Trigger) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("record the triggers: %w", err)
	}
	defer tx.Rollback()
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
