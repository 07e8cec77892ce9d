package binlog

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"midflight/mysqld"
)

// Start returns a position whose whole past is visible to every read that
// begins after Start has returned. Taking the end of the binlog would not do:
// the server writes there before its engine commits.
func Start(ctx context.Context, db *sql.DB, f mysqld.Flavor) (Position, error) {
	// Asked before and after: what was prepared in between is in one of them,
	// or its XA COMMIT comes in the stream as unknown.
	if err := checkPrepared(ctx, db); err != nil {
		return Position{}, err
	}
	p, err := start(ctx, db, f)
	if err != nil {
		return Position{}, err
	}
	if err := checkPrepared(ctx, db); err != nil {
		return Position{}, err
	}
	return p, nil
}

func start(ctx context.Context, db *sql.DB, f mysqld.Flavor) (Position, error) {
	if f.MariaDB {
		file, offset, err := snapshot(ctx, db)
		return Position{File: file, Offset: offset}, err
	}
	mode, executed, err := readGTIDs(ctx, db)
	if err != nil {
		return Position{}, err
	}
	if mode == "ON" && executed != "" {
		set, err := parseGTIDs(executed)
		return Position{GTIDs: set.String()}, err
	}
	if err := checkLockTable(ctx, db); err != nil {
		return Position{}, err
	}
	p, err := binlogEnd(ctx, db, f)
	if err != nil {
		return Position{}, err
	}
	return p, awaitCommits(ctx, db)
}

func readGTIDs(ctx context.Context, db *sql.DB) (mode, executed string, err error) {
	err = db.QueryRowContext(ctx, "SELECT /* midflight */ @@GLOBAL.gtid_mode, @@GLOBAL.gtid_executed").Scan(&mode, &executed)
	if err != nil {
		return "", "", fmt.Errorf("read gtid_executed: %w", err)
	}
	return mode, executed, nil
}

// binlogEnd is where the next transaction will be written.
func binlogEnd(ctx context.Context, db *sql.DB, f mysqld.Flavor) (Position, error) {
	s, err := readStatus(ctx, db, f)
	return s.end, err
}

// A status is what the server says of its binlog.
type status struct {
	end         Position
	only, never string // binlog-do-db and binlog-ignore-db
}

func readStatus(ctx context.Context, db *sql.DB, f mysqld.Flavor) (status, error) {
	var s status
	query := "SHOW /* midflight */ BINARY LOG STATUS"
	if f.MariaDB || f.Version < 80200 {
		query = "SHOW /* midflight */ MASTER STATUS"
	}
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return s, fmt.Errorf("read the binlog's end: %w", err)
	}
	defer rows.Close()
	if !rows.Next() {
		return s, errors.Join(errors.New("read the binlog's end: the server writes no binlog"), rows.Err())
	}
	into := []any{&s.end.File, &s.end.Offset, &s.only, &s.never}
	var executed sql.RawBytes // MariaDB has no such column
	if columns, err := rows.Columns(); err == nil && len(columns) > len(into) {
		into = append(into, &executed)
	}
	if err := rows.Scan(into...); err != nil {
		return s, fmt.Errorf("read the binlog's end: %w", err)
	}
	return s, rows.Err()
}

// Filters are the schemas that alone are logged, and those that are not.
func Filters(ctx context.Context, db *sql.DB, f mysqld.Flavor) (only, never []string, err error) {
	s, err := readStatus(ctx, db, f)
	split := func(names string) []string {
		return strings.FieldsFunc(names, func(r rune) bool { return r == ',' })
	}
	return split(s.only), split(s.never), err
}

// checkPrepared: rows of prepared XA transactions may be in the binlog before
// any position that could be chosen now.
func checkPrepared(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "XA RECOVER /* midflight */")
	if err != nil {
		return fmt.Errorf("look for prepared XA transactions (privilege XA_RECOVER_ADMIN): %w", err)
	}
	defer rows.Close()
	var xids []string
	for rows.Next() {
		var format int64
		var g, b int
		var data []byte
		if err := rows.Scan(&format, &g, &b, &data); err != nil {
			return fmt.Errorf("look for prepared XA transactions: %w", err)
		}
		if g+b > len(data) {
			return fmt.Errorf("look for prepared XA transactions: xid of %d bytes where %d+%d were told", len(data), g, b)
		}
		xids = append(xids, xidText(data[:g], data[g:g+b], format))
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("look for prepared XA transactions: %w", err)
	}
	if len(xids) > 0 {
		return &XAPreparedError{xids}
	}
	return nil
}

