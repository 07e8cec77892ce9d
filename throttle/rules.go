package throttle

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rules are what is allowed.
type Rules struct {
	Limits map[Signal]float64 // a signal that is not in it has none
	Window Window             // when rows may be copied
	// BreakAfter is how long the applications' statements may fail more often than their
	// limit, before the migration is stopped until somebody says resume; 0: for ever.
	BreakAfter time.Duration
}

// DefaultRules are those of who sets nothing. The application's limits are far from what a
// copy does by itself: package pace holds that down long before.
var DefaultRules = Rules{
	Limits: map[Signal]float64{
		ReplicaLag: 1, ThreadsRunning: 128, HistoryList: 5e6, CommitLatency: 0.25, DiskFree: 0.05, Query: 1, Galera: 0.1,
		AppLatency: 4, TableLatency: 4, AppErrors: 0.02, TableErrors: 0.02,
	},
	BreakAfter: 10 * time.Second,
}

// WithAll reads NAME=VALUE with commas between.
func (r Rules) WithAll(s string) (Rules, error) {
	for _, rule := range strings.Split(s, ",") {
		if strings.TrimSpace(rule) == "" {
			continue
		}
		name, value, _ := strings.Cut(rule, "=")
		var err error
		if r, err = r.With(strings.TrimSpace(name), value); err != nil {
			return Rules{}, err
		}
	}
	return r, nil
}

// With is the rules with one that is another: the name of a signal that has a value,
// window or breaker, and what it is to be, or off.
func (r Rules) With(name, value string) (Rules, error) {
	value = strings.TrimSpace(value)
	off := strings.EqualFold(value, "off")
	fail := func(want string) (Rules, error) {
		return Rules{}, fmt.Errorf("%s=%s: want %s, or off", name, value, want)
	}
	switch name {
	case "window":
		r.Window = Window{}
		if off {
			return r, nil
		}
		w, err := ParseWindow(value)
		if errors.Is(err, ErrNoWindow) {
			return fail(err.Error())
		}
		if err != nil {
			return Rules{}, fmt.Errorf("%s=%s: %w", name, value, err)
		}
		r.Window = w
		return r, nil
	case "breaker":
		d, err := time.ParseDuration(value)
		if off {
			d, err = 0, nil
		}
		if err != nil || d < 0 {
			return fail("for how long the applications may fail, such as 10s")
		}
		r.BreakAfter = d
		return r, nil
	}
	s := Signal(name)
	if _, known := DefaultRules.Limits[s]; !known {
		return Rules{}, fmt.Errorf("no rule is called %q: there are %s", name, strings.Join(Names(), ", "))
	}
	r.Limits = maps.Clone(r.Limits)
	if off {
		delete(r.Limits, s)
		return r, nil
	}
	limit, ok := s.parse(value)
	if !ok {
		return fail("something like " + s.example())
	}
	r.Limits[s] = limit
	return r, nil
}

// Names of the rules.
func Names() []string {
	names := []string{"window", "breaker"}
	for s := range DefaultRules.Limits {
		names = append(names, string(s))
	}
	slices.Sort(names)
	return names
}

// parse reads a limit as a person writes it.
func (s Signal) parse(value string) (limit float64, ok bool) {
	number, factor := value, 1.0
	switch s {
	case ReplicaLag, CommitLatency:
		if d, err := time.ParseDuration(value); err == nil {
			return d.Seconds(), d > 0
		}
	case DiskFree, Galera, AppErrors, TableErrors:
		if n, percent := strings.CutSuffix(value, "%"); percent {
			number, factor = strings.TrimSpace(n), 0.01
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	most := 1e18
	switch s {
	case DiskFree, Galera, AppErrors, TableErrors: // parts: 5 would be 500 %, which is no limit
		most = 1
	}
	return v * factor, err == nil && v > 0 && v*factor <= most
}

func (s Signal) example() string {
	switch s {
	case ReplicaLag, CommitLatency:
		return "500ms or 2s"
	case DiskFree, Galera, AppErrors, TableErrors:
		return "5%"
	case AppLatency, TableLatency:
		return "3 (times what it was before)"
	}
	return "100"
}

// Limited is the readings with the limits that they have by the rules.
func (r Rules) Limited(readings []Reading) []Reading {
	limited := slices.Clone(readings)
	for i := range limited {
		limited[i].Limit = r.Limits[limited[i].Signal]
	}
	return limited
}
