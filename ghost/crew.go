package ghost

import "database/sql"

// A crew is the workers of one kind. The owner takes one for a job and puts it back
// when the job is done.
type crew struct {
	db   *sql.DB
	init []string
	idle []*worker
	all  []*worker
}

func newCrew(db *sql.DB, init []string) *crew { return &crew{db: db, init: init} }

func (c *crew) take() *worker {
	if n := len(c.idle); n > 0 {
		w := c.idle[n-1]
		c.idle = c.idle[:n-1]
		return w
	}
	w := &worker{db: c.db, init: c.init}
	c.all = append(c.all, w)
	return w
}

func (c *crew) put(w *worker) { c.idle = append(c.idle, w) }

// close is to be called when none is busy any more.
func (c *crew) close() {
	for _, w := range c.all {
		w.close()
	}
}