func xidText(gtrid, bqual []byte, format int64) string {
	return fmt.Sprintf("X'%X',X'%X',%d", gtrid, bqual, format)
}

// Visibility answers which transactions every new read sees.
//
//   - MySQL with GTIDs: gtid_executed is updated after the engine commit.
//   - MySQL without: a session holds a metadata lock of type COMMIT from before
//     its binlog write until after its engine commit. When every lock has gone
//     that was held at a time, all that had been received before that time is
//     visible. Owners are sessions with the number of their current event, so
//     that the next commit of the same session is another owner.
//   - MariaDB: the binlog position of a consistent snapshot.
type Visibility struct {
	db      *sql.DB
	flavor  mysqld.Flavor
	byGTID  bool
	mu      sync.Mutex // guards the fields below
	visible uint64     // transactions up to this Seq
	waiting []barrier  // oldest first
}

// A barrier is passed when none of its owners is left.
type barrier struct {
	upTo   uint64
	owners map[owner]bool
}

type owner struct{ thread, event, lock uint64 }

// NewVisibility fails if the server has no way to tell.
func NewVisibility(ctx context.Context, db *sql.DB, f mysqld.Flavor) (*Visibility, error) {
	v := &Visibility{db: db, flavor: f}
	if f.MariaDB {
		return v, nil
	}
	mode, _, err := readGTIDs(ctx, db)
	if err != nil {
		return nil, err
	}
	if v.byGTID = mode == "ON"; v.byGTID {
		return v, nil
	}
	return v, checkLockTable(ctx, db)
}

// A Horizon is what was visible at one time, and so is for ever.
type Horizon struct {
	gtids  gtidSet
	file   string
	offset uint64
	seq    uint64
	xa     map[string]bool
}

// Covers: every read that began after the Horizon was returned sees id.
func (h Horizon) Covers(id TxID) bool {
	switch {
	case h.gtids.set != nil:
		return id.gno == 0 || h.gtids.contains(id)
	case h.file != "":
		c := compareFiles(id.File, h.file)
		return (c < 0 || c == 0 && id.End <= h.offset) && !h.xa[id.XA]
	}
	return id.Seq <= h.seq
}

// Horizon looks at the server once and never waits for a commit: a transaction
// that isn't covered may be covered by a later one. upTo is the last
// transaction received so far (without GTIDs nothing after it can be covered).
func (v *Visibility) Horizon(ctx context.Context, upTo TxID) (Horizon, error) {
	switch {
	case v.flavor.MariaDB:
		return v.mariaHorizon(ctx)
	case v.byGTID:
		mode, executed, err := readGTIDs(ctx, v.db)
		if err != nil {
			return Horizon{}, err
		}
		if mode != "ON" {
			return Horizon{}, fmt.Errorf("gtid_mode has become %s", mode)
		}
		set, err := parseGTIDs(executed)
		return Horizon{gtids: set}, err
	}
	return v.commitHorizon(ctx, upTo)
}

func (v *Visibility) commitHorizon(ctx context.Context, upTo TxID) (Horizon, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	// upTo was received before this look: that is what makes it a barrier.
	now, err := committing(ctx, v.db)
	if err != nil {
		return Horizon{}, err
	}
	v.waiting = append(v.waiting, barrier{upTo.Seq, now})
	v.waiting = slices.DeleteFunc(v.waiting, func(b barrier) bool {
		for o := range b.owners {
			if !now[o] {
				delete(b.owners, o)
			}
		}
		if len(b.owners) == 0 {
			v.visible = max(v.visible, b.upTo)
			return true
		}
		return false
	})
	// A commit that hangs (semi-sync) would collect barriers without end; a
	// later one implies those before it, so a few suffice.
	if n := len(v.waiting); n > 16 {
		v.waiting = slices.Delete(v.waiting, 1, n/2)
	}
	return Horizon{seq: v.visible}, nil
}

