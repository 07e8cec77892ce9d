package ghost

// A crew is the workers of one kind. The owner takes one for a job and puts it back
// when the job is done.
type crew struct {
	make func() *worker
	idle []*worker
	all  []*worker
}

func newCrew(make func(init ...string) *worker, init []string) *crew {
	return &crew{make: func() *worker { return make(init...) }}
}

func (c *crew) take() *worker {
	if n := len(c.idle); n > 0 {
		w := c.idle[n-1]
		c.idle = c.idle[:n-1]
		return w
	}
	w := c.make()
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
