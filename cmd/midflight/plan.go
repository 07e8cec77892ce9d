package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"midflight/ghost"
	"midflight/ghost/plan"
	"midflight/intercept"
	"midflight/lint"
	"midflight/mysqld"
	"midflight/parser"
	"midflight/schema"
	"midflight/signals"
	"midflight/store"
	"midflight/throttle"
)

// planCommand tells what a change would do, as a session would send it that has just
// connected.
func planCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var database string
	r, err := read("plan", args, stdout, stderr, func(f *flag.FlagSet) {
		f.StringVar(&database, "database", "", "the `DATABASE` of a table that is named without one")
	})
	if err != nil {
		return err
	}
	defer r.db.Close()
	if len(r.rest) != 1 {
		return usageError{errors.New(`plan needs one statement, in quotes: midflight plan "ALTER TABLE shop.orders …"`)}
	}
	flavor, err := mysqld.ReadFlavor(ctx, r.db)
	if err != nil {
		return fmt.Errorf("ask for the server's version: %w", err)
	}
	request, err := r.request(ctx, flavor, r.rest[0], database)
	if err != nil {
		return err
	}
	p := outlook{statement: request.Statement, table: request.Table, flavor: flavor}
	if reason := intercept.AsItIs(request.Statement, request.Table, request.Strategy, flavor); reason != "" {
		p.Outlook = &ghost.Outlook{Plan: plan.Plan{Path: plan.Direct, Reason: reason}}
	} else if p.Outlook, err = r.explain(ctx, flavor, request); err != nil {
		return err
	}
	if p.Original != nil && p.Altered != nil {
		p.findings = lint.Check(lint.Change{Statement: request.Statement, Before: p.Original, After: p.Altered, Flavor: flavor})
	}
	p.lags, p.unknown = signals.Look(ctx, signals.Config{Server: r.account(), Flavor: flavor, DB: r.db, Replicas: signals.Replicas{Find: true}})
	if r.json {
		err = writeJSON(stdout, p.object())
	} else {
		p.print(r.to)
	}
	if err == nil && (p.Refused != nil || p.Sample.Refused != nil) {
		return answerNo{errors.New("")} // it has been said
	}
	return err
}

// request is the engine's order, as the proxy would make it of a new session's statement.
func (r *reading) request(ctx context.Context, f mysqld.Flavor, text, database string) (q ghost.Request, err error) {
	settings, lowerCase, err := globalSettings(ctx, r.db, f)
	if err != nil {
		return q, err
	}
	mode := parser.Mode{MariaDB: f.MariaDB, Version: f.Version, Charset: "utf8mb4"}
	for _, s := range settings {
		if s.Name == "sql_mode" {
			m := parser.ParseMode(s.Value)
			mode.AnsiQuotes, mode.NoBackslashEscapes, mode.Oracle = m.AnsiQuotes, m.NoBackslashEscapes, m.Oracle
		}
	}
	text = strings.TrimRight(strings.TrimSpace(text), "; \n\t")
	if len(parser.Split(text, mode)) > 1 {
		return q, usageError{errors.New("plan takes one statement at a time")}
	}
	s, err := parser.Parse(text, mode)
	if err != nil {
		return q, usageError{fmt.Errorf("plan: %w", err)}
	}
	if s.Kind == parser.Other {
		return q, usageError{errors.New("plan: that is no schema change of a table: want ALTER TABLE, CREATE INDEX, DROP INDEX, OPTIMIZE TABLE")}
	}
	name := s.Table
	if len(s.Tables) > 0 && name == (parser.Name{}) {
		name = s.Tables[0]
	}
	if name.Table == "" {
		name = s.Trigger
	}
	q.Table = schema.Name{Schema: cmp.Or(name.Schema, database), Table: name.Table}
	if q.Table.Schema == "" {
		return q, usageError{fmt.Errorf("plan: of which database is the table %s? Name it, or give --database", name.Table)}
	}
	if lowerCase {
		q.Table.Schema, q.Table.Table = strings.ToLower(q.Table.Schema), strings.ToLower(q.Table.Table)
	}
	if q.Strategy, err = plan.ParseStrategy(s.Hints["strategy"]); err != nil {
		return q, usageError{err}
	}
	if q.CutOver, err = ghost.ParseCutOver(s.Hints["cutover"]); err != nil {
		return q, usageError{err}
	}
	invisible, err := ghost.ParseNewColumns(s.Hints["new_columns"])
	if err != nil {
		return q, usageError{err}
	}
	if invisible && len(s.Hideable()) > 0 {
		if s, err = parser.Parse(s.Rewrite(parser.Edit{Invisible: true}), mode); err != nil {
			return q, fmt.Errorf("write INVISIBLE into the statement: %w", err)
		}
	}
	q.Statement, q.Settings, q.Async = s, settings, s.Hints["async"] == "1"
	return q, nil
}

