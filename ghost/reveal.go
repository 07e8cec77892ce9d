package ghost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/parser"
	"midflight/schema"
)

// New columns may be published INVISIBLE (@midflight_new_columns), so that
// SELECT * and INSERT … VALUES of old programs go on; CALL midflight.reveal(id)
// makes them visible, by a migration of its own.

// ParseNewColumns reads @midflight_new_columns: visible or invisible.
func ParseNewColumns(s string) (invisible bool, err error) {
	switch strings.ToLower(s) {
	case "", "visible":
		return false, nil
	case "invisible":
		return true, nil
	}
	return false, fmt.Errorf("@midflight_new_columns = '%s': want visible or invisible", s)
}

// publishInvisible records the new columns that will be INVISIBLE, before they can
// be. A column that IF NOT EXISTS finds is none.
func (r *run) publishInvisible(ctx context.Context) error {
	if r.copyOnly { // it has been here
		return nil
	}
	var names []string
	for _, a := range r.request.Statement.Actions {
		if !slices.Contains(r.request.Invisible, a.Column) || a.Kind != parser.AddColumn {
			continue
		}
		if _, there := r.original.Column(a.Column); !there || !a.IfNotExists {
			names = append(names, a.Column)
		}
	}
	if len(names) == 0 {
		return nil
	}
	r.log(ctx, "published INVISIBLE: %s. To make them visible: CALL midflight.reveal(%d)", strings.Join(names, ", "), r.status.ID)
	return wrap(r.Store.Invisible(ctx, r.status.ID, names), "record the invisible columns")
}

// A Reveal is the operator's wish to make the columns visible that a migration has
// published INVISIBLE.
type Reveal struct {
	ID         int64 // the migration's
	Table      schema.Name
	Columns    []string
	User, Host string // who sent its statement, from where
}

// reveal makes migrations of the wishes.
func (q *Queue) reveal(ctx context.Context) (tickets []*Ticket, err error) {
	wishes, err := q.Store.Reveals(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask which columns are to be revealed: %w", err)
	}
	for _, w := range wishes {
		t, e := q.revealOne(ctx, w)
		if e != nil { // the others may be well
			err = errors.Join(err, fmt.Errorf("reveal the columns of migration %d: %w", w.ID, e))
		}
		if t != nil {
			tickets = append(tickets, t)
		}
	}
	return tickets, err
}

func (q *Queue) revealOne(ctx context.Context, w Reveal) (*Ticket, error) {
	s, err := revealing(ctx, q.DB, q.Flavor, w.Table, w.Columns)
	if err != nil {
		return nil, err
	}
	r := Request{
		Statement: s, Table: w.Table, Strategy: plan.Auto, Reveals: w.Columns,
		Settings: settingsOfReveal, Async: true, User: w.User, Host: w.Host,
	}
	if s.Kind == parser.Other {
		q.Store.Log(ctx, w.ID, note("none of its columns is invisible any more"))
		return nil, q.Store.Withdraw(ctx, w.ID)
	}
	id, err := q.Store.Grant(ctx, w.ID, r)
	if err != nil || id == 0 { // 0: another Midflight was faster
		return nil, err
	}
	q.Store.Log(ctx, w.ID, note("its columns are made visible by migration %d", id))
	return q.ticket(id, r), nil
}

// settingsOfReveal take a column's definition as it is.
var settingsOfReveal = []Setting{
	{"sql_mode", "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES"},
	{"innodb_strict_mode", "0"}, {"foreign_key_checks", "0"},
	{"explicit_defaults_for_timestamp", "1"},
}

// reveals decides anew what the statement is: since it was asked for, another
// migration may have changed the columns. nothing: none of them is invisible now.
func (r *run) reveals(ctx context.Context) (nothing bool, err error) {
	if len(r.request.Reveals) == 0 {
		return false, nil
	}
	s, err := revealing(ctx, r.DB, r.Flavor, r.request.Table, r.request.Reveals)
	if err != nil {
		return false, err
	}
	if s.Kind == parser.Other {
		r.log(ctx, "none of the columns is invisible any more")
		r.enter(ctx, CuttingOver) // to Completed there is no other way
		return true, nil
	}
	if s.Text != r.request.Statement.Text {
		r.log(ctx, "the table has changed: %s", s.Text)
	}
	r.request.Statement = s
	return false, nil
}

// revealsStill tells whether a reveal is what it was when it was planned: others may
// have been waited for since.
func (r *run) revealsStill(ctx context.Context) error {
	if len(r.request.Reveals) == 0 || !r.Flavor.MariaDB {
		return nil
	}
	s, err := revealing(ctx, r.DB, r.Flavor, r.request.Table, r.request.Reveals)
	if err == nil && s.Text != r.request.Statement.Text {
		err = obstacle("somebody changed the invisible columns of %s while they were about to be made visible. Call midflight.reveal again", r.request.Table)
	}
	return err
}

// revealing is the statement that makes those of columns visible that are there
// and invisible; of Kind Other when none is.
//
// On MariaDB nothing but MODIFY with the whole definition does it, which undoes what
// others change between this reading and the lock.
func revealing(ctx context.Context, db mysqld.Queryer, f mysqld.Flavor, t schema.Name, columns []string) (s parser.Statement, err error) {
	now, err := schema.Read(ctx, db, t)
	if errors.Is(err, schema.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	create := ""
	if f.MariaDB {
		if create, err = schema.CreateStatement(ctx, db, t); err != nil {
			return s, err
		}
	}
	m := parser.Mode{MariaDB: f.MariaDB, Version: f.Version}
	var clauses []string
	for _, name := range columns {
		c, there := now.Column(name)
		switch {
		case !there || !c.Invisible:
		case f.MariaDB:
			d := parser.VisibleDefinition(create, c.Name, m)
			if d == "" {
				return s, fmt.Errorf("no definition of the column %s in %s", c.Name, create)
			}
			clauses = append(clauses, "MODIFY COLUMN "+d)
		default:
			clauses = append(clauses, "ALTER COLUMN "+mysqld.QuoteName(c.Name)+" SET VISIBLE")
		}
	}
	if len(clauses) == 0 {
		return s, nil
	}
	return parser.Parse("ALTER TABLE "+t.Quoted()+" "+strings.Join(clauses, ", "), m)
}
