package ghost

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"midflight/ghost/plan"
	"midflight/schema"
)

// Expressions of the new table (generated columns, indexes, CHECK constraints,
// defaults of new columns) are evaluated as rows are copied. Where one reads a
// TIMESTAMP or the clock, ALTER TABLE has the session's time zone for it.

// zoned tells the plan whether rows must be copied in the user's time zone. That is
// exact where every local time is one moment only; elsewhere a TIMESTAMP might be
// carried over by way of local time, and come out an hour off.
func (r *run) zoned(ctx context.Context, p plan.Plan, altered *schema.Table) (plan.Plan, error) {
	zone := r.setting("time_zone")
	if zone == "" || zone == "+00:00" || zone == "UTC" {
		return p, nil
	}
	text, err := definitionOf(ctx, r.DB, altered.Name)
	if err != nil {
		return p, err
	}
	what := plan.ReadsZone(altered, p.Columns, text)
	if what == "" {
		return p, nil
	}
	if zone == "SYSTEM" {
		if err := r.DB.QueryRowContext(ctx, "SELECT /* midflight */ @@system_time_zone").Scan(&zone); err != nil {
			return p, fmt.Errorf("ask for the server's time zone: %w", err)
		}
		if zone == "UTC" || zone == "GMT" {
			return p, nil
		}
	}
	if !fixedZone.MatchString(zone) {
		return p, &plan.Refusal{
			Reason: fmt.Sprintf("%s depends on the session's time zone, %s, in which one local time may be two moments", what, strings.Trim(zone, " ")),
			Hint:   "SET time_zone to an offset, as '+01:00', or to UTC. " + plan.AskDirect,
		}
	}
	p.Zoned = true
	return p, nil
}

var fixedZone = regexp.MustCompile(`^[-+]\d\d:\d\d$`)
