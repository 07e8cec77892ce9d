package main

import (
	"fmt"
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

// A span is over the rounds.
type span struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spanOf is nil if there are no values.
func spanOf(values []float64) *span {
	if len(values) == 0 {
		return nil
	}
	return &span{median(values), slices.Min(values), slices.Max(values)}
}

// String is the median and the spread: 1.02 [0.98 1.05].
func (s *span) String() string { return s.format("%.2f") }

func (s *span) format(number string) string {
	if s == nil {
		return "–"
	}
	return fmt.Sprintf(number+" ["+number+" "+number+"]", s.Median, s.Min, s.Max)
}

// ratioOf compares a with b round by round; nil if there is nothing to compare.
func ratioOf[S interface{ round() int }](a, b []S, value func(S) float64) *span {
	var all []float64
	for _, x := range a {
		i := slices.IndexFunc(b, func(y S) bool { return y.round() == x.round() })
		if i >= 0 && value(b[i]) > 0 {
			all = append(all, value(x)/value(b[i]))
		}
	}
	return spanOf(all)
}

func rate(s sample) float64  { return s.Rate }
func proxy(s sample) float64 { return s.Proxy }
func (s sample) round() int  { return s.Round }

func medianOf(samples []sample, value func(sample) float64) float64 {
	return median(values(samples, value))
}

func values[S any](samples []S, value func(S) float64) (all []float64) {
	for _, s := range samples {
		all = append(all, value(s))
	}
	return all
}

func having[S any](samples []S, is func(S) bool) (all []S) {
	for _, s := range samples {
		if is(s) {
			all = append(all, s)
		}
	}
	return all
}

// grouped puts together the samples that have a key in common. The keys are in the
// order in which they came.
func grouped[S any, K comparable](samples []S, key func(S) K) (keys []K, of map[K][]S) {
	of = map[K][]S{}
	for _, s := range samples {
		k := key(s)
		if of[k] == nil {
			keys = append(keys, k)
		}
		of[k] = append(of[k], s)
	}
	return keys, of
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
