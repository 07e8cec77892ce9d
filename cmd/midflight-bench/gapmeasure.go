package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// A gapSample is one run of the load.
type gapSample struct {
	Server  string  `json:"server"`
	Variant string  `json:"variant"`
	Load    string  `json:"load"`
	LongTrx float64 `json:"longtrx_s"`
	Round   int     `json:"round"`
	Stall   float64 `json:"stall_ms"` // of the machine, the longest
	oscResult
	swapped
	History []string `json:"history,omitempty"` // of a migration that failed
}

// swapped is what Midflight tells of its exclusive locks in a run.
type swapped struct {
	Locks  float64 `json:"locks"`     // had
	Locked float64 `json:"locked_ms"` // all together
	Tries  float64 `json:"tries"`     // that did not get it
	Held   float64 `json:"held"`      // statements
	Hold   float64 `json:"hold_ms"`   // the longest of each attempt, all together
}

func (s *workshop) measure(ctx context.Context, o gapOptions, c cell) (sample gapSample, err error) {
	sample = gapSample{Server: string(s.server.Flavor), Variant: c.variant.name, Load: c.load.name, LongTrx: c.longTrx.Seconds()}
	addr := s.addr(c.variant.through)
	idle, err := crowd(ctx, addr, c.load.idle)
	if err != nil {
		return sample, fmt.Errorf("open %d idle connections: %w", c.load.idle, err)
	}
	defer idle.Close()
	before, err := s.series(ctx)
	if err != nil {
		return sample, err
	}
	ask := oscRun{rows: o.rows, load: c.load, warm: o.warm, most: o.most, longTrx: c.longTrx, think: o.think}
	if c.variant.alter != "" {
		ask.alter, ask.expect = c.variant.alter, "note2"
	}
	sample.Stall, err = stalledDuring(ctx, func() (err error) {
		sample.oscResult, err = s.osc.run(ctx, ask, addr, s.server.Addr)
		return err
	})
	if err != nil {
		return sample, err
	}
	after, err := s.series(ctx)
	if err != nil {
		return sample, err
	}
	sample.swapped = between(before, after)
	if sample.MigrationError != "" && c.variant.through {
		sample.History, err = s.history(ctx)
	}
	return sample, err
}

// crowd opens connections that do nothing. They end with the pool.
func crowd(ctx context.Context, addr string, n int) (*sql.DB, error) {
	pool, err := sql.Open("mysql", dsn(addr))
	if err != nil {
		return nil, err
	}
	pool.SetMaxIdleConns(n) // nothing takes them out of the pool again
	conns := make([]*sql.Conn, n)
	err = forEach(conns, func(i int) (err error) {
		conns[i], err = pool.Conn(ctx)
		return err
	})
	for _, c := range conns {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// swapIdle swaps a table that nobody uses, and returns for how many milliseconds
// it was locked.
func (s *site) swapIdle(ctx context.Context) (float64, error) {
	if err := s.tell(ctx,
		"CREATE DATABASE IF NOT EXISTS "+database,
		"DROP TABLE IF EXISTS "+database+".still, "+database+"._still_old",
		"CREATE TABLE "+database+".still (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(100))",
		"INSERT INTO "+database+".still (v) VALUES (REPEAT('x', 90))",
	); err != nil {
		return 0, err
	}
	for range 17 { // 131 072 rows
		if _, err := s.root.ExecContext(ctx, "INSERT INTO "+database+".still (v) SELECT v FROM "+database+".still"); err != nil {
			return 0, fmt.Errorf("fill the table: %w", err)
		}
	}
	through, err := sql.Open("mysql", dsn(s.front.addr))
	if err != nil {
		return 0, fmt.Errorf("connect to Midflight: %w", err)
	}
	defer through.Close()
	before, err := s.series(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := through.ExecContext(ctx, "ALTER TABLE /* midflight: strategy=copy */ "+database+".still"+column); err != nil {
		return 0, fmt.Errorf("alter it: %w", err)
	}
	after, err := s.series(ctx)
	if err != nil {
		return 0, err
	}
	b := between(before, after)
	if b.Locks != 1 {
		return 0, fmt.Errorf("by the metrics it had %.0f locks, not 1", b.Locks)
	}
	return b.Locked, nil
}

func between(before, after map[string]float64) swapped {
	more := func(name string) float64 { return after["midflight_"+name] - before["midflight_"+name] }
	return swapped{
		Locks: more("cutover_lock_seconds_count"), Locked: 1000 * more("cutover_lock_seconds_sum"),
		Tries: more(`cutover_attempts_total{outcome="not_now"}`),
		Held:  more("statements_held_total"), Hold: 1000 * more("hold_seconds_sum"),
	}
}
