package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A hotResult is what became of a table all of whose rows change.
type hotResult struct {
	Updates int            `json:"updates_of_each_row"`               // at least, during the change
	Synced  int            `json:"updates_of_each_row_until_in_sync"` // of them, when the copy was ready to be swapped
	Backlog int            `json:"backlog"`                           // the largest that midflight.migrations showed
	Bound   bool           `json:"load_ended_first"`                  // its bound came before the end of the change
	Wrong   int            `json:"wrong"`                             // rows with another counter than was acknowledged, or missing
	Errors  map[string]int `json:"app_errors,omitempty"`
	Failure string         `json:"failure,omitempty"` // of the change
}

func (r *hotResult) failures() (all []string) {
	if r.Failure != "" {
		all = append(all, r.Failure)
	}
	for _, text := range slices.Sorted(maps.Keys(r.Errors)) {
		all = append(all, fmt.Sprintf("%d × %s", r.Errors[text], text))
	}
	return all
}

// String is the end of a line of progress.
func (r *hotResult) String() string {
	text := fmt.Sprintf("each row updated %d times, %d until in sync, backlog %d, %d rows WRONG", r.Updates, r.Synced, r.Backlog, r.Wrong)
	if r.Bound {
		text += ", the load ended first"
	}
	for _, f := range r.failures() {
		text += ", FAILED: " + f
	}
	return text
}

// chunkRows are what a statement of the load updates.
const chunkRows = 500

// hotLoad is only writers.
var hotLoad = load{name: "hot", writers: 4}

// A heat updates all rows of a table, over and over.
type heat struct {
	table  string
	rows   int
	chunks []atomic.Int64 // how often each has been updated, by what was acknowledged

	mu     sync.Mutex
	errors map[string]int
}

func newHeat(table string, rows int) *heat {
	return &heat{table: table, rows: rows, chunks: make([]atomic.Int64, (rows+chunkRows-1)/chunkRows), errors: map[string]int{}}
}

// bounds are the first and last row of a chunk.
func (h *heat) bounds(chunk int) (first, last int) {
	return chunk*chunkRows + 1, min((chunk+1)*chunkRows, h.rows)
}

// counts is how often each chunk has been updated so far.
func (h *heat) counts() []int64 {
	all := make([]int64, len(h.chunks))
	for i := range h.chunks {
		all[i] = h.chunks[i].Load()
	}
	return all
}

// least is the smallest growth of any chunk.
func least(before, now []int64) int {
	smallest := now[0] - before[0]
	for i := range now {
		smallest = min(smallest, now[i]-before[i])
	}
	return int(smallest)
}

// write updates every so manyth chunk until ctx ends, and finishes what it has begun.
func (h *heat) write(ctx context.Context, pool *sql.DB, first, step int) {
	for chunk := first; ctx.Err() == nil; chunk += step {
		if chunk >= len(h.chunks) {
			chunk = first
		}
		if err := h.update(pool, chunk); err != nil {
			h.mu.Lock()
			h.errors[err.Error()]++
			h.mu.Unlock()
			time.Sleep(5 * time.Millisecond)
			continue
		}
		h.chunks[chunk].Add(1)
	}
}

func (h *heat) update(pool *sql.DB, chunk int) error {
	from, to := h.bounds(chunk)
	r, err := pool.Exec(fmt.Sprintf("UPDATE %s SET v = v + 1 WHERE id BETWEEN %d AND %d", h.table, from, to))
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || int(n) != to-from+1 {
		return fmt.Errorf("%d rows were updated, not %d (%v)", n, to-from+1, err)
	}
	return nil
}

// wrong counts the rows whose counters are not what was acknowledged, and those that
// are missing.
func (h *heat) wrong(ctx context.Context, root *sql.DB) (n int, err error) {
	rows, err := root.QueryContext(ctx, fmt.Sprintf("SELECT (id - 1) DIV %d AS chunk, v, COUNT(*) FROM %s GROUP BY chunk, v", chunkRows, h.table))
	if err != nil {
		return 0, fmt.Errorf("compare the counters: %w", err)
	}
	defer rows.Close()
	right := 0
	for rows.Next() {
		var chunk, count int
		var v int64
		if err := rows.Scan(&chunk, &v, &count); err != nil {
			return 0, fmt.Errorf("compare the counters: %w", err)
		}
		if h.chunks[chunk].Load() == v {
			right += count
		}
	}
	return h.rows - right, rows.Err()
}

