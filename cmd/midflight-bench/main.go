// Command midflight-bench measures Midflight beside HAProxy, MySQL Router and no
// proxy at all, on one machine in one run: make bench-proxy. How it measures, and
// why so, is in docs/performance.md. midflight-bench gap measures what a load feels
// of schema changes: make bench-gap, docs/compared.md. midflight-bench copy measures
// how fast tables are copied: make bench, docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type options struct {
	rounds      int
	seconds     int
	threads     []int
	tests       []string
	targets     []string
	builds      []build
	connections int
	psMode      string
	json        string
}

// A build is a midflight program under the name that it has in the tables.
type build struct{ name, path string }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	what, args := run, os.Args[1:]
	if len(args) > 0 {
		switch args[0] {
		case "copy":
			what, args = copies, args[1:]
		case "gap":
			what, args = gap, args[1:]
		}
	}
	err := what(ctx, args, os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "midflight-bench:", err)
		os.Exit(1)
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("midflight-bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.rounds, "rounds", 5, "interleaved rounds")
	f.IntVar(&o.seconds, "seconds", 5, "of each sysbench run")
	threads := f.String("threads", "1,8,32,256", "sysbench's threads")
	tests := f.String("tests", "oltp_point_select,oltp_read_write,"+rows1M+","+rows200+","+idle,
		"any of sysbench's oltp_…, "+rows1M+" and "+rows200+" (a result of 1 GB), and "+idle)
	targets := f.String("targets", "", "names of targets to measure (default all)")
	f.Func("midflight", "`[NAME=]PATH` of a build to measure; may be given several times (default bin/midflight)", func(s string) error {
		name, path, named := strings.Cut(s, "=")
		if !named {
			name, path = "midflight", s
		}
		if slices.ContainsFunc(o.builds, func(b build) bool { return b.name == name }) {
			return fmt.Errorf("there is another build %s: give NAME=PATH", name)
		}
		o.builds = append(o.builds, build{name, path})
		return nil
	})
	f.IntVar(&o.connections, "connections", 10_000, "idle connections")
	f.StringVar(&o.psMode, "ps-mode", "auto", "sysbench's --db-ps-mode: auto (prepared statements) or disable (text)")
	f.StringVar(&o.json, "json", "", "`FILE` for every sample and summary")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if len(o.builds) == 0 {
		o.builds = []build{{"midflight", "bin/midflight"}}
	}
	o.tests, o.targets = list(*tests), list(*targets)
	for _, s := range list(*threads) {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return o, fmt.Errorf("-threads: %q is not a number of threads", s)
		}
		o.threads = append(o.threads, n)
	}
	if len(o.threads) == 0 || len(o.tests) == 0 {
		return o, errors.New("-threads and -tests must not be empty")
	}
	if o.rounds < 1 || o.seconds < 1 || o.connections < 1 {
		return o, errors.New("-rounds, -seconds and -connections must be at least 1")
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("what is %q? A flag begins with -", f.Arg(0))
	}
	return o, nil
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}

// run is the benchmark, from the first line to the last.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	specs, err := specsFor(o)
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
	files, err := raiseFiles()
	if err != nil {
		return err
	}
	b, err := newBench(ctx, o, files)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	say("%s", b.about)

	rep := report{About: b.about, Started: time.Now().UTC().Format(time.RFC3339)}
	err = b.measure(ctx, specs, say, &rep)
	// What fails late, or is stopped, doesn't take with it what was measured before.
	rep.summarize(o.builds)
	rep.print(stdout)
	if o.json != "" {
		err = errors.Join(err, writeJSON(o.json, rep))
	}
	return err
}

func (b *bench) measure(ctx context.Context, specs []spec, say func(string, ...any), rep *report) (err error) {
	if err := b.load(ctx, specs, say, rep); err != nil {
		return err
	}
	if !slices.Contains(b.tests, idle) {
		return nil
	}
	n := fitting(b.connections, b.files)
	if n < b.connections {
		rep.Notes = append(rep.Notes, fmt.Sprintf(
			"%d idle connections, not %d: a process may have %d files open here, a proxied connection takes two, and the limit can't be raised",
			n, b.connections, b.files))
	}
	rep.Idle, err = b.idle(ctx, specs, n, say)
	return err
}
