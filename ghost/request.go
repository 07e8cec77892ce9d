package ghost

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/parser"
	"midflight/schema"
	"midflight/throttle"
)

// A Request is one schema change that a session asked for, with all of the
// session that decides what the statement means.
type Request struct {
	Statement parser.Statement
	Table     schema.Name // resolved by the session's current database
	Strategy  plan.Strategy
	CutOver   CutOver
	// Settings are the session's variables under which the server would have
	// run the statement.
	Settings []Setting
	// Invisible are the columns that the statement adds INVISIBLE because
	// @midflight_new_columns says so.
	Invisible []string
	// Reveals are columns to be made visible. What the statement is, is decided when
	// its turn has come.
	Reveals []string
	// Async: the client is not waiting, so the statement can't be handed back to
	// its session.
	Async      bool
	User, Host string // who sent it, from where
	Account    string // as which account of the server's
	Session    uint32 // the connection id
	Database   string // that was selected; "": none
}

// A Setting is one session variable, by the name and value that SET takes.
type Setting struct{ Name, Value string }

func (s Setting) assignment() string {
	// A numeric variable takes no string, and no string variable is a number.
	if s.Value != "" && strings.Trim(s.Value, "0123456789.") == "" {
		return "SESSION " + s.Name + " = " + s.Value
	}
	return "SESSION " + s.Name + " = " + mysqld.QuoteString(s.Value)
}

// copies: the session wants the server to copy whatever the change.
func (r Request) copies() bool {
	if r.Statement.Algorithm == "COPY" {
		return true
	}
	for _, s := range r.Settings {
		if s.Name == "old_alter_table" && s.Value == "1" || s.Name == "alter_algorithm" && s.Value == "COPY" {
			return r.Statement.Algorithm == ""
		}
	}
	return false
}

// A Result is a migration's end.
type Result struct {
	Rows     int64 // in the table after a copy
	Records  int64 // what the server itself would have said: Rows, or 0 where it copies nothing
	Warnings []Warning
	Warned   int64 // how many the server would have counted: Warnings, and those it keeps no text of
	Err      error // nil, a *plan.Refusal, ErrCanceled, or the server's own error
	// Left: the session's own server is to run the statement as it was sent, for
	// this reason. Nothing has been done.
	Left string
}

// A Warning is a row of SHOW WARNINGS.
type Warning struct {
	Level   string
	Code    uint16
	Message string
}

// Status is what may be told of a migration at a moment.
type Status struct {
	ID         int64
	Table      schema.Name
	Phase      Phase
	Strategy   plan.Path
	Reason     string
	RowsCopied int64
	RowsTotal  int64 // an estimate
	Progress   float64
	ETA        time.Duration // until all is copied and the indexes are built; negative: not known
	ETAError   time.Duration // by how much that may be off
	Rate       int64         // rows copied a second, of late
	Building   int           // indexes that are being built
	Backlog    int
	Streaming  bool          // the binlog is read, and the connection is there
	Behind     time.Duration // how far the reading of the binlog is behind the server; negative: not known, or nobody reads it
	WaitingFor string
	// Throttled is for how long rows were not copied, by what for.
	Throttled map[throttle.Signal]time.Duration
	Tries     Tries
	Verified  string // what was compared, for people; "": nothing yet
	waiting   string // the same without others' statements; "": WaitingFor has none
}

// String is the line that SHOW PROCESSLIST shows.
func (s Status) String() string {
	line := fmt.Sprintf("midflight: %s %s", s.Table.Table, s.Phase)
	switch s.Phase {
	case Copying:
		line += fmt.Sprintf(" %.0f%%", 100*s.Progress)
		if s.Building > 0 {
			line += ", building its indexes"
		}
		if s.ETA >= 0 {
			line += ", eta " + s.ETA.Round(time.Second).String()
		}
	}
	if s.WaitingFor != "" {
		line += ", waiting for " + cmp.Or(s.waiting, s.WaitingFor)
	}
	return line
}
