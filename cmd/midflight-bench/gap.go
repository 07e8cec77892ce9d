package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// The benchmark of the gap puts a load on a table, changes the table's schema
// and asks what the load has felt: make bench-gap, docs/compared.md.

type gapOptions struct {
	siteOptions
	warm, most time.Duration
	think      time.Duration
	variants   []variant
	loads      []load
	longTrx    []time.Duration
	idle       bool
}

// shortestWarm leaves a second of load to compare with.
const shortestWarm = 2 * time.Second

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
	o.register(f, 200_000, "")
	f.DurationVar(&o.warm, "warm", 10*time.Second, "load before the change, from which its own worst statement is taken")
	f.DurationVar(&o.most, "max", 3*time.Minute, "bound on one change")
	f.DurationVar(&o.think, "think", 0, "pause of the load's sessions between two transactions; 0s: the machine is saturated")
	ways := f.String("variants", "none,midflight-copy,midflight-instant,server-instant,"+idleSwap, "any of "+strings.Join(names(variants, variant.text), ", ")+" and "+idleSwap)
	kinds := f.String("loads", "light", "any of "+strings.Join(names(loads, load.text), " and ")+" (48 writers, 16 readers, 1000 idle connections)")
	long := f.String("longtrx", "0s,3s", "how long transactions stay open that have read the table, one after the other; 0s: there are none")
	if err := o.siteOptions.parse(f, args); err != nil {
		return o, err
	}
	if o.warm < shortestWarm {
		return o, fmt.Errorf("-warm must be at least %s (osc doesn't count the first second)", shortestWarm)
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
func gap(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseGap(args, stderr)
	if err != nil {
		return err
	}
	rep := &gapReport{}
	return o.run(ctx, stdout, stderr, "1G", rep, func(ctx context.Context, s *workshop) error { return o.on(ctx, s, rep) })
}

// on measures one server.
func (o gapOptions) on(ctx context.Context, s *workshop, rep *gapReport) error {
	flavor := s.server.Flavor
	cells := o.cells()
	for round := 1; round <= o.rounds; round++ {
		for _, c := range cells {
			sample, err := s.measure(ctx, o, c)
			if err != nil {
				return fmt.Errorf("%s: %w", c, err)
			}
			sample.Round = round
			s.say("%s, round %d of %d, %s: %s", flavor, round, o.rounds, c, sample)
			rep.Samples = append(rep.Samples, sample)
		}
		slices.Reverse(cells) // what drifts hits all alike
		if o.idle {
			locked, err := s.swapIdle(ctx)
			if err != nil {
				return fmt.Errorf("swap a table without load: %w", err)
			}
			s.say("%s, round %d of %d, %s: locked %.1f ms", flavor, round, o.rounds, idleSwap, locked)
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
