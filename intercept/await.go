package intercept

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"midflight/ghost"
	"midflight/mysqld"
	"midflight/proxy"
)

// errClientGone ends a session whose client has left. The migration goes on.
var errClientGone = errors.New("the client left while its schema change ran")

// The session's connection sleeps in slices, so that it is seen in SHOW
// PROCESSLIST with the progress and can be killed like a native ALTER. A slice
// is a small part of the time that has passed: the end is noticed soon.
const (
	minSlice = 5 * time.Millisecond
	maxSlice = time.Second
	perWait  = 25
)

// await waits for a migration's end. KILL, of the query or the connection,
// cancels it.
func (i *Interceptor) await(ctx context.Context, c *proxy.Conn, t *ghost.Ticket) (ghost.Result, error) {
	began := time.Now()
	for {
		select {
		case <-t.Done():
			return t.Result(), nil
		default:
		}
		if killed(c) {
			return canceled(ctx, t)
		}
		slice := min(max(time.Since(began)/perWait, minSlice), maxSlice)
		r, err := c.Query(ctx, i.wait(t.Status(), slice))
		switch {
		case errors.Is(err, proxy.ErrServerGone):
			if killed(c) || i.Queue.WasKilled(ctx, uint64(c.ID()), time.Since(began)) {
				t.Cancel("the connection that waited for it was killed")
			} else {
				t.ClientGone()
			}
			return ghost.Result{}, err
		case asServer(err) != nil, err == nil && !slept(r):
			return canceled(ctx, t)
		case err != nil:
			t.ClientGone()
			return ghost.Result{}, err
		}
		if c.ClientGone() {
			t.ClientGone()
			return ghost.Result{}, errClientGone
		}
	}
}

// canceled cancels a migration and waits for its end.
func canceled(ctx context.Context, t *ghost.Ticket) (ghost.Result, error) {
	t.Cancel("KILL or Ctrl-C of the session that waited for it")
	if t.Status().Phase == ghost.Queued {
		// It will not run. That is recorded when its turn comes, for
		// which the client need not wait.
		return ghost.Result{Err: ghost.ErrCanceled}, nil
	}
	select {
	case <-t.Done():
		return t.Result(), nil // it may have been too late
	case <-time.After(time.Minute):
		return ghost.Result{Err: ghost.ErrCanceled}, nil
	case <-ctx.Done():
		return ghost.Result{}, context.Cause(ctx)
	}
}

// killed tells of a KILL that came through this Midflight. One that came to the server
// directly ends the statement that the session runs; it is lost if it comes between two.
func killed(c *proxy.Conn) bool {
	select {
	case <-c.Killed():
		return true
	default:
		return false
	}
}

// interrupted tells that a KILL QUERY has ended a statement of ours: it was meant for the
// client's.
func interrupted(err error) bool {
	e := asServer(err)
	return e != nil && e.Number == mysqld.ErrQueryInterrupted
}

// wait is the statement that the session's connection is seen to run.
func (i *Interceptor) wait(s ghost.Status, d time.Duration) string {
	return i.sleep(s.String(), d)
}

func (i *Interceptor) sleep(progress string, d time.Duration) string {
	hint := ""
	if !i.Flavor.MariaDB { // a limit on SELECTs is none on ALTER; on MariaDB it is one on both
		hint = "/*+ MAX_EXECUTION_TIME(0) */ "
	}
	progress = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, progress)
	return fmt.Sprintf("/* %s */ SELECT %sSLEEP(%.3f) LIMIT 1", mysqld.CommentText(progress), hint, d.Seconds())
}

// slept tells from the answer of sleep whether it was broken off: SLEEP gives 1 when it is killed.
func slept(r *proxy.Result) bool { return len(r.Rows) == 1 && r.Rows[0][0].String == "0" }
