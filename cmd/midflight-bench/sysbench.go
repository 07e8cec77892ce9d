package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

const (
	tables    = 8
	tableSize = 50_000
)

// sysbench runs sysbench as the user bench, without TLS.
type sysbench struct{ program, psMode string }

// A measured is what one run of sysbench says.
type measured struct {
	queries    float64
	qps        float64
	avg, p99   float64 // ms, of an event: a query or a transaction
	errors     int     // answered with an error that the test expects, as a deadlock
	reconnects int
}

func (s sysbench) command(ctx context.Context, addr, test, verb string, more ...string) *exec.Cmd {
	host, port, _ := net.SplitHostPort(addr)
	return exec.CommandContext(ctx, s.program, append([]string{test,
		"--db-driver=mysql", "--mysql-host=" + host, "--mysql-port=" + port,
		"--mysql-user=" + user, "--mysql-db=" + database, "--mysql-ssl=off",
		"--db-ps-mode=" + s.psMode,
		fmt.Sprintf("--tables=%d", tables), fmt.Sprintf("--table-size=%d", tableSize),
		verb}, more...)...)
}

func (s sysbench) prepare(ctx context.Context, addr string) error {
	// One thread each: AUTO_INCREMENT gives the same rows in every run.
	out, err := s.command(ctx, addr, "oltp_read_write", "prepare", "--threads=2").CombinedOutput()
	if err != nil {
		return fmt.Errorf("prepare sysbench's tables: %w\n%s", err, out)
	}
	return nil
}

// warmUp, in seconds, comes before what is measured, and as much after it: how
// threads begin and end, with hundreds of statements to prepare and to close,
// is none of the load.
const warmUp = 1

// run runs a test, and calls mark when what is measured begins and when it ends.
func (s sysbench) run(ctx context.Context, addr, test string, threads, seconds int, mark func() error) (measured, error) {
	cmd := s.command(ctx, addr, test, "run", fmt.Sprintf("--threads=%d", threads),
		fmt.Sprintf("--time=%d", seconds+2*warmUp), "--report-interval=1",
		"--events=0", "--percentile=99", "--rand-type=uniform")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return measured{}, fmt.Errorf("run sysbench: %w", err)
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		return measured{}, fmt.Errorf("run sysbench: %w", err)
	}
	var text strings.Builder
	var failed error
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if second, _, ok := parseInterval(lines.Text()); ok && (second == warmUp || second == warmUp+seconds) {
			failed = errors.Join(failed, mark())
		}
		fmt.Fprintln(&text, lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		return measured{}, fmt.Errorf("run %s: %w\n%s%s", strings.Join(cmd.Args, " "), err, beginning(text.String()), beginning(complaints.String()))
	}
	if failed != nil {
		return measured{}, failed
	}
	return parseSysbench(text.String(), seconds)
}

// beginning is the first lines: every thread says what is wrong.
func beginning(text string) string {
	lines := strings.SplitAfterN(text, "\n", 21)
	return strings.Join(lines[:min(len(lines), 20)], "")
}

var (
	intervalLine  = regexp.MustCompile(`^\[ (\d+)s \] thds: .* qps: ([\d.]+) `)
	ignoredLine   = regexp.MustCompile(`(?m)^ +ignored errors: +(\d+) `)
	reconnectLine = regexp.MustCompile(`(?m)^ +reconnects: +(\d+) `)
	avgLine       = regexp.MustCompile(`(?m)^ +avg: +([\d.]+)$`)
	p99Line       = regexp.MustCompile(`(?m)^ +99th percentile: +([\d.]+)$`)
)

// parseInterval reads a line of progress: the second that it comes after, and
// the queries/s of that second.
func parseInterval(line string) (second int, qps float64, ok bool) {
	f := intervalLine.FindStringSubmatch(line)
	if f == nil {
		return 0, 0, false
	}
	second, err := strconv.Atoi(f[1])
	qps, err2 := strconv.ParseFloat(f[2], 64)
	return second, qps, err == nil && err2 == nil
}

// parseSysbench takes the rate from the seconds that are measured, and the rest
// from the summary at the end.
func parseSysbench(text string, seconds int) (measured, error) {
	var missing []string
	number := func(line *regexp.Regexp) float64 {
		if f := line.FindStringSubmatch(text); f != nil {
			if x, err := strconv.ParseFloat(f[1], 64); err == nil {
				return x
			}
		}
		missing = append(missing, line.String())
		return 0
	}
	m := measured{
		errors: int(number(ignoredLine)), reconnects: int(number(reconnectLine)),
		avg: number(avgLine), p99: number(p99Line),
	}
	found := 0
	for line := range strings.Lines(text) {
		if second, qps, ok := parseInterval(line); ok && second > warmUp && second <= warmUp+seconds {
			m.queries += qps // in one second
			found++
		}
	}
	m.qps = m.queries / float64(seconds)
	if missing != nil || found != seconds || m.queries == 0 {
		return m, fmt.Errorf("read sysbench's report: %d of %d seconds, no line %s in:\n%s", found, seconds, missing, text)
	}
	return m, nil
}
