package timeline

import (
	"time"

	"midflight/ghost/pace"
)

// A Sample is what was felt in the time before At.
type Sample struct {
	At             time.Time
	Rate, Failures float64       // statements a second
	P50, P99       time.Duration // 0 of none
}

// between is the sample of a time at whose ends the counts were such.
func between(before, after pace.Felt, from, to time.Time) Sample {
	felt := after.Since(before)
	seconds := max(to.Sub(from).Seconds(), 1e-3)
	return Sample{
		At:       to,
		Rate:     float64(felt.Latency.Count()) / seconds,
		Failures: float64(felt.Failed) / seconds,
		P50:      felt.Latency.Quantile(0.5),
		P99:      felt.Latency.Quantile(0.99),
	}
}
