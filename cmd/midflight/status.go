package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"midflight/ghost"
	"midflight/store"
	"midflight/throttle"
)

// most is how many migrations are listed.
const most = 20

// status prints the migrations that run and the latest that have ended, or all about one.
func status(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	r, err := read("status", args, stdout, stderr, nil)
	if err != nil {
		return err
	}
	defer r.db.Close()
	id, err := oneID("status", r.rest)
	if err != nil {
		return err
	}
	if id != 0 {
		return r.one(ctx, id)
	}
	list, err := store.Recent(ctx, r.db, most)
	if err != nil {
		return err
	}
	if r.json {
		return writeAll(stdout, list)
	}
	if len(list) == 0 {
		fmt.Fprintln(stdout, "no migrations yet")
		return nil
	}
	printMigrations(r.to, list)
	return nil
}

func writeAll(w io.Writer, list []store.Migration) error {
	for _, m := range list {
		if err := writeJSON(w, toObject(m)); err != nil {
			return err
		}
	}
	return nil
}

func printMigrations(t terminal, list []store.Migration) {
	b := table{head: []string{"ID", "TABLE", "PHASE", "PATH", "PROGRESS", "ETA", "TOOK", "NOTE"}, yields: 1}
	width := 20
	if t.width > 0 && t.width < 120 {
		width = 10
	}
	for _, m := range list {
		b.add(cell{text: fmt.Sprint(m.ID)}, cell{text: tame(m.Table)}, cell{string(m.Phase), phaseColour(m.Phase)}, cell{text: dash(m.Path)},
			cell{bar(m, width), cyan}, cell{text: cmp.Or(left(m), "-")}, cell{text: took(m)}, cell{note(m), noteColour(m)})
	}
	b.print(t)
}

func phaseColour(p ghost.Phase) colour {
	switch p {
	case ghost.Completed:
		return green
	case ghost.Failed:
		return red
	case ghost.Canceled, ghost.Queued:
		return faint
	}
	return cyan
}

func noteColour(m store.Migration) colour {
	switch {
	case m.Failure != "" && m.Phase == ghost.Failed:
		return red
	case m.WaitingFor != "":
		return yellow
	}
	return faint
}

func bar(m store.Migration, width int) string {
	if m.Ended() || m.Path != "copy" {
		return "-"
	}
	return fmt.Sprintf("%s %3.0f%%", blocks(m.Progress, width), 100*m.Progress)
}

// blocks is a bar of eighths.
func blocks(progress float64, width int) string {
	eighths := int(max(0, min(1, progress)) * float64(8*width))
	full, part := eighths/8, eighths%8
	s := strings.Repeat("█", full)
	if part > 0 {
		s += string([]rune("▏▎▍▌▋▊▉")[part-1])
		full++
	}
	return s + strings.Repeat("░", width-full)
}

// left is the time until the end of the copy, and how far off that may be; "": nobody knows.
func left(m store.Migration) string {
	if m.Ended() || !m.ETA.Valid {
		return ""
	}
	switch {
	case m.ETAError.Int64 > m.ETA.Int64:
		return spellSeconds(m.ETA.Int64) + " or more"
	case m.ETAError.Int64 > 0:
		return spellSeconds(m.ETA.Int64) + " ± " + spellSeconds(m.ETAError.Int64)
	}
	return spellSeconds(m.ETA.Int64)
}

func took(m store.Migration) string {
	d, ok := m.Took()
	if !ok {
		return "-"
	}
	return spell(d)
}

func note(m store.Migration) string {
	switch {
	case m.Failure != "":
		return tame(m.Failure)
	case m.WaitingFor != "":
		return "waiting for " + tame(m.WaitingFor)
	case m.Paused && !m.Ended():
		return "paused; midflight resume " + fmt.Sprint(m.ID)
	}
	return cut(tame(m.Statement), 200)
}

func dash(s string) string { return cmp.Or(s, "-") }

