package intercept

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"midflight/ghost"
	"midflight/mysqld"
	"midflight/parser"
	"midflight/proxy"
	"midflight/proxy/wire"
)

// directly are the reasons of statements that are never the engine's.
var directly = map[parser.Kind]string{
	parser.DropTable:     "it drops tables",
	parser.TruncateTable: "it truncates the table",
	parser.RenameTables:  "it renames tables",
	parser.CreateTrigger: "it creates a trigger",
	parser.DropTrigger:   "it drops a trigger",
}

// forward lets the server run the statement as it is, when nobody is in its way for
// long.
func (i *Interceptor) forward(ctx context.Context, c *proxy.Conn, q facts, s parser.Statement, more bool, why handed) (ok bool, err error) {
	f := &forwarding{i: i, c: c, facts: q, text: s.Text, more: more, began: time.Now()}
	direct, bounded := q.direct(s, c.TableLocks())
	direct.Session = c.ID()
	// A KILL could leave MariaDB with some of the tables dropped or renamed.
	if direct.NoKill = bounded && i.Flavor.MariaDB && len(s.Tables) > 1; direct.NoKill {
		bounded, err = f.beRefused(ctx)
		if err != nil {
			return false, err
		}
	}
	answered := i.came(ctx, c, q, s, why)
	defer func() { answered(ctx, f.failed, err) }()
	if !bounded {
		i.Observe(Forwarded{Connection: c.ID(), Reason: why.reason})
		_, err := f.Send(ctx, 0, func() bool { return false })
		if errors.Is(err, ghost.ErrCanceled) {
			return i.refuse(ctx, c, q, err)
		}
		return f.failed == nil, err
	}
	passage, err := i.Queue.Through(ctx, direct, f)
	i.Observe(Forwarded{c.ID(), why.reason, passage.Attempts, passage.Waited, passage.For})
	if err == nil {
		return f.failed == nil, nil
	}
	if f.answered || errors.Is(err, errClientGone) {
		return false, err
	}
	told := ghost.ErrorFor(err)
	f.failed = &wire.Err{Number: told.Number, State: told.State, Message: told.Message}
	return i.refuse(ctx, c, q, err)
}

// direct is the engine's view of a statement; bounded is false where the server shall
// run it at once.
func (q facts) direct(s parser.Statement, locks bool) (d ghost.Direct, bounded bool) {
	names := slices.Clone(s.Tables)
	for _, a := range s.Actions {
		if a.Target != (parser.Name{}) {
			names = append(names, a.Target)
		}
	}
	for _, n := range names {
		d.Tables = append(d.Tables, q.full(n))
	}
	if s.Kind == parser.DropTrigger {
		d.Trigger = q.full(s.Trigger)
		names = append(names, s.Trigger)
	}
	switch {
	case locks: // it has the tables already, or will be told so
	case s.Wait, s.SetStatement && slices.ContainsFunc(s.Words(), func(w parser.Word) bool { return w.Text == "LOCK_WAIT_TIMEOUT" }): // bounds itself
	case s.Kind == parser.OptimizeTable: // answers with rows, table by table
	case slices.ContainsFunc(names, func(n parser.Name) bool {
		t := q.full(n)
		return t.Schema == "" || system[strings.ToLower(t.Schema)] || !q.readable(n.Schema+n.Table)
	}):
	default:
		return d, true
	}
	return ghost.Direct{}, false
}

// forwarding is one statement on its way to the server (ghost.Sender).
type forwarding struct {
	i     *Interceptor
	c     *proxy.Conn
	facts facts
	text  string
	more  bool

	began time.Time
	limit time.Duration // the session's lock_wait_timeout; 0: not asked for yet
	// noWait: the server is made to refuse the statement where it would have to wait.
	noWait   bool
	answered bool
	failed   *wire.Err // what the client was told
}

// quick is the time in which a refusal comes that is about a wait of none. InnoDB's
// lock waits end with the same number.
const quick = 500 * time.Millisecond

