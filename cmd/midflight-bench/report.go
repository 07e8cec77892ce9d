package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// A report is everything that was measured, and what is concluded from it.
type report struct {
	About    string       `json:"about"`
	Started  string       `json:"started"`
	Summary  []summary    `json:"summary"`
	Idle     []idleResult `json:"idle,omitempty"`
	Verdicts []string     `json:"verdicts"`
	Notes    []string     `json:"notes,omitempty"`
	Samples  []sample     `json:"samples"`
}

// A summary is of all rounds of one target in one test. Ratios are of paired
// rounds and missing where there is nothing to compare with.
type summary struct {
	Test    string  `json:"test"`
	Threads int     `json:"threads"`
	Target  string  `json:"target"`
	Rate    float64 `json:"rate"`
	Avg     float64 `json:"avg_ms"`
	P99     float64 `json:"p99_ms"`
	Proxy   float64 `json:"proxy_cpu"`
	Server  float64 `json:"server_cpu"`
	Errors  int     `json:"errors"` // of all rounds together

	HAProxy    string `json:"haproxy"` // the faster one
	ToDirect   *span  `json:"to_direct,omitempty"`
	ToHAProxy  *span  `json:"to_haproxy,omitempty"`
	CPUHAProxy *span  `json:"cpu_to_haproxy,omitempty"`
	ToRouter   *span  `json:"to_router,omitempty"` // the faster one
	ToBuild    *span  `json:"to_first_build,omitempty"`
}

// What is to be reached, from the design.
const (
	goalRate     = 1.0  // of HAProxy's queries/s
	goalCPU      = 1.1  // of HAProxy's CPU per query
	goalRouter   = 1.0  // of MySQL Router's queries/s
	goalTransfer = 0.9  // of HAProxy's MB/s
	goalIdle     = 20.0 // KiB per idle connection
)

func (r *report) summarize(builds []build) {
	type group struct {
		test    string
		threads int
	}
	var groups []group
	measured := map[group]map[string][]sample{}
	var targets []string
	for _, s := range r.Samples {
		g := group{s.Test, s.Threads}
		if measured[g] == nil {
			groups = append(groups, g)
			measured[g] = map[string][]sample{}
		}
		if !slices.Contains(targets, s.Target) {
			targets = append(targets, s.Target)
		}
		measured[g][s.Target] = append(measured[g][s.Target], s)
	}
	for _, g := range groups {
		of := measured[g]
		hap, rtr := fastest(of, haproxies), fastest(of, routers)
		for _, target := range targets {
			own := of[target]
			s := summary{
				Test: g.test, Threads: g.threads, Target: target,
				Rate: medianOf(own, rate), Proxy: medianOf(own, proxy),
				Avg:      medianOf(own, func(s sample) float64 { return s.Avg }),
				P99:      medianOf(own, func(s sample) float64 { return s.P99 }),
				Server:   medianOf(own, func(s sample) float64 { return s.Server }),
				HAProxy:  hap,
				ToDirect: ratioOf(own, of[direct], rate), ToHAProxy: ratioOf(own, of[hap], rate),
				CPUHAProxy: ratioOf(own, of[hap], proxy), ToRouter: ratioOf(own, of[rtr], rate),
			}
			for _, x := range own {
				s.Errors += x.Errors
			}
			if target == direct {
				s.CPUHAProxy = nil
			}
			isBuild := slices.ContainsFunc(builds, func(b build) bool { return b.name == target })
			if isBuild && target != builds[0].name {
				s.ToBuild = ratioOf(own, of[builds[0].name], rate)
			}
			r.Summary = append(r.Summary, s)
			if isBuild {
				r.Verdicts = append(r.Verdicts, verdicts(s, builds[0].name)...)
			}
		}
	}
	for _, i := range r.Idle {
		if slices.ContainsFunc(builds, func(b build) bool { return b.name == i.Target }) {
			r.Verdicts = append(r.Verdicts, fmt.Sprintf("%s, %s, %d connections: %.1f KiB each: %s (goal at most %.0f); %d answered: %s",
				idle, i.Target, i.Connections, i.each(), word(i.each() <= goalIdle, false), goalIdle,
				i.Answered, word(i.Answered == i.Connections, false)))
		}
	}
}

