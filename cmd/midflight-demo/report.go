package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A report is what is told at the end.
type report struct {
	answer        answer
	truth         truth
	column, index string // of the new definition
	strategy      string
	cut           cutOver
	wasCut        bool
	errors        map[string]int
	spans         []span
}

// A span is a stretch of time, and what the application felt in it.
type span struct {
	name                string
	took                time.Duration
	worst               time.Duration
	transactions, reads int
}

// around is added to both sides of the cut-over: the table of events is written
// a moment after it.
const around = 100 * time.Millisecond

func newReport(ctx context.Context, server *sql.DB, a *app, result answer, loaded, ended time.Time, reading func()) (r report, err error) {
	r.answer, r.errors = result, a.meter.texts()
	state, err := latest(ctx, server)
	if err != nil {
		return r, err
	}
	r.strategy = state.strategy
	if r.cut, r.wasCut, err = readCutOver(ctx, server, state.id); err != nil {
		return r, err
	}
	add := func(name string, from, to time.Time) {
		s := span{name: name, took: to.Sub(from)}
		s.worst, s.transactions, s.reads = a.meter.between(from, to)
		r.spans = append(r.spans, s)
	}
	add("before", loaded, result.start)
	add("during", result.start, result.end)
	if r.wasCut {
		add("cut-over", r.cut.at.Add(-r.cut.locked-r.cut.longest-around), r.cut.at.Add(around))
	}
	add("after", result.end, ended)
	if r.column, r.index, err = definition(ctx, server); err != nil {
		return r, err
	}
	reading()
	r.truth, err = readBack(ctx, server, a, r.column != "")
	return r, err
}

func (r report) failures() int64 {
	var n int64
	for _, count := range r.errors {
		n += int64(count)
	}
	return n
}

// verdict is an error unless all is as it must be.
func (r report) verdict() error {
	var all []error
	if r.answer.err != nil {
		all = append(all, fmt.Errorf("the ALTER failed: %w", r.answer.err))
	} else if r.column == "" || r.index == "" {
		all = append(all, errors.New("the table isn't altered"))
	}
	if t := r.truth; t.lost+t.wrong+t.extra > 0 {
		all = append(all, fmt.Errorf("rows lost %d, wrong %d, extra %d: %s", t.lost, t.wrong, t.extra, t.example))
	}
	if n := r.failures(); n > 0 {
		all = append(all, fmt.Errorf("the application had %d errors", n))
	}
	return errors.Join(all...)
}

func (r report) print(s *screen) {
	took := r.answer.end.Sub(r.answer.start)
	s.say("")
	if r.answer.err != nil {
		s.say("  %s", s.red(fmt.Sprintf("%v (%.2f s)", r.answer.err, took.Seconds())))
	} else {
		s.say("  %s", s.green(fmt.Sprintf("Query OK, %s rows affected (%.2f s)", thousands(r.answer.affected), took.Seconds())))
	}
	if r.column != "" || r.index != "" {
		s.say("\n  %s", s.dim("CREATE TABLE `orders` ( …"))
		s.say("    %s,", r.column)
		s.say("    %s", r.index)
	}

	t := r.truth
	s.say("")
	count := func(name string, n int64, more string) {
		s.say("  %-20s%s  %s", name, s.good(n, fmt.Sprintf("%9s", thousands(n))), s.dim(more))
	}
	s.say("  %-20s%9s  %s", "rows compared", thousands(t.compared), s.dim("every column, read back from the server"))
	count("  lost", t.lost, "acknowledged, but not there")
	count("  wrong", t.wrong, "there, but not as acknowledged")
	count("  extra", t.extra, "there, but nobody wrote them")
	if t.unsure > 0 {
		s.say("  %-20s%9s  %s", "  not comparable", thousands(t.unsure), s.dim("their last change was never answered"))
	}
	count("application errors", r.failures(), "")
	for _, text := range slices.Sorted(maps.Keys(r.errors)) {
		s.say("    %d × %s", r.errors[text], text)
	}

	header := fmt.Sprintf("\n  %-20s", "")
	stall := fmt.Sprintf("  %-20s", "worst stall")
	trx := fmt.Sprintf("  %-20s", "transactions/s")
	reads := fmt.Sprintf("  %-20s", "reads/s")
	for _, p := range r.spans {
		header += fmt.Sprintf("%12s", p.name)
		stall += fmt.Sprintf("%12s", ms(p.worst))
		if p.name == "cut-over" { // too short for a rate
			trx += fmt.Sprintf("%12s", "")
			reads += fmt.Sprintf("%12s", "")
			continue
		}
		trx += fmt.Sprintf("%12.0f", float64(p.transactions)/p.took.Seconds())
		reads += fmt.Sprintf("%12.0f", float64(p.reads)/p.took.Seconds())
	}
	s.say("%s", s.dim(header))
	s.say("%s", s.bold(stall))
	s.say("%s", trx)
	s.say("%s", reads)

	s.say("")
	if !r.wasCut {
		s.say("  path %s, no cut-over recorded", r.strategy)
		return
	}
	s.say("  %-20s%9s  %s", "table locked", ms(r.cut.locked), s.dim(fmt.Sprintf("for the swap, attempt %d", r.cut.attempts)))
	s.say("  %-20s%9d  %s", "statements held", r.cut.held, s.dim(fmt.Sprintf("by midflight meanwhile, %s at most", ms(r.cut.longest))))
}
