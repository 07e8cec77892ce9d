package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/schema"
)

// The bounds of one attempt at an exclusive lock.
const (
	holdBound  = 100 * time.Millisecond // statements are held in the proxy for so long at most
	drainBound = 50 * time.Millisecond  // of it, waiting for the table's users to finish
	lockBound  = 50 * time.Millisecond  // our lock request is taken back when it isn't granted by then
	firstPause = 50 * time.Millisecond  // between attempts, growing
	maxPause   = 2 * time.Second
	// A holder that is seen again after this time is no short transaction:
	// asking for the lock would queue everybody behind it.
	longHolder = 15 * time.Millisecond
)

// A gap is the moment in which nobody has the table locked.
type gap struct {
	*run
	names []string // what reaches the table, by name
	lock  *sql.Conn
	id    uint64 // of the lock connection
	// lockedFor is the time from lock to unlock of the attempt, 0 before.
	lockedFor time.Duration
}

// openGap prepares for attempts: what can be done early is done before anybody
// is held.
func (r *run) openGap(ctx context.Context, init []string) (*gap, error) {
	g := &gap{run: r}
	var err error
	if g.names, err = closure(ctx, r.DB, r.request.Table); err != nil {
		return nil, err
	}
	if g.lock, err = r.DB.Conn(ctx); err != nil {
		return nil, fmt.Errorf("connect for the exclusive lock: %w", err)
	}
	init = append(init, "SET /* midflight */ SESSION lock_wait_timeout = 1")
	for _, q := range init {
		if _, err = g.lock.ExecContext(ctx, q); err != nil {
			g.close()
			return nil, fmt.Errorf("set up the session of the exclusive lock (%s): %w", q, err)
		}
	}
	if err = g.lock.QueryRowContext(ctx, "SELECT /* midflight */ CONNECTION_ID()").Scan(&g.id); err != nil {
		g.close()
		return nil, fmt.Errorf("set up the session of the exclusive lock: %w", err)
	}
	return g, nil
}

// close ends the lock connection, and with it whatever it had locked.
func (g *gap) close() { discard(g.lock) }

// end kills the lock session and waits until the server has done with it.
func (g *gap) end(ctx context.Context) error {
	return retry(ctx, patience, func() error {
		g.DB.ExecContext(ctx, fmt.Sprintf("KILL /* midflight */ CONNECTION %d", g.id)) // it may be gone already
		for {
			var there int
			err := g.DB.QueryRowContext(ctx, "SELECT /* midflight */ COUNT(*) FROM information_schema.processlist WHERE id = ?", g.id).Scan(&there)
			if err != nil || there == 0 {
				return err
			}
			if err := sleep(ctx, 10*time.Millisecond); err != nil {
				return err
			}
		}
	})
}

// blocked tells who holds the table for longer than a moment.
func (g *gap) blocked(ctx context.Context) ([]Blocker, error) {
	if long := g.Door.Busy(g.names, longHolder); len(long) > 0 || g.Flavor.MariaDB {
		// MariaDB's catalogue of metadata locks is a plugin that few have: there,
		// who goes around the proxy is met by the bound on the lock.
		return long, nil
	}
	first, err := holders(ctx, g.DB, g.request.Table)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	if err := sleep(ctx, longHolder); err != nil {
		return nil, err
	}
	second, err := holders(ctx, g.DB, g.request.Table)
	if err != nil {
		return nil, err
	}
	var long []Blocker
	for h, b := range second {
		if _, ok := first[h]; ok {
			long = append(long, b)
		}
	}
	return long, nil
}

// through runs act when nobody holds the table: statements that would begin to
// touch it are held in the proxy, those that have begun are let finish. act gets
// what is left of the bound. errTooSoon: the moment was too short.
func (g *gap) through(ctx context.Context, act func(ctx context.Context) error) (err error) {
	held := g.Door.Hold(g.names, holdBound)
	defer func() {
		n, longest := held.Release()
		event := CutOverTried{ID: g.status.ID, Locked: g.lockedFor, Held: n, Longest: longest, Err: err}
		g.Observe(event)
		g.log(ctx, "%s", event)
	}()
	drain, cancel := context.WithTimeout(ctx, drainBound)
	defer cancel()
	if err := held.Drained(drain); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: sessions were still using the table after %s", errTooSoon, drainBound)
	}
	return act(ctx)
}

// lockedBy runs a statement that waits for an exclusive lock on conn, and takes
// it back when it isn't granted in time: lock_wait_timeout counts whole
// seconds.
func (g *gap) lockedBy(ctx context.Context, statement string, bound time.Duration) error {
	killed := make(chan struct{})
	watchdog := time.AfterFunc(bound, func() { g.kill(ctx); close(killed) })
	_, err := g.lock.ExecContext(context.WithoutCancel(ctx), statement)
	if !watchdog.Stop() {
		<-killed
		if err == nil { // too late for this statement: let it hit a harmless one
			g.lock.ExecContext(ctx, "DO /* midflight */ 0")
		}
	}
	if mysqld.IsKilled(err) || mysqld.IsLockConflict(err) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: the exclusive lock was not granted in %s", errTooSoon, bound)
	}
	return err
}

func (g *gap) kill(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	g.DB.ExecContext(ctx, fmt.Sprintf("KILL /* midflight */ QUERY %d", g.id))
}