// globalSettings are those that a session begins with, and whether names are lower case.
func globalSettings(ctx context.Context, db *sql.DB, f mysqld.Flavor) (settings []ghost.Setting, lowerCase bool, err error) {
	names := intercept.Settings(f)
	query := "SELECT /* midflight */ @@lower_case_table_names <> 0"
	for _, n := range names {
		query += ", CAST(@@GLOBAL." + n + " AS CHAR)"
	}
	values := make([]sql.NullString, len(names))
	into := []any{&lowerCase}
	for i := range values {
		into = append(into, &values[i])
	}
	if err := db.QueryRowContext(ctx, query).Scan(into...); err != nil {
		return nil, false, fmt.Errorf("ask with what settings a session begins: %w", err)
	}
	for i, n := range names {
		v := values[i]
		switch {
		case !v.Valid:
			continue
		case n == "character_set_client": // the shell's
			v.String = "utf8mb4"
		case n == "collation_connection" && !strings.HasPrefix(v.String, "utf8mb4_"):
			v.String = "utf8mb4_general_ci"
		}
		settings = append(settings, ghost.Setting{Name: n, Value: v.String})
	}
	return settings, lowerCase, nil
}

// explain asks the engine; what is no table is the server's.
func (r *reading) explain(ctx context.Context, f mysqld.Flavor, q ghost.Request) (*ghost.Outlook, error) {
	table, err := schema.Read(ctx, r.db, q.Table)
	switch {
	case errors.Is(err, schema.ErrNotFound):
		return nil, fmt.Errorf("there is no table %s, or the account %s may not see it", q.Table, r.User)
	case err != nil:
		return nil, err
	case table.Type == "VIEW" || table.Type == "SYSTEM VIEW":
		return &ghost.Outlook{Plan: plan.Plan{Path: plan.Direct, Reason: "it is not a table"}}, nil
	}
	return ghost.Explain(ctx, ghost.Config{Server: r.account(), Flavor: f, DB: r.db}, store.Claims{DB: r.db}, q)
}

// An outlook is what is told of a change.
type outlook struct {
	*ghost.Outlook
	statement parser.Statement
	table     schema.Name
	flavor    mysqld.Flavor
	findings  []lint.Finding
	lags      []throttle.Reading
	unknown   error // why there are none
}

func (p outlook) print(t terminal) {
	for _, line := range beginning(folded(tame(p.statement.Text), cmp.Or(t.width, 100))) {
		fmt.Fprintln(t, t.in(bold, line))
	}
	fmt.Fprintln(t)
	f := facts{to: t}
	if p.Refused != nil {
		e := ghost.ErrorFor(p.Refused)
		f.add("refused", fmt.Sprintf("error %d: %s", e.Number, e.Message))
	} else {
		f.add("path", fmt.Sprintf("%s: %s", p.Plan.Path, p.Plan.Reason))
		f.add("", pathMeans[p.Plan.Path])
	}
	if p.Original != nil {
		f.add("rows", "about "+grouped(p.Original.Rows))
	}
	if p.Refused == nil {
		f.add("time", p.time())
		f.add("disk", p.disk())
		f.add("locks", p.locks())
		for i, b := range p.Blockers {
			f.add([]string{"in the way", ""}[min(i, 1)], b.String()+", now")
		}
		f.add("replicas", p.replication())
		for _, lag := range p.lags {
			f.add("", lag.String())
		}
		if p.unknown != nil {
			f.add("", "their lag: "+p.unknown.Error())
		}
	}
	for i, l := range p.Losses {
		f.add([]string{"can't be undone", ""}[min(i, 1)], l)
	}
	for i, w := range p.Warnings {
		f.add([]string{"server's warning", ""}[min(i, 1)], fmt.Sprintf("%d %s", w.Code, w.Message))
	}
	for i, l := range p.findings {
		f.add([]string{"lint", ""}[min(i, 1)], fmt.Sprintf("[%s] %s", l.Rule, l.Text))
	}
	f.print()
}

