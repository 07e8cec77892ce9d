package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/binlog"
	"midflight/ghost"
	"midflight/mysqld"
	"midflight/schema"
)

// A queryer is the pool or a transaction.
type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Mine implements ghost.Store.
func (s *Store) Mine(ctx context.Context, id int64) (bool, error) { return s.mine(ctx, s.db, id, "") }

func (s *Store) mine(ctx context.Context, db queryer, id int64, lock string) (bool, error) {
	var owner string
	err := db.QueryRowContext(ctx, "SELECT /* midflight */ owner FROM midflight.migrations WHERE id = ?"+lock, id).Scan(&owner)
	if errors.Is(err, sql.ErrNoRows) { // somebody deleted the record
		return true, nil
	}
	return owner == s.owner, err
}

// mustBeMine keeps others from taking the migration over until tx ends.
func (s *Store) mustBeMine(ctx context.Context, tx *transaction, id int64) error {
	mine, err := s.mine(ctx, tx, id, " LOCK IN SHARE MODE")
	if err != nil {
		return fmt.Errorf("ask whose the migration is: %w", err)
	}
	if !mine {
		return ghost.ErrTakenOver
	}
	return nil
}

// Orphans implements ghost.Store.
func (s *Store) Orphans(ctx context.Context, of schema.Name) ([]ghost.Orphan, error) {
	query, args := `SELECT /* midflight */ id, schema_name, table_name, phase, strategy, reason, rows_copied, rows_estimate, throttled, owner, request, user, host, connection_id FROM midflight.migrations
WHERE phase NOT IN ('completed', 'failed', 'canceled') AND owner <> ?`, []any{s.owner}
	if of != (schema.Name{}) {
		query, args = query+" AND schema_name = ? AND table_name = ?", append(args, of.Schema, of.Table)
	}
	rows, err := s.db.QueryContext(ctx, query+" ORDER BY id", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []ghost.Orphan
	for rows.Next() {
		o := ghost.Orphan{Status: ghost.Status{ETA: -1}}
		var waited []byte
		if err := rows.Scan(&o.ID, &o.Table.Schema, &o.Table.Table, &o.Phase, &o.Strategy, &o.Reason, &o.RowsCopied, &o.RowsTotal, &waited, &o.Owner, &o.Request, &o.User, &o.Host, &o.Session); err != nil {
			return nil, err
		}
		o.Throttled = parseThrottled(waited)
		all = append(all, o)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	gone := map[string]bool{}
	var orphans []ghost.Orphan
	for _, o := range all {
		free, asked := gone[o.Owner]
		if !asked {
			var answer sql.NullBool
			if err := s.db.QueryRowContext(ctx, "SELECT /* midflight */ IS_FREE_LOCK(?)", lockName(o.Owner)).Scan(&answer); err != nil {
				return nil, err
			}
			free = answer.Bool
			gone[o.Owner] = free
		}
		if free {
			orphans = append(orphans, o)
		}
	}
	return orphans, nil
}

// Adopt implements ghost.Store.
func (s *Store) Adopt(ctx context.Context, o ghost.Orphan) (bool, error) {
	result, err := s.db.ExecContext(ctx, `UPDATE /* midflight */ midflight.migrations SET owner = ?, ran_by = ?
WHERE id = ? AND owner = ? AND phase NOT IN ('completed', 'failed', 'canceled')`, s.owner, runner(), o.ID, o.Owner)
	if err != nil {
		return false, fmt.Errorf("take migration %d over: %w", o.ID, err)
	}
	n, err := result.RowsAffected()
	if n > 0 { // that it can't be told is no reason not to go on
		s.Log(ctx, o.ID, ghost.Entry{Kind: ghost.EntryRunner, Text: "taken over by " + runner()})
	}
	return n > 0, err
}

// serverStart is when the server was started, give or take a second. To ask is dear (the
// server counts all that it counts together), and no server is started again within
// startAnew.
func (s *Store) serverStart(ctx context.Context) (string, error) {
	s.startMu.Lock()
	defer s.startMu.Unlock()
	if time.Since(s.asked) < startAnew {
		return s.start, nil
	}
	from := "performance_schema"
	if s.flavor.MariaDB {
		from = "information_schema"
	}
	asked := time.Now()
	err := s.db.QueryRowContext(ctx, "SELECT /* midflight */ CAST(UTC_TIMESTAMP() - INTERVAL (SELECT CAST(variable_value AS SIGNED) FROM "+from+".global_status WHERE variable_name = 'UPTIME') SECOND AS CHAR)").Scan(&s.start)
	if err != nil {
		return "", fmt.Errorf("ask when the server was started: %w", err)
	}
	s.asked = asked
	return s.start, nil
}

const startAnew = 300 * time.Millisecond

// Admit implements ghost.Store. The lock on the migration's row is for the order: who
// adopts it either waits for this, and finds the connection, or is seen here.
func (s *Store) Admit(ctx context.Context, conn *sql.Conn, id int64) error {
	start, err := s.serverStart(ctx)
	if err != nil {
		return err
	}
	result, err := conn.ExecContext(ctx, `INSERT /* midflight */ INTO midflight.sessions (connection_id, server_start, migration_id, owner)
SELECT CONNECTION_ID(), ?, id, owner FROM midflight.migrations WHERE id = ? AND owner = ? LOCK IN SHARE MODE
ON DUPLICATE KEY UPDATE migration_id = VALUES(migration_id), owner = VALUES(owner)`, start, id, s.owner)
	if err != nil {
		return fmt.Errorf("have a connection admitted to migration %d: %w", id, err)
	}
	n, err := result.RowsAffected()
	if err != nil || n > 0 {
		return err
	}
	// An equal row that was there counts as none, and a deleted record has no owner.
	if mine, err := s.mine(ctx, conn, id, ""); mine || err != nil {
		return err
	}
	return ghost.ErrTakenOver
}

// Admitted implements ghost.Store.
func (s *Store) Admitted(ctx context.Context, id int64) ([]uint64, error) {
	start, err := s.serverStart(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT /* midflight */ connection_id, SUBSTRING_INDEX(USER(), '@', 1) FROM midflight.sessions
WHERE migration_id = ? AND ABS(TIMESTAMPDIFF(SECOND, server_start, ?)) <= 2`, id, start)
	if err != nil {
		return nil, fmt.Errorf("look for connections of migration %d: %w", id, err)
	}
	defer rows.Close()
	var ids []uint64
	var ours string
	for rows.Next() {
		var id uint64
		if err := rows.Scan(&id, &ours); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil || len(ids) == 0 {
		return nil, err
	}
	all, err := mysqld.Processes(ctx, s.db) // after that: none that is there can be missing
	if err != nil {
		return nil, fmt.Errorf("look for connections of migration %d: %w", id, err)
	}
	return slices.DeleteFunc(ids, func(id uint64) bool {
		return !slices.ContainsFunc(all, func(p mysqld.Process) bool { return p.ID == id && p.User == ours })
	}), nil
}

// ClientGone implements ghost.Store. Somebody else may wait by way of another by now.
func (s *Store) ClientGone(ctx context.Context, id int64) error {
	_, err := s.db.ExecContext(ctx, "UPDATE /* midflight */ midflight.migrations SET client_gone = TRUE WHERE id = ? AND client_at = ?", id, s.owner)
	return err
}

// ClientWaits implements ghost.Store.
func (s *Store) ClientWaits(ctx context.Context, id int64) error {
	_, err := s.db.ExecContext(ctx, "UPDATE /* midflight */ midflight.migrations SET client_gone = FALSE, client_at = ? WHERE id = ?", s.owner, id)
	return err
}

// Attach implements ghost.Store. Texts are compared byte by byte: two users may differ in
// case alone, and so may two statements.
func (s *Store) Attach(ctx context.Context, r ghost.Request) (int64, error) {
	request, err := r.Encode()
	if err != nil {
		return 0, err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT /* midflight */ id FROM midflight.migrations
WHERE schema_name = ? AND table_name = ? AND (client_gone = TRUE OR IS_FREE_LOCK(CONCAT('midflight.owner.', client_at))) AND CAST(user AS BINARY) = CAST(? AS BINARY) AND CAST(request AS BINARY) = CAST(? AS BINARY) AND phase NOT IN ('completed', 'failed', 'canceled') ORDER BY id`,
		r.Table.Schema, r.Table.Table, r.User, string(request))
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return 0, err
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	for _, id := range ids {
		result, err := s.db.ExecContext(ctx, "UPDATE /* midflight */ midflight.migrations SET client_gone = FALSE, client_at = ? WHERE id = ? AND (client_gone = TRUE OR IS_FREE_LOCK(CONCAT('midflight.owner.', client_at)))", s.owner, id)
		if err != nil {
			return 0, err
		}
		if n, err := result.RowsAffected(); n > 0 || err != nil {
			return id, err
		}
	}
	return 0, nil
}

// Progress implements ghost.Store.
func (s *Store) Progress(ctx context.Context, id int64) (st ghost.Status, r *ghost.Result, err error) {
	var seconds, number, records sql.NullInt64
	var text, state sql.NullString
	st.ID = id
	err = s.db.QueryRowContext(ctx, `SELECT /* midflight */ schema_name, table_name, phase, strategy, reason, rows_copied, rows_estimate, progress, eta_seconds, waiting_for, error_number, error, error_state, records
FROM midflight.migrations WHERE id = ?`, id).
		Scan(&st.Table.Schema, &st.Table.Table, &st.Phase, &st.Strategy, &st.Reason, &st.RowsCopied, &st.RowsTotal, &st.Progress, &seconds, &st.WaitingFor, &number, &text, &state, &records)
	if errors.Is(err, sql.ErrNoRows) {
		return st, &ghost.Result{Err: ghost.ErrCanceled}, nil
	}
	if err != nil {
		return st, nil, fmt.Errorf("read the migration: %w", err)
	}
	if st.ETA = -1; seconds.Valid {
		st.ETA = time.Duration(seconds.Int64) * time.Second
	}
	if !st.Phase.Terminal() {
		return st, nil, nil
	}
	r = &ghost.Result{Rows: records.Int64, Records: records.Int64}
	if number.Valid {
		e := &mysql.MySQLError{Number: uint16(number.Int64), Message: text.String}
		copy(e.SQLState[:], state.String)
		r.Err = e
	}
	return st, r, nil
}

// Cancel implements ghost.Store.
func (s *Store) Cancel(ctx context.Context, id int64) error {
	_, err := s.db.ExecContext(ctx, "UPDATE /* midflight */ midflight.migrations SET cancel_requested = TRUE WHERE id = ?", id)
	return err
}

// Begin implements ghost.Store.
func (s *Store) Begin(ctx context.Context, id int64, f ghost.Facts, from binlog.Position) error {
	facts, err := json.Marshal(f)
	if err != nil {
		return err
	}
	tx, err := s.begin(ctx)
	if err != nil {
		return fmt.Errorf("record the tables' definitions: %w", err)
	}
	defer tx.end(ctx)
	if err := s.mustBeMine(ctx, tx, id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE /* midflight */ FROM midflight.chunks WHERE migration_id = ?", id); err != nil {
		return fmt.Errorf("record the tables' definitions: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT /* midflight */ INTO midflight.checkpoints (migration_id, watermark, position, rows_in_shadow, facts, updated_at) VALUES (?, '', ?, 0, ?, UTC_TIMESTAMP(6))
ON DUPLICATE KEY UPDATE watermark = VALUES(watermark), position = VALUES(position), rows_in_shadow = VALUES(rows_in_shadow), facts = VALUES(facts), updated_at = VALUES(updated_at)`, id, from.String(), string(facts)); err != nil {
		return fmt.Errorf("record the tables' definitions: %w", err)
	}
	return wrap(tx.Commit(), "record the tables' definitions")
}

// Checkpoint implements ghost.Store. Keys are in hex, because literals are joined by a
// zero byte, and because a watermark that reads as another type is how rows get lost
// (spirit #1030).
func (s *Store) Checkpoint(ctx context.Context, id int64, c ghost.Checkpoint) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return fmt.Errorf("record a checkpoint: %w", err)
	}
	defer tx.end(ctx)
	if err := s.mustBeMine(ctx, tx, id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE /* midflight */ midflight.checkpoints SET watermark = ?, position = ?, rows_in_shadow = ?, updated_at = UTC_TIMESTAMP(6) WHERE migration_id = ?`,
		hex.EncodeToString([]byte(c.Watermark)), c.Position.String(), c.Rows, id); err != nil {
		return fmt.Errorf("record a checkpoint: %w", err)
	}
	for len(c.Ends) > 0 {
		n := min(len(c.Ends), 500)
		values := make([]string, n)
		var args []any
		for i, k := range c.Ends[:n] {
			values[i] = "(?, ?, ?)"
			args = append(args, id, c.First+i, hex.EncodeToString([]byte(k)))
		}
		if _, err := tx.ExecContext(ctx, "INSERT /* midflight */ INTO midflight.chunks (migration_id, number, ends_at) VALUES "+strings.Join(values, ", ")+" ON DUPLICATE KEY UPDATE ends_at = VALUES(ends_at)", args...); err != nil {
			return fmt.Errorf("record a checkpoint: %w", err)
		}
		c.Ends, c.First = c.Ends[n:], c.First+n
	}
	return wrap(tx.Commit(), "record a checkpoint")
}

// Resume implements ghost.Store.
func (s *Store) Resume(ctx context.Context, id int64) (*ghost.Resume, error) {
	fail := func(err error) (*ghost.Resume, error) { return nil, fmt.Errorf("read the checkpoint: %w", err) }
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return fail(err)
	}
	defer tx.Rollback()
	var watermark, position string
	var facts []byte
	r := &ghost.Resume{}
	err = tx.QueryRowContext(ctx, "SELECT /* midflight */ watermark, position, rows_in_shadow, facts FROM midflight.checkpoints WHERE migration_id = ?", id).Scan(&watermark, &position, &r.Rows, &facts)
	if errors.Is(err, sql.ErrNoRows) || err == nil && facts == nil {
		return nil, nil
	}
	if err != nil {
		return fail(err)
	}
	if err := json.Unmarshal(facts, &r.Facts); err != nil {
		return fail(err)
	}
	if r.Watermark, err = key(watermark); err != nil {
		return fail(err)
	}
	if r.Position, err = binlog.ParsePosition(position); err != nil {
		return fail(err)
	}
	rows, err := tx.QueryContext(ctx, "SELECT /* midflight */ ends_at FROM midflight.chunks WHERE migration_id = ? ORDER BY number", id)
	if err != nil {
		return fail(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return fail(err)
		}
		k, err := key(text)
		if err != nil {
			return fail(err)
		}
		r.Ends = append(r.Ends, k)
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	return r, nil
}

func key(text string) (binlog.Key, error) {
	b, err := hex.DecodeString(text)
	return binlog.Key(b), err
}