// hot measures a table all of whose rows are updated while it is altered. The swap is
// allowed when each has been updated often enough: else a quick copy would prove little.
func (s *copySite) hot(ctx context.Context) error {
	t, rows := hotTable(), s.options.hot
	do := func(ctx context.Context, sample *copySample) error {
		if err := s.fill(ctx, t, rows); err != nil {
			return err
		}
		if err := s.settle(ctx); err != nil {
			return err
		}
		return s.observed(ctx, midflightHot, sample, func() error { return s.heated(ctx, t, sample) })
	}
	if err := s.rounds(ctx, hotTest, s.options.rounds, way{midflightHot, rows, do}); err != nil {
		return err
	}
	return s.drop(ctx, t)
}

func (s *copySite) heated(ctx context.Context, t filling, sample *copySample) error {
	pool, err := sql.Open("mysql", dsn(s.front.addr))
	if err != nil {
		return fmt.Errorf("connect to Midflight: %w", err)
	}
	defer pool.Close()
	pool.SetMaxIdleConns(hotLoad.writers + 1)
	h := newHeat(t.full(), sample.Rows)
	bounded, stop := context.WithTimeout(ctx, s.options.hotMost)
	defer stop()
	var writers sync.WaitGroup
	for i := range hotLoad.writers {
		writers.Go(func() { h.write(bounded, pool, i, hotLoad.writers) })
	}
	before := h.counts()
	result := &hotResult{}
	sample.Hot = result
	var failed error
	// A change that doesn't get through under the load may without it.
	patient, giveUp := context.WithTimeout(ctx, s.options.hotMost+s.options.most)
	defer giveUp()
	err = during(patient, func(ctx context.Context) {
		updates := func() int { return least(before, h.counts()) }
		if failed = s.watchHot(ctx, result, updates, func() bool { return bounded.Err() != nil }); failed != nil {
			giveUp()
		}
	}, func() error {
		began := time.Now()
		_, err := pool.ExecContext(patient, midflightHot.on(t.full()))
		sample.Seconds = time.Since(began).Seconds()
		return err
	})
	result.Updates, result.Bound = least(before, h.counts()), bounded.Err() != nil
	stop()
	writers.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		result.Failure = err.Error()
	}
	result.Errors = h.errors
	result.Wrong, err = h.wrong(ctx, s.root)
	return errors.Join(err, failed)
}

// watchHot looks at the migration until ctx ends. It allows the swap when each row has
// been updated goalHot times, or when the load has ended.
func (s *copySite) watchHot(ctx context.Context, r *hotResult, updates func() int, spent func() bool) error {
	synced, allowed := false, false
	for {
		select {
		case <-ctx.Done():
			if !synced {
				r.Synced = updates()
			}
			return nil
		case <-time.After(100 * time.Millisecond):
		}
		var id int64
		var backlog int
		var inSync bool
		err := s.root.QueryRowContext(ctx, "SELECT id, backlog, ready_at IS NOT NULL FROM midflight.migrations WHERE completed_at IS NULL ORDER BY id DESC LIMIT 1").Scan(&id, &backlog, &inSync)
		if errors.Is(err, sql.ErrNoRows) || ctx.Err() != nil {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at the migration: %w", err)
		}
		r.Backlog = max(r.Backlog, backlog)
		n := updates()
		if inSync && !synced {
			synced, r.Synced = true, n
		}
		if !allowed && (n >= goalHot || spent()) {
			if _, err := s.root.ExecContext(ctx, "CALL midflight.cutover(?)", id); err != nil {
				return fmt.Errorf("allow the swap: %w", err)
			}
			allowed = true
		}
	}
}
