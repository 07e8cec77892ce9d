package ghost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/mysqld"
	"midflight/schema"
)

// A Direct is a statement that a client's session sends to the server as it is, and
// that takes an exclusive lock on its tables: DROP TABLE, an ALTER that is forwarded.
type Direct struct {
	Session uint32 // connection id
	Tables  []schema.Name
	Trigger schema.Name // of DROP TRIGGER, which doesn't name its table
	// NoKill: a KILL could leave half of it done. Its session must be one that can be
	// made to wait for no lock.
	NoKill bool
}

// A Sender is the session.
type Sender interface {
	// Send sends the statement and answers the client. An error that only says that
	// the statement was killed is withheld if takenBack agrees: then it is to be sent
	// again. The same goes for one with NoKill that has waited for a lock for patience.
	Send(ctx context.Context, patience time.Duration, takenBack func() bool) (again bool, err error)
	// Wait lets the session be seen waiting, until done is closed.
	Wait(ctx context.Context, done <-chan struct{}, why func() string) error
	// Absorb has a KILL that came too late hit nothing of the client's.
	Absorb(ctx context.Context) error
}

// ErrLockWaitTimeout is what the server says when a statement has waited for its lock
// for as long as its session lets it.
var ErrLockWaitTimeout = &mysql.MySQLError{Number: mysqld.ErrLockWaitTimeout, SQLState: [5]byte{'H', 'Y', '0', '0', '0'}, Message: "Lock wait timeout exceeded; try restarting transaction"}

// A Passage tells how a Direct was sent.
type Passage struct {
	Attempts int
	Waited   time.Duration // until the last of them
	For      string        // whom; "" when nobody was seen
}

const (
	// atOnce is how long the first attempt may wait for its locks, with everybody
	// else behind it: the statements that are under way end in this time.
	atOnce = 10 * time.Millisecond
	// What has worked for longer is not taken back any more.
	tooOld = 10 * time.Second
	// Work that is lost when it is taken back; after maxLost times the statement waits
	// as it would without us.
	dearWork = time.Second
)

// Through has the session send its statement when nobody is in the way for long.
//
// It is sent at once: most often nobody is, and what the server says before it waits
// (privileges, names, the end of the session's transaction) comes in its own order.
// If it is seen to wait it is taken back, and from then on it goes like a swap: look
// who holds the tables, wait for them, hold those who would begin to, drain, send.
func (q *Queue) Through(ctx context.Context, d Direct, s Sender) (p Passage, err error) {
	began := time.Now()
	g := q.passing(d)
	lost := 0
	send := func(ctx context.Context, bound time.Duration) (err error) {
		p.Attempts++
		p.Waited = time.Since(began)
		sent := time.Now()
		switch {
		case d.NoKill && p.Attempts == 1:
			err = sendOnce(ctx, s, 0)
		case d.NoKill:
			err = g.sendBehindLock(ctx, s, bound)
		case lost == maxLost:
			_, err = s.Send(ctx, 0, never)
		default:
			err = g.sendGuarded(ctx, s, bound)
		}
		if took := time.Since(sent); err == nil {
			g.lockedFor = took
		} else if errors.Is(err, errTooSoon) && took > dearWork {
			lost++
		}
		return err
	}
	if err := send(ctx, atOnce); !errors.Is(err, errTooSoon) {
		p.Waited = 0
		return p, err
	}
	why := func() string { return g.shown.Load().WaitingFor }
	if err := during(ctx, s, why, func(ctx context.Context) error { return g.aim(ctx, d) }); err != nil {
		return p, err
	}
	for pause := q.Bounds.Pause; ; pause = min(2*pause, q.Bounds.maxPause()) {
		err := during(ctx, s, why, func(ctx context.Context) error {
			if err := g.awaitOthers(ctx, &p); err != nil {
				return err
			}
			return g.awaitLull(ctx, sleep)
		})
		if err != nil {
			return p, err
		}
		err = g.through(ctx, g.Bounds.Hold, func(ctx context.Context) error { return send(ctx, g.rest()/2) })
		if !errors.Is(err, errTooSoon) {
			return p, err
		}
		if err := during(ctx, s, why, func(ctx context.Context) error { return sleep(ctx, pause) }); err != nil {
			return p, err
		}
	}
}