// inServer runs a change that needs no copy, in the gap.
func (r *run) inServer(ctx context.Context, p plan.Plan) ([]Warning, error) {
	algorithm, lock := "INSTANT", ""
	if p.Path != plan.Instant {
		algorithm, lock = "INPLACE", "NONE"
	}
	statement := text(r.request.Statement, r.request.Table, algorithm, lock)
	r.enter(ctx, CuttingOver)
	g, err := r.openGap(ctx, ddlSession(r.request.Settings))
	if err != nil {
		return nil, err
	}
	defer g.close()
	stop := context.AfterFunc(ctx, func() { g.kill(ctx) }) // KILL reaches a statement, a closed socket doesn't
	defer stop()
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		if err := r.awaitUnblocked(ctx, g); err != nil {
			return nil, err
		}
		err := g.through(ctx, func(ctx context.Context) error {
			if p.Path == plan.InPlace { // reads the table: no bound
				_, err := g.lock.ExecContext(context.WithoutCancel(ctx), statement)
				return err
			}
			return g.lockedBy(ctx, statement, lockBound)
		})
		if err == nil {
			r.swapped = true
			return showWarnings(ctx, g.lock)
		}
		if !errors.Is(err, errTooSoon) {
			return nil, err
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

func (r *run) awaitUnblocked(ctx context.Context, g *gap) error {
	for {
		if err := r.readControl(ctx); err != nil {
			return err
		}
		blockers, err := g.blocked(ctx)
		if err != nil {
			return err
		}
		r.waitingFor(ctx, describe(blockers))
		if len(blockers) == 0 {
			return nil
		}
		if err := sleep(ctx, lookAgain); err != nil {
			return err
		}
	}
}

// describe names who is waited for.
func describe(blockers []Blocker) string {
	if len(blockers) == 0 {
		return ""
	}
	var names []string
	for _, b := range blockers[:min(3, len(blockers))] {
		names = append(names, fmt.Sprintf("connection %d (%s@%s, %s)", b.Connection, b.User, b.Host, b.Age.Round(time.Second)))
	}
	if n := len(blockers) - len(names); n > 0 {
		names = append(names, fmt.Sprintf("%d more", n))
	}
	return strings.Join(names, ", ")
}

// A holder is one hold of one session: a later transaction of the same session
// is another.
type holder struct{ thread, event uint64 }

// holders lists who has a metadata lock on the table, on MySQL, and who lets no
// definition change (LOCK INSTANCE FOR BACKUP): DROP TRIGGER and RENAME would wait
// for him with the table locked. (The
// instrument wait/lock/metadata/sql/mdl is on by default since 8.0.)
func holders(ctx context.Context, db *sql.DB, t schema.Name) (map[holder]Blocker, error) {
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ l.owner_thread_id, l.owner_event_id, COALESCE(t.processlist_id, 0), COALESCE(t.processlist_user, 'a prepared XA transaction'), COALESCE(t.processlist_host, ''), COALESCE(TIMESTAMPDIFF(SECOND, x.trx_started, NOW()), t.processlist_time, 0)
FROM performance_schema.metadata_locks l
LEFT JOIN performance_schema.threads t ON t.thread_id = l.owner_thread_id
LEFT JOIN information_schema.innodb_trx x ON x.trx_mysql_thread_id = t.processlist_id
WHERE (l.object_type = 'TABLE' AND l.object_schema = ? AND l.object_name = ? OR l.object_type = 'BACKUP LOCK' AND l.lock_type = 'SHARED') AND l.lock_status = 'GRANTED' AND COALESCE(t.processlist_id, 0) <> CONNECTION_ID()`,
		t.Schema, t.Table)
	if err != nil {
		return nil, fmt.Errorf("ask who has %s locked: %w", t, err)
	}
	defer rows.Close()
	found := map[holder]Blocker{}
	for rows.Next() {
		var h holder
		var b Blocker
		var seconds int64
		if err := rows.Scan(&h.thread, &h.event, &b.Connection, &b.User, &b.Host, &seconds); err != nil {
			return nil, err
		}
		b.Age = time.Duration(seconds) * time.Second
		found[h] = b
	}
	return found, rows.Err()
}

// closure is the names whose mention may mean the table: its own, and those of
// the views, routines and triggers whose text has one of these names. By text,
// so rather too many: each costs a statement some milliseconds.
func closure(ctx context.Context, db *sql.DB, t schema.Name) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ table_name, COALESCE(view_definition, '') FROM information_schema.views WHERE table_schema NOT IN ('sys', 'mysql', 'midflight')
UNION ALL SELECT routine_name, COALESCE(routine_definition, '') FROM information_schema.routines WHERE routine_schema NOT IN ('sys', 'mysql', 'midflight')
UNION ALL SELECT event_object_table, COALESCE(action_statement, '') FROM information_schema.triggers WHERE trigger_schema NOT IN ('sys', 'mysql')`)
	if err != nil {
		return nil, fmt.Errorf("ask what reaches %s: %w", t, err)
	}
	defer rows.Close()
	texts := map[string]string{}
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		texts[name] += strings.ToLower(text) + "\n"
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return reaching(t.Table, texts), nil
}

func reaching(table string, texts map[string]string) []string {
	names := []string{table}
	for i := 0; i < len(names); i++ {
		for name, text := range texts {
			if strings.Contains(text, strings.ToLower(names[i])) {
				names = append(names, name)
				delete(texts, name)
			}
		}
	}
	return names
}
