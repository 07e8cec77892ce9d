package main

import (
	"database/sql"
	"encoding/json"
	"io"
	"time"

	"midflight/store"
	"midflight/throttle"
)

// What -o json prints. The names are a contract: fields may be added, never renamed. Those
// that a column of midflight.migrations has too are called as it is. Times are UTC.

type migrationObject struct {
	ID           int64                       `json:"id"`
	Table        string                      `json:"table"`
	Statement    string                      `json:"statement"`
	Phase        string                      `json:"phase"`
	Path         string                      `json:"path"`
	Reason       string                      `json:"reason"`
	Progress     float64                     `json:"progress"`
	Copied       int64                       `json:"rows_copied"`
	Estimate     int64                       `json:"rows_estimate"`
	Rate         int64                       `json:"rows_per_second"`
	ETA          *int64                      `json:"eta_seconds"`
	ETAError     *int64                      `json:"eta_error_seconds"`
	Backlog      int64                       `json:"backlog"`
	WaitingFor   string                      `json:"waiting_for"`
	Paused       bool                        `json:"pause_requested"`
	Throttled    map[throttle.Signal]float64 `json:"throttled"` // seconds
	Ratio        float64                     `json:"throttle_ratio"`
	CutOver      string                      `json:"cutover"`
	ErrorNumber  *int64                      `json:"error_number"`
	Error        string                      `json:"error"`
	User         string                      `json:"user"`
	Host         string                      `json:"host"`
	Account      string                      `json:"account"`
	Database     string                      `json:"database_name"`
	Session      int64                       `json:"connection_id"`
	RanBy        string                      `json:"ran_by"`
	Records      *int64                      `json:"records"`
	Warnings     *int64                      `json:"warnings"`
	Verification string                      `json:"verification"`
	Attempts     int                         `json:"cutover_attempts"`
	Locked       int64                       `json:"locked_microseconds"`
	Held         int                         `json:"held_statements"`
	HeldFor      int64                       `json:"held_microseconds"`
	Created      *time.Time                  `json:"created_at"`
	Started      *time.Time                  `json:"started_at"`
	Ready        *time.Time                  `json:"ready_at"`
	Completed    *time.Time                  `json:"completed_at"`
	Took         *float64                    `json:"took_seconds"`
	// Of one migration only:
	Checkpoint *time.Time    `json:"checkpoint_at,omitempty"`
	Phases     []stayObject  `json:"phases,omitempty"`
	Events     []eventObject `json:"events,omitempty"`
}

type stayObject struct {
	Phase   string    `json:"phase"`
	Entered time.Time `json:"entered_at"`
	Seconds float64   `json:"seconds"`
}

type eventObject struct {
	At     time.Time       `json:"happened_at"`
	Kind   string          `json:"kind"`
	Phase  string          `json:"phase,omitempty"`
	By     string          `json:"said_by,omitempty"`
	Text   string          `json:"event"`
	Detail json.RawMessage `json:"detail,omitempty"`
}

type changeObject struct {
	ID          *int64    `json:"id"` // of the migration; null: it is none
	At          time.Time `json:"happened_at"`
	Took        *float64  `json:"took_seconds"`
	Table       string    `json:"table"`
	Statement   string    `json:"statement"`
	Path        string    `json:"path"`
	Outcome     string    `json:"outcome"`
	Reason      string    `json:"reason"`
	ErrorNumber *int64    `json:"error_number"`
	Error       string    `json:"error"`
	User        string    `json:"user"`
	Host        string    `json:"host"`
	Account     string    `json:"account"`
	Session     int64     `json:"connection_id"`
	Database    string    `json:"database_name"`
	RanBy       string    `json:"ran_by"`
}

type findingObject struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Warn   bool   `json:"warn"`
	Found  string `json:"found"`
	Wanted string `json:"wanted"`
	Mend   string `json:"mend"`
}

func toObject(m store.Migration) migrationObject {
	o := migrationObject{
		ID: m.ID, Table: m.Table, Statement: m.Statement, Phase: string(m.Phase), Path: m.Path, Reason: m.Why,
		Progress: m.Progress, Copied: m.Copied, Estimate: m.Estimate, Rate: m.Rate, ETA: number(m.ETA), ETAError: number(m.ETAError),
		Backlog: m.Backlog, WaitingFor: m.WaitingFor, Paused: m.Paused, Throttled: inSeconds(m.Throttled), Ratio: m.Ratio, CutOver: m.CutOver,
		ErrorNumber: number(m.ErrorNumber), Error: m.Failure,
		User: m.User, Host: m.Host, Account: m.Account, Database: m.Database, Session: m.Session, RanBy: m.RanBy,
		Records: number(m.Records), Warnings: number(m.Warnings), Verification: m.Verification,
		Attempts: m.Tries.Number, Locked: m.Tries.Locked.Microseconds(), Held: m.Tries.Held, HeldFor: m.Tries.Longest.Microseconds(),
		Created: moment(m.Created), Started: moment(m.Started), Ready: moment(m.Ready), Completed: moment(m.Done),
	}
	if d, ok := m.Took(); ok {
		took := d.Seconds()
		o.Took = &took
	}
	return o
}

func inSeconds(by map[throttle.Signal]time.Duration) map[throttle.Signal]float64 {
	list := map[throttle.Signal]float64{}
	for signal, d := range by {
		list[signal] = d.Seconds()
	}
	return list
}

func toStays(stays []store.Stay) []stayObject {
	list := []stayObject{}
	for _, s := range stays {
		list = append(list, stayObject{string(s.Phase), s.Entered, s.Took.Seconds()})
	}
	return list
}

func toEvents(events []store.Event) []eventObject {
	list := []eventObject{}
	for _, e := range events {
		list = append(list, eventObject{e.At, string(e.Kind), string(e.Phase), e.By, e.Text, e.Detail})
	}
	return list
}

func toChange(c store.Change) changeObject {
	o := changeObject{
		At: c.At, Table: c.Table, Statement: c.Text, Path: c.Path, Outcome: c.Outcome, Reason: c.Why,
		ErrorNumber: number(c.ErrorNumber), Error: c.Failure, User: c.User, Host: c.Host, Account: c.Account,
		Session: c.Session, Database: c.Database, RanBy: c.RanBy,
	}
	if c.ID != 0 {
		o.ID = &c.ID
	}
	if c.Took.Valid {
		o.Took = &c.Took.Float64
	}
	return o
}

func number(n sql.NullInt64) *int64 {
	if !n.Valid {
		return nil
	}
	return &n.Int64
}

func moment(t sql.NullTime) *time.Time {
	if !t.Valid {
		return nil
	}
	return &t.Time
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
