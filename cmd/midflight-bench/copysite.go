package main

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// A copySite is a site on which copies are measured.
type copySite struct {
	*workshop
	options copyOptions
	before  int // KiB of Midflight in RAM, ahead of its first migration
	rep     *copyReport
}

func newCopySite(ctx context.Context, w *workshop, o copyOptions, rep *copyReport) (*copySite, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Second): // it has just begun
	}
	before, err := resident(w.front.pid)
	return &copySite{w, o, before, rep}, err
}

// A copySample is one change of one table.
type copySample struct {
	Server  string     `json:"server"`
	Test    string     `json:"test"`
	Change  string     `json:"change"`
	Rows    int        `json:"rows"`
	Round   int        `json:"round"`
	Seconds float64    `json:"seconds"`
	Phases  phases     `json:"phases,omitempty"`     // Midflight's
	Memory  float64    `json:"memory_over_idle_mib"` // Midflight's, at most
	Stall   float64    `json:"stall_ms,omitempty"`   // of the machine under load, the longest
	Felt    *oscResult `json:"felt,omitempty"`       // by the load
	Hot     *hotResult `json:"hot,omitempty"`        // of the table that is updated all over
}

func (s copySample) round() int { return s.Round }

// A way is what is measured once a round.
type way struct {
	change variant
	rows   int
	do     func(context.Context, *copySample) error
}

// rounds measures every way once a round, every other round in reversed order.
func (s *copySite) rounds(ctx context.Context, test string, rounds int, ways ...way) error {
	for round := 1; round <= rounds; round++ {
		for _, w := range ways {
			if err := s.settle(ctx); err != nil {
				return err
			}
			sample := copySample{Server: string(s.server.Flavor), Test: test, Change: w.change.name, Rows: w.rows, Round: round}
			if err := w.do(ctx, &sample); err != nil {
				return fmt.Errorf("%s of %d rows: %w", w.change.name, w.rows, err)
			}
			s.say("%s, %s, round %d of %d, %s of %d rows: %s", sample.Server, test, round, rounds, sample.Change, sample.Rows, sample)
			s.rep.Samples = append(s.rep.Samples, sample)
		}
		slices.Reverse(ways) // what drifts hits all alike
	}
	return nil
}

// String is the end of a line of progress.
func (s copySample) String() string {
	text := fmt.Sprintf("%.2f s", s.Seconds)
	if len(s.Phases) > 0 {
		text += fmt.Sprintf(" (%s), %.0f MiB over idle", s.Phases, s.Memory)
	}
	if f := s.Felt; f != nil {
		text += fmt.Sprintf(", p99 %.1f/%.1f ms before and %.1f/%.1f ms during (writers/readers), machine stalled %.0f ms%s",
			f.Before.W99, f.Before.R99, f.During.W99, f.During.R99, s.Stall, f.complaints())
	}
	if s.Hot != nil {
		text += ", " + s.Hot.String()
	}
	return text
}

// observed does a change and adds what can be seen of it in Midflight.
func (s *copySite) observed(ctx context.Context, v variant, sample *copySample, do func() error) error {
	if !v.through {
		return do()
	}
	peak, err := peakDuring(ctx, s.front.pid, do)
	if err != nil {
		return err
	}
	sample.Memory = float64(peak-s.before) / 1024
	sample.Phases, err = s.phases(ctx)
	return err
}

// alter changes a table that nobody uses.
func (s *copySite) alter(v variant, t filling, rows int) way {
	return way{v, rows, func(ctx context.Context, sample *copySample) error {
		pool, err := sql.Open("mysql", dsn(s.addr(v.through)))
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		defer pool.Close()
		if err := pool.PingContext(ctx); err != nil { // it is not measured
			return fmt.Errorf("connect: %w", err)
		}
		return s.observed(ctx, v, sample, func() error {
			began := time.Now()
			_, err := pool.ExecContext(ctx, v.on(t.full()))
			sample.Seconds = time.Since(began).Seconds()
			return err
		})
	}}
}

// underLoad changes a table on which osc has a load.
func (s *copySite) underLoad(v variant, l load) way {
	o := s.options
	return way{v, o.rows, func(ctx context.Context, sample *copySample) error {
		return s.observed(ctx, v, sample, func() (err error) {
			var felt oscResult
			sample.Stall, err = stalledDuring(ctx, func() (err error) {
				felt, err = s.osc.run(ctx, oscRun{rows: o.rows, load: l, warm: o.warm, most: o.most, alter: v.alter}, s.addr(v.through), s.server.Addr)
				return err
			})
			sample.Felt, sample.Seconds = &felt, felt.Migration
			return err
		})
	}}
}

// idle measures the copy of a table with secondary keys that nobody uses.
func (s *copySite) idle(ctx context.Context, test string, keys int) error {
	t, rows := plainTable("t", keys), s.options.rows
	if err := s.fill(ctx, t, rows); err != nil {
		return err
	}
	if err := s.rounds(ctx, test, s.options.rounds, s.alter(serverCopy, t, rows), s.alter(midflightCopy, t, rows)); err != nil {
		return err
	}
	return s.drop(ctx, t)
}

// bigger measures a table of more rows beside the usual one. It has few rounds, since
// they take long.
func (s *copySite) bigger(ctx context.Context) error {
	t, big := plainTable("t", 1), plainTable("big", 1)
	o := s.options
	if err := s.fill(ctx, t, o.rows); err != nil {
		return err
	}
	if err := s.fill(ctx, big, o.big); err != nil {
		return err
	}
	if err := s.rounds(ctx, bigTest, max(1, o.rounds/5), s.alter(midflightCopy, t, o.rows), s.alter(midflightCopy, big, o.big)); err != nil {
		return err
	}
	return s.drop(ctx, t, big)
}

// loaded measures the copy under load, beside the server's own way that lets a load
// through, and beside the same table without.
func (s *copySite) loaded(ctx context.Context) error {
	l := loads[0]
	t := accountTable(l.writers)
	if err := s.fill(ctx, t, s.options.rows); err != nil {
		return err
	}
	if err := s.rounds(ctx, loadTest, s.options.rounds, s.alter(midflightIdle, t, s.options.rows),
		s.underLoad(midflightCopy, l), s.underLoad(serverInplace, l)); err != nil {
		return err
	}
	return s.drop(ctx, t)
}
