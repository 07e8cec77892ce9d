package main

import (
	"fmt"
	"slices"
	"strings"
)

// A copyReport is everything that was measured, and what is concluded from it.
type copyReport struct {
	siteReport
	Summary  []copySummary `json:"summary"`
	Verdicts []string      `json:"verdicts"`
	Samples  []copySample  `json:"samples"`
}

// A copySummary is of all rounds of one change of a test.
type copySummary struct {
	Server    string       `json:"server"`
	Test      string       `json:"test"`
	Change    string       `json:"change"`
	Rows      int          `json:"rows"`
	Seconds   *span        `json:"seconds"`
	PerRow    *span        `json:"time_per_row_to_first,omitempty"` // of the test's first change, in the same round
	First     string       `json:"first,omitempty"`                 // what that is
	Phases    phases       `json:"phases,omitempty"`                // medians
	Memory    *span        `json:"memory_over_idle_mib,omitempty"`
	Felt      *feltSummary `json:"felt,omitempty"`
	Hot       *hotSummary  `json:"hot,omitempty"`
	Complaint []string     `json:"failures,omitempty"`
}

// A feltSummary is what the load has felt, in milliseconds.
type feltSummary struct {
	W99Before *span `json:"w_p99_before"`
	W99       *span `json:"w_p99"`
	Writers   *span `json:"w_p99_to_before"` // of the same round
	R99Before *span `json:"r_p99_before"`
	R99       *span `json:"r_p99"`
	Readers   *span `json:"r_p99_to_before"`
	TrxBefore *span `json:"trx_s_before"`
	Trx       *span `json:"trx_s"`
	Stall     *span `json:"machine_stalled"`
	Errors    int   `json:"app_errors"`
	Astray    int   `json:"lost_wrong_extra"`
}

type hotSummary struct {
	Updates *span `json:"updates_of_each_row"`
	Synced  *span `json:"updates_of_each_row_until_in_sync"`
	Backlog *span `json:"backlog"`
	Ended   int   `json:"completed"`
	Bound   int   `json:"load_ended_first"`
	Wrong   int   `json:"wrong"`
	Errors  int   `json:"app_errors"`
	Rounds  int   `json:"rounds"`
}

// What is to be reached, from the issue.
const (
	goalP99    = 1.5  // during, of before
	goalMemory = 64.0 // MiB over idle
	goalHot    = 10   // updates of each row during the change
)

// goalTime is of the time per row of the test's first change.
var goalTime = map[string]float64{idle1Test: 1.0, idle5Test: 0.8, loadTest: 2.0, bigTest: 1.3}

func (r *copyReport) summarize() {
	type key struct {
		server, test, change string
		rows                 int
	}
	keys, of := grouped(r.Samples, func(s copySample) key { return key{s.Server, s.Test, s.Change, s.Rows} })
	var first key // of the test
	for _, k := range keys {
		all := of[k]
		over := func(value func(copySample) float64) *span { return spanOf(values(all, value)) }
		s := copySummary{
			Server: k.server, Test: k.test, Change: k.change, Rows: k.rows,
			Seconds: over(func(s copySample) float64 { return s.Seconds }),
			Phases:  medianPhases(all),
		}
		if len(s.Phases) > 0 {
			s.Memory = over(func(s copySample) float64 { return s.Memory })
		}
		if k.server != first.server || k.test != first.test {
			first = k
		} else {
			s.PerRow = ratioOf(all, of[first], func(s copySample) float64 { return s.Seconds / float64(s.Rows) })
			s.First = first.change
			if first.change == k.change {
				s.First = fmt.Sprintf("%d rows", first.rows)
			}
		}
		if all[0].Felt != nil {
			s.Felt = summarizeFelt(all)
		}
		if all[0].Hot != nil {
			s.Hot = summarizeHot(all)
		}
		for _, x := range all {
			if x.Felt != nil {
				s.Complaint = append(s.Complaint, x.Felt.failures()...)
			}
			if x.Hot != nil {
				s.Complaint = append(s.Complaint, x.Hot.failures()...)
			}
		}
		r.Summary = append(r.Summary, s)
	}
	for _, s := range r.Summary {
		r.Verdicts = append(r.Verdicts, s.verdicts()...)
	}
}

