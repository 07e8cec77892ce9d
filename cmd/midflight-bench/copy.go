package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// The benchmark of the copy asks how long a table takes to be copied, beside the
// server's own copy, and what it costs: make bench, docs/performance.md.

type copyOptions struct {
	siteOptions
	big        int // rows; 0: there is no big table
	hot        int // rows
	warm, most time.Duration
	hotMost    time.Duration // of the load that goes on until the change has ended
	tests      []copyTest
}

// A copyTest measures something in all its rounds.
type copyTest struct {
	name    string
	measure func(*copySite, context.Context) error
}

const (
	idle1Test = "idle1"
	idle5Test = "idle5"
	loadTest  = "load"
	bigTest   = "big"
	hotTest   = "hot"
)

// copyTests are in the order in which they run: what carries a load comes last, since
// its sessions are in the memory of Midflight from then on.
var copyTests = []copyTest{
	{idle1Test, func(s *copySite, ctx context.Context) error { return s.idle(ctx, idle1Test, 1) }},
	{idle5Test, func(s *copySite, ctx context.Context) error { return s.idle(ctx, idle5Test, 5) }},
	{bigTest, (*copySite).bigger},
	{loadTest, (*copySite).loaded},
	{hotTest, (*copySite).hot},
}

func (t copyTest) text() string { return t.name }

// The statements leave the table as it is, so that a round is like the one before.
var (
	serverCopy    = variant{"server-copy", false, "ALTER TABLE %t ENGINE=InnoDB, ALGORITHM=COPY"}
	serverInplace = variant{"server-inplace", false, "ALTER TABLE %t ENGINE=InnoDB, ALGORITHM=INPLACE, LOCK=NONE"}
	midflightCopy = variant{"midflight", true, "ALTER TABLE /* midflight: strategy=copy */ %t ENGINE=InnoDB"}
	// midflightIdle is the same, where another variant has a load.
	midflightIdle = variant{"midflight-idle", true, midflightCopy.alter}
	// midflightHot may swap when the load says so.
	midflightHot = variant{"midflight", true, "ALTER TABLE /* midflight: strategy=copy, cutover=manual */ %t ENGINE=InnoDB"}
)

func (v variant) on(table string) string { return strings.ReplaceAll(v.alter, "%t", table) }

func parseCopy(args []string, stderr io.Writer) (o copyOptions, err error) {
	f := flag.NewFlagSet("midflight-bench copy", flag.ContinueOnError)
	f.SetOutput(stderr)
	o.register(f, 1_000_000, "bin/bench.json")
	f.IntVar(&o.big, "big", 10_000_000, "rows of the big table; 0: there is none")
	f.IntVar(&o.hot, "hot", 200_000, "rows of the table that is updated all over")
	f.DurationVar(&o.warm, "warm", 10*time.Second, "load before the change, with which it is compared")
	f.DurationVar(&o.most, "max", 10*time.Minute, "bound on one change under load")
	f.DurationVar(&o.hotMost, "hotmax", 2*time.Minute, "bound on the load of "+hotTest+", which else goes on until the change has ended")
	tests := f.String("tests", "", "any of "+strings.Join(names(copyTests, copyTest.text), ", ")+" (default all)")
	if err := o.siteOptions.parse(f, args); err != nil {
		return o, err
	}
	if o.warm < shortestWarm || o.most <= 0 || o.hotMost <= 0 {
		return o, fmt.Errorf("-warm must be at least %s (osc doesn't count the first second), and -max and -hotmax more than 0s", shortestWarm)
	}
	if o.hot < chunkRows*hotLoad.writers {
		return o, fmt.Errorf("-hot must be at least %d, so that each writer has rows", chunkRows*hotLoad.writers)
	}
	if o.big != 0 && o.big <= o.rows {
		return o, errors.New("-big must be more than -rows, or 0")
	}
	o.tests = copyTests
	if *tests != "" {
		o.tests, err = choose("-tests", list(*tests), copyTests, copyTest.text)
	}
	if o.big == 0 {
		o.tests = slices.DeleteFunc(slices.Clone(o.tests), func(t copyTest) bool { return t.name == bigTest })
	}
	return o, err
}

// copies is the benchmark of the copy, from the first line to the last.
func copies(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseCopy(args, stderr)
	if err != nil {
		return err
	}
	rep := &copyReport{}
	return o.run(ctx, stdout, stderr, "2G", rep, func(ctx context.Context, w *workshop) error {
		s, err := newCopySite(ctx, w, o, rep)
		if err != nil {
			return err
		}
		for _, t := range o.tests {
			if err := t.measure(s, ctx); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
		return nil
	})
}
