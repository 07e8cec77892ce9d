package ghost

import (
	"context"
	"errors"
	"time"
)

// A client whose connection was lost, with its Midflight or without, sends its statement
// again. It is then answered by what has become of the first, whoever runs it: never is
// there a second copy. Somebody else who sends the same statement while the first is
// waited for gets what the server would give him: his turn after it.

// attach stands for a migration that is followed by way of the store.
func (q *Queue) attach(id int64, r Request) *Ticket {
	t := q.ticket(id, r)
	t.followed = true
	return t
}

// lookForProgress is how often a migration that another runs is looked at.
const lookForProgress = 100 * time.Millisecond

// follow waits for the end of a migration, whoever runs it.
func (q *Queue) follow(ctx context.Context, t *Ticket) Result {
	stop := context.AfterFunc(ctx, func() { t.cancel(context.Cause(ctx)) })
	defer stop()
	asked := false // to cancel
	for {
		bound, cancel := context.WithTimeout(ctx, 10*time.Second)
		if errors.Is(context.Cause(t.ctx), ErrCanceled) && !asked {
			asked = q.Store.Cancel(bound, t.ID) == nil
		}
		status, result, err := q.Store.Progress(bound, t.ID)
		cancel()
		switch {
		case err == nil && result != nil:
			return *result
		case err == nil:
			t.run.shown.Store(&status)
		}
		if sleep(ctx, lookForProgress) != nil {
			return Result{Err: &LeftError{t.ID}}
		}
	}
}
