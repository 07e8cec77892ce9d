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

// A soaking is the work on one flavor, perhaps on several servers: what kills
// one is a finding, and the next case gets another.
type soaking struct {
	options
	flavor localserver.Flavor
	dir    string
	tally  soak.Tally
	next   atomic.Uint64
	say    sync.Mutex
	out    io.Writer
}

func soakFlavor(ctx context.Context, o options, f localserver.Flavor, dir string, stdout io.Writer) (ok bool, err error) {
	s := &soaking{options: o, flavor: f, dir: dir, out: stdout}
	share := time.Duration(o.minutes * float64(time.Minute) / float64(len(o.flavors)))
	limited, cancel := context.WithTimeout(ctx, share)
	defer cancel()
	began := time.Now()
	s.next.Store(o.from - 1)
	for more := true; more && limited.Err() == nil; {
		if more, err = s.onOneServer(ctx, limited); err != nil {
			return false, err
		}
	}
	cases := s.tally.Print(stdout, fmt.Sprintf("\n%s, from seed %d", f, o.from))
	fmt.Fprintf(stdout, "%.0f cases a minute\n", float64(cases)/time.Since(began).Minutes())
	return len(s.tally.Failed()) == 0, nil
}

// onOneServer runs cases until the time or the seeds are over, or the server.
func (s *soaking) onOneServer(ctx, limited context.Context) (more bool, err error) {
	site, err := soak.Start(ctx, s.flavor, s.program, s.grants, s.dir)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	var (
		wait sync.WaitGroup
		dead atomic.Bool
	)
	for range s.parallel {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for limited.Err() == nil && !dead.Load() {
				seed := s.next.Add(1)
				if s.to != 0 && seed > s.to {
					return
				}
				if s.one(ctx, site, seed) {
					dead.Store(true)
				}
			}
		}()
	}
	wait.Wait()
	return dead.Load(), nil
}

// one runs a case and tells what was found; died: the site is of no use any more.
func (s *soaking) one(ctx context.Context, site *soak.Site, seed uint64) (died bool) {
	c := soak.Draw(seed, s.flavor)
	out, err := site.Run(ctx, c)
	if ctx.Err() != nil {
		return true
	}
	if last := site.Died(ctx); last != "" {
		out.Findings, died = append(out.Findings, "the end: "+last), true
	} else if err != nil {
		out.Findings = append(out.Findings, "the soak itself: "+err.Error())
	}
	s.tally.Add(c, out)
	if len(out.Findings) == 0 {
		if s.from == s.to {
			fmt.Fprintf(s.out, "%s-- %s\n", c.Script(), strings.Join(out.Classes, ", "))
		}
		return died
	}
	if s.shrink && !died {
		c, out = site.Shrink(ctx, c, out, 2*time.Minute)
		if ctx.Err() != nil || site.Died(ctx) != "" {
			died = true
		}
	}
	s.say.Lock()
	defer s.say.Unlock()
	fmt.Fprintf(s.out, "\n=== FAILED %s seed %d (%s)\n%s\n--- findings\n%s\n--- history\n%s\n", s.flavor, seed, strings.Join(out.Classes, ", "), c.Script(),
		strings.Join(out.Findings, "\n"), strings.Join(out.History, "\n"))
	return died
}
