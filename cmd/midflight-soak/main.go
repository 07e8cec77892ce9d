// Command midflight-soak draws cases and lets the server judge Midflight, until
// the time is over: make soak. docs/soak.md says how to read it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"midflight/internal/localserver"
	"midflight/internal/soak"
)

type options struct {
	minutes  float64
	from, to uint64 // to is 0: until the time is over
	flavors  []localserver.Flavor
	shrink   bool
	parallel int
	program  string
	grants   string
}

var errFailed = errors.New("there are findings")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "midflight-soak:", err)
		os.Exit(1)
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{from: rand.Uint64N(1e9)}
	f := flag.NewFlagSet("midflight-soak", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Float64Var(&o.minutes, "minutes", 10, "how long")
	seed := f.Uint64("seed", 0, "one `SEED`")
	seeds := f.String("seeds", "", "a range of seeds, `A-B`")
	flavor := f.String("flavor", "both", "mysql, mariadb or both")
	f.BoolVar(&o.shrink, "shrink", false, "look for the smallest case that fails in the same way")
	f.IntVar(&o.parallel, "parallel", 2, "cases at a time on each server")
	f.StringVar(&o.program, "midflight", "", "`PATH` of the program; built when not given")
	f.StringVar(&o.grants, "grants", "deploy", "`FOLDER` of grants-*.sql")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if *seed != 0 {
		o.from, o.to = *seed, *seed
	}
	if *seeds != "" {
		if n, err := fmt.Sscanf(*seeds, "%d-%d", &o.from, &o.to); n != 2 || err != nil || o.to < o.from {
			return o, fmt.Errorf("-seeds %s: want A-B", *seeds)
		}
	}
	switch *flavor {
	case "both":
		o.flavors = localserver.Flavors
	case "mysql", "mariadb":
		o.flavors = []localserver.Flavor{localserver.Flavor(*flavor)}
	default:
		return o, fmt.Errorf("-flavor %s: want mysql, mariadb or both", *flavor)
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "midflight-soak-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	if o.program == "" {
		o.program = filepath.Join(dir, "midflight")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", o.program, "midflight/cmd/midflight").CombinedOutput(); err != nil {
			return fmt.Errorf("build midflight: %w\n%s", err, out)
		}
	}
	failed := false
	for _, f := range o.flavors {
		ok, err := soakFlavor(ctx, o, f, dir, stdout)
		if err != nil {
			return fmt.Errorf("soak %s: %w", f, err)
		}
		failed = failed || !ok
	}
	if failed {
		return errFailed
	}
	return nil
}

func soakFlavor(ctx context.Context, o options, f localserver.Flavor, dir string, stdout io.Writer) (ok bool, err error) {
	site, err := soak.Start(ctx, f, o.program, o.grants, dir)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	share := time.Duration(o.minutes * float64(time.Minute) / float64(len(o.flavors)))
	limited, cancel := context.WithTimeout(ctx, share)
	defer cancel()
	var (
		tally soak.Tally
		next  atomic.Uint64
		say   sync.Mutex
		wait  sync.WaitGroup
	)
	began := time.Now()
	next.Store(o.from - 1)
	for range o.parallel {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for limited.Err() == nil {
				seed := next.Add(1)
				if o.to != 0 && seed > o.to {
					return
				}
				c := soak.Draw(seed, f)
				out, err := site.Run(ctx, c)
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					out.Findings = append(out.Findings, "the soak itself: "+err.Error())
				}
				tally.Add(c, out)
				if len(out.Findings) == 0 {
					if o.from == o.to {
						fmt.Fprintf(stdout, "%s-- %s\n", c.Script(), strings.Join(out.Classes, ", "))
					}
					continue
				}
				if o.shrink {
					c, out = site.Shrink(ctx, c, out, 2*time.Minute)
				}
				say.Lock()
				fmt.Fprintf(stdout, "\n=== FAILED %s seed %d (%s)\n%s\n--- findings\n%s\n--- history\n%s\n", f, seed, strings.Join(out.Classes, ", "), c.Script(),
					strings.Join(out.Findings, "\n"), strings.Join(out.History, "\n"))
				say.Unlock()
			}
		}()
	}
	wait.Wait()
	fmt.Fprintf(stdout, "\n%s, seeds %d to %d, %.0f cases a minute:\n", f, o.from, next.Load(), float64(next.Load()-o.from+1)/time.Since(began).Minutes())
	tally.Print(stdout)
	return len(tally.Failed()) == 0, nil
}
