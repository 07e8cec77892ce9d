package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// A gapReport is everything that was measured, and what is concluded from it.
type gapReport struct {
	siteReport
	Summary []gapSummary         `json:"summary"`
	Idle    map[string][]float64 `json:"idle_locked_ms,omitempty"` // by server
	Samples []gapSample          `json:"samples"`
}

// A gapSummary is of all rounds of one cell, in milliseconds where it says nothing else.
type gapSummary struct {
	Server, Variant, Load string
	LongTrx               float64 // seconds
	Worse                 spread  // the worst during less the worst before
	Before, During        spread  // the worst, of writers' transactions and readers' statements
	W99Before, W99        spread
	R99Before, R99        spread
	Seconds               spread // of the migration
	Stall                 spread // of the machine
	Locked, Hold          spread // of samples that had a lock, that held statements
	Tries                 int
	Errors                int
	LostWrongExtra        int
	Failures              []string // of migrations, and errors that the application saw
}

// A spread is over the rounds.
type spread struct{ Median, Max float64 }

func spreadOf(values []float64) (s spread) {
	if len(values) > 0 {
		s = spread{median(values), slices.Max(values)}
	}
	return s
}

// String is the median and, behind a stroke, the largest.
func (s spread) String() string { return fmt.Sprintf("%.0f / %.0f", s.Median, s.Max) }

// What is to be reached, in milliseconds.
const (
	goalWorse  = 30.0 // the worst during less the worst before
	goalLocked = 10.0 // lock to unlock, of an idle table
)

// worse is by how much the worst statement during the migration was worse than
// the worst before, writers and readers each compared with themselves.
func (s gapSample) worse() float64 {
	return max(s.During.WMax-s.Before.WMax, s.During.RMax-s.Before.RMax)
}

// String is the line of progress.
func (s gapSample) String() string {
	text := fmt.Sprintf("%.1f s, worst %.0f/%.0f ms before and %.0f/%.0f ms during (writers/readers)", s.Migration, s.Before.WMax, s.Before.RMax, s.During.WMax, s.During.RMax)
	text += fmt.Sprintf(", machine %.0f ms", s.Stall)
	if s.Locks > 0 {
		text += fmt.Sprintf(", locked %.1f ms", s.Locked)
	}
	text += s.complaints()
	if s.MigrationError != "" {
		for _, line := range s.History {
			text += "\n    " + line
		}
	}
	return text
}

func (r *gapReport) addIdle(server string, locked float64) {
	if r.Idle == nil {
		r.Idle = map[string][]float64{}
	}
	r.Idle[server] = append(r.Idle[server], locked)
}

func (r *gapReport) summarize() {
	type key struct {
		server, variant, load string
		longTrx               float64
	}
	keys, of := grouped(r.Samples, func(s gapSample) key { return key{s.Server, s.Variant, s.Load, s.LongTrx} })
	for _, k := range keys {
		all := of[k]
		over := func(value func(gapSample) float64) spread { return spreadOf(values(all, value)) }
		g := gapSummary{
			Server: k.server, Variant: k.variant, Load: k.load, LongTrx: k.longTrx,
			Worse:     over(gapSample.worse),
			Before:    over(func(s gapSample) float64 { return max(s.Before.WMax, s.Before.RMax) }),
			During:    over(func(s gapSample) float64 { return max(s.During.WMax, s.During.RMax) }),
			W99Before: over(func(s gapSample) float64 { return s.Before.W99 }), W99: over(func(s gapSample) float64 { return s.During.W99 }),
			R99Before: over(func(s gapSample) float64 { return s.Before.R99 }), R99: over(func(s gapSample) float64 { return s.During.R99 }),
			Stall:   over(func(s gapSample) float64 { return s.Stall }),
			Seconds: over(func(s gapSample) float64 { return s.Migration }),
			Locked:  spreadOf(values(having(all, func(s gapSample) bool { return s.Locks > 0 }), func(s gapSample) float64 { return s.Locked })),
			Hold:    spreadOf(values(having(all, func(s gapSample) bool { return s.Held > 0 }), func(s gapSample) float64 { return s.Hold })),
		}
		for _, s := range all {
			g.Tries += int(s.Tries)
			g.Errors += s.errors()
			g.LostWrongExtra += s.astray()
			g.Failures = append(g.Failures, s.failures()...)
		}
		r.Summary = append(r.Summary, g)
	}
}

// print prints Markdown that reads as text too.
func (r *gapReport) print(w io.Writer) {
	r.siteReport.print(w)
	fmt.Fprintf(w, "\nMilliseconds, median / largest of the rounds.\n")
	var t table
	for i, g := range r.Summary {
		if i == 0 || g.Server != r.Summary[i-1].Server || g.Load != r.Summary[i-1].Load || g.LongTrx != r.Summary[i-1].LongTrx {
			t.flush(w)
			fmt.Fprintf(w, "\n%s\n\n", g.place())
			t.row("change", "worst before", "worst during", "worse by", "writers' p99 before", "during", "readers' p99 before", "during", "took s", "locked", "held", "tries", "errors", "lost, wrong, extra", "machine stalled")
		}
		t.row(g.Variant, g.Before.String(), g.During.String(), g.Worse.String(), g.W99Before.String(), g.W99.String(), g.R99Before.String(), g.R99.String(),
			fmt.Sprintf("%.1f / %.1f", g.Seconds.Median, g.Seconds.Max), fmt.Sprintf("%.1f / %.1f", g.Locked.Median, g.Locked.Max), g.Hold.String(), fmt.Sprint(g.Tries), fmt.Sprint(g.Errors), fmt.Sprint(g.LostWrongExtra), g.Stall.String())
	}
	t.flush(w)
	fmt.Fprintln(w)
	for _, line := range r.verdicts() {
		fmt.Fprintln(w, "-", line)
	}
}

func (g gapSummary) place() string {
	s := g.Server + ", " + g.Load
	if g.LongTrx > 0 {
		s += fmt.Sprintf(", transactions of %g s", g.LongTrx)
	}
	return s
}

// verdicts say of Midflight what is reached, and of all what went wrong.
func (r *gapReport) verdicts() (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, g := range r.Summary {
		if strings.HasPrefix(g.Variant, "midflight") {
			say("%s, %s: worse by %.0f ms, %.0f at most: %s (goal at most %.0f)", g.place(), g.Variant, g.Worse.Median, g.Worse.Max, reached(g.Worse, goalWorse), goalWorse)
		}
		for _, f := range g.Failures {
			say("%s, %s: FAILED: %s", g.place(), g.Variant, f)
		}
	}
	for _, server := range slices.Sorted(maps.Keys(r.Idle)) {
		s := spreadOf(r.Idle[server])
		say("%s, %s: lock to unlock %.1f ms, %.1f at most: %s (goal at most %.0f)", server, idleSwap, s.Median, s.Max, reached(s, goalLocked), goalLocked)
	}
	return all
}

// reached is strict: a stall in one round of five is a stall.
func reached(s spread, goal float64) string {
	switch {
	case s.Max <= goal:
		return "reached"
	case s.Median <= goal:
		return "missed, but the median reached it"
	}
	return "MISSED"
}
