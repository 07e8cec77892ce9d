package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The results of 1 GB. Their rows are a variable of the session, the cheapest for
// the server there is (REPEAT itself costs it seven times as much), so that
// the server is not the limit.
const (
	rows1M  = "rows_1m"
	rows200 = "rows_200"
	idle    = "idle"

	resultSize = 1 << 30
)

// A sample is one measurement of one target.
type sample struct {
	Test    string  `json:"test"`
	Threads int     `json:"threads"`
	Target  string  `json:"target"`
	Round   int     `json:"round"`
	Rate    float64 `json:"rate"`       // m.queries/s; of a large result MB/s
	Avg     float64 `json:"avg_ms"`     // of an event: a query, a transaction
	P99     float64 `json:"p99_ms"`     // the same
	Proxy   float64 `json:"proxy_cpu"`  // µs/query; of a large result ms/GB
	Server  float64 `json:"server_cpu"` // the same
	Errors  int     `json:"errors"`
}

// load measures all tests but the idle connections into rep.
func (b *bench) load(ctx context.Context, specs []spec, say func(string, ...any), rep *report) (err error) {
	if !slices.ContainsFunc(b.tests, func(t string) bool { return t != idle }) {
		return nil
	}
	var targets []*target
	defer func() {
		for _, t := range targets {
			err = errors.Join(err, t.stop())
		}
	}()
	for _, s := range specs {
		t, err := s.start(ctx, b)
		if err != nil {
			return err
		}
		targets = append(targets, t)
	}
	for _, t := range targets {
		if err := b.checkPlain(ctx, t); err != nil {
			return err
		}
	}
	for _, test := range b.tests {
		switch {
		case test == idle:
		case test == rows1M, test == rows200:
			err = b.rounds(targets, say, rep, func(t *target) (sample, error) { return b.transfer(ctx, t, test) })
		case strings.HasPrefix(test, "oltp_"):
			for _, threads := range b.threads {
				if err = b.rounds(targets, say, rep, func(t *target) (sample, error) { return b.oltp(ctx, t, test, threads) }); err != nil {
					return err
				}
			}
		default:
			err = fmt.Errorf("no test %q: there are sysbench's oltp_…, %s, %s and %s", test, rows1M, rows200, idle)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rounds measures every target once a round, every other round in reversed
// order: what drifts meanwhile hits all alike.
func (b *bench) rounds(targets []*target, say func(string, ...any), rep *report, measure func(*target) (sample, error)) error {
	order := slices.Clone(targets)
	for round := range b.options.rounds {
		for _, t := range order {
			s, err := measure(t)
			if err != nil {
				return fmt.Errorf("measure %s: %w", t.name, err)
			}
			s.Target, s.Round = t.name, round+1
			rep.Samples = append(rep.Samples, s)
			say("%s, %d threads, round %d, %s: %.0f, CPU %.1f", s.Test, s.Threads, s.Round, s.Target, s.Rate, s.Proxy)
		}
		slices.Reverse(order)
	}
	return nil
}

// A usage is the CPU time that a target and the server had had at a moment.
type usage struct{ proxy, server time.Duration }

func (b *bench) usage(t *target) (u usage, err error) {
	if u.proxy, err = cpuTime(t.pid); err != nil {
		return u, err
	}
	u.server, err = cpuTime(b.server.Pid())
	return u, err
}

func (u usage) since(before usage) usage {
	return usage{u.proxy - before.proxy, u.server - before.server}
}

func (b *bench) oltp(ctx context.Context, t *target, test string, threads int) (sample, error) {
	var marks []usage
	m, err := b.sysbench.run(ctx, t.addr, test, threads, b.seconds, func() error {
		u, err := b.usage(t)
		marks = append(marks, u)
		return err
	})
	if err != nil {
		return sample{}, err
	}
	if m.reconnects > 0 {
		return sample{}, fmt.Errorf("sysbench had to reconnect %d times", m.reconnects)
	}
	if len(marks) != 2 {
		return sample{}, errors.New("sysbench doesn't report every second: is the machine too busy?")
	}
	used := marks[1].since(marks[0])
	return sample{Test: test, Threads: threads, Rate: m.qps, Avg: m.avg, P99: m.p99, Errors: m.errors,
		Proxy: float64(used.proxy.Microseconds()) / m.queries, Server: float64(used.server.Microseconds()) / m.queries}, nil
}

// transfer reads a result of 1 GB.
func (b *bench) transfer(ctx context.Context, t *target, test string) (sample, error) {
	width := map[string]int{rows1M: 1 << 20, rows200: 200}[test]
	want := resultSize / width
	c, err := connect(ctx, t.addr, 256<<10)
	if err != nil {
		return sample{}, err
	}
	defer c.close()
	if err := c.set(fmt.Sprintf("SET @row = REPEAT('x', %d)", width)); err != nil {
		return sample{}, err
	}
	before, err := b.usage(t)
	if err != nil {
		return sample{}, err
	}
	start := time.Now()
	size, rows, err := c.query(fmt.Sprintf("SELECT @row FROM %[1]s.sbtest1 a, %[1]s.sbtest2 b LIMIT %[2]d", database, want))
	took := time.Since(start)
	if err != nil {
		return sample{}, err
	}
	after, err := b.usage(t)
	if err != nil {
		return sample{}, err
	}
	if rows != want {
		return sample{}, fmt.Errorf("%s: %d rows came, not %d", test, rows, want)
	}
	used, gb := after.since(before), float64(size)/1e9
	return sample{Test: test, Threads: 1, Rate: float64(size) / 1e6 / took.Seconds(),
		Proxy: float64(used.proxy.Milliseconds()) / gb, Server: float64(used.server.Milliseconds()) / gb}, nil
}

// checkPlain finds out that the load's connections have no TLS on the server's
// side: one target that had would run another race. That sysbench asks none of
// the targets for TLS is seen where its bytes reach the server unchanged, which
// offers TLS.
func (b *bench) checkPlain(ctx context.Context, t *target) error {
	count, encrypted := 0, 0
	if _, err := b.sysbench.run(ctx, t.addr, "oltp_point_select", 2, 1, func() error {
		return b.root.QueryRowContext(ctx, `SELECT COUNT(*), COUNT(IF(CONNECTION_TYPE = 'TCP/IP', NULL, 1))
			FROM performance_schema.threads WHERE PROCESSLIST_USER = ?`, user).Scan(&count, &encrypted)
	}); err != nil {
		return fmt.Errorf("warm up %s: %w", t.name, err)
	}
	if count == 0 || encrypted > 0 {
		return fmt.Errorf("check %s: %d of %d connections of the load are not plain TCP on the server's side", t.name, encrypted, count)
	}
	return nil
}
