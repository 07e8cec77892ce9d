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

	"midflight/internal/localserver"
)

// A site is a server with a Midflight in front of it.
type site struct {
	server *localserver.Server
	root   *sql.DB // around Midflight
	front  *target
}

// newSite gives the server as much memory for pages as for its redo log.
func newSite(ctx context.Context, flavor localserver.Flavor, program, dir, memory string) (s *site, err error) {
	s = &site{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	args := []string{"--max-connections=2000", "--back-log=2000", "--innodb-buffer-pool-size=" + memory}
	if flavor == localserver.MySQL {
		// With 1 and 2, all that commit were seen to wait together for 100 ms now and
		// then, without any schema change: docs/compared.md.
		args = append(args, "--innodb-redo-log-capacity="+memory, "--innodb-flush-log-at-trx-commit=0")
	} else {
		args = append(args, "--innodb-log-file-size="+memory)
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

func (s *site) close() error {
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

// addr is where a change goes that goes through Midflight, or straight to the server.
func (s *site) addr(through bool) string {
	if through {
		return s.front.addr
	}
	return s.server.Addr
}

// describe tells what is measured where. The load is shown because others'
// work on the machine spoils the numbers.
func (s *site) describe(ctx context.Context) (string, error) {
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

// history is the end of the last migration's, latest first: why it failed.
func (s *site) history(ctx context.Context) ([]string, error) {
	lines, err := s.texts(ctx, `SELECT event FROM midflight.events WHERE migration_id = (SELECT MAX(id) FROM midflight.migrations) ORDER BY id DESC LIMIT 12`)
	if err != nil {
		return nil, fmt.Errorf("read the migration's history: %w", err)
	}
	return lines, nil
}

// texts is the only column of a query.
func (s *site) texts(ctx context.Context, query string) (all []string, err error) {
	rows, err := s.root.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}

// tell runs statements around Midflight.
func (s *site) tell(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := s.root.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// series reads Midflight's metrics, those without labels and those of attempts.
func (s *site) series(ctx context.Context) (map[string]float64, error) {
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
