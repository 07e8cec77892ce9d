package ghost

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"midflight/mysqld"
)

const (
	// A holder that is seen again after this time is no short transaction.
	longHolder = 15 * time.Millisecond
	// lookAgain is how often it is asked whether the blockers are gone.
	lookAgain = 20 * time.Millisecond
	// For so long a moment is looked for in which nobody uses the table.
	quietBound = 40 * time.Millisecond
)

// long is the age from which a transaction counts as one that won't end by itself
// while statements are held for it. On a busy server short ones take longer, so after
// some time of waiting older ones are taken for short; an attempt that was wrong about
// them costs half a hold.
func (g *gap) long() time.Duration {
	if g.blockedSince.IsZero() {
		return longHolder
	}
	switch waited := time.Since(g.blockedSince); {
	case waited < 250*time.Millisecond:
		return longHolder
	case waited < time.Second:
		return 4 * longHolder
	case waited < 4*time.Second:
		return 12 * longHolder
	}
	return 20 * longHolder
}

// longOf are those who have lasted, or whose connection has had a transaction that
// did: it will again.
func (g *gap) longOf(busy []Blocker) []Blocker {
	return slices.DeleteFunc(busy, func(b Blocker) bool {
		if b.Age > time.Second {
			if g.lasting == nil {
				g.lasting = map[uint64]bool{}
			}
			g.lasting[b.Connection] = true
		}
		return b.Age < g.long() && !g.lasting[b.Connection]
	})
}

// awaitFree waits, by pause, until nobody is seen who would keep the lock from us.
// It shows for whom it waits, and follows the operator's policy.
func (g *gap) awaitFree(ctx context.Context, pause func(context.Context, time.Duration) error) error {
	for {
		if err := g.readControl(ctx); err != nil {
			return err
		}
		blockers, err := g.blocked(ctx, pause)
		if err != nil {
			return err
		}
		g.shows(ctx, blockers)
		if len(blockers) == 0 {
			return nil
		}
		if err := g.enforce(ctx, blockers); err != nil {
			return err
		}
		if err := pause(ctx, lookAgain); err != nil {
			return err
		}
	}
}

// shows tells who is waited for, when that changes.
func (g *gap) shows(ctx context.Context, blockers []Blocker) {
	g.status.waiting = who(blockers)
	g.waitingFor(ctx, describe(blockers))
	same := slices.EqualFunc(blockers, g.waitedFor, func(a, b Blocker) bool { return a.Connection == b.Connection })
	if g.waitedFor = blockers; !same {
		g.Observe(Blocked{g.status.ID, g.request.Table, blockers})
	}
	g.recordBlockers(ctx, blockers)
}

// Of those who are waited for the history has each session once, if it is for more than a
// moment, and not hundreds where many come and go.
const (
	notedAge      = time.Second
	mostOfBlocked = 50
)

func (g *gap) recordBlockers(ctx context.Context, blockers []Blocker) {
	isNew := func(b Blocker) bool {
		return b.Age >= notedAge && !slices.Contains(g.noted, b.Connection)
	}
	fresh := slices.DeleteFunc(slices.Clone(blockers), func(b Blocker) bool { return !isNew(b) })
	if len(fresh) == 0 || len(g.noted) >= mostOfBlocked {
		return
	}
	for _, b := range fresh {
		g.noted = append(g.noted, b.Connection)
	}
	g.record(ctx, Entry{Kind: EntryBlocked, Text: "the cut-over waits for " + who(fresh)})
}

// enforce follows the policy for those who have blocked for too long.
func (g *gap) enforce(ctx context.Context, blockers []Blocker) error {
	if g.blockedSince.IsZero() {
		g.blockedSince = time.Now()
	}
	if time.Since(g.blockedSince) < g.Bounds.BlockedAfter {
		return nil
	}
	switch g.Bounds.Blocked {
	case Fail:
		return &BlockedError{fmt.Sprintf("Midflight waited %s for %s", g.Bounds.BlockedAfter, who(blockers))}
	case Kill:
		for _, b := range blockers {
			if b.Connection == 0 || b.System || b.Why == readsSnapshot || b.Age < g.Bounds.BlockedAfter {
				continue // nobody, or who has done nothing with the table, or not for long
			}
			_, err := g.DB.ExecContext(ctx, fmt.Sprintf("KILL /* midflight m%d */ CONNECTION %d", g.status.ID, b.Connection))
			if mysqld.Number(err) != mysqld.ErrNoSuchThread {
				g.Observe(BlockerKilled{b, err})
				g.record(ctx, Entry{Kind: EntryKill, Text: fmt.Sprintf("%s was ended after %s of waiting (error: %v)", b, g.Bounds.BlockedAfter, err)})
			}
		}
	}
	return nil
}