func summarizeFelt(all []copySample) *feltSummary {
	over := func(value func(oscResult) float64) *span {
		return spanOf(values(all, func(s copySample) float64 { return value(*s.Felt) }))
	}
	grown := func(p99 func(felt) float64) *span {
		compared := having(all, func(s copySample) bool { return p99(s.Felt.Before) > 0 })
		return spanOf(values(compared, func(s copySample) float64 { return p99(s.Felt.During) / p99(s.Felt.Before) }))
	}
	f := &feltSummary{
		W99Before: over(func(r oscResult) float64 { return r.Before.W99 }), W99: over(func(r oscResult) float64 { return r.During.W99 }),
		R99Before: over(func(r oscResult) float64 { return r.Before.R99 }), R99: over(func(r oscResult) float64 { return r.During.R99 }),
		Writers:   grown(func(f felt) float64 { return f.W99 }),
		Readers:   grown(func(f felt) float64 { return f.R99 }),
		TrxBefore: over(func(r oscResult) float64 { return r.Before.Trx }), Trx: over(func(r oscResult) float64 { return r.During.Trx }),
		Stall: spanOf(values(all, func(s copySample) float64 { return s.Stall })),
	}
	for _, s := range all {
		f.Errors += s.Felt.errors()
		f.Astray += s.Felt.astray()
	}
	return f
}

func summarizeHot(all []copySample) *hotSummary {
	over := func(value func(hotResult) int) *span {
		return spanOf(values(all, func(s copySample) float64 { return float64(value(*s.Hot)) }))
	}
	h := &hotSummary{
		Updates: over(func(r hotResult) int { return r.Updates }),
		Synced:  over(func(r hotResult) int { return r.Synced }),
		Backlog: over(func(r hotResult) int { return r.Backlog }),
		Rounds:  len(all),
	}
	for _, s := range all {
		if s.Hot.Failure == "" {
			h.Ended++
		}
		if s.Hot.Bound {
			h.Bound++
		}
		h.Wrong += s.Hot.Wrong
		for _, n := range s.Hot.Errors {
			h.Errors += n
		}
	}
	return h
}

// medianPhases are in the order of the samples' own.
func medianPhases(all []copySample) (medians phases) {
	for _, s := range all {
		for _, p := range s.Phases {
			if !slices.ContainsFunc(medians, func(m phase) bool { return m.Name == p.Name }) {
				medians = append(medians, phase{p.Name, median(values(all, func(s copySample) float64 { return s.Phases.of(p.Name) }))})
			}
		}
	}
	return medians
}

// verdicts say of Midflight what is reached, and of all what went wrong.
func (s copySummary) verdicts() (all []string) {
	say := func(format string, args ...any) {
		all = append(all, fmt.Sprintf("%s, %s, %s of %d rows: ", s.Server, s.Test, s.Change, s.Rows)+fmt.Sprintf(format, args...))
	}
	atMost := func(what string, v *span, number string, goal float64) {
		if v != nil {
			say("%s "+v.format(number)+": %s (goal at most "+number+")", what, word(v.Median <= goal, v.Min <= goal), goal)
		}
	}
	none := func(what string, n int) { say("%d %s: %s", n, what, word(n == 0, false)) }
	ours := strings.HasPrefix(s.Change, "midflight")
	if ours {
		if s.First != "" {
			atMost("time per row of that of "+s.First, s.PerRow, "%.2f", goalTime[s.Test])
		}
		if s.Test != hotTest && s.Test != loadTest {
			atMost("MiB of memory over idle", s.Memory, "%.0f", goalMemory)
		}
	}
	if f := s.Felt; f != nil && ours {
		atMost("writers' p99 of that before", f.Writers, "%.2f", goalP99)
		atMost("readers' p99 of that before", f.Readers, "%.2f", goalP99)
		none("errors of the application", f.Errors)
		none("rows lost, wrong or extra", f.Astray)
	}
	if h := s.Hot; h != nil {
		say("completed in %d of %d rounds: %s", h.Ended, h.Rounds, word(h.Ended == h.Rounds, h.Ended > 0))
		say("each row updated so many times meanwhile %s: %s (goal at least %d)", h.Updates.format("%.0f"), word(h.Updates.Min >= goalHot, h.Updates.Max >= goalHot), goalHot)
		if h.Bound > 0 {
			say("in %d of %d rounds only after the load had ended, at its bound", h.Bound, h.Rounds)
		}
		none("errors of the application", h.Errors)
		none("rows with another counter than was acknowledged", h.Wrong)
	}
	for _, c := range s.Complaint {
		say("FAILED: %s", c)
	}
	return all
}