// A passing is the gap of a Direct.
type passing struct {
	*gap                   // its lock session is the client's
	existing []schema.Name // of its tables, where it has NoKill
}

// passing is a gap of a migration that isn't one: nothing of it is recorded.
func (q *Queue) passing(d Direct) *passing {
	c := q.Config
	c.Store = unrecorded{}
	g := &passing{gap: &gap{run: &run{Config: c}, id: uint64(d.Session)}}
	g.shown.Store(&Status{})
	return g
}

type unrecorded struct{ Store }

// Admit: nobody takes such a statement over.
func (unrecorded) Admit(context.Context, *sql.Conn, int64) error { return nil }

func (unrecorded) Save(context.Context, Status) error      { return nil }
func (unrecorded) Log(context.Context, int64, Entry) error { return nil }

// aim finds out what to look at and whom to hold.
func (g *passing) aim(ctx context.Context, d Direct) (err error) {
	g.tables = slices.Clone(d.Tables)
	if d.Trigger.Table != "" {
		if g.tables, err = g.tableOf(ctx, d.Trigger); err != nil {
			return err
		}
	}
	if len(g.tables) == 0 {
		return nil
	}
	if d.NoKill {
		if g.existing, err = schema.Existing(ctx, g.DB, g.tables...); err != nil {
			return err
		}
	}
	if g.names, err = lockers(ctx, g.DB, g.Flavor, g.tables...); err != nil {
		return err
	}
	if g.plugin, err = tellsLocks(ctx, g.DB, g.Flavor); err != nil || g.Flavor.MariaDB {
		return err
	}
	g.tables, err = g.withRelated(ctx, g.tables)
	return err
}

func (g *passing) tableOf(ctx context.Context, trigger schema.Name) ([]schema.Name, error) {
	rows, err := g.DB.QueryContext(ctx, "SELECT /* midflight */ event_object_schema, event_object_table FROM information_schema.triggers WHERE trigger_schema = ? AND trigger_name = ?", trigger.Schema, trigger.Table)
	if err != nil {
		return nil, fmt.Errorf("ask for the table of trigger %s: %w", trigger, err)
	}
	defer rows.Close()
	var tables []schema.Name
	for rows.Next() {
		var t schema.Name
		if err := rows.Scan(&t.Schema, &t.Table); err != nil {
			return nil, err
		}
		tables = append(tables, t)
	}
	return tables, rows.Err()
}

// withRelated adds the other ends of foreign keys, whose definitions MySQL locks and
// changes too.
func (g *passing) withRelated(ctx context.Context, tables []schema.Name) ([]schema.Name, error) {
	keys, err := schema.ForeignKeys(ctx, g.DB, g.Flavor)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(tables)
	for _, k := range keys {
		if slices.Contains(tables, k.Child) && !slices.Contains(all, k.Parent) {
			all = append(all, k.Parent)
		}
		if slices.Contains(tables, k.Parent) && !slices.Contains(all, k.Child) {
			all = append(all, k.Child)
		}
	}
	return all, nil
}

// awaitOthers is awaitFree, but doesn't wait for our own sessions: a migration of the
// table copies chunk after chunk, and is ended by what the client wants to do.
func (g *passing) awaitOthers(ctx context.Context, p *Passage) error {
	for {
		blockers, err := g.blocked(ctx, sleep)
		if err != nil {
			return err
		}
		blockers = slices.DeleteFunc(blockers, func(b Blocker) bool {
			return b.Connection == g.id || b.User == g.Server.User && !g.Door.Carries(b.Connection)
		})
		for i := range blockers {
			blockers[i].Statement = "" // not the business of who waits, nor of the log
		}
		g.waitingFor(ctx, describe(blockers))
		if len(blockers) == 0 {
			return nil
		}
		if p.For == "" {
			p.For = describe(blockers)
		}
		if err := g.enforce(ctx, blockers); err != nil {
			return err
		}
		if err := sleep(ctx, lookAgain); err != nil {
			return err
		}
	}
}

