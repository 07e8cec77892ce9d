package main

import (
	"context"
	"errors"
	"time"
)

// peakDuring tells how much memory of a process was in RAM at most while do ran, in KiB.
func peakDuring(ctx context.Context, pid int, do func() error) (peak int, err error) {
	var failed error
	err = during(ctx, func(ctx context.Context) {
		for {
			var now int
			if now, failed = resident(pid); failed != nil {
				return
			}
			peak = max(peak, now)
			select {
			case <-ctx.Done():
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}, do)
	return peak, errors.Join(err, failed)
}
