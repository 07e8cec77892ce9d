package ghost

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// clients knows whose clients have left while their migrations run. The record says so too,
// for whoever gets the same statement again (attach.go); while the server is away it is
// owed.
type clients struct {
	mu   sync.Mutex // guards owed
	owed map[int64]bool
}

// ClientGone tells that nobody waits for the answer any more. Who sends the same statement
// again does (Attach).
func (t *Ticket) ClientGone() {
	t.clientGone.Store(true)
	t.queue.owe(t.ID)
	bound, cancel := context.WithTimeout(context.Background(), clientWaits)
	defer cancel()
	t.queue.payOwed(bound) // else it is done in a second
}

// clientWaits is how long the end of a session may be held up by a server that is away.
const clientWaits = time.Second

func (q *Queue) owe(id int64) {
	q.clients.mu.Lock()
	defer q.clients.mu.Unlock()
	if q.clients.owed == nil {
		q.clients.owed = map[int64]bool{}
	}
	q.clients.owed[id] = true
}

// payOwed records which clients have left.
func (q *Queue) payOwed(ctx context.Context) error {
	q.clients.mu.Lock()
	var ids []int64
	for id := range q.clients.owed {
		ids = append(ids, id)
	}
	q.clients.mu.Unlock()
	for _, id := range ids {
		if err := q.Store.ClientGone(ctx, id); err != nil {
			return fmt.Errorf("record that the client of m%d has left: %w", id, err)
		}
		q.clients.mu.Lock()
		delete(q.clients.owed, id)
		q.clients.mu.Unlock()
	}
	return nil
}

// clientWaitsHere records, when another has taken the migration over, that its client still
// waits by way of this Midflight, if it does.
func (q *Queue) clientWaitsHere(ctx context.Context, t *Ticket) {
	if !t.waited || t.clientGone.Load() {
		return
	}
	q.Store.ClientWaits(ctx, t.ID)
	if t.clientGone.Load() { // meanwhile
		q.owe(t.ID)
	}
}
