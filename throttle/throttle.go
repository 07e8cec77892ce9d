// Package throttle decides how much of the time a copy may work, by what the server, its
// replicas and the applications show, and says why it doesn't work more. It is pure: who
// samples the signals is package signals, who obeys is package ghost.
package throttle

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// A Signal is something that is watched. Its name is a contract: of the metrics' label,
// of the rules in the configuration, and of what a migration's waiting is booked to.
type Signal string

const (
	ReplicaLag     Signal = "replica_lag"     // seconds, of one replica
	ThreadsRunning Signal = "threads_running" // others' than ours
	HistoryList    Signal = "history_list"    // undo records that were not purged yet
	CommitLatency  Signal = "commit_latency"  // seconds, of a commit of our own
	DiskFree       Signal = "disk_free"       // the part of the file system that is left
	Query          Signal = "query"           // what the operator's own query returns
	Galera         Signal = "galera"          // the part of the time that flow control stops the cluster
	AppLatency     Signal = "app_latency"     // p99 of the applications' statements, in times of what it was before
	AppErrors      Signal = "app_errors"      // part of the applications' statements that fail, beyond what failed before
	TableLatency   Signal = "table_latency"   // AppLatency, of the statements that name the migrating table
	TableErrors    Signal = "table_errors"    // AppErrors, of the same

	// What is nobody's value:
	Paused      Signal = "paused"   // the operator's word, or the breaker's
	Ratio       Signal = "ratio"    // CALL midflight.throttle
	Sampling    Signal = "sampling" // nothing is known yet
	OutOfWindow Signal = "window"   // it is not the time for it
)

// A Reading is what a signal shows.
type Reading struct {
	Signal Signal
	Of     string // which of several, such as a replica's address; "" where there is but one
	Value  float64
	Limit  float64   // beyond which nothing is done; 0: none, it is only shown
	At     time.Time // when it was so
	// Problem says why the value can't be told, or is worth nothing: then nothing is done
	// (fail closed). "" when there is none.
	Problem string
}

// stale is the age at which a reading says nothing any more.
const stale = 5 * time.Second

// Load is the value in parts of the limit: above 1 nothing is done. 0 without a limit.
func (r Reading) Load() float64 {
	switch {
	case r.Limit == 0:
		return 0
	case r.Signal == DiskFree: // the less the worse
		return r.Limit / max(r.Value, 1e-9)
	case r.Signal.compares():
		return (r.Value - 1) / max(r.Limit-1, 1e-9)
	}
	return r.Value / r.Limit
}

// compares: the value is in times of what it was, so 1 is no load.
func (s Signal) compares() bool { return s == AppLatency || s == TableLatency }

// wrong says why the reading forbids work whatever its value is; "" when it doesn't.
func (r Reading) wrong(now time.Time) string {
	switch age := now.Sub(r.At); {
	case r.Limit == 0:
		return ""
	case r.Problem != "":
		return r.Problem
	case math.IsNaN(r.Value): // it is on neither side of a limit
		return "it is no number"
	case age > stale:
		return fmt.Sprintf("not known for %s", age.Round(time.Second))
	}
	return ""
}

// String is for people, and stands behind "waiting for": "replica_lag of db2:3306 (1.4 s, limit 1 s)".
func (r Reading) String() string {
	name := string(r.Signal)
	if r.Of != "" {
		name += " of " + r.Of
	}
	if r.Problem != "" {
		return name + ": " + r.Problem
	}
	if r.Limit == 0 {
		return fmt.Sprintf("%s (%s)", name, r.Signal.Format(r.Value))
	}
	return fmt.Sprintf("%s (%s, limit %s)", name, r.Signal.Format(r.Value), r.Signal.Format(r.Limit))
}

// Format writes a value of the signal with its unit.
func (s Signal) Format(v float64) string {
	switch s {
	case ReplicaLag, CommitLatency:
		if v < 0.1 {
			return fmt.Sprintf("%.3g ms", 1000*v)
		}
		return fmt.Sprintf("%.3g s", v)
	case DiskFree, Galera, AppErrors, TableErrors:
		return fmt.Sprintf("%.3g %%", 100*v)
	case AppLatency, TableLatency:
		return fmt.Sprintf("%.3g ×", v)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// State is what is known for whoever copies.
type State struct {
	Rules    Rules
	Readings []Reading
	Late     bool   // there are replicas: what is done now shows later
	Missing  string // what isn't known yet, so nothing is done; "": all is
}