// committing: who holds a COMMIT lock. The shared ones are of FLUSH TABLES WITH
// READ LOCK.
func committing(ctx context.Context, db *sql.DB) (map[owner]bool, error) {
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ COALESCE(owner_thread_id, 0), COALESCE(owner_event_id, 0), object_instance_begin
FROM performance_schema.metadata_locks
WHERE object_type = 'COMMIT' AND lock_type = 'INTENTION_EXCLUSIVE' AND lock_status = 'GRANTED'`)
	if err != nil {
		return nil, fmt.Errorf("look for committing sessions: %w", err)
	}
	defer rows.Close()
	owners := map[owner]bool{}
	for rows.Next() {
		var o owner
		if err := rows.Scan(&o.thread, &o.event, &o.lock); err != nil {
			return nil, fmt.Errorf("look for committing sessions: %w", err)
		}
		owners[o] = true
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look for committing sessions: %w", err)
	}
	return owners, nil
}

// awaitCommits waits until whoever is committing now has done so.
func awaitCommits(ctx context.Context, db *sql.DB) error {
	held, err := committing(ctx, db)
	if err != nil {
		return err
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for len(held) > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d committing sessions: %w", len(held), ctx.Err())
		case <-tick.C:
		}
		now, err := committing(ctx, db)
		if err != nil {
			return err
		}
		for o := range held {
			if !now[o] {
				delete(held, o)
			}
		}
	}
	return nil
}

// checkLockTable: all metadata locks must be seen.
func checkLockTable(ctx context.Context, db *sql.DB) error {
	var enabled string
	var limit, lost int64
	err := db.QueryRowContext(ctx, `SELECT /* midflight */ enabled, @@GLOBAL.performance_schema_max_metadata_locks,
(SELECT variable_value FROM performance_schema.global_status WHERE variable_name = 'Performance_schema_metadata_lock_lost')
FROM performance_schema.setup_instruments WHERE name = 'wait/lock/metadata/sql/mdl'`).Scan(&enabled, &limit, &lost)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return errors.New("visibility of commits can't be observed: the server has neither gtid_mode=ON nor performance_schema")
	case err != nil:
		return fmt.Errorf("check performance_schema.metadata_locks: %w", err)
	case enabled != "YES":
		return errors.New("visibility of commits can't be observed: without gtid_mode=ON the performance_schema instrument wait/lock/metadata/sql/mdl must be enabled")
	case limit >= 0 || lost > 0:
		return errors.New("visibility of commits can't be observed: performance_schema.metadata_locks is not complete (performance_schema_max_metadata_locks must be -1)")
	}
	return nil
}

func (v *Visibility) mariaHorizon(ctx context.Context) (Horizon, error) {
	file, offset, err := snapshot(ctx, v.db)
	if err != nil {
		return Horizon{}, err
	}
	h := Horizon{file: file, offset: offset}
	// The order of XA COMMIT's steps is not that of other commits: the XID goes
	// last.
	var prepared *XAPreparedError
	if err := checkPrepared(ctx, v.db); errors.As(err, &prepared) {
		h.xa = map[string]bool{}
		for _, x := range prepared.XIDs {
			h.xa[x] = true
		}
	} else if err != nil {
		return Horizon{}, err
	}
	return h, nil
}

// snapshot is MariaDB's binlog position of a consistent snapshot: the server
// takes both under the lock in which commits become visible.
func snapshot(ctx context.Context, db *sql.DB) (file string, offset uint64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read the binlog position of a snapshot: %w", err)
		}
	}()
	c, err := db.Conn(ctx)
	if err != nil {
		return "", 0, err
	}
	defer c.Close()
	defer func() {
		if err != nil { // the transaction must not go back into the pool
			c.Raw(func(any) error { return driver.ErrBadConn })
		}
	}()
	// A snapshot is only taken under REPEATABLE READ, whatever the default is.
	for _, q := range []string{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT"} {
		if _, err := c.ExecContext(ctx, q); err != nil {
			return "", 0, err
		}
	}
	rows, err := c.QueryContext(ctx, "SHOW /* midflight */ STATUS LIKE 'binlog\\_snapshot\\_%'")
	if err != nil {
		return "", 0, err
	}
	for rows.Next() {
		var name, value string
		if err = rows.Scan(&name, &value); err != nil {
			break
		}
		switch strings.ToLower(name) {
		case "binlog_snapshot_file":
			file = value
		case "binlog_snapshot_position":
			offset, err = strconv.ParseUint(value, 10, 64)
		}
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return "", 0, err
	}
	if _, err := c.ExecContext(ctx, "ROLLBACK"); err != nil {
		return "", 0, err
	}
	if file == "" {
		return "", 0, errors.New("the server writes no binlog")
	}
	return file, offset, nil
}
