package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"midflight/internal/localserver"
)

// siteOptions are what the benchmarks of schema changes have in common: they start
// servers, with a Midflight in front, and put the load of osc on them.
type siteOptions struct {
	rounds    int
	rows      int
	servers   []localserver.Flavor
	osc       string // the folder of the load program's module
	midflight string
	json      string
}

func (o *siteOptions) register(f *flag.FlagSet, rows int, json string) {
	f.IntVar(&o.rounds, "rounds", 5, "interleaved rounds")
	f.IntVar(&o.rows, "rows", rows, "rows of the table")
	o.servers = []localserver.Flavor{localserver.MySQL}
	f.Func("servers", "`NAMES`: mysql, mariadb or both, with a comma (default mysql)", func(s string) error {
		o.servers = nil
		for _, name := range list(s) {
			if !slices.Contains(localserver.Flavors, localserver.Flavor(name)) {
				return fmt.Errorf("no server %q: there are mysql and mariadb", name)
			}
			o.servers = append(o.servers, localserver.Flavor(name))
		}
		return nil
	})
	f.StringVar(&o.osc, "osc", "../shared/bench", "the `FOLDER` of the load program's module")
	f.StringVar(&o.midflight, "midflight", "bin/midflight", "the `PATH` of the build to measure")
	f.StringVar(&o.json, "json", json, "`FILE` for every sample and summary")
}

func (o *siteOptions) parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("what is %q? A flag begins with -", f.Arg(0))
	}
	if o.rounds < 1 || o.rows < 1000 {
		return errors.New("-rounds must be at least 1, and -rows 1000")
	}
	return nil
}

// A siteReport is the beginning of a report.
type siteReport struct {
	About   []string `json:"about"`
	Started string   `json:"started"`
	Rows    int      `json:"rows"`
}

func (r *siteReport) heading() *siteReport { return r }

func (r *siteReport) print(w io.Writer) {
	fmt.Fprintf(w, "%s, %d rows\n%s\n", r.Started, r.Rows, strings.Join(r.About, "\n"))
}

// A reporter gathers what is measured on sites.
type reporter interface {
	heading() *siteReport
	summarize()
	print(io.Writer)
}

// A workshop is what the measurements on a site share.
type workshop struct {
	*site
	osc osc
	say func(format string, args ...any)
}

// run measures on a site of each server, whose pool and log are as large as memory
// says, and publishes the report.
func (o siteOptions) run(ctx context.Context, stdout, stderr io.Writer, memory string, rep reporter, measure func(context.Context, *workshop) error) (err error) {
	say := func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
	if _, err := raiseFiles(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "midflight-bench-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	program, err := buildOSC(ctx, o.osc, dir)
	if err != nil {
		return err
	}
	head := rep.heading()
	head.Started, head.Rows = time.Now().UTC().Format(time.RFC3339), o.rows
	on := func(flavor localserver.Flavor) (err error) {
		s, err := newSite(ctx, flavor, o.midflight, dir, memory)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		about, err := s.describe(ctx)
		if err != nil {
			return err
		}
		say("%s", about)
		head.About = append(head.About, about)
		return measure(ctx, &workshop{s, program, say})
	}
	for _, flavor := range o.servers {
		if err = on(flavor); err != nil {
			err = fmt.Errorf("on %s: %w", flavor, err)
			break
		}
	}
	// What fails late, or is stopped, doesn't take with it what was measured before.
	return errors.Join(err, publish(rep, stdout, o.json))
}

// publish prints the report, and writes it to a file if there is one.
func publish(rep reporter, stdout io.Writer, json string) error {
	rep.summarize()
	rep.print(stdout)
	if json == "" {
		return nil
	}
	return writeJSON(json, rep)
}
