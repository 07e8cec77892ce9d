package ghost

import (
	"cmp"
	"slices"
	"sync"
)

// ours are the migrations that this process runs, or has in line.
type ours struct {
	mu   sync.Mutex // guards runs
	runs map[int64]*run
}

func (o *ours) add(r *run) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.runs == nil {
		o.runs = map[int64]*run{}
	}
	o.runs[r.id()] = r
}

func (o *ours) remove(r *run) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.runs, r.id())
}

// id is read where the status is another goroutine's.
func (r *run) id() int64 { return r.shown.Load().ID }

// Running are the migrations that this process runs, or has in line, as they were last
// published, by their ids. It waits for nobody.
func (q *Queue) Running() []Status {
	q.ours.mu.Lock()
	defer q.ours.mu.Unlock()
	var list []Status
	for _, r := range q.ours.runs {
		list = append(list, r.asOfNow())
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// asOfNow is what was published last, and how the stream is now: who publishes may be waiting
// for the server.
func (r *run) asOfNow() Status {
	s := *r.shown.Load()
	s.Behind = -1
	if stream := r.stream.Load(); stream != nil {
		s.Behind, s.Streaming = stream.Behind()
	}
	return s
}