// blocked tells who holds the table, or an older state of it, for longer than a
// moment.
func (g *gap) blocked(ctx context.Context, pause func(context.Context, time.Duration) error) ([]Blocker, error) {
	if long := g.longOf(g.Door.Busy(g.names, longHolder)); len(long) > 0 {
		return long, nil
	}
	first, err := g.around(ctx)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	if err := pause(ctx, min(g.long(), 4*longHolder)); err != nil {
		return nil, err
	}
	second, err := g.around(ctx)
	if err != nil {
		return nil, err
	}
	var long []Blocker
	for h, b := range second {
		if _, ok := first[h]; ok {
			long = append(long, b)
		}
	}
	return eachOnce(long), nil
}

// eachOnce has each session once, by its lock where it has one (who only reads from a
// snapshot is not killed), the oldest first.
func eachOnce(list []Blocker) []Blocker {
	reads := func(b Blocker) int {
		if b.Why == readsSnapshot {
			return 1
		}
		return 0
	}
	slices.SortFunc(list, func(a, b Blocker) int {
		return cmp.Or(cmp.Compare(a.Connection, b.Connection), reads(a)-reads(b), cmp.Compare(b.Age, a.Age))
	})
	list = slices.CompactFunc(list, func(a, b Blocker) bool { return a.Connection == b.Connection && a.Connection != 0 })
	slices.SortStableFunc(list, func(a, b Blocker) int { return cmp.Compare(b.Age, a.Age) })
	return list
}

// A holder is one hold of one session: a later transaction of the same session
// is another.
type holder struct {
	connection uint64
	which      string
}

// around lists whom the server shows to have the table locked, and who reads from a
// snapshot and isn't carried by the proxy.
func (g *gap) around(ctx context.Context) (map[holder]Blocker, error) {
	found := map[holder]Blocker{}
	if g.copied {
		views, err := snapshots(ctx, g.DB, g.Flavor)
		if err != nil {
			return nil, err
		}
		for v, b := range views {
			if !g.Door.Carries(v.connection) {
				found[holder{v.connection, "view " + v.which}] = b
			}
		}
	}
	locks, err := g.holders(ctx)
	maps.Copy(found, locks)
	// Our own workers are done before an attempt.
	maps.DeleteFunc(found, func(_ holder, b Blocker) bool {
		return b.User == g.Server.User && strings.Contains(b.Statement, "/* midflight ")
	})
	return found, err
}

// holders lists who has a metadata lock on one of the tables, and who lets nobody
// change anything: FLUSH TABLES WITH READ LOCK, or (on MySQL: DROP TRIGGER and RENAME would wait
// for him with the table locked) LOCK INSTANCE FOR BACKUP. MariaDB tells by a plugin
// that few have: without it, who goes around the proxy is met by the bound on the lock.
func (g *gap) holders(ctx context.Context) (map[holder]Blocker, error) {
	if !g.plugin {
		return nil, nil
	}
	query := holdersMySQL
	if g.Flavor.MariaDB {
		query = holdersMariaDB
	}
	tables := make([]string, len(g.tables))
	var args []any
	for i, t := range g.tables {
		tables[i] = "l.object_schema = ? AND l.object_name = ?"
		if g.Flavor.MariaDB {
			tables[i] = "l.table_schema = ? AND l.table_name = ?"
		}
		args = append(args, t.Schema, t.Table)
	}
	rows, err := g.DB.QueryContext(ctx, fmt.Sprintf(query, strings.Join(tables, " OR ")), args...)
	if err != nil {
		return nil, fmt.Errorf("ask who has %s locked: %w", g.tables[0], err)
	}
	defer rows.Close()
	found := map[holder]Blocker{}
	for rows.Next() {
		var h holder
		var b Blocker
		var user sql.NullString
		var age float64
		if err := rows.Scan(&b.Connection, &h.which, &b.Why, &user, &b.Host, &age, &b.Statement); err != nil {
			return nil, err
		}
		b.Age, b.User = time.Duration(age), user.String
		if h.connection = b.Connection; b.Age < time.Second && g.Door.Carries(b.Connection) {
			continue // the proxy knows it better, but for what its routines do
		}
		if b.System = !user.Valid || b.User == "system user"; b.Connection == 0 {
			b.User = "a prepared XA transaction"
		}
		found[h] = b
	}
	return found, rows.Err()
}

