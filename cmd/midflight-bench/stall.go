package main

import (
	"context"
	"time"
)

// stalledDuring tells by how many milliseconds the machine stalled, at most, while do ran.
func stalledDuring(ctx context.Context, do func() error) (ms float64, err error) {
	var worst time.Duration
	err = during(ctx, func(ctx context.Context) { worst = stalls(ctx) }, do)
	return worst.Seconds() * 1000, err
}

// stalls runs until ctx ends and returns by how much, at most, a short sleep has
// lasted longer than it should: what the machine adds to any statement, by itself or
// because others use it.
func stalls(ctx context.Context) (worst time.Duration) {
	const nap = 2 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		time.Sleep(nap)
		worst = max(worst, time.Since(began)-nap)
	}
	return worst
}
