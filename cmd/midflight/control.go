package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"

	"midflight/mysqld"
	"midflight/throttle"
)

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
	id, err := migrationID(what, args[0])
	if err != nil {
		return err
	}
	if err := call(ctx, db, what, id); err != nil {
		return fmt.Errorf("%s migration %d: %w", what, id, err)
	}
	fmt.Fprintf(stdout, "%s: migration %d is told\n", what, id)
	return nil
}

// callWith is CALL midflight.throttle(7, 0.5, 30) and CALL midflight.limit('replica_lag', '2s').
func callWith(ctx context.Context, what string, args []string, stdout, stderr io.Writer) error {
	db, args, err := connect(what, args, stderr)
	if err != nil {
		return err
	}
	defer db.Close()
	if what == "limit" {
		if len(args) != 2 {
			return usageError{fmt.Errorf("limit needs the NAME of a limit and its VALUE, off, or default")}
		}
		value := sql.NullString{String: args[1], Valid: args[1] != "default"}
		allowed := args[1]
		if !value.Valid {
			allowed = "off" // it is the name that is looked at
		}
		// A window of a zone that nobody knows would stop all copies.
		if _, err := throttle.DefaultRules.With(strings.ToLower(strings.TrimSpace(args[0])), allowed); err != nil {
			return usageError{fmt.Errorf("limit: %w", err)}
		}
		if err := call(ctx, db, "limit", args[0], value); err != nil {
			return fmt.Errorf("set the limit %s: %w", args[0], err)
		}
		if !value.Valid {
			fmt.Fprintf(stdout, "limit: %s is as each Midflight is configured\n", args[0])
			return nil
		}
		fmt.Fprintf(stdout, "limit: %s is %s\n", args[0], args[1])
		return nil
	}
	if len(args) != 3 {
		return usageError{fmt.Errorf("throttle needs the ID of a migration, the RATIO of the time in which it rests (0 to 1), and for how many MINUTES")}
	}
	id, err := migrationID(what, args[0])
	if err != nil {
		return err
	}
	ratio, err := strconv.ParseFloat(args[1], 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) {
		return usageError{fmt.Errorf("throttle: %q is no ratio: want 0 (at full speed) to 1 (not at all)", args[1])}
	}
	minutes, err := strconv.ParseUint(args[2], 10, 31)
	if err != nil {
		return usageError{fmt.Errorf("throttle: %q is no number of minutes", args[2])}
	}
	if err := call(ctx, db, "throttle", id, ratio, minutes); err != nil {
		return fmt.Errorf("throttle migration %d: %w", id, err)
	}
	if ratio == 0 || minutes == 0 {
		fmt.Fprintf(stdout, "throttle: migration %d rests no more by an operator's word\n", id)
		return nil
	}
	fmt.Fprintf(stdout, "throttle: migration %d rests for %.0f %% of the next %s\n", id, 100*ratio, plural(int64(minutes), "minute", "minutes"))
	return nil
}

// call says an operator's word. The account may be everybody's: the trail has beside it who
// sits at the shell.
func call(ctx context.Context, db *sql.DB, procedure string, args ...any) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SET /* midflight */ @midflight_operator = ?", operator()); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, fmt.Sprintf("CALL /* midflight */ midflight.%s(?%s)", procedure, strings.Repeat(", ?", len(args)-1)), args...)
	return err
}

// operator is the system's user, and on which machine.
func operator() string {
	name, host := "?", "?"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return strings.ToValidUTF8(fmt.Sprintf("%q on %s", name, host), "?")
}

func migrationID(command, arg string) (int64, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || id < 1 {
		return 0, usageError{fmt.Errorf("%s: %q is not the id of a migration", command, arg)}
	}
	return id, nil
}

// oneID is the id that a command may be given; 0: none was.
func oneID(command string, args []string) (int64, error) {
	switch len(args) {
	case 0:
		return 0, nil
	case 1:
		return migrationID(command, args[0])
	}
	return 0, noArgs(command, args[1:], nil)
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

// A reading is a command that shows something.
type reading struct {
	config
	db   *sql.DB
	json bool
	to   terminal
	rest []string
}

// read opens the server for a command that shows something, with more flags.
func read(name string, args []string, stdout, stderr io.Writer, flags func(*flag.FlagSet)) (*reading, error) {
	r := &reading{to: on(stdout)}
	rest, err := r.parse(name, args, stderr, func(c *config, f *flag.FlagSet) {
		c.serverFlags(f)
		f.Func("o", "`FORMAT`: text (the default) or json, one object a line", func(s string) error {
			r.json = s == "json"
			if !r.json && s != "text" {
				return fmt.Errorf("want text or json")
			}
			return nil
		})
		if flags != nil {
			flags(f)
		}
	})
	if err != nil {
		return nil, err
	}
	r.rest = rest
	r.db, err = mysqld.Open(r.account())
	return r, err
}