// The instrument wait/lock/metadata/sql/mdl is on by default since 8.0. A lock of no
// thread is that of an XA transaction that was prepared, and its session ended. InnoDB's
// own threads (statistics) have theirs for moments, always by the same event.
const holdersMySQL = `SELECT /* midflight */ COALESCE(t.processlist_id, 0), CONCAT(l.owner_thread_id, ' ', l.owner_event_id),
CASE WHEN l.object_type IN ('GLOBAL', 'COMMIT') THEN 'FLUSH TABLES WITH READ LOCK' WHEN l.object_type = 'BACKUP LOCK' THEN 'LOCK INSTANCE FOR BACKUP' WHEN l.lock_type LIKE 'SHARED\_NO\_%%' OR l.lock_type = 'SHARED_READ_ONLY' THEN 'LOCK TABLES' ELSE '' END,
t.processlist_user, COALESCE(t.processlist_host, ''), COALESCE(e.timer_wait DIV 1000, t.processlist_time * 1000000000, 0), COALESCE(LEFT(s.sql_text, 1000), '')
FROM performance_schema.metadata_locks l
LEFT JOIN performance_schema.threads t ON t.thread_id = l.owner_thread_id
LEFT JOIN performance_schema.events_transactions_current e ON e.thread_id = l.owner_thread_id AND e.state = 'ACTIVE'
LEFT JOIN performance_schema.events_statements_current s ON s.thread_id = l.owner_thread_id AND s.nesting_event_level = 0
WHERE (l.object_type = 'TABLE' AND (%s) OR l.object_type IN ('GLOBAL', 'COMMIT', 'BACKUP LOCK') AND l.lock_type = 'SHARED') AND l.lock_status = 'GRANTED' AND (t.thread_id IS NULL OR t.processlist_id <> CONNECTION_ID())`

// The plugin shows no transaction, so two holds are one if the session has begun no
// statement between.
const holdersMariaDB = `SELECT /* midflight */ p.id, CONCAT(p.query_id, ' ', l.lock_mode),
CASE WHEN l.lock_mode LIKE 'MDL\_BACKUP%%' THEN 'FLUSH TABLES WITH READ LOCK' WHEN l.lock_mode LIKE 'MDL\_SHARED\_NO\_%%' OR l.lock_mode = 'MDL_SHARED_READ_ONLY' THEN 'LOCK TABLES' ELSE '' END,
p.user, p.host, p.time_ms * 1000000, COALESCE(LEFT(p.info, 1000), '')
FROM information_schema.metadata_lock_info l JOIN information_schema.processlist p ON p.id = l.thread_id
WHERE (l.lock_type = 'Table metadata lock' AND (%s) OR l.lock_mode LIKE 'MDL\_BACKUP\_FTWRL%%') AND p.id <> CONNECTION_ID()`

// tellsLocks: the server shows who has metadata locks.
func tellsLocks(ctx context.Context, db *sql.DB, f mysqld.Flavor) (bool, error) {
	if !f.MariaDB {
		return true, nil
	}
	var n int
	err := db.QueryRowContext(ctx, "SELECT /* midflight */ COUNT(*) FROM information_schema.plugins WHERE plugin_name = 'METADATA_LOCK_INFO' AND plugin_status = 'ACTIVE'").Scan(&n)
	return n > 0, wrap(err, "ask whether the server shows metadata locks")
}

// awaitLull waits for the first moment in which as few sessions use the table as
// at any time in the beginning, a moment without one if there is such, but not long.
func (g *gap) awaitLull(ctx context.Context, pause func(context.Context, time.Duration) error) error {
	began, fewest := time.Now(), -1
	for {
		n := len(g.Door.Busy(g.names, 0))
		lasted := time.Since(began)
		if n == 0 || lasted > quietBound || lasted > quietBound/3 && n <= fewest {
			return nil
		}
		if fewest < 0 || n < fewest {
			fewest = n
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// describe names who is waited for.
func describe(blockers []Blocker) string {
	var names []string
	for _, b := range blockers[:min(3, len(blockers))] {
		names = append(names, b.String())
	}
	if n := len(blockers) - len(names); n > 0 {
		names = append(names, fmt.Sprintf("%d more", n))
	}
	return strings.Join(names, ", ")
}

// who is describe for everybody: what others run may have values in it.
func who(blockers []Blocker) string {
	list := slices.Clone(blockers)
	for i := range list {
		list[i].Statement = ""
	}
	return describe(list)
}

// String is a line for people: who, for how long, and what it last ran.
func (b Blocker) String() string {
	if b.Connection == 0 {
		return b.User
	}
	s := fmt.Sprintf("connection %d (%s@%s, %s", b.Connection, b.User, b.Host, b.Age.Round(time.Second))
	if b.Why != "" {
		s += ", " + b.Why
	}
	if b.Statement != "" {
		s += ": " + b.Ran(100)
	}
	return s + ")"
}

// Ran is the latest statement as it may be shown to operators, n bytes at most.
func (b Blocker) Ran(n int) string { return shorten(withoutPassword(b.Statement), n) }

// password is what a password may follow.
var password = regexp.MustCompile(`(?i)\b(identified|password|old_password|auth_string|source_password|master_password)\b`)

// withoutPassword is a statement up to there: MariaDB and the proxy have it as it was sent.
func withoutPassword(statement string) string {
	if at := password.FindStringIndex(statement); at != nil {
		return statement[:at[1]] + " …"
	}
	return statement
}

// shorten puts a statement on one line of at most n bytes.
func shorten(statement string, n int) string {
	line := strings.Join(strings.Fields(strings.ToValidUTF8(statement, "?")), " ")
	if len(line) <= n {
		return line
	}
	return strings.ToValidUTF8(line[:n], "") + " …"
}
