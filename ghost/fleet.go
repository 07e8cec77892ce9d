package ghost

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Several Midflights stand in front of one server, and an application may come through
// any. For a swap all hold the statements that would queue behind its lock. Who swaps
// rings a bell: the others wait for a lock by name that he gives up for a moment, so
// nobody polls. Who gets it holds, and gives it up in turn; when it has come back, all
// who were waiting for it hold. They open when he gives up another lock, by his death
// too, or by their own clocks.
//
// That is for comfort, as every hold is: one who does not answer in time is not held.

// bellBound is how long the others are waited for.
const bellBound = 50 * time.Millisecond

// listenBound is how long they are waited for until they have found out that there will
// be a swap.
const listenBound = 2 * lookForOthers

// lookForOthers is how often it is asked whether others are about to swap.
const lookForOthers = 200 * time.Millisecond

func bellName(id int64) string { return fmt.Sprintf("midflight.bell.%d", id) }
func doneName(id int64) string { return fmt.Sprintf("midflight.done.%d", id) }

// A bell belongs to a gap.
type bell struct {
	run  *run
	conn *sql.Conn // has the lock by the bell's name; nil: to be opened
}

// openBell is nil where no other Midflight is.
func (r *run) openBell(ctx context.Context) (*bell, error) {
	peers, _, err := r.Store.Peers(ctx, r.status.ID)
	if err != nil || peers == 0 {
		return nil, err
	}
	b := &bell{run: r}
	if err := b.open(ctx); err != nil {
		return nil, err
	}
	for until := time.Now().Add(listenBound); time.Now().Before(until); {
		peers, listening, err := r.Store.Peers(ctx, r.status.ID)
		if err != nil || listening >= peers {
			break
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			b.close()
			return nil, err
		}
	}
	return b, nil
}

func (b *bell) open(ctx context.Context) error {
	conn, err := b.run.DB.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect to other Midflights: %w", err)
	}
	_, err = conn.ExecContext(ctx, "SET /* midflight */ SESSION wait_timeout = 86400")
	if err == nil {
		_, err = conn.ExecContext(ctx, "DO /* midflight */ GET_LOCK(?, 1)", bellName(b.run.status.ID))
	}
	if err != nil {
		discard(conn)
		return fmt.Errorf("prepare to call other Midflights: %w", err)
	}
	b.conn = conn
	return nil
}

// ring has the others hold, for bound at most, and returns when they do.
func (b *bell) ring(ctx context.Context, names []string, bound time.Duration) {
	if b == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, bellBound)
	defer cancel()
	err := error(nil)
	if b.conn == nil {
		err = b.open(ctx)
	}
	if err == nil {
		err = b.run.Store.Call(ctx, b.run.status.ID, names, bound+bellBound)
	}
	if err == nil {
		_, err = b.conn.ExecContext(ctx, "DO /* midflight */ GET_LOCK(?, 0), RELEASE_LOCK(?), GET_LOCK(?, 1)", doneName(b.run.status.ID), bellName(b.run.status.ID), bellName(b.run.status.ID))
	}
	if err != nil { // without them, then
		b.close()
	}
}

// done lets the others open.
func (b *bell) done(ctx context.Context) {
	if b == nil || b.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bellBound)
	defer cancel()
	if _, err := b.conn.ExecContext(ctx, "DO /* midflight */ RELEASE_LOCK(?)", doneName(b.run.status.ID)); err != nil {
		b.close()
	}
}

func (b *bell) close() {
	if b != nil && b.conn != nil {
		discard(b.conn)
		b.conn = nil
	}
}

// listenToOthers holds for the swaps of others, until ctx ends.
func (q *Queue) listenToOthers(ctx context.Context) {
	var listening sync.WaitGroup
	defer listening.Wait()
	ended, to := make(chan int64), map[int64]bool{}
	tick := time.NewTicker(lookForOthers)
	defer tick.Stop()
	for {
		select {
		case id := <-ended:
			delete(to, id)
		case <-tick.C:
			ids, err := q.Store.OthersSwap(ctx)
			if err != nil {
				continue
			}
			for _, id := range ids {
				if to[id] {
					continue
				}
				to[id] = true
				listening.Add(1)
				go func() {
					defer listening.Done()
					q.listenTo(ctx, id)
					select {
					case ended <- id:
					case <-ctx.Done():
					}
				}()
			}
		case <-ctx.Done():
			return
		}
	}
}

// listenTo holds for one migration of another's, until that is about to swap no more, or
// something fails; then the next look begins anew.
func (q *Queue) listenTo(ctx context.Context, id int64) {
	conn, err := q.DB.Conn(ctx)
	if err != nil {
		return
	}
	defer discard(conn)
	if _, err := conn.ExecContext(ctx, "SET /* midflight */ SESSION wait_timeout = 60"); err != nil {
		return
	}
	if err := q.Store.Listen(ctx, id); err != nil {
		return
	}
	last := int64(0)
	for ctx.Err() == nil {
		var got sql.NullBool
		if err := conn.QueryRowContext(ctx, "SELECT /* midflight */ GET_LOCK(?, 2)", bellName(id)).Scan(&got); err != nil {
			return
		}
		if !got.Bool {
			if !q.swaps(ctx, id) {
				return
			}
			continue
		}
		call, err := q.Store.Called(ctx, id, last)
		if err != nil {
			return
		}
		var held Held
		if call.ID > 0 {
			last, held = call.ID, q.Door.Hold(call.Names, call.Bound)
		}
		_, err = conn.ExecContext(ctx, "DO /* midflight */ RELEASE_LOCK(?)", bellName(id))
		if held == nil { // nobody has rung: whoever had the bell has swapped, has gone, or is about to take it
			if err != nil || !q.swaps(ctx, id) || sleep(ctx, 50*time.Millisecond) != nil {
				return
			}
			continue
		}
		if err == nil {
			_, err = conn.ExecContext(ctx, "DO /* midflight */ GET_LOCK(?, 1), RELEASE_LOCK(?)", doneName(id), doneName(id))
		}
		n, longest := held.Release()
		q.Observe(HeldForOther{id, n, longest})
		if err != nil {
			return
		}
	}
}

// swaps tells whether another is still about to swap for that migration.
func (q *Queue) swaps(ctx context.Context, id int64) bool {
	ids, err := q.Store.OthersSwap(ctx)
	return err == nil && slices.Contains(ids, id)
}