// sendGuarded is an attempt that is taken back if it waits for a lock after bound.
func (g *passing) sendGuarded(ctx context.Context, s Sender, bound time.Duration) error {
	if err := g.openWatch(ctx); err != nil { // nobody can take it back
		return sendOnce(ctx, s, 0)
	}
	defer g.watch.Close()
	ended, killed := make(chan struct{}), make(chan bool, 1)
	go func() { killed <- g.guard(ctx, ended, bound) }()
	// The statement's end may be heard of before that of our KILL.
	takenBack := sync.OnceValue(func() bool { close(ended); return <-killed })
	old := time.AfterFunc(tooOld, func() { takenBack() })
	defer old.Stop()
	again, err := s.Send(ctx, 0, takenBack)
	late := takenBack() && !again
	switch {
	case again:
		return fmt.Errorf("%w: the exclusive lock was not granted in %s", errTooSoon, bound.Round(time.Millisecond))
	case late && err == nil:
		return s.Absorb(ctx)
	}
	return err
}

// openWatch takes a connection for one attempt: over the wait of hours an own one
// would be lost.
func (g *passing) openWatch(ctx context.Context) (err error) {
	g.watch, err = g.DB.Conn(ctx)
	return err
}

func never() bool { return false }

// sendOnce is an attempt of a statement that isn't killed.
func sendOnce(ctx context.Context, s Sender, patience time.Duration) error {
	again, err := s.Send(ctx, patience, never)
	if again {
		return fmt.Errorf("%w: the exclusive lock was not free", errTooSoon)
	}
	return err
}

// sendBehindLock sends a statement that isn't killed while we have its tables locked:
// it waits for us alone, and an exclusive lock goes before all others that wait. (It
// locks its tables one by one. One that somebody gets between is waited for for a
// second: MariaDB counts no less.)
func (g *passing) sendBehindLock(ctx context.Context, s Sender, bound time.Duration) error {
	if len(g.existing) == 0 {
		return sendOnce(ctx, s, 0)
	}
	if err := g.openWatch(ctx); err != nil {
		return err
	}
	defer g.watch.Close()
	l := &gap{run: g.run}
	defer l.close()
	if err := l.openLock(ctx, nil); err != nil {
		return err
	}
	tables := make([]string, len(g.existing))
	for i, t := range g.existing {
		tables[i] = t.Quoted() + " WRITE"
	}
	err := l.lockedBy(ctx, "LOCK /* midflight */ TABLES "+strings.Join(tables, ", "), bound)
	if mysqld.IsServerError(err) { // such as a view that is broken; the server's own error will say it
		return sendOnce(ctx, s, 0)
	}
	if err != nil {
		return err
	}
	sent, unlocked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(unlocked)
		g.awaitQueued(ctx, sent)
		l.lock.ExecContext(context.WithoutCancel(ctx), "UNLOCK /* midflight */ TABLES")
	}()
	err = sendOnce(ctx, s, time.Second)
	close(sent)
	<-unlocked
	return err
}

// awaitQueued waits until the session is seen waiting for a lock, or has ended; but
// not beyond the hold.
func (g *passing) awaitQueued(ctx context.Context, ended <-chan struct{}) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for g.rest() > 0 {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		if waits, err := g.waitsForLock(ctx); waits || err != nil {
			return
		}
	}
}

// during lets the session be seen waiting while f runs.
func during(ctx context.Context, s Sender, why func() string, f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	var err error
	go func() {
		defer close(done)
		err = f(ctx)
	}()
	waited := s.Wait(ctx, done, why)
	cancel()
	<-done
	if waited != nil {
		return waited
	}
	return err
}

// waiting tells from a session's state whether it waits for a lock that is somebody
// else's. (Not so "Waiting for semi-sync ACK": that comes when all is done.)
func waiting(state string) bool {
	return strings.HasPrefix(state, "Waiting for") && (strings.HasSuffix(state, " lock") || strings.HasSuffix(state, " flush"))
}
