package main

import (
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
)

// migration is a row of midflight.migrations, as people see it.
type migration struct {
	id                     int64
	table, statement       string
	phase, strategy        string
	copied, estimate       int64
	progress               float64
	eta                    sql.NullInt64
	waitingFor, failure    string
	created, started, done sql.NullTime
}

func (m migration) ended() bool { return m.done.Valid }

func readMigrations(ctx context.Context, db *sql.DB, limit int) ([]migration, error) {
	rows, err := db.QueryContext(ctx, `SELECT /* midflight */ id, CONCAT(schema_name, '.', table_name), LEFT(statement, 200), phase, strategy, rows_copied, rows_estimate, progress, eta_seconds, waiting_for, COALESCE(error, ''), created_at, started_at, completed_at
FROM midflight.migrations ORDER BY completed_at IS NULL DESC, id DESC LIMIT ?`, limit)
	if n := mysqld.Number(err); n == mysqld.ErrNoSuchTable || n == 1049 {
		return nil, nil // no Midflight has run here yet
	}
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	defer rows.Close()
	var list []migration
	for rows.Next() {
		var m migration
		if err := rows.Scan(&m.id, &m.table, &m.statement, &m.phase, &m.strategy, &m.copied, &m.estimate, &m.progress, &m.eta, &m.waitingFor, &m.failure, &m.created, &m.started, &m.done); err != nil {
			return nil, fmt.Errorf("read the migrations: %w", err)
		}
		list = append(list, m)
	}
	return list, rows.Err()
}

// status prints the migrations that run and the latest that have ended.
func status(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	db, rest, err := connect("status", args, stderr)
	if err := noArgs("status", rest, err); err != nil {
		return err
	}
	defer db.Close()
	list, err := readMigrations(ctx, db, 20)
	if err != nil {
		return err
	}
	printMigrations(stdout, list)
	return nil
}

func printMigrations(w io.Writer, list []migration) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no migrations yet")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tTABLE\tPHASE\tPATH\tPROGRESS\tETA\tTOOK\tNOTE")
	for _, m := range list {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.id, m.table, m.phase, dash(m.strategy), m.bar(), m.etaText(), m.took(), m.note())
	}
	t.Flush()
}

func (m migration) bar() string {
	if m.ended() || m.strategy != "copy" {
		return "-"
	}
	const width = 20
	full := int(m.progress * width)
	return fmt.Sprintf("%s%s %3.0f%%", strings.Repeat("█", full), strings.Repeat("░", width-full), 100*m.progress)
}

func (m migration) etaText() string {
	if m.ended() || !m.eta.Valid {
		return "-"
	}
	return (time.Duration(m.eta.Int64) * time.Second).String()
}

func (m migration) took() string {
	if !m.started.Valid {
		return "-"
	}
	end := time.Now().UTC()
	if m.done.Valid {
		end = m.done.Time
	}
	return end.Sub(m.started.Time).Round(100 * time.Millisecond).String()
}

func (m migration) note() string {
	switch {
	case m.failure != "":
		return m.failure
	case m.waitingFor != "":
		return "waiting for " + m.waitingFor
	}
	return strings.Join(strings.Fields(m.statement), " ")
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
		list, err := readMigrations(ctx, db, 12)
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
