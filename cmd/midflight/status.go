package main

import (
	"cmp"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"midflight/mysqld"
	"midflight/store"
)

// status prints the migrations that run and the latest that have ended.
func status(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	db, rest, err := connect("status", args, stderr)
	if err := noArgs("status", rest, err); err != nil {
		return err
	}
	defer db.Close()
	list, err := store.Recent(ctx, db, 20)
	if err != nil {
		return err
	}
	printMigrations(stdout, list)
	return nil
}

func printMigrations(w io.Writer, list []store.Migration) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no migrations yet")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tTABLE\tPHASE\tPATH\tPROGRESS\tETA\tTOOK\tNOTE")
	for _, m := range list {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, m.Table, m.Phase, dash(m.Path), bar(m), eta(m), took(m), note(m))
	}
	t.Flush()
}

func bar(m store.Migration) string {
	if m.Ended() || m.Path != "copy" {
		return "-"
	}
	const width = 20
	full := int(m.Progress * width)
	return fmt.Sprintf("%s%s %3.0f%%", strings.Repeat("█", full), strings.Repeat("░", width-full), 100*m.Progress)
}

func eta(m store.Migration) string { return cmp.Or(m.Left(), "-") }

func took(m store.Migration) string {
	d, ok := m.Took(time.Now())
	if !ok {
		return "-"
	}
	return d.Round(100 * time.Millisecond).String()
}

func note(m store.Migration) string {
	switch {
	case m.Failure != "":
		return m.Failure
	case m.WaitingFor != "":
		return "waiting for " + m.WaitingFor
	}
	statement := []rune(strings.Join(strings.Fields(m.Statement), " "))
	return string(statement[:min(200, len(statement))])
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// watch prints them again and again until ctx ends.
func watch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	db, rest, err := connect("watch", args, stderr)
	if err := noArgs("watch", rest, err); err != nil {
		return err
	}
	defer db.Close()
	clear := "\x1b[H\x1b[2J"
	if f, ok := stdout.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice == 0 {
			clear = "\n" // not a terminal: one table after the other
		}
	}
	for {
		list, err := store.Recent(ctx, db, 12)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		var page strings.Builder
		fmt.Fprintf(&page, "%smidflight %s\n\n", clear, time.Now().Format(time.TimeOnly))
		printMigrations(&page, list)
		io.WriteString(stdout, page.String())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// control is CALL midflight.pause(7) and its like.
func control(ctx context.Context, what string, args []string, stdout, stderr io.Writer) error {
	db, args, err := connect(what, args, stderr)
	if err != nil {
		return err
	}
	defer db.Close()
	if len(args) != 1 {
		return usageError{fmt.Errorf("%s needs the id of a migration (see midflight status)", what)}
	}
	id, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return usageError{fmt.Errorf("%s: %q is not the id of a migration", what, args[0])}
	}
	if _, err := db.ExecContext(ctx, fmt.Sprintf("CALL midflight.%s(?)", what), id); err != nil {
		return fmt.Errorf("%s migration %d: %w", what, id, err)
	}
	fmt.Fprintf(stdout, "%s: migration %d is told\n", what, id)
	return nil
}

// connect opens the server for a command that only reads or calls.
func connect(name string, args []string, stderr io.Writer) (*sql.DB, []string, error) {
	var c config
	rest, err := c.parse(name, args, stderr, func(c *config, f *flag.FlagSet) { c.serverFlags(f) })
	if err != nil {
		return nil, nil, err
	}
	db, err := mysqld.Open(c.account())
	return db, rest, err
}
