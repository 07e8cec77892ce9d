// Command midflight-exam runs test suites that others have written against a
// server, once directly and once through Midflight, and prints each test whose
// result differs: make exam.
//
//	midflight-exam [flags] go-sql-driver|client-test|mtr [the runner's own arguments]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
)

type options struct {
	exam    string
	program string         // midflight's path
	folder  string         // where the results go
	tests   *regexp.Regexp // those to run
	list    string         // mtr: file with their names
	direct  string         // results of an earlier run, instead of a direct one
	mariadb bool
	plain   bool
	alone   bool
	more    []string // arguments of the suite's own runner
}

// An exam runs a suite against one endpoint. The paper is a folder of its own.
type exam interface {
	// start starts a fresh server; end ends it.
	start(ctx context.Context, paper string) (server, error)
	// sit runs the suite against the endpoint.
	sit(ctx context.Context, paper, addr string) (results, error)
}

// A server is a fresh one for one run.
type server struct {
	addr      string
	cert, key string // its own, which Midflight offers too; empty: it has none
	end       func() error
}

var errDiffers = errors.New("what Midflight says can be told from what the server says")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "midflight-exam:", err)
		os.Exit(1)
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("midflight-exam", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.program, "midflight", "bin/midflight", "`PATH` of the program")
	f.StringVar(&o.folder, "o", "bin/exam", "`FOLDER` for results and logs")
	f.StringVar(&o.list, "list", "", "mtr: `FILE` with the tests' names, instead of the built-in list")
	f.StringVar(&o.direct, "direct", "", "`FILE` with the results of an earlier direct run (direct.tsv), not to repeat it")
	f.BoolVar(&o.mariadb, "mariadb", false, "go-sql-driver: on MariaDB instead of MySQL")
	f.BoolVar(&o.plain, "plain", false, "mtr: without TLS")
	f.BoolVar(&o.alone, "alone", false, "examine package proxy alone, which leaves every ALTER to the server, instead of a program")
	tests := f.String("tests", "", "run only the tests that match this `REGEXP`")
	err := f.Parse(args)
	if err != nil {
		return o, err
	}
	if o.tests, err = regexp.Compile(*tests); err != nil {
		return o, fmt.Errorf("-tests: %w", err)
	}
	if !slices.Contains([]string{"go-sql-driver", "client-test", "mtr"}, f.Arg(0)) {
		return o, errors.New("which exam? go-sql-driver, client-test or mtr")
	}
	o.exam, o.more = f.Arg(0), f.Args()[1:]
	// The runners have working folders of their own.
	for _, path := range []*string{&o.program, &o.folder, &o.list, &o.direct} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return o, err
		}
	}
	return o, nil
}

// run is the whole exam.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	e, err := o.open(ctx)
	if err != nil {
		return err
	}
	var direct results
	if o.direct != "" {
		direct, err = readResults(o.direct)
	} else {
		direct, err = o.sit(ctx, e, "direct", stdout)
	}
	if err != nil {
		return err
	}
	through, err := o.sit(ctx, e, "midflight", stdout)
	if err != nil {
		return err
	}
	if !report(stdout, o.exam, direct, through) {
		return errDiffers
	}
	return nil
}

func (o options) open(ctx context.Context) (exam, error) {
	if o.exam == "go-sql-driver" {
		return driver{o}, nil
	}
	m, err := newMTR(ctx, o)
	if o.exam == "client-test" {
		return clientTest{m}, err
	}
	return m, err
}

// sit runs the exam once on a fresh server, directly or through Midflight.
func (o options) sit(ctx context.Context, e exam, how string, stdout io.Writer) (found results, err error) {
	paper := filepath.Join(o.folder, o.exam, how)
	if err := os.RemoveAll(paper); err != nil {
		return nil, fmt.Errorf("remove old results: %w", err)
	}
	if err := os.MkdirAll(paper, 0o755); err != nil {
		return nil, fmt.Errorf("make a folder for results: %w", err)
	}
	s, err := e.start(ctx, paper)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	addr := s.addr
	if how == "midflight" {
		var end func()
		if o.alone {
			addr, end, err = startProxy(ctx, s)
		} else {
			addr, end, err = startMidflight(ctx, o.program, s, filepath.Join(paper, "midflight.log"))
		}
		if err != nil {
			return nil, err
		}
		defer end()
	}
	fmt.Fprintf(stdout, "%s, %s: ", o.exam, how)
	if found, err = e.sit(ctx, paper, addr); err != nil {
		fmt.Fprintln(stdout)
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s ran no test: see %s", o.exam, paper)
	}
	fmt.Fprintln(stdout, found.summary())
	return found, found.write(filepath.Join(o.folder, o.exam, how+".tsv"))
}