var pathMeans = map[plan.Path]string{
	plan.Instant:  "the server changes its dictionary alone, whatever the table's size",
	plan.Metadata: "the server changes its dictionary alone, whatever the table's size",
	plan.InPlace:  "the server rebuilds the table or an index itself, while others write to it; replicas do the same after it, and stand still",
	plan.Copy:     "a new table is filled beside this one, compared, and swapped for it",
	plan.Direct:   "the server runs it as it was sent; a session that it would wait for is waited for before",
}

func (p outlook) time() string {
	switch p.Plan.Path {
	case plan.Instant, plan.Metadata:
		return "less than a second, and the wait for who is in the way"
	case plan.Copy:
	default:
		return ""
	}
	if p.Sample.Refused != nil {
		e := ghost.ErrorFor(p.Sample.Refused)
		return fmt.Sprintf("it is going to fail: a row of the sample was refused, error %d: %s", e.Number, e.Message)
	}
	least, most, ok := p.Sample.Between(p.rowCount(), p.Deferred, len(p.Replicas) > 0)
	if !ok {
		return "a second or two: there are no rows"
	}
	s := fmt.Sprintf("%s to %s: ", spell(least), spell(most))
	if p.Sample.Whole {
		s += "all rows were copied in " + spell(p.Sample.Took)
	} else {
		s += fmt.Sprintf("the first %s rows were copied in %s, one statement at a time", grouped(p.Sample.Rows), spell(p.Sample.Took))
	}
	s += fmt.Sprintf("; a migration sends up to %d at a time while nobody else is there, and rests while others are slowed", p.Sample.Width)
	if len(p.Replicas) > 0 {
		s += "; beside replicas it begins slowly, and takes no more than the slowest of them bears"
	}
	if p.Deferred > 0 {
		s += "; " + plural(int64(p.Deferred), "index is", "indexes are") + " built at the end"
	}
	return s
}

// rowCount is the server's estimate, or the truth where the sample has it.
func (p outlook) rowCount() int64 {
	if p.Sample.Whole {
		return p.Sample.Rows
	}
	return max(p.Original.Rows, p.Sample.Rows)
}

func (p outlook) disk() string {
	if p.Plan.Path != plan.Copy {
		return ""
	}
	s := fmt.Sprintf("about %s for the new table beside the old one, which stays until --keep-old has passed, and up to %s in the binlog", sizeOf(p.Table+p.Table/8), sizeOf(p.Binlog))
	told := ""
	for _, place := range p.Room {
		if dir := filepath.Clean(place.Dir); dir != told {
			s += fmt.Sprintf("; %s are free in %s", sizeOf(place.Free), dir)
			told = dir
		}
	}
	if len(p.Room) == 0 {
		s += "; what is free can't be told from this machine"
	}
	return s
}

func (p outlook) locks() string {
	hold := spell(ghost.DefaultBounds.Hold)
	switch p.Plan.Path {
	case plan.Copy:
		return "none that others feel but the swap's: exclusive, for some milliseconds; statements are held for at most " + hold + " an attempt (serve's --cutover-hold)"
	case plan.Instant, plan.Metadata:
		return "exclusive, for some milliseconds; statements are held for at most " + hold + " an attempt (serve's --cutover-hold)"
	case plan.InPlace:
		return "exclusive for a moment at the beginning and at the end; statements are held for at most " + hold + " an attempt (serve's --cutover-hold)"
	}
	return "the server's own for this statement: perhaps exclusive for as long as it runs"
}

