package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"midflight/ghost"
	"midflight/mysqld"
	"midflight/store"
)

const (
	watchEvery    = 500 * time.Millisecond
	watchPatience = 10 * time.Second
	// Where nobody looks at it, a log is written: what has changed, and this often how
	// far it is.
	logEvery = 10 * time.Second
	// endedShown are the migrations that have ended below those that run.
	endedShown = 8
)

// watch shows migrations again and again until ctx ends, or the one that was named has.
func watch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	r, err := read("watch", args, stdout, stderr, nil)
	if err != nil {
		return err
	}
	defer r.db.Close()
	id, err := oneID("watch", r.rest)
	if err != nil {
		return err
	}
	show, away := r.logChanges(), once(func(err error) { fmt.Fprintln(stderr, "midflight:", awayText(err)) })
	switch {
	case r.json:
		show = func(list []store.Migration) error { return writeAll(stdout, list) }
	case r.to.live:
		// Lines are written over those that were there, so that nothing flickers.
		io.WriteString(stdout, "\x1b[?25l\x1b[H\x1b[2J")
		defer io.WriteString(stdout, "\x1b[?25h")
		show = func(list []store.Migration) error {
			t := on(stdout) // it may have another size by now
			_, err := io.WriteString(stdout, frame(t, r.Server, list, time.Now()))
			return err
		}
		away = func(err error) {
			if err != nil {
				t := on(stdout)
				io.WriteString(stdout, "\x1b[H\x1b[K"+t.in(red, cut(tame(awayText(err)), t.width)))
			}
		}
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for seen := false; ; {
		list, err := r.watched(ctx, id)
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case err == nil:
			seen = true
			away(nil)
			if err := show(list); err != nil {
				return err
			}
			if id != 0 && list[0].Ended() {
				return howItEnded(list[0])
			}
		case seen && isAway(err):
			away(err)
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (r *reading) watched(ctx context.Context, id int64) ([]store.Migration, error) {
	// A server that hangs is told of as one that is gone.
	ctx, cancel := context.WithTimeout(ctx, watchPatience)
	defer cancel()
	if id == 0 {
		return store.Recent(ctx, r.db, most)
	}
	m, err := store.Brief(ctx, r.db, id, 2000)
	return []store.Migration{m}, err
}

// isAway: a server that restarts takes its migrations with it, and they go on with it.
func isAway(err error) bool {
	return mysqld.IsConnectionLost(err) || mysqld.IsTooManyConnections(err) || errors.Is(err, context.DeadlineExceeded)
}

func awayText(err error) string {
	return fmt.Sprintf("the server can't be asked, trying again: %v", err)
}

// once has f told of the first of several errors; nil ends them.
func once(f func(error)) func(error) {
	told := false
	return func(err error) {
		if err != nil && !told {
			f(err)
		}
		told = err != nil
	}
}

// frame is one picture, as it goes to the terminal.
func frame(t terminal, server string, list []store.Migration, now time.Time) string {
	var b bytes.Buffer
	to := t
	to.Writer = &b
	running := 0
	for _, m := range list {
		if !m.Ended() {
			running++
		}
	}
	right := fmt.Sprintf("%s running   %s UTC", grouped(int64(running)), now.UTC().Format(time.TimeOnly))
	name := cut("midflight at "+server, max(10, t.width-columns(right)-2))
	fmt.Fprintf(to, "%s%s%s\n", to.in(bold, name), strings.Repeat(" ", max(1, t.width-columns(name)-columns(right))), to.in(faint, right))
	for _, m := range list {
		if !m.Ended() {
			printRunning(to, m)
		}
	}
	if running < len(list) {
		fmt.Fprintln(to)
	}
	for i, m := range list[running:] {
		if i == endedShown {
			break
		}
		printEnded(to, m)
	}
	if len(list) == 0 {
		fmt.Fprint(to, "\nno migrations yet\n")
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if t.height > 1 && len(lines) > t.height-1 { // the terminal would scroll
		lines = append(lines[:t.height-2], to.in(faint, fmt.Sprintf("… %d more lines", len(lines)-t.height+2)))
	}
	return "\x1b[H" + strings.Join(lines, "\x1b[K\n") + "\x1b[K\n\x1b[J"
}

// printRunning is a migration that runs, in three to five lines.
func printRunning(t terminal, m store.Migration) {
	id := fmt.Sprintf("%4d  ", m.ID)
	phase := string(m.Phase)
	table := cut(tame(m.Table), max(12, t.width-columns(id)-columns(phase)-4))
	fmt.Fprintf(t, "\n%s%s  %s\n", id, t.in(bold, table), t.in(phaseColour(m.Phase), phase))
	const indent = "      "
	room := t.width - len(indent)
	if m.Path == "copy" && m.Phase != ghost.Queued {
		text := fmt.Sprintf(" %5.1f %%", 100*m.Progress)
		if l := left(m); l != "" {
			text += "   " + l + " left"
		}
		width := max(10, min(60, room-columns(text)))
		fmt.Fprintf(t, "%s%s%s\n", indent, t.in(cyan, blocks(m.Progress, width)), cut(text, max(0, room-width)))
		parts := []string{fmt.Sprintf("%s of about %s rows", grouped(m.Copied), grouped(m.Estimate))}
		if m.Rate > 0 {
			parts = append(parts, grouped(m.Rate)+" rows/s")
		}
		if m.Backlog > 0 {
			parts = append(parts, plural(m.Backlog, "changed row to apply", "changed rows to apply"))
		}
		parts = append(parts, took(m)+" so far")
		fmt.Fprintf(t, "%s%s\n", indent, cut(strings.Join(parts, " · "), room))
	}
	switch {
	case m.WaitingFor != "":
		for i, l := range folded("waiting for "+tame(m.WaitingFor), room) {
			if i == 2 {
				break
			}
			fmt.Fprintf(t, "%s%s\n", indent, t.in(yellow, l))
		}
	case m.Paused:
		fmt.Fprintf(t, "%s%s\n", indent, t.in(yellow, cut(fmt.Sprintf("paused; midflight resume %d goes on", m.ID), room)))
	case m.Phase == ghost.Ready && m.CutOver != "auto":
		fmt.Fprintf(t, "%s%s\n", indent, t.in(yellow, cut(fmt.Sprintf("ready; cut-over %s; midflight cutover %d gives leave", m.CutOver, m.ID), room)))
	}
	fmt.Fprintf(t, "%s%s\n", indent, t.in(faint, cut(tame(m.Statement), room)))
}

func printEnded(t terminal, m store.Migration) {
	mark, text := "✓", fmt.Sprintf("%s in %s", m.Phase, took(m))
	switch m.Phase {
	case ghost.Failed:
		mark, text = "✗", "failed: "+tame(m.Failure)
	case ghost.Canceled:
		mark, text = "–", "canceled"
	}
	const before = 10 // the mark, the id and blanks
	table := cut(tame(m.Table), max(20, t.width-before-columns(text)))
	fmt.Fprintf(t, "%s %4d  %s  %s\n", t.in(phaseColour(m.Phase), mark), m.ID, table, cut(text, max(1, t.width-before-columns(table))))
}

// logChanges shows lines for a file or a pipe: a migration's when something has happened
// to it, or after logEvery.
func (r *reading) logChanges() func([]store.Migration) error {
	type shown struct {
		what string
		at   time.Time
	}
	last := map[int64]shown{}
	first := true
	return func(list []store.Migration) error {
		now := time.Now()
		for i := len(list) - 1; i >= 0; i-- {
			m := list[i]
			waits, _, _ := strings.Cut(m.WaitingFor, " (") // a throttle's numbers are others each second
			what := string(m.Phase) + waits
			before := last[m.ID]
			if before.what == what && (m.Ended() || now.Sub(before.at) < logEvery) {
				continue
			}
			last[m.ID] = shown{what, now}
			if m.Ended() && first && len(list) > 1 { // before anybody watched
				continue
			}
			line := fmt.Sprintf("%s UTC  %d  %s  %s", now.UTC().Format(time.TimeOnly), m.ID, tame(m.Table), m.Phase)
			if m.Path == "copy" && !m.Ended() {
				line += fmt.Sprintf("  %.0f%%", 100*m.Progress)
				if l := left(m); l != "" {
					line += "  " + l + " left"
				}
			}
			if m.WaitingFor != "" || m.Failure != "" {
				line += "  " + note(m)
			}
			if _, err := fmt.Fprintln(r.to, line); err != nil {
				return err
			}
		}
		first = false
		return nil
	}
}
