package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"midflight/internal/localserver"
)

// A gapSite is a server with a Midflight in front of it.
type gapSite struct {
	server *localserver.Server
	root   *sql.DB // around Midflight
	front  *target
}

func newGapSite(ctx context.Context, flavor localserver.Flavor, program, dir string) (s *gapSite, err error) {
	s = &gapSite{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	args := []string{"--max-connections=2000", "--back-log=2000", "--innodb-buffer-pool-size=1G"}
	if flavor == localserver.MySQL {
		// With 1 and 2, all that commit were seen to wait together for 100 ms now and
		// then, without any schema change: docs/compared.md.
		args = append(args, "--innodb-redo-log-capacity=1G", "--innodb-flush-log-at-trx-commit=0")
	} else {
		args = append(args, "--innodb-log-file-size=1G")
	}
	if s.server, err = localserver.Start(ctx, flavor, args...); err != nil {
		return nil, err
	}
	if s.root, err = sql.Open("mysql", s.server.RootDSN("")); err != nil {
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	b := &bench{dir: dir, server: s.server}
	s.front, err = midflight(build{"midflight", program})(ctx, b)
	return s, err
}

func (s *gapSite) close() error {
	var all []error
	if s.front != nil {
		all = append(all, s.front.stop())
	}
	if s.root != nil {
		all = append(all, s.root.Close())
	}
	if s.server != nil {
		all = append(all, s.server.Remove())
	}
	return errors.Join(all...)
}

// describe tells what is measured where. The load is shown because others'
// work on the machine spoils the numbers.
func (s *gapSite) describe(ctx context.Context) (string, error) {
	var version string
	if err := s.root.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return "", fmt.Errorf("ask the server for its version: %w", err)
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "", fmt.Errorf("read the machine's load: %w", err)
	}
	return fmt.Sprintf("%s %s; %d CPUs (%s), load before %s", s.server.Flavor, version,
		runtime.NumCPU(), cpuModel(), strings.Fields(string(load))[0]), nil
}

// A gapSample is one run of the load.
type gapSample struct {
	Server  string  `json:"server"`
	Variant string  `json:"variant"`
	Load    string  `json:"load"`
	LongTrx float64 `json:"longtrx_s"`
	Round   int     `json:"round"`
	Stall   float64 `json:"stall_ms"` // of the machine, the longest
	oscResult
	swapped
	History []string `json:"history,omitempty"` // of a migration that failed
}

// swapped is what Midflight tells of its exclusive locks in a run.
type swapped struct {
	Locks  float64 `json:"locks"`     // had
	Locked float64 `json:"locked_ms"` // all together
	Tries  float64 `json:"tries"`     // that did not get it
	Held   float64 `json:"held"`      // statements
	Hold   float64 `json:"hold_ms"`   // the longest of each attempt, all together
}

func (s *gapSite) measure(ctx context.Context, program osc, c cell) (sample gapSample, err error) {
	sample = gapSample{Server: string(s.server.Flavor), Variant: c.variant.name, Load: c.load.name, LongTrx: c.longTrx.Seconds()}
	addr := s.server.Addr
	if c.variant.through {
		addr = s.front.addr
	}
	idle, err := crowd(ctx, addr, c.load.idle)
	if err != nil {
		return sample, fmt.Errorf("open %d idle connections: %w", c.load.idle, err)
	}
	defer idle.Close()
	before, err := s.series(ctx)
	if err != nil {
		return sample, err
	}
	watched, stop := context.WithCancel(ctx)
	stalled := make(chan time.Duration, 1)
	go func() { stalled <- stalls(watched) }()
	sample.oscResult, err = program.run(ctx, c, addr, s.server.Addr)
	stop()
	sample.Stall = (<-stalled).Seconds() * 1000
	if err != nil {
		return sample, err
	}
	after, err := s.series(ctx)
	if err != nil {
		return sample, err
	}
	sample.swapped = between(before, after)
	if sample.MigrationError != "" && c.variant.through {
		sample.History, err = s.history(ctx)
	}
	return sample, err
}

// history is the end of the last migration's, latest first: why it failed.
func (s *gapSite) history(ctx context.Context) (lines []string, err error) {
	rows, err := s.root.QueryContext(ctx, `SELECT event FROM midflight.events WHERE migration_id = (SELECT MAX(id) FROM midflight.migrations) ORDER BY id DESC LIMIT 12`)
	if err != nil {
		return nil, fmt.Errorf("read the migration's history: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, fmt.Errorf("read the migration's history: %w", err)
		}
		lines = append(lines, line)
	}
	return lines, rows.Err()
}

// crowd opens connections that do nothing. They end with the pool.
func crowd(ctx context.Context, addr string, n int) (*sql.DB, error) {
	pool, err := sql.Open("mysql", dsn(addr))
	if err != nil {
		return nil, err
	}
	pool.SetMaxIdleConns(n) // nothing takes them out of the pool again
	conns := make([]*sql.Conn, n)
	err = forEach(conns, func(i int) (err error) {
		conns[i], err = pool.Conn(ctx)
		return err
	})
	for _, c := range conns {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// swapIdle swaps a table that nobody uses, and returns for how many milliseconds
// it was locked.
func (s *gapSite) swapIdle(ctx context.Context) (float64, error) {
	for _, statement := range []string{
		"CREATE DATABASE IF NOT EXISTS " + database,
		"DROP TABLE IF EXISTS " + database + ".still, " + database + "._still_old",
		"CREATE TABLE " + database + ".still (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(100))",
		"INSERT INTO " + database + ".still (v) VALUES (REPEAT('x', 90))",
	} {
		if _, err := s.root.ExecContext(ctx, statement); err != nil {
			return 0, fmt.Errorf("%s: %w", statement, err)
		}
	}
	for range 17 { // 131 072 rows
		if _, err := s.root.ExecContext(ctx, "INSERT INTO "+database+".still (v) SELECT v FROM "+database+".still"); err != nil {
			return 0, fmt.Errorf("fill the table: %w", err)
		}
	}
	through, err := sql.Open("mysql", dsn(s.front.addr))
	if err != nil {
		return 0, fmt.Errorf("connect to Midflight: %w", err)
	}
	defer through.Close()
	before, err := s.series(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := through.ExecContext(ctx, "ALTER TABLE /* midflight: strategy=copy */ "+database+".still"+column); err != nil {
		return 0, fmt.Errorf("alter it: %w", err)
	}
	after, err := s.series(ctx)
	if err != nil {
		return 0, err
	}
	b := between(before, after)
	if b.Locks != 1 {
		return 0, fmt.Errorf("by the metrics it had %.0f locks, not 1", b.Locks)
	}
	return b.Locked, nil
}

// series reads Midflight's metrics, those without labels and those of attempts.
func (s *gapSite) series(ctx context.Context) (map[string]float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.front.http+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("ask for the metrics: %w", err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask for the metrics: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	return parseSeries(string(text)), nil
}

func parseSeries(text string) map[string]float64 {
	all := map[string]float64{}
	for line := range strings.Lines(text) {
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(line[i:]), 64); err == nil {
			all[line[:i]] = v
		}
	}
	return all
}

func between(before, after map[string]float64) swapped {
	more := func(name string) float64 { return after["midflight_"+name] - before["midflight_"+name] }
	return swapped{
		Locks: more("cutover_lock_seconds_count"), Locked: 1000 * more("cutover_lock_seconds_sum"),
		Tries: more(`cutover_attempts_total{outcome="not_now"}`),
		Held:  more("statements_held_total"), Hold: 1000 * more("hold_seconds_sum"),
	}
}
