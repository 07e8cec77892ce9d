package soak

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/mysqld"
	"midflight/schema"
)

// An Outcome is what became of a case.
type Outcome struct {
	Classes  []string // of each ALTER: the path, the refusal, the error's number
	Notes    []string // for the tally: what is allowed, and worth counting
	Findings []string // what must not be
	History  []string // for who has to understand a finding
	Writes   int64
	Took     time.Duration

	numbered []string // AUTO_INCREMENT columns that an ALTER has added
}

func (o *Outcome) find(format string, args ...any) {
	o.Findings = append(o.Findings, fmt.Sprintf(format, args...))
}

func (o *Outcome) note(format string, args ...any) {
	o.Notes = append(o.Notes, fmt.Sprintf(format, args...))
}

const (
	longEnough = 60 * time.Second // for an ALTER of a small table on a busy machine
	// Transactions without a pause may leave no gap on a machine that is busy:
	// then the writers stop, which is counted.
	patience = 15 * time.Second
)

// Run carries out a case. The error is the soak's own.
func (s *Site) Run(ctx context.Context, c Case) (o Outcome, err error) {
	began := time.Now()
	defer func() { o.Took = time.Since(began) }()
	k := s.cases.Add(1)
	on := [2]schema.Name{{Schema: fmt.Sprintf("soak_%d_a", k), Table: c.Table.Name}, {Schema: fmt.Sprintf("soak_%d_b", k), Table: c.Table.Name}}
	defer s.remove(context.WithoutCancel(ctx), on)
	refused, err := s.create(ctx, c, on)
	if err != nil || refused != nil {
		if refused != nil {
			o.Classes = append(o.Classes, "no such table")
			var e *mysql.MySQLError
			errors.As(refused, &e)
			o.note("table refused: %.220s", e)
			return o, nil
		}
		return o, err
	}
	for i, a := range c.Alters {
		writers := c.Writers
		if i > 0 {
			writers = nil // what the table has become isn't known here
		}
		goOn, err := s.alter(ctx, c, a, writers, on, &o)
		if err != nil || !goOn || len(o.Findings) > 0 {
			return o, err
		}
	}
	return o, nil
}

func (s *Site) remove(ctx context.Context, on [2]schema.Name) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, n := range on {
		s.direct.ExecContext(ctx, "DROP DATABASE IF EXISTS "+q(n.Schema))
	}
}

// create makes the twins with the same rows. refused: no server takes such a
// table.
func (s *Site) create(ctx context.Context, c Case, on [2]schema.Name) (refused, err error) {
	conn, err := s.direct.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer discard(conn)
	exec := func(q string) error {
		_, err := conn.ExecContext(ctx, q)
		if err != nil {
			return fmt.Errorf("%.300s: %w", q, err)
		}
		return nil
	}
	for _, n := range on {
		for _, q := range []string{"CREATE DATABASE " + q(n.Schema), "USE " + q(n.Schema), "SET sql_mode = ''", audit} {
			if err := exec(q); err != nil {
				return nil, err
			}
		}
		for _, q := range c.Table.Typed {
			if err := exec(q); err != nil {
				return nil, err
			}
		}
		if c.Table.Typed != nil {
			continue
		}
		if err := exec(c.Table.Create(s.Flavor)); err != nil {
			if mysqld.IsServerError(err) {
				return err, nil
			}
			return nil, err
		}
	}
	if c.Table.Typed != nil {
		return nil, nil
	}
	if err := exec("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', timestamp = 1600000000.123456, unique_checks = 1"); err != nil {
		return nil, err
	}
	ordinary, rows := c.Table.ordinary(), c.rows()
	into := "INSERT IGNORE INTO " + on[0].Quoted() + " (" + names(ordinary) + ") VALUES "
	if err := exec("BEGIN"); err != nil {
		return nil, err
	}
	for part := range slices.Chunk(rows, 100) {
		if exec(into+strings.Join(part, ", ")) == nil {
			continue
		}
		for _, row := range part { // IGNORE is not for every error
			exec(into + row)
		}
	}
	if err := exec("COMMIT"); err != nil {
		return nil, err
	}
	if err := exec("INSERT INTO " + on[1].Quoted() + " (" + names(ordinary) + ") SELECT " + names(ordinary) + " FROM " + on[0].Quoted()); err != nil {
		return nil, err
	}
	for _, n := range on {
		if err := exec("USE " + q(n.Schema)); err != nil {
			return nil, err
		}
		// Beyond every writer's numbers: a row that another has made may not be
		// among those that a statement names.
		if err := exec(fmt.Sprintf("ALTER TABLE %s AUTO_INCREMENT = %d", q(n.Table), 9*ownRows)); err != nil {
			return nil, err
		}
		for _, t := range c.Table.Triggers {
			if err := exec(c.Table.create(t)); err != nil {
				if mysqld.IsServerError(err) {
					return err, nil
				}
				return nil, err
			}
		}
	}
	return nil, nil
}

