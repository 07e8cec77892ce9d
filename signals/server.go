package signals

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"midflight/mysqld"
	"midflight/throttle"
)

const serverSource = "server"

// watchServer samples what the server tells of itself.
func (s *Sampler) watchServer(ctx context.Context) {
	var flow flowControl
	s.repeat(ctx, sampleEvery, func(ctx context.Context, _ bool) {
		bound, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		readings := []throttle.Reading{
			s.reading(throttle.ThreadsRunning, bound, s.threadsRunning),
			s.reading(throttle.HistoryList, bound, s.historyList),
		}
		if free, ok := s.diskFree(bound); ok {
			readings = append(readings, free)
		}
		if paused, ok := flow.read(bound, s.DB, s.Flavor); ok {
			readings = append(readings, paused)
		}
		if ctx.Err() == nil {
			s.publish(serverSource, readings...)
		}
	})
}

// reading asks for one value.
func (s *Sampler) reading(signal throttle.Signal, ctx context.Context, ask func(context.Context) (float64, error)) throttle.Reading {
	v, err := ask(ctx)
	r := throttle.Reading{Signal: signal, Value: v, At: time.Now()}
	if err != nil {
		r.Problem = "it can't be told: " + inWords(err).Error()
	}
	return r
}

// inWords says what a person would of one who doesn't answer.
func inWords(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", patience)
	}
	return err
}

// threadsRunning doesn't count our own: whoever gives way to his own work never ends it
// (spirit's issue 1227).
func (s *Sampler) threadsRunning(ctx context.Context) (float64, error) {
	all, err := mysqld.Processes(ctx, s.DB)
	n := 0
	for _, p := range all {
		if isRunning(p) && p.User != s.Server.User {
			n++
		}
	}
	return float64(n), err
}

func isRunning(p mysqld.Process) bool {
	switch {
	case p.Command == "Sleep" || p.Command == "Daemon" || p.IsBinlogDump() || strings.HasPrefix(p.Command, "Slave_"),
		p.User == "system user" || p.User == "event_scheduler",
		p.State == "User sleep":
		return false
	}
	return true
}

// historyList is how many undo records wait to be purged: each makes old versions of rows
// that somebody's reads must go through.
func (s *Sampler) historyList(ctx context.Context) (float64, error) {
	// A counter that is disabled keeps the value that it had.
	query := "SELECT /* midflight */ count FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len' AND status = 'enabled'"
	if s.Flavor.MariaDB {
		query = "SELECT /* midflight */ CAST(variable_value AS SIGNED) FROM information_schema.global_status WHERE variable_name = 'Innodb_history_list_length'"
	}
	var n float64
	err := s.DB.QueryRowContext(ctx, query).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, errors.New("SET GLOBAL innodb_monitor_enable = 'trx_rseg_history_len'")
	}
	return n, err
}

// diskFree is known where the server's files are on this machine.
func (s *Sampler) diskFree(ctx context.Context) (r throttle.Reading, ok bool) {
	var datadir string
	if err := s.DB.QueryRowContext(ctx, "SELECT /* midflight */ @@GLOBAL.datadir").Scan(&datadir); err != nil || !mysqld.IsHere(datadir, "midflight", "migrations") {
		return r, false // what else is asked of the server fails as well
	}
	r = throttle.Reading{Signal: throttle.DiskFree, At: time.Now()}
	space, err := mysqld.SpaceOf(datadir)
	if err != nil {
		r.Problem = "it can't be told: " + err.Error()
		return r, true
	}
	r.Value = float64(space.Free) / float64(space.Total)
	return r, true
}

// flowControl of a Galera cluster: a node that can't keep up stops all.
type flowControl struct {
	paused int64 // nanoseconds, since the server's start
	at     time.Time
}

// read is the part of the time since the last one.
func (f *flowControl) read(ctx context.Context, db *sql.DB, flavor mysqld.Flavor) (r throttle.Reading, ok bool) {
	if !flavor.MariaDB {
		return r, false
	}
	var paused int64
	err := db.QueryRowContext(ctx, "SELECT /* midflight */ CAST(variable_value AS SIGNED) FROM information_schema.global_status WHERE variable_name = 'wsrep_flow_control_paused_ns'").Scan(&paused)
	if err != nil { // no cluster
		return r, false
	}
	now := time.Now()
	before := *f
	*f = flowControl{paused, now}
	if before.at.IsZero() || paused < before.paused {
		return r, false
	}
	return throttle.Reading{Signal: throttle.Galera, Value: float64(paused-before.paused) / float64(now.Sub(before.at)), At: now}, true
}
