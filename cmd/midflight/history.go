package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"midflight/ghost"
	"midflight/store"
)

// history prints the audit trail: every schema change that came through Midflight.
func history(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := store.Filter{Limit: 50}
	r, err := read("history", args, stdout, stderr, func(flags *flag.FlagSet) {
		flags.StringVar(&f.Table, "table", "", "only changes of this `TABLE`, or SCHEMA.TABLE")
		flags.Func("since", "only what came since then: a `TIME` (2026-03-01, 2026-03-01T14:00:00Z) or for how long (36h, 7d)", func(s string) (err error) {
			f.Since, err = sinceWhen(s, time.Now())
			return err
		})
		flags.IntVar(&f.Limit, "limit", f.Limit, "how many at most, the latest of them")
	})
	if err != nil {
		return err
	}
	defer r.db.Close()
	id, err := oneID("history", r.rest)
	if err != nil {
		return err
	}
	if id != 0 {
		return r.one(ctx, id)
	}
	if f.Limit < 1 {
		return usageError{fmt.Errorf("history: --limit %d: want 1 or more", f.Limit)}
	}
	list, err := store.History(ctx, r.db, f)
	if err != nil {
		return err
	}
	if r.json {
		for _, c := range list {
			if err := writeJSON(stdout, toChange(c)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		fmt.Fprintln(stdout, "no schema changes")
		return nil
	}
	b := table{head: []string{"WHEN (UTC)", "ID", "TABLE", "WHO", "PATH", "OUTCOME", "TOOK", "STATEMENT"}, yields: 2}
	for _, c := range list {
		id, took := "-", "-"
		if c.ID != 0 {
			id = fmt.Sprint(c.ID)
		}
		if c.Took.Valid {
			took = spell(time.Duration(c.Took.Float64 * float64(time.Second)))
		}
		text := cut(tame(c.Text), 200)
		if c.Outcome == store.Said {
			text += " (" + tame(c.Why) + ")"
		}
		if c.Failure != "" {
			text = tame(fmt.Sprintf("error %d: %s: %s", c.ErrorNumber.Int64, c.Failure, c.Text))
		}
		b.add(cell{inUTC(c.At), faint}, cell{text: id}, cell{text: dash(tame(c.Table))}, cell{text: tame(who(c))}, cell{text: dash(c.Path)},
			cell{c.Outcome, outcomeColour(c)}, cell{text: took}, cell{text: text})
	}
	b.print(r.to)
	return nil
}

// who leaves the client's port out.
func who(c store.Change) string {
	host := c.Host
	if i := strings.LastIndexByte(host, ':'); i > 0 {
		host = host[:i]
	}
	return cmp.Or(c.User, "?") + "@" + cmp.Or(host, "?")
}

func outcomeColour(c store.Change) colour {
	if c.ErrorNumber.Valid && c.Outcome != string(ghost.Canceled) {
		return red
	}
	return phaseColour(ghost.Phase(c.Outcome))
}

// sinceWhen reads --since.
func sinceWhen(s string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, time.DateTime, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("want a time in UTC (2026-03-01, '2026-03-01 14:00:00'), or for how long: 36h, 7d")
}