// one prints all about a migration.
func (r *reading) one(ctx context.Context, id int64) error {
	m, err := store.One(ctx, r.db, id)
	if err != nil {
		return err
	}
	events, err := store.Events(ctx, r.db, id)
	if err != nil {
		return err
	}
	at, err := store.CheckpointAt(ctx, r.db, id)
	if err != nil {
		return err
	}
	stays := store.Stays(m, events, m.At)
	if r.json {
		o := toObject(m)
		o.Checkpoint, o.Phases, o.Events = moment(at), toStays(stays), toEvents(events)
		return writeJSON(r.to, o)
	}
	t := r.to
	fmt.Fprintf(t, "%s %s  %s", t.in(bold, fmt.Sprintf("migration %d", m.ID)), t.in(bold, tame(m.Table)), t.in(phaseColour(m.Phase), string(m.Phase)))
	if d, ok := m.Took(); ok {
		fmt.Fprintf(t, "  %s", spell(d))
	}
	fmt.Fprint(t, "\n\n")
	for _, line := range beginning(folded(tame(m.Statement), cmp.Or(t.width, 100)-4)) {
		fmt.Fprintf(t, "    %s\n", line)
	}
	fmt.Fprintln(t)
	f := facts{to: t}
	f.add("sent by", fmt.Sprintf("%s@%s, connection %d%s", m.User, m.Host, m.Session, orNothing(", as the account ", m.Account)))
	f.add("database", m.Database)
	f.add("path", m.Path+orNothing(": ", m.Why))
	f.add("cut-over", m.CutOver)
	f.add("waiting for", m.WaitingFor)
	f.add("has waited", waits(m.Throttled))
	if m.Ratio > 0 {
		f.add("rests", fmt.Sprintf("%.0f %% of the time, until %s UTC", 100*m.Ratio, inUTC(m.Until.Time)))
	}
	if !m.Ended() && m.Path == "copy" {
		f.add("progress", fmt.Sprintf("%s of about %s rows, %.1f %%, %s rows a second", grouped(m.Copied), grouped(m.Estimate), 100*m.Progress, grouped(m.Rate)))
		f.add("ready in", left(m))
		f.add("backlog", plural(m.Backlog, "changed row to apply", "changed rows to apply"))
		if m.Paused {
			f.add("paused", fmt.Sprintf("midflight resume %d goes on", m.ID))
		}
	}
	if at.Valid && !m.Ended() {
		f.add("checkpoint", fmt.Sprintf("%s UTC, %s ago", inUTC(at.Time), spell(max(0, m.At.Sub(at.Time)))))
	}
	if m.Failure != "" {
		f.add("error", fmt.Sprintf("%d: %s", m.ErrorNumber.Int64, m.Failure))
	}
	if m.Records.Valid && m.Phase == ghost.Completed {
		f.add("answer", fmt.Sprintf("%s, %s", plural(m.Records.Int64, "record", "records"), plural(m.Warnings.Int64, "warning", "warnings")))
	}
	f.add("verified", m.Verification)
	if n := m.Tries.Number; n > 0 {
		f.add("lock", fmt.Sprintf("%s in %s; %s held, %s at most", spell(m.Tries.Locked), plural(int64(n), "attempt", "attempts"),
			plural(int64(m.Tries.Held), "statement", "statements"), spell(m.Tries.Longest)))
	}
	f.add("run by", m.RanBy)
	f.add("came", inUTC(m.Created.Time)+" UTC")
	if m.Ended() {
		f.add("ended", inUTC(m.Done.Time)+" UTC")
	}
	f.print()

	fmt.Fprintf(t, "\n%s\n", t.in(bold, "phases"))
	for _, s := range stays {
		took := spell(s.Took)
		if s.Phase.Terminal() {
			took = ""
		}
		t.line("    %s  %s  %s", s.Entered.UTC().Format(time.TimeOnly), padded(string(s.Phase), 13), took)
	}
	fmt.Fprintf(t, "\n%s\n", t.in(bold, "history (UTC)"))
	for _, e := range events {
		if e.Kind == ghost.EntryPhase {
			continue
		}
		lines := []string{tame(e.Text)}
		if t.width > 0 {
			lines = folded(lines[0], t.width-14)
		}
		for i, l := range lines {
			at := e.At.UTC().Format(time.TimeOnly)
			if i > 0 {
				at = "        "
			}
			fmt.Fprintf(t, "    %s  %s\n", at, l)
		}
	}
	return nil
}

// beginning of a long statement: what stands below it is what is looked for.
func beginning(lines []string) []string {
	const most = 20
	if len(lines) <= most {
		return lines
	}
	return append(lines[:most-1:most-1], fmt.Sprintf("… and %s more lines (-o json has all)", grouped(int64(len(lines)-most+1))))
}

func orNothing(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

// facts are lines of a name and its value; what has no value is left out.
type facts struct {
	to    terminal
	names []string
	texts []string
}

func (f *facts) add(name, text string) {
	if text != "" {
		f.names, f.texts = append(f.names, name), append(f.texts, tame(text))
	}
}

func (f *facts) print() {
	wide := 0
	for _, n := range f.names {
		wide = max(wide, columns(n))
	}
	for i, n := range f.names {
		lines := []string{f.texts[i]}
		if f.to.width > 0 {
			lines = folded(f.texts[i], f.to.width-wide-3)
		}
		for j, l := range lines {
			name := padded(n, wide)
			if j > 0 {
				name = strings.Repeat(" ", wide)
			}
			fmt.Fprintf(f.to, "%s  %s\n", f.to.in(faint, name), l)
		}
	}
}

// waits are for how long no rows were copied, by what for.
func waits(by map[throttle.Signal]time.Duration) string {
	var parts []string
	for _, w := range throttle.Waits(by) {
		if w.For < 100*time.Millisecond { // the first look at everything
			continue
		}
		parts = append(parts, fmt.Sprintf("%s for %s", spell(w.For), w.Signal))
	}
	return strings.Join(parts, ", ")
}