// verdicts are those of one build in one test.
func verdicts(s summary, first string) []string {
	var all []string
	say := func(what string, r *span, goal string, reached, noise func(*span) bool) {
		if r != nil {
			all = append(all, fmt.Sprintf("%s, %d threads, %s: %s %s: %s (goal %s)", s.Test, s.Threads, s.Target, what, r,
				word(reached(r), noise(r)), goal))
		}
	}
	atLeast := func(what string, r *span, goal float64) {
		say(what, r, fmt.Sprintf("at least %.2f", goal),
			func(r *span) bool { return r.Median >= goal }, func(r *span) bool { return r.Max >= goal })
	}
	if s.Test == rows1M || s.Test == rows200 {
		atLeast("MB/s of "+s.HAProxy+"'s", s.ToHAProxy, goalTransfer)
	} else {
		atLeast("queries/s of "+s.HAProxy+"'s", s.ToHAProxy, goalRate)
		say("CPU per query of "+s.HAProxy+"'s", s.CPUHAProxy, fmt.Sprintf("at most %.2f", goalCPU),
			func(r *span) bool { return r.Median <= goalCPU }, func(r *span) bool { return r.Min <= goalCPU })
		say("queries/s of the faster router's", s.ToRouter, fmt.Sprintf("above %.2f", goalRouter),
			func(r *span) bool { return r.Median > goalRouter }, func(r *span) bool { return r.Max > goalRouter })
	}
	if s.ToBuild != nil {
		all = append(all, fmt.Sprintf("%s, %d threads, %s: rate of %s's %s", s.Test, s.Threads, s.Target, first, s.ToBuild))
	}
	return all
}

func word(reached, noise bool) string {
	switch {
	case reached:
		return "reached"
	case noise:
		return "missed, but some round reached it"
	}
	return "MISSED"
}

// print prints Markdown that reads as text too.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "%s\n%s\n", r.Started, r.About)
	var t table
	for i, s := range r.Summary {
		if i == 0 || s.Test != r.Summary[i-1].Test || s.Threads != r.Summary[i-1].Threads {
			t.flush(w)
			fmt.Fprintf(w, "\n%s, %d threads\n\n", s.Test, s.Threads)
			hap := s.HAProxy
			if hap == "" { // it wasn't measured
				hap = "haproxy"
			}
			unit, cpu := "queries/s", "µs/query"
			if s.Test == rows1M || s.Test == rows200 {
				unit, cpu = "MB/s", "ms/GB"
			}
			t.row("target", unit, "÷ direct", "÷ "+hap, "CPU "+cpu, "÷ "+hap, "server's", "avg ms", "p99 ms", "errors")
		}
		t.row(s.Target, fmt.Sprintf("%.0f", s.Rate), s.ToDirect.String(), s.ToHAProxy.String(), fmt.Sprintf("%.1f", s.Proxy), s.CPUHAProxy.String(),
			fmt.Sprintf("%.1f", s.Server), fmt.Sprintf("%.2f", s.Avg), fmt.Sprintf("%.2f", s.P99), fmt.Sprint(s.Errors))
	}
	t.flush(w)
	if len(r.Idle) > 0 {
		fmt.Fprintf(w, "\n%s\n\n", idle)
		t.row("target", "connections", "KiB before", "opened", "idle", "KiB each", "CPU while idle", "answered")
		for _, i := range r.Idle {
			t.row(i.Target, fmt.Sprint(i.Connections), fmt.Sprint(i.Before), fmt.Sprint(i.Open), fmt.Sprint(i.Idle),
				fmt.Sprintf("%.1f", i.each()), fmt.Sprintf("%v of %v", i.CPU, idleFor), fmt.Sprint(i.Answered))
		}
		t.flush(w)
		for _, i := range r.Idle {
			if i.Failure != "" {
				fmt.Fprintf(w, "\n%s: the first that didn't answer: %s\n", i.Target, i.Failure)
			}
		}
	}
	fmt.Fprintln(w)
	for _, v := range append(slices.Clone(r.Verdicts), r.Notes...) {
		fmt.Fprintln(w, "-", v)
	}
}

// A table is one of Markdown, aligned.
type table [][]string

func (t *table) row(cells ...string) { *t = append(*t, cells) }

// flush prints the table and empties it.
func (t *table) flush(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	for i, cells := range *t {
		fmt.Fprintf(tw, "| %s\t|\n", strings.Join(cells, "\t| "))
		if i == 0 {
			fmt.Fprintf(tw, "|%s\n", strings.Repeat("---\t|", len(cells)))
		}
	}
	tw.Flush()
	*t = nil
}

func writeJSON(path string, report any) error {
	b, err := json.MarshalIndent(report, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(b, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
