package main

import (
	"slices"
)

// median is the middle value, or the mean of the two in the middle; 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// A ratio is of pairs of measurements, each pair of one round.
type ratio struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// ratioOf compares a with b round by round; nil if there is nothing to compare.
func ratioOf(a, b []sample, value func(sample) float64) *ratio {
	var all []float64
	for _, x := range a {
		i := slices.IndexFunc(b, func(y sample) bool { return y.Round == x.Round })
		if i >= 0 && value(b[i]) > 0 {
			all = append(all, value(x)/value(b[i]))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return &ratio{median(all), slices.Min(all), slices.Max(all)}
}

func rate(s sample) float64  { return s.Rate }
func proxy(s sample) float64 { return s.Proxy }

func medianOf(samples []sample, value func(sample) float64) float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, value(s))
	}
	return median(all)
}

// fastest is the one of the targets whose median rate is the highest. It is
// chosen once and not per round: the best of two in each round would be better
// than either is.
func fastest(of map[string][]sample, targets []string) string {
	best := ""
	for _, t := range targets {
		if len(of[t]) > 0 && (best == "" || medianOf(of[t], rate) > medianOf(of[best], rate)) {
			best = t
		}
	}
	return best
}