// beRefused prepares for a session that doesn't wait, on MariaDB, where
// lock_wait_timeout may be 0. false: it is so already, or can't be.
func (f *forwarding) beRefused(ctx context.Context) (bool, error) {
	err := f.askLimit(ctx)
	if asServer(err) != nil {
		return false, nil
	}
	f.noWait = err == nil && f.limit > 0
	return f.noWait, err
}

func (f *forwarding) askLimit(ctx context.Context) error {
	r, err := f.c.Query(ctx, "SELECT /* midflight */ @@SESSION.lock_wait_timeout LIMIT 1")
	if err != nil {
		return err
	}
	if len(r.Rows) != 1 {
		return fmt.Errorf("ask the session for lock_wait_timeout: %d rows", len(r.Rows))
	}
	seconds, err := strconv.Atoi(r.Rows[0][0].String)
	f.limit = time.Duration(seconds) * time.Second
	return err
}

func (f *forwarding) Send(ctx context.Context, patience time.Duration, takenBack func() bool) (again bool, err error) {
	if killed(f.c) {
		return false, ghost.ErrCanceled
	}
	if f.noWait {
		if err := f.waitFor(ctx, patience); err != nil {
			return false, err
		}
	}
	if err := foundAsBefore(ctx, f.c, f.facts.found); err != nil {
		return false, err
	}
	sent := time.Now()
	f.failed, again, err = f.c.RelayUnless(ctx, f.text, f.more, func(e *wire.Err) bool {
		switch e.Number {
		case mysqld.ErrLockWaitTimeout:
			return f.noWait && time.Since(sent) < patience+quick
		case mysqld.ErrQueryInterrupted:
			return !f.noWait && takenBack()
		}
		return false
	})
	f.answered = err != nil || !again
	if f.noWait && err == nil {
		err = f.waitFor(ctx, f.limit)
		if err == nil && f.failed != nil {
			_, err = f.c.Query(ctx, asAfterError(f.facts.found))
		}
	}
	return again, err
}

// asAfterError makes ROW_COUNT() -1 again, and FOUND_ROWS() what it is, on MariaDB,
// where SHOW WARNINGS stays as it was as long as no statement has a table in it.
func asAfterError(found int) string {
	if found == 0 {
		return "SELECT /* midflight */ 1 FROM DUAL WHERE FALSE"
	}
	return "SELECT /* midflight */ 1" + strings.Repeat(" UNION ALL SELECT 1", min(found, 100)-1)
}

// waitFor sets for how long the session waits for locks on tables.
func (f *forwarding) waitFor(ctx context.Context, d time.Duration) error {
	_, err := f.c.Query(ctx, fmt.Sprintf("SET /* midflight */ SESSION lock_wait_timeout = %d", int(d.Seconds())))
	return err
}

// The slices are a compromise: a moment without others passes soon, and a KILL QUERY
// that comes directly to the server, between two slices, is lost.
const (
	minForwardSlice = 20 * time.Millisecond
	maxForwardSlice = 250 * time.Millisecond
)

func (f *forwarding) Wait(ctx context.Context, done <-chan struct{}, why func() string) error {
	if f.limit == 0 {
		if err := f.askLimit(ctx); err != nil {
			return err
		}
	}
	for {
		select {
		case <-done:
			return nil
		default:
		}
		if killed(f.c) {
			return ghost.ErrCanceled
		}
		waited := time.Since(f.began)
		if waited >= f.limit {
			return ghost.ErrLockWaitTimeout
		}
		text := "midflight: waiting for a moment in which nobody uses the table"
		if whom := why(); whom != "" {
			text = "midflight: waiting for " + whom
		}
		slice := min(max(waited/perWait, minForwardSlice), maxForwardSlice)
		r, err := f.c.Query(ctx, f.i.sleep(text, slice))
		if err != nil {
			return err
		}
		if !slept(r) {
			return ghost.ErrCanceled
		}
		if f.c.ClientGone() {
			return errClientGone
		}
	}
}

func (f *forwarding) Absorb(ctx context.Context) error { return changedNothing(ctx, f.c) }
