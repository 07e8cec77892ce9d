package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// print prints Markdown that reads as text too.
func (r *copyReport) print(w io.Writer) {
	r.siteReport.print(w)
	fmt.Fprintln(w, "\nMedian [smallest largest] of the rounds; ratios are of the same round.")
	for from := 0; from < len(r.Summary); {
		to := from
		for to < len(r.Summary) && r.Summary[to].Server == r.Summary[from].Server && r.Summary[to].Test == r.Summary[from].Test {
			to++
		}
		printTest(w, r.Summary[from:to])
		from = to
	}
	fmt.Fprintln(w)
	for _, v := range r.Verdicts {
		fmt.Fprintln(w, "-", v)
	}
}

// printTest prints the summaries of one test on one server.
func printTest(w io.Writer, all []copySummary) {
	fmt.Fprintf(w, "\n%s, %s\n\n", all[0].Server, all[0].Test)
	stages := shown(all)
	first := "first"
	for _, s := range all {
		if s.First != "" {
			first = s.First
		}
	}
	var t table
	t.row(append([]string{"change", "rows", "took s", "rows/s", "time per row ÷ " + first, "MiB over idle"}, spaced(stages)...)...)
	for _, s := range all {
		cells := []string{s.Change, fmt.Sprint(s.Rows), s.Seconds.String(), fmt.Sprintf("%.0f", float64(s.Rows)/s.Seconds.Median), s.PerRow.String(), s.Memory.format("%.0f")}
		for _, name := range stages {
			cell := "–"
			if len(s.Phases) > 0 {
				cell = fmt.Sprintf("%.1f", s.Phases.of(name))
			}
			cells = append(cells, cell)
		}
		t.row(cells...)
	}
	t.flush(w)
	if slices.ContainsFunc(all, func(s copySummary) bool { return s.Felt != nil }) {
		fmt.Fprintln(w)
		t.row("change", "writers' p99 ms before", "during", "÷", "readers' p99 ms before", "during", "÷", "trx/s before", "during", "errors", "lost, wrong, extra", "machine stalled ms")
		for _, s := range all {
			if f := s.Felt; f != nil {
				t.row(s.Change, f.W99Before.format("%.1f"), f.W99.format("%.1f"), f.Writers.String(), f.R99Before.format("%.1f"), f.R99.format("%.1f"), f.Readers.String(),
					f.TrxBefore.format("%.0f"), f.Trx.format("%.0f"), fmt.Sprint(f.Errors), fmt.Sprint(f.Astray), f.Stall.format("%.0f"))
			}
		}
		t.flush(w)
	}
	for _, s := range all {
		if h := s.Hot; h != nil {
			fmt.Fprintln(w)
			t.row("change", "updates of each row", "until in sync", "backlog", "errors", "rows wrong")
			t.row(s.Change, h.Updates.format("%.0f"), h.Synced.format("%.0f"), h.Backlog.format("%.0f"), fmt.Sprint(h.Errors), fmt.Sprint(h.Wrong))
			t.flush(w)
		}
	}
}

// shown are the phases in which time can be seen.
func shown(all []copySummary) (names []string) {
	for _, s := range all {
		for _, p := range s.Phases {
			if p.Seconds >= 0.05 && !slices.Contains(names, p.Name) {
				names = append(names, p.Name)
			}
		}
	}
	return names
}

func spaced(names []string) (all []string) {
	for _, n := range names {
		all = append(all, strings.ReplaceAll(n, "_", " "))
	}
	return all
}
