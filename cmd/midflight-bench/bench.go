package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	_ "github.com/go-sql-driver/mysql"

	"midflight/internal/localserver"
)

// The load is an account's of its own, so that its connections can be told from
// the benchmark's and from Midflight's.
const (
	user     = "bench"
	database = "bench"
)

// A bench is what all targets share: the server and its tables, and the tools.
type bench struct {
	options
	files    int // that a process may have open
	dir      string
	server   *localserver.Server
	root     *sql.DB // beside all targets
	tools    tools
	sysbench sysbench
	about    string
}

type tools struct{ haproxy, sysbench, mysqlrouter string }

func findTools() (tools, error) {
	t := tools{os.Getenv("MIDFLIGHT_HAPROXY"), os.Getenv("MIDFLIGHT_SYSBENCH"), os.Getenv("MIDFLIGHT_MYSQLROUTER")}
	if t.haproxy == "" || t.sysbench == "" || t.mysqlrouter == "" {
		return t, errors.New(`the tools are not named: run make bench-proxy, or eval "$(scripts/bench-tools env)"`)
	}
	return t, nil
}

func newBench(ctx context.Context, o options, files int) (b *bench, err error) {
	b = &bench{options: o, files: files}
	if b.tools, err = findTools(); err != nil {
		return nil, err
	}
	b.sysbench = sysbench{b.tools.sysbench, o.psMode}
	if b.dir, err = os.MkdirTemp("", "midflight-bench-"); err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	// localserver's server writes a binlog and leaves it to the system when to
	// flush it, as the redo log: the disk's noise is not measured.
	if b.server, err = localserver.Start(ctx, localserver.MySQL,
		fmt.Sprintf("--max-connections=%d", b.most()+200),
		"--max-prepared-stmt-count=1000000", // each of sysbench's threads has 9 for a table
		"--back-log=4096",
		"--thread-stack=256K", // thousands of threads
		"--innodb-buffer-pool-size=1G",
		"--innodb-redo-log-capacity=1G",
	); err != nil {
		return nil, err
	}
	if b.root, err = sql.Open("mysql", b.server.RootDSN("")); err != nil {
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	for _, statement := range []string{
		"CREATE DATABASE " + database,
		"CREATE USER " + user + "@'127.0.0.1'",
		"GRANT ALL ON " + database + ".* TO " + user + "@'127.0.0.1'",
	} {
		if _, err := b.root.ExecContext(ctx, statement); err != nil {
			return nil, fmt.Errorf("prepare the server: %s: %w", statement, err)
		}
	}
	if err := b.sysbench.prepare(ctx, b.server.Addr); err != nil {
		return nil, err
	}
	b.about, err = b.describe(ctx)
	return b, err
}

// most is how many connections a target has to carry.
func (b *bench) most() int { return max(fitting(b.connections, b.files), slices.Max(b.threads)) }

func (b *bench) close() error {
	var all []error
	if b.root != nil {
		all = append(all, b.root.Close())
	}
	if b.server != nil {
		all = append(all, b.server.Remove())
	}
	return errors.Join(append(all, os.RemoveAll(b.dir))...)
}

// describe tells what is measured where. The load is shown because others'
// work on the machine spoils the numbers.
func (b *bench) describe(ctx context.Context) (string, error) {
	var server string
	if err := b.root.QueryRowContext(ctx, "SELECT CONCAT('MySQL ', VERSION())").Scan(&server); err != nil {
		return "", fmt.Errorf("ask the server for its version: %w", err)
	}
	parts := []string{server}
	for _, v := range [][]string{{b.tools.haproxy, "-v"}, {b.tools.mysqlrouter, "--version"}, {b.tools.sysbench, "--version"}} {
		out, err := exec.CommandContext(ctx, v[0], v[1]).Output()
		if err != nil {
			return "", fmt.Errorf("run %s: %w", v[0], err)
		}
		line, _, _ := strings.Cut(string(out), "\n")
		parts = append(parts, strings.Join(strings.Fields(line), " "))
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "", fmt.Errorf("read the machine's load: %w", err)
	}
	return fmt.Sprintf("%s; %d CPUs (%s), load before %s; --db-ps-mode=%s", strings.Join(parts, ", "),
		runtime.NumCPU(), cpuModel(), strings.Fields(string(load))[0], b.psMode), nil
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(b), "model name")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimLeft(line, "\t :")
}