// alter has Midflight alter the one and then the server the other, and
// compares. goOn: both have done it.
func (s *Site) alter(ctx context.Context, c Case, a Alter, writers []Writer, on [2]schema.Name, o *Outcome) (goOn bool, err error) {
	before, err := definition(ctx, s.direct, on[0])
	if err != nil {
		return false, err
	}
	table, err := schema.Read(ctx, s.direct, on[0])
	if err != nil {
		return false, err
	}
	statement := a.Text(c.Table.Name)
	dumps := s.dumpKills.Load()

	inner, cancel := context.WithTimeout(ctx, longEnough)
	defer cancel()
	stop := make(chan struct{})
	stopWriters := sync.OnceFunc(func() { close(stop) })
	defer stopWriters()
	var wait sync.WaitGroup
	var crew []*writing
	for i := range writers {
		w, err := s.startWriter(inner, c, i, on, before)
		if err != nil {
			return false, err
		}
		crew = append(crew, w)
		wait.Add(1)
		go func() { defer wait.Done(); w.run(inner, stop) }()
	}
	awaitMore(inner, crew, 2, 300*time.Millisecond)

	settings := append([]string{"SET @midflight_strategy = '" + c.Strategy + "'"}, c.Settings...)
	if c.Manual {
		settings = append([]string{"SET @midflight_cutover = 'manual'"}, settings...)
	}
	ours, err := open(inner, s.addr, on[0].Schema, settings)
	if err != nil {
		stopWriters()
		wait.Wait()
		if mysqld.IsServerError(err) { // a setting that the server does not take
			o.Classes = append(o.Classes, "no such setting")
			o.note("setting refused: %.150s", err)
			return false, nil
		}
		return false, err
	}
	defer ours.close()
	said := make(chan answer, 1)
	go func() { said <- ours.say(inner, statement) }()

	disturbing, calm := context.WithCancel(inner)
	var disturbers sync.WaitGroup
	if len(writers) > 0 || len(c.Writers) == 0 {
		for _, d := range c.Disturbances {
			disturbers.Add(1)
			go func() { defer disturbers.Done(); s.disturb(disturbing, d, on[0], c.Table.Number) }()
		}
	}
	got := s.await(inner, c, crew, on[0], said, stopWriters, o)
	calm()
	disturbers.Wait()
	id := s.migration(ctx, on[0])
	stopWriters()
	wait.Wait()
	for _, w := range crew {
		o.Writes += w.done.Load()
		for _, b := range w.broken {
			o.find("a writer met: %s", b)
		}
		for range w.split {
			o.note("a statement failed on one twin only")
		}
		o.History = append(o.History, fmt.Sprintf("-- writer %d: %d transactions, %d failed alike or apart; the latest:", w.index, w.done.Load(), w.failed.Load()))
		o.History = append(o.History, w.trail...)
		o.History = append(o.History, w.split...)
	}
	j := &judge{Site: s, Case: c, on: on, statement: statement, before: before, original: table, writers: len(writers), o: o, killed: len(c.Disturbances) > 0 && slices.ContainsFunc(c.Disturbances, func(d Disturbance) bool { return d.Kind == killWorker || d.Kind == killDump }) || s.dumpKills.Load() != dumps}
	goOn, err = j.verdict(ctx, got, id)
	if len(o.Findings) > 0 {
		h, _ := list(ctx, s.direct, `SELECT CONCAT_WS(' ', e.happened_at, m.id, e.event) FROM midflight.events e JOIN midflight.migrations m ON m.id = e.migration_id WHERE m.schema_name = ? ORDER BY e.id DESC LIMIT 40`, on[0].Schema)
		slices.Reverse(h)
		events := append([]string{"-- Midflight's events:"}, h...)
		h, _ = list(ctx, s.direct, `SELECT CONCAT_WS(' ', id, phase, strategy, reason, rows_copied, 'backlog', backlog, waiting_for, error) FROM midflight.migrations WHERE schema_name = ?`, on[0].Schema)
		o.History = slices.Concat(events, h, o.History)
	}
	return goOn, err
}

// await waits for the answer; it gives leave to swap when the writers have done
// some more work.
func (s *Site) await(ctx context.Context, c Case, crew []*writing, n schema.Name, said <-chan answer, stopWriters func(), o *Outcome) answer {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	impatient := time.After(patience)
	asked := !c.Manual
	for {
		select {
		case got := <-said:
			return got
		case <-impatient:
			o.note("the writers had to stop for the swap")
			stopWriters()
		case <-tick.C:
			if asked {
				continue
			}
			phase, _ := list(ctx, s.direct, "SELECT id FROM midflight.migrations WHERE schema_name = ? AND phase = 'ready' ORDER BY id DESC LIMIT 1", n.Schema)
			if len(phase) == 1 {
				asked = true
				awaitMore(ctx, crew, 8, 500*time.Millisecond)
				if _, err := s.direct.ExecContext(ctx, "CALL midflight.cutover("+phase[0]+")"); err != nil {
					asked = false
				}
			}
		}
	}
}

// awaitMore waits until each writer has committed n more transactions, or has
// ended, or the time is over.
func awaitMore(ctx context.Context, crew []*writing, n int64, most time.Duration) {
	var goal []int64
	for _, w := range crew {
		goal = append(goal, w.done.Load()+n)
	}
	for until := time.Now().Add(most); time.Now().Before(until); {
		all := true
		for i, w := range crew {
			all = all && w.done.Load() >= goal[i]
		}
		if all || !sleep(ctx, 5*time.Millisecond) {
			return
		}
	}
}
