package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"midflight/internal/localserver"
)

// The benchmark of the gap puts a load on a table, changes the table's schema
// and asks what the load has felt: make bench-gap, docs/compared.md.

type gapOptions struct {
	rounds     int
	rows       int
	warm, most time.Duration
	think      time.Duration
	servers    []localserver.Flavor
	variants   []variant
	loads      []load
	longTrx    []time.Duration
	idle       bool
	osc        string // the folder of the load program's module
	midflight  string
	json       string
}

// A variant is a way to change the schema.
type variant struct {
	name    string
	through bool   // Midflight, load and all; else straight to the server
	alter   string // osc puts the table in for %t; "": nothing is changed
}

const column = " ADD COLUMN note2 VARCHAR(200)"

var variants = []variant{
	{"none", true, ""},
	{"server-none", false, ""},
	{"midflight-copy", true, "ALTER TABLE /* midflight: strategy=copy */ %t" + column},
	{"midflight-instant", true, "ALTER TABLE /* midflight: strategy=instant */ %t" + column},
	{"server-instant", false, "ALTER TABLE %t" + column + ", ALGORITHM=INSTANT"},
	{"server-inplace", false, "ALTER TABLE %t" + column + ", ALGORITHM=INPLACE, LOCK=NONE"},
	{"server-copy", false, "ALTER TABLE %t" + column + ", ALGORITHM=COPY"},
}

// A load is how many sessions osc has busy, and how many are idle beside it.
type load struct {
	name                   string
	writers, readers, idle int
}

var loads = []load{{"light", 4, 2, 0}, {"crowd", 48, 16, 1000}}

// A cell is what is measured once a round.
type cell struct {
	variant variant
	load    load
	longTrx time.Duration
}

// idleSwap is the name, among the variants, of the swap of a table without load.
const idleSwap = "idle"

func parseGap(args []string, stderr io.Writer) (o gapOptions, err error) {
	f := flag.NewFlagSet("midflight-bench gap", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.rounds, "rounds", 5, "interleaved rounds")
	f.IntVar(&o.rows, "rows", 200_000, "rows of the table")
	f.DurationVar(&o.warm, "warm", 10*time.Second, "load before the change, from which its own worst statement is taken")
	f.DurationVar(&o.most, "max", 3*time.Minute, "bound on one change")
	f.DurationVar(&o.think, "think", 0, "pause of the load's sessions between two transactions; 0s: the machine is saturated")
	servers := f.String("servers", "mysql", "mysql, mariadb or both, with a comma")
	ways := f.String("variants", "none,midflight-copy,midflight-instant,server-instant,"+idleSwap, "any of "+strings.Join(names(variants, variant.text), ", ")+" and "+idleSwap)
	kinds := f.String("loads", "light", "any of "+strings.Join(names(loads, load.text), " and ")+" (48 writers, 16 readers, 1000 idle connections)")
	long := f.String("longtrx", "0s,3s", "how long transactions stay open that have read the table, one after the other; 0s: there are none")
	f.StringVar(&o.osc, "osc", "../shared/bench", "the `FOLDER` of the load program's module")
	f.StringVar(&o.midflight, "midflight", "bin/midflight", "the `PATH` of the build to measure")
	f.StringVar(&o.json, "json", "", "`FILE` for every sample and summary")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("what is %q? A flag begins with -", f.Arg(0))
	}
	if o.rounds < 1 || o.rows < 1000 || o.warm < 2*time.Second {
		return o, errors.New("-rounds must be at least 1, -rows 1000 and -warm 2s (the first second doesn't count)")
	}
	for _, name := range list(*servers) {
		if !slices.Contains(localserver.Flavors, localserver.Flavor(name)) {
			return o, fmt.Errorf("-servers: no server %q: there are mysql and mariadb", name)
		}
		o.servers = append(o.servers, localserver.Flavor(name))
	}
	chosen := list(*ways)
	o.idle = slices.Contains(chosen, idleSwap)
	chosen = slices.DeleteFunc(chosen, func(s string) bool { return s == idleSwap })
	if o.variants, err = choose("-variants", chosen, variants, variant.text); err != nil {
		return o, err
	}
	if o.loads, err = choose("-loads", list(*kinds), loads, load.text); err != nil {
		return o, err
	}
	for _, s := range list(*long) {
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 {
			return o, fmt.Errorf("-longtrx: %q is no duration such as 3s", s)
		}
		o.longTrx = append(o.longTrx, d)
	}
	return o, nil
}

func (v variant) text() string { return v.name }
func (l load) text() string    { return l.name }

func names[T any](all []T, name func(T) string) (list []string) {
	for _, x := range all {
		list = append(list, name(x))
	}
	return list
}

// choose finds what is named, in the order of the names.
func choose[T any](option string, wanted []string, all []T, name func(T) string) (chosen []T, err error) {
	known := names(all, name)
	for _, w := range wanted {
		i := slices.Index(known, w)
		if i < 0 {
			return nil, fmt.Errorf("%s: no %q: there are %s", option, w, strings.Join(known, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func (o gapOptions) cells() (all []cell) {
	for _, l := range o.loads {
		for _, d := range o.longTrx {
			for _, v := range o.variants {
				all = append(all, cell{v, l, d})
			}
		}
	}
	return all
}

// gap is the benchmark of the gap, from the first line to the last.
func gap(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parseGap(args, stderr)
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
	if _, err := raiseFiles(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "midflight-bench-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "osc")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./osc")
	build.Dir = o.osc
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the load program (-osc names its module's folder): %w\n%s", err, out)
	}
	rep := gapReport{Started: time.Now().UTC().Format(time.RFC3339), Rows: o.rows}
	for _, flavor := range o.servers {
		if err = o.on(ctx, flavor, osc{program, o}, dir, say, &rep); err != nil {
			err = fmt.Errorf("on %s: %w", flavor, err)
			break
		}
	}
	// What fails late, or is stopped, doesn't take with it what was measured before.
	rep.summarize()
	rep.print(stdout)
	if o.json != "" {
		err = errors.Join(err, writeJSON(o.json, rep))
	}
	return err
}

// on measures one server.
func (o gapOptions) on(ctx context.Context, flavor localserver.Flavor, program osc, dir string, say func(string, ...any), rep *gapReport) (err error) {
	s, err := newGapSite(ctx, flavor, o.midflight, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	about, err := s.describe(ctx)
	if err != nil {
		return err
	}
	say("%s", about)
	rep.About = append(rep.About, about)
	cells := o.cells()
	for round := 1; round <= o.rounds; round++ {
		for _, c := range cells {
			sample, err := s.measure(ctx, program, c)
			if err != nil {
				return fmt.Errorf("%s: %w", c, err)
			}
			sample.Round = round
			say("%s, round %d of %d, %s: %s", flavor, round, o.rounds, c, sample)
			rep.Samples = append(rep.Samples, sample)
		}
		slices.Reverse(cells) // what drifts hits all alike
		if o.idle {
			locked, err := s.swapIdle(ctx)
			if err != nil {
				return fmt.Errorf("swap a table without load: %w", err)
			}
			say("%s, round %d of %d, %s: locked %.1f ms", flavor, round, o.rounds, idleSwap, locked)
			rep.addIdle(string(flavor), locked)
		}
	}
	return nil
}

func (c cell) String() string {
	s := c.variant.name + ", " + c.load.name
	if c.longTrx > 0 {
		s += fmt.Sprintf(", transactions of %s", c.longTrx)
	}
	return s
}
