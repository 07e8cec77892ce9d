package ghost

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"midflight/binlog"
	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/schema"
)

// Changes can hide from the binlog's row events: a session with
// binlog_format=STATEMENT has its text logged, one with sql_log_bin=0 nothing at
// all, an image of binlog_row_image=MINIMAL may lack the chunk key. Their keys
// are not known, so once such a change is there for every reader, all ranges are
// compared again, and rows that differ are applied. Only a row that differs once
// more, with nothing hidden since, is a fault.

// hid notes a hidden change; the transaction tells when everybody sees it.
func (s *syncer) hid(tx binlog.TxID, reason string) {
	if len(s.unseen) == 0 {
		s.log(s.ctx, "all rows will be compared again: %s", reason)
	}
	s.verify.Mend()
	s.unseen = append(s.unseen, tx)
}

// seen forgets the hidden changes that every reader sees by now. They become
// visible in any order, so none stands for another; what differed before the
// last of them was seen is no measure.
func (s *syncer) seen(visible func(binlog.TxID) bool) {
	if len(s.unseen) == 0 {
		return
	}
	if s.unseen = slices.DeleteFunc(s.unseen, visible); len(s.unseen) > 0 {
		return
	}
	if s.verify.On() {
		s.compareAll()
	}
}

// compareAll begins to compare all that is copied. What hides from now on asks for
// another time.
func (s *syncer) compareAll() {
	if s.verify.On() || s.hidden() {
		s.verify.Mend()
	}
	s.began = s.hiding()
	s.verify.Begin(s.ranges)
}

// hidden: there are changes that the latest comparing of all rows may have missed.
func (s *syncer) hidden() bool { return len(s.unseen) > 0 || s.underWay() || s.began != s.hiding() }

// nothingHid, under the lock: a hidden change may have been seen since the swap was
// begun. Then all rows are to be compared again, and nobody has begun to.
func (s *syncer) nothingHid() error {
	if s.hidden() || s.verify.Compares() {
		return fmt.Errorf("%w: rows were changed that the binlog does not show", errTooSoon)
	}
	return nil
}

// underWay: a command is, whose changes would not be in the binlog. It may have
// committed some of them already (CALL). To be asked before hiding is.
func (s *syncer) underWay() bool {
	_, running := s.Door.Unlogged()
	return running
}

// A hiding is what tells the work of sessions whose changes are not in the
// binlog: it moves when they have done something.
type hiding struct {
	through uint64 // Midflight, exactly
	around  string // as of the latest look; MySQL only
}

func (s *syncer) hiding() hiding {
	ended, _ := s.Door.Unlogged()
	return hiding{ended, s.around}
}

// lookAround finds sessions with sql_log_bin=0 that don't come through Midflight,
// and how much they have done. One that has come and gone between two looks, each
// second and right before the swap, is not seen. (MariaDB doesn't tell what other
// sessions have set.)
func lookAround(ctx context.Context, db *sql.DB, f mysqld.Flavor) (string, error) {
	if f.MariaDB {
		return "", nil
	}
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ t.thread_id, (SELECT GROUP_CONCAT(s.variable_value ORDER BY s.variable_name) FROM performance_schema.status_by_thread s
  WHERE s.thread_id = t.thread_id AND s.variable_name IN ('Queries', 'Handler_commit', 'Handler_write', 'Handler_update', 'Handler_delete'))
FROM performance_schema.threads t
JOIN performance_schema.variables_by_thread v ON v.thread_id = t.thread_id AND v.variable_name = 'sql_log_bin'
WHERE v.variable_value = 'OFF' AND t.processlist_id <> CONNECTION_ID()`)
	if err != nil {
		return "", fmt.Errorf("look for sessions with sql_log_bin = 0: %w", err)
	}
	defer rows.Close()
	var all strings.Builder
	for rows.Next() {
		var thread string
		var counters sql.NullString
		if err := rows.Scan(&thread, &counters); err != nil {
			return "", err
		}
		fmt.Fprintf(&all, "%s:%s ", thread, counters.String)
	}
	return all.String(), rows.Err()
}

// mustBeAsItWas ends the migration after an ALTER of the original that no binlog
// has. One that comes later moves what hidden asks for, under the lock too.
func (s *syncer) mustBeAsItWas(ctx context.Context) error {
	return retry(ctx, patience, func() error {
		now, err := s.readTable(ctx, s.status.ID, s.original.Name)
		if err != nil {
			return err
		}
		text, err := definitionOf(ctx, s.DB, s.original.Name)
		if err != nil {
			return err
		}
		if text != s.definition || !now.SameDefinition(s.original) {
			return obstacle("somebody changed the definition of %s during the migration. Send the statement again", s.original.Name)
		}
		return nil
	})
}

// definitionOf is the server's text of a table, without the number that changes
// by itself.
func definitionOf(ctx context.Context, db mysqld.Queryer, t schema.Name) (string, error) {
	text, err := schema.CreateStatement(ctx, db, t)
	return nextNumber.ReplaceAllString(text, ""), err
}

var nextNumber = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// mustBeLogged refuses a table whose changes the server leaves out of its binlog.
func (r *run) mustBeLogged(ctx context.Context) error {
	only, never, err := binlog.Filters(ctx, r.DB, r.Flavor)
	if err != nil {
		return err
	}
	in := r.original.Name.Schema
	if len(only) > 0 && !slices.Contains(only, in) || slices.Contains(never, in) {
		return &plan.Refusal{
			Reason: fmt.Sprintf("the server's binlog-do-db and binlog-ignore-db leave changes in %s out of the binlog", in),
			Hint:   "Take the filters out. " + plan.AskDirect,
		}
	}
	lost, err := appliesUnlogged(ctx, r.DB, r.Flavor)
	if err != nil {
		return err
	}
	if lost {
		return &plan.Refusal{
			Reason: "the server is a replica that does not log what it applies (log_replica_updates is off)",
			Hint:   "Run the statement on the source. " + plan.AskDirect,
		}
	}
	return nil
}

func appliesUnlogged(ctx context.Context, db *sql.DB, f mysqld.Flavor) (bool, error) {
	query := "SELECT /* midflight */ @@GLOBAL.log_replica_updates, (SELECT COUNT(*) FROM performance_schema.replication_applier_status WHERE service_state = 'ON')"
	switch {
	case f.MariaDB:
		query = "SELECT /* midflight */ @@GLOBAL.log_slave_updates, (SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'SLAVES_RUNNING')"
	case f.Version < 80026:
		query = strings.Replace(query, "log_replica_updates", "log_slave_updates", 1)
	}
	var logged bool
	var running int
	err := db.QueryRowContext(ctx, query).Scan(&logged, &running)
	return !logged && running > 0, wrap(err, "ask whether replication is logged")
}
