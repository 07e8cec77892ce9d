package timeline

import (
	"time"

	"midflight/ghost/pace"
)

// Counts are of the applications' statements since the start.
type Counts struct {
	Latency pace.Latency // of those that are answered
	Failed  uint64       // answered with an error
}

// A Sample is what was felt in the time before At.
type Sample struct {
	At             time.Time
	Rate, Failures float64       // statements a second
	P50, P99       time.Duration // 0 of none
}

// between is the sample of a time at whose ends the counts were such.
func between(before, after Counts, from, to time.Time) Sample {
	felt := after.Latency.Since(before.Latency)
	seconds := max(to.Sub(from).Seconds(), 1e-3)
	return Sample{
		At:       to,
		Rate:     float64(felt.Count()) / seconds,
		Failures: float64(after.Failed-min(before.Failed, after.Failed)) / seconds,
		P50:      felt.Quantile(0.5),
		P99:      felt.Quantile(0.99),
	}
}