func (p outlook) replication() string {
	who := fmt.Sprintf("%s (%s)", plural(int64(len(p.Replicas)), "replica reads the binlog", "replicas read the binlog"), strings.Join(p.Replicas, ", "))
	switch {
	case p.Cluster:
		who = "the server is one of a cluster"
	case len(p.Replicas) == 0:
		return ""
	}
	if p.Plan.Path == plan.Copy {
		return who + ": they get the copy as small transactions, and no statement that runs for long"
	}
	return who + ": they run the statement after this server, and nothing else meanwhile"
}

type planObject struct {
	Statement   string       `json:"statement"`
	Table       string       `json:"table"`
	Path        string       `json:"path"` // "" when refused
	Reason      string       `json:"reason"`
	ErrorNumber *int64       `json:"error_number"`
	Error       string       `json:"error"`
	Rows        *int64       `json:"rows_estimate"`
	Least       *float64     `json:"least_seconds"`
	Most        *float64     `json:"most_seconds"`
	SampleRows  int64        `json:"sample_rows"`
	SampleTook  float64      `json:"sample_seconds"`
	SampleError string       `json:"sample_error"`
	Deferred    int          `json:"indexes_at_the_end"`
	Bytes       int64        `json:"table_bytes"`
	Binlog      int64        `json:"binlog_bytes"`
	Places      []diskObject `json:"disk"`
	Blockers    []string     `json:"in_the_way"`
	Replicas    []string     `json:"replicas"`
	Lags        []lagObject  `json:"replica_lags"`
	Losses      []string     `json:"losses"`
	Warnings    []string     `json:"warnings"`
	Lint        []lintObject `json:"lint"`
}

type diskObject struct {
	Dir  string `json:"directory"`
	Need int64  `json:"needed_bytes"`
	Free int64  `json:"free_bytes"`
}

type lagObject struct {
	Of      string   `json:"replica"`
	Seconds *float64 `json:"seconds"` // beyond its delay; null: not known
	Problem string   `json:"problem"`
}

type lintObject struct {
	Rule string `json:"rule"`
	Text string `json:"text"`
}

func (p outlook) lagObjects() []lagObject {
	list := []lagObject{}
	for _, l := range p.lags {
		o := lagObject{Of: l.Of, Problem: l.Problem}
		if l.Problem == "" {
			o.Seconds = &l.Value
		}
		list = append(list, o)
	}
	if p.unknown != nil {
		list = append(list, lagObject{Problem: p.unknown.Error()})
	}
	return list
}

func (p outlook) object() planObject {
	o := planObject{
		Statement: p.statement.Text, Table: p.table.String(), Path: string(p.Plan.Path), Reason: p.Plan.Reason,
		SampleRows: p.Sample.Rows, SampleTook: p.Sample.Took.Seconds(), Deferred: p.Deferred, Bytes: p.Table, Binlog: p.Binlog,
		Places: []diskObject{}, Blockers: []string{}, Replicas: append([]string{}, p.Replicas...), Lags: p.lagObjects(), Losses: append([]string{}, p.Losses...), Warnings: []string{}, Lint: []lintObject{},
	}
	if p.Refused != nil {
		e := ghost.ErrorFor(p.Refused)
		n := int64(e.Number)
		o.ErrorNumber, o.Error = &n, e.Message
	}
	if p.Original != nil {
		o.Rows = &p.Original.Rows
	}
	if p.Sample.Refused != nil {
		o.SampleError = ghost.ErrorFor(p.Sample.Refused).Message
	}
	if p.Plan.Path == plan.Copy {
		if least, most, ok := p.Sample.Between(p.rowCount(), p.Deferred, len(p.Replicas) > 0); ok {
			o.Least, o.Most = seconds(least), seconds(most)
		}
	}
	for _, place := range p.Room {
		o.Places = append(o.Places, diskObject{place.Dir, place.Need, place.Free})
	}
	for _, b := range p.Blockers {
		o.Blockers = append(o.Blockers, b.String())
	}
	for _, w := range p.Warnings {
		o.Warnings = append(o.Warnings, fmt.Sprintf("%s %d: %s", w.Level, w.Code, w.Message))
	}
	for _, l := range p.findings {
		o.Lint = append(o.Lint, lintObject{l.Rule, l.Text})
	}
	return o
}

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}
