package ghost

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"midflight/mysqld"
)

// A transaction that reads from a snapshot (REPEATABLE READ) finds in the new table
// the rows of the time of the snapshot: what was copied by then. If it has not
// touched the original before, no lock keeps the swap from it.

const readsSnapshot = "reads from a snapshot"

// A view is one snapshot of one connection; a later one of the same connection is
// another.
type view struct {
	connection uint64
	which      string
}

// snapshots lists the transactions that read from a snapshot now. On MySQL it
// includes some that only may.
func snapshots(ctx context.Context, db mysqld.Queryer, f mysqld.Flavor) (map[view]Blocker, error) {
	var found map[view]Blocker
	var err error
	if f.MariaDB {
		found, err = snapshotsMariaDB(ctx, db)
	} else {
		found, err = snapshotsMySQL(ctx, db)
	}
	return found, wrap(err, "ask which transactions read from a snapshot")
}

// snapshotsAround lists those of sessions that the proxy doesn't carry: nobody can
// answer for it what they read later.
func (g *gap) snapshotsAround(ctx context.Context) (map[view]Blocker, error) {
	found, err := snapshots(ctx, g.DB, g.Flavor)
	for v := range found {
		if g.Door.Carries(v.connection) {
			delete(found, v)
		}
	}
	return found, err
}

// A sighting is the snapshots around the proxy at one moment.
type sighting struct {
	views map[view]Blocker
	err   error
}

// sight looks for them while other work under the lock goes on.
func (g *gap) sight(ctx context.Context) <-chan sighting {
	seen := make(chan sighting, 1)
	go func() {
		views, err := g.snapshotsAround(ctx)
		seen <- sighting{views, err}
	}()
	return seen
}

// awaitSnapshots waits, under the lock, until each transaction around the proxy has
// ended that read from a snapshot when the shadow was level. One that comes later sees
// all that is in it. What was seen before counts if nothing was applied since.
func (g *gap) awaitSnapshots(ctx context.Context, seen sighting) error {
	if g.applied {
		seen.views, seen.err = g.snapshotsAround(ctx)
	}
	older, err := seen.views, seen.err
	for err == nil && len(older) > 0 {
		if g.rest() < g.Bounds.Hold/4 {
			return fmt.Errorf("%w: snapshots are older than the new table: %s", errTooSoon, who(slices.Collect(maps.Values(older))))
		}
		if err := sleep(ctx, 2*time.Millisecond); err != nil {
			return err
		}
		var now map[view]Blocker
		now, err = g.snapshotsAround(ctx)
		maps.DeleteFunc(older, func(v view, _ Blocker) bool { _, still := now[v]; return !still })
	}
	return err
}

