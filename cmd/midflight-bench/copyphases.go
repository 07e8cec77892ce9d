package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// A phase of a migration, all its times together.
type phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// A phases is a migration's, in the order in which it first was in them.
type phases []phase

// building is the phase that the records don't have: making the shadow's indexes.
const building = "indexes"

func (p *phases) add(name string, seconds float64) {
	for i := range *p {
		if (*p)[i].Name == name {
			(*p)[i].Seconds += seconds
			return
		}
	}
	*p = append(*p, phase{name, seconds})
}

func (p phases) of(name string) float64 {
	for _, x := range p {
		if x.Name == name {
			return x.Seconds
		}
	}
	return 0
}

// String leaves out what took no time that could be seen.
func (p phases) String() string {
	var all []string
	for _, x := range p {
		if x.Seconds >= 0.05 {
			all = append(all, fmt.Sprintf("%s %.1f", x.Name, x.Seconds))
		}
	}
	return strings.Join(all, ", ")
}

// A record is a line of a migration's history.
type record struct {
	at   float64 // seconds from its beginning
	text string
}

var builtLine = regexp.MustCompile(`^\d+ indexes? built in (\S+)$`)

// phasesOf reads how long each phase took in a history that ends at a moment.
func phasesOf(history []record, end float64) (all phases) {
	name, since, built := "queued", 0.0, 0.0
	leave := func(at float64) {
		all.add(name, at-since-built)
		if built > 0 {
			all.add(building, built)
		}
		since, built = at, 0
	}
	for _, r := range history {
		if next, ok := strings.CutPrefix(r.text, "phase "); ok {
			leave(r.at)
			name = next
		} else if f := builtLine.FindStringSubmatch(r.text); f != nil {
			if d, err := time.ParseDuration(f[1]); err == nil {
				built += d.Seconds()
			}
		}
	}
	leave(end)
	return all
}

// phases reads those of the latest migration.
func (s *site) phases(ctx context.Context) (phases, error) {
	var id int64
	var end float64
	if err := s.root.QueryRowContext(ctx, `SELECT id, TIMESTAMPDIFF(MICROSECOND, created_at, COALESCE(completed_at, UTC_TIMESTAMP(6))) / 1e6
FROM midflight.migrations ORDER BY id DESC LIMIT 1`).Scan(&id, &end); err != nil {
		return nil, fmt.Errorf("read how long the migration took: %w", err)
	}
	rows, err := s.root.QueryContext(ctx, `SELECT TIMESTAMPDIFF(MICROSECOND, created_at, happened_at) / 1e6, event
FROM midflight.events JOIN midflight.migrations m ON m.id = migration_id WHERE m.id = ? ORDER BY events.id`, id)
	if err != nil {
		return nil, fmt.Errorf("read the migration's phases: %w", err)
	}
	defer rows.Close()
	var history []record
	for rows.Next() {
		var r record
		if err := rows.Scan(&r.at, &r.text); err != nil {
			return nil, fmt.Errorf("read the migration's phases: %w", err)
		}
		history = append(history, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the migration's phases: %w", err)
	}
	return phasesOf(history, end), nil
}
