package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	connecting = 64               // connections that are opened, or asked, at a time
	idleFor    = 10 * time.Second // before memory is read
)

// An idleResult is how a target carries connections that do nothing.
type idleResult struct {
	Target      string        `json:"target"`
	Connections int           `json:"connections"`
	Before      int           `json:"resident_kib_before"`
	Open        int           `json:"resident_kib_open"` // when the last one is
	Idle        int           `json:"resident_kib_idle"` // some seconds later
	CPU         time.Duration `json:"cpu_while_idle_ns"`
	Answered    int           `json:"answered"`
	Failure     string        `json:"failure,omitempty"` // the first one's
}

// each is the resident memory per connection, in KiB.
func (r idleResult) each() float64 { return float64(r.Idle-r.Before) / float64(r.Connections) }

// idle measures HAProxy and the builds of Midflight, each in a new process.
func (b *bench) idle(ctx context.Context, specs []spec, connections int, say func(string, ...any)) ([]idleResult, error) {
	var all []idleResult
	for _, s := range specs {
		if s.name == direct || s.name == haproxy2 || strings.HasPrefix(s.name, "router") {
			continue
		}
		say("%d idle connections, %s", connections, s.name)
		t, err := s.start(ctx, b)
		if err != nil {
			return nil, err
		}
		r, err := idleOn(ctx, t, connections)
		if err := errors.Join(err, t.stop()); err != nil {
			return nil, fmt.Errorf("measure idle connections of %s: %w", t.name, err)
		}
		all = append(all, r)
		if err := b.awaitGone(ctx); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func idleOn(ctx context.Context, t *target, connections int) (r idleResult, err error) {
	r = idleResult{Target: t.name, Connections: connections}
	if r.Before, err = resident(t.pid); err != nil {
		return r, err
	}
	clients := make([]*client, connections)
	defer func() {
		for _, c := range clients {
			if c != nil {
				c.close()
			}
		}
	}()
	if err := forEach(clients, func(i int) (err error) {
		clients[i], err = connect(ctx, t.addr, 512)
		return err
	}); err != nil {
		return r, err
	}
	if r.Open, err = resident(t.pid); err != nil {
		return r, err
	}
	before, err := cpuTime(t.pid)
	if err != nil {
		return r, err
	}
	select {
	case <-ctx.Done():
		return r, ctx.Err()
	case <-time.After(idleFor):
	}
	after, err := cpuTime(t.pid)
	if err != nil {
		return r, err
	}
	r.CPU = after - before
	if r.Idle, err = resident(t.pid); err != nil {
		return r, err
	}
	var mu sync.Mutex // guards r
	forEach(clients, func(i int) error {
		err := clients[i].ping()
		if err == nil {
			_, _, err = clients[i].query("SELECT 1")
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			r.Answered++
		case r.Failure == "":
			r.Failure = err.Error()
		}
		return nil
	})
	return r, nil
}

// forEach calls do for every index, some at a time, and returns the first error.
func forEach[T any](list []T, do func(int) error) error {
	var all sync.WaitGroup
	var first error
	var once sync.Once
	next := make(chan int)
	for range connecting {
		all.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					once.Do(func() { first = fmt.Errorf("connection %d: %w", i, err) })
				}
			}
		})
	}
	for i := range list {
		next <- i
	}
	close(next)
	all.Wait()
	return first
}

// awaitGone waits until the server has ended the load's connections: the next
// target's need their places.
func (b *bench) awaitGone(ctx context.Context) error {
	for {
		var n int
		if err := b.root.QueryRowContext(ctx, "SELECT COUNT(*) FROM performance_schema.threads WHERE PROCESSLIST_USER = ?", user).Scan(&n); err != nil {
			return fmt.Errorf("count the load's connections: %w", err)
		}
		if n == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