// outdate has the transactions in the proxy that read from a snapshot of before the
// swap get 1412 instead of a part of the new table. It comes while the hold is on,
// so none has read it yet.
func (g *gap) outdate(ctx context.Context) {
	if g.outdated {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	views, err := snapshots(ctx, g.DB, g.Flavor)
	ids := []uint64{}
	for v := range views {
		ids = append(ids, v.connection)
	}
	if err != nil {
		ids = nil // all that may have one
	}
	g.held.Outdate(ids)
	g.outdated = true
}

// snapshotsMySQL asks which transactions are open, since MySQL shows the snapshots
// only of those that have written something; these are left out if they have none.
// (One that was prepared reads no more, and is shown as active when it has long been
// committed. innodb_trx is no help: while somebody asks more often than each 100 ms it isn't
// brought up to date.)
func snapshotsMySQL(ctx context.Context, db mysqld.Queryer) (map[view]Blocker, error) {
	var tells bool
	if err := db.QueryRowContext(ctx, mysqld.ShowsTransactions).Scan(&tells); err != nil {
		return nil, err
	}
	if !tells { // none would be seen, which isn't the same as that there are none
		return nil, obstacle("performance_schema does not show transactions; %s", mysqld.ShowTransactions)
	}
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ t.processlist_id, e.event_id, COALESCE(t.processlist_user, ''), COALESCE(t.processlist_host, ''), COALESCE(e.timer_wait, 0) DIV 1000, COALESCE(LEFT(s.sql_text, 1000), '')
FROM performance_schema.events_transactions_current e
JOIN performance_schema.threads t ON t.thread_id = e.thread_id
LEFT JOIN performance_schema.events_statements_current s ON s.thread_id = e.thread_id AND s.nesting_event_level = 0
WHERE e.state = 'ACTIVE' AND e.autocommit = 'NO' AND e.isolation_level = 'REPEATABLE READ' AND COALESCE(e.xa_state, '') <> 'PREPARED' AND t.processlist_id <> CONNECTION_ID() AND COALESCE(t.processlist_user, 'system user') <> 'system user'`)
	if err != nil {
		return nil, err
	}
	found, err := scanViews(rows)
	if err != nil || len(found) == 0 {
		return found, err
	}
	shown, _, err := innodbViews(ctx, db, "MySQL thread id ")
	if err != nil {
		return nil, err
	}
	for v := range found {
		if which, ok := shown[v.connection]; ok && which == "" {
			delete(found, v)
		}
	}
	return found, nil
}

// snapshotsMariaDB goes by what InnoDB's monitor shows, which are all snapshots, also
// those of a single SELECT; a long one has opened its tables and is left out.
func snapshotsMariaDB(ctx context.Context, db mysqld.Queryer) (map[view]Blocker, error) {
	shown, all, err := innodbViews(ctx, db, "MariaDB thread id ")
	if err != nil {
		return nil, err
	}
	if !all {
		rows, err := db.QueryContext(ctx, `SELECT /* midflight */ p.id, x.trx_id, p.user, p.host, CAST(p.time_ms * 1000000 AS UNSIGNED), COALESCE(LEFT(p.info, 1000), '')
FROM information_schema.innodb_trx x JOIN information_schema.processlist p ON p.id = x.trx_mysql_thread_id
WHERE x.trx_isolation_level = 'REPEATABLE READ' AND x.trx_autocommit_non_locking = 0 AND p.id <> CONNECTION_ID() AND p.user <> 'system user'`)
		if err != nil {
			return nil, err
		}
		return scanViews(rows)
	}
	var ids []string
	for id, which := range shown {
		if which != "" {
			ids = append(ids, strconv.FormatUint(id, 10))
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ p.id, 0, p.user, p.host, CAST(p.time_ms * 1000000 AS UNSIGNED), COALESCE(LEFT(p.info, 1000), '')
FROM information_schema.processlist p
LEFT JOIN information_schema.innodb_trx x ON x.trx_mysql_thread_id = p.id AND x.trx_autocommit_non_locking = 1 AND x.trx_started < NOW() - INTERVAL 1 SECOND
WHERE p.id IN (`+strings.Join(ids, ", ")+`) AND p.id <> CONNECTION_ID() AND p.user <> 'system user' AND NOT (x.trx_id IS NOT NULL AND p.command <> 'Sleep' AND p.time_ms > 1000)`)
	if err != nil {
		return nil, err
	}
	list, err := scanViews(rows)
	found := map[view]Blocker{}
	for v, b := range list {
		found[view{v.connection, shown[v.connection]}] = b
	}
	return found, err
}

func scanViews(rows *sql.Rows) (map[view]Blocker, error) {
	defer rows.Close()
	found := map[view]Blocker{}
	for rows.Next() {
		var b Blocker
		var which string
		var age float64
		if err := rows.Scan(&b.Connection, &which, &b.User, &b.Host, &age, &b.Statement); err != nil {
			return nil, err
		}
		b.Age, b.Why = time.Duration(age), readsSnapshot
		found[view{b.Connection, which}] = b
	}
	return found, rows.Err()
}

// innodbViews reads what InnoDB's monitor shows of each connection's transaction:
// the limits of its snapshot, or "" when it has none. all: it shows every transaction.
func innodbViews(ctx context.Context, db mysqld.Queryer, mark string) (views map[uint64]string, all bool, err error) {
	var kind, name, status string
	if err := db.QueryRowContext(ctx, "SHOW /* midflight */ ENGINE INNODB STATUS").Scan(&kind, &name, &status); err != nil {
		return nil, false, err
	}
	return viewsIn(status, mark), len(status) < maxStatus, nil
}

// maxStatus is where InnoDB begins to leave transactions out
// (MAX_INNODB_STATUS_SIZE is 1 MB).
const maxStatus = 1<<20 - 64<<10

func viewsIn(status, mark string) map[uint64]string {
	found := map[uint64]string{}
	for i, block := range strings.Split(status, "\n---TRANSACTION ") {
		_, thread, ok := strings.Cut(block, "\n"+mark)
		if i == 0 || !ok {
			continue
		}
		number, _, _ := strings.Cut(thread, ",")
		id, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			continue
		}
		_, limits, _ := strings.Cut(thread, "\nTrx read view will not see trx with id >= ")
		limits, _, _ = strings.Cut(limits, "\n")
		found[id] = limits
	}
	return found
}
