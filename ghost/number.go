package ghost

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/parser"
)

// mayNumber refuses what can't be numbered as the server would.
func (r *run) mayNumber(ctx context.Context, p plan.Plan) error {
	if p.Numbers() && (r.setting("auto_increment_increment") != "1" || r.setting("auto_increment_offset") != "1") {
		return &plan.Refusal{
			Reason: "it adds an AUTO_INCREMENT column while auto_increment_increment or auto_increment_offset is not 1",
			Hint:   "SET SESSION auto_increment_increment = 1, auto_increment_offset = 1. " + plan.AskDirect,
		}
	}
	column, ok := p.Renumbers()
	if !ok || strings.Contains(r.setting("sql_mode"), "NO_AUTO_VALUE_ON_ZERO") {
		return nil
	}
	name := mysqld.QuoteName(column.Name)
	var there int
	err := r.DB.QueryRowContext(ctx, fmt.Sprintf("SELECT /* midflight m%d */ EXISTS (SELECT 1 FROM %s WHERE %s = 0 OR %s IS NULL)",
		r.status.ID, r.original.Name.Quoted()+mysqld.TableOnly, name, name)).Scan(&there)
	if err != nil {
		return fmt.Errorf("look for rows that would be numbered anew: %w", err)
	}
	if there > 0 {
		return &plan.Refusal{
			Reason: fmt.Sprintf("it makes %s AUTO_INCREMENT, and the server would give its rows of 0 and NULL new numbers", column.Name),
			Hint:   "Give them numbers before, or add NO_AUTO_VALUE_ON_ZERO to sql_mode. " + plan.AskDirect,
		}
	}
	return nil
}

// mustNotRenumber looks for such rows that have come since.
func (s *syncer) mustNotRenumber(ctx context.Context, q mysqld.Queryer) error {
	column, ok := s.plan.Renumbers()
	if !ok || strings.Contains(s.setting("sql_mode"), "NO_AUTO_VALUE_ON_ZERO") {
		return nil
	}
	for _, m := range s.plan.Columns {
		if m.From.Name != column.Name {
			continue
		}
		var there int
		err := q.QueryRowContext(ctx, fmt.Sprintf("SELECT /* midflight m%d */ EXISTS (SELECT 1 FROM %s WHERE %s = 0)",
			s.status.ID, s.shadow.Quoted()+mysqld.TableOnly, mysqld.QuoteName(m.To.Name))).Scan(&there)
		if err != nil {
			return fmt.Errorf("look for rows that would be numbered anew: %w", err)
		}
		if there > 0 {
			return &plan.Refusal{
				Reason: fmt.Sprintf("a row with %s = 0 has come meanwhile, which the server would number anew", column.Name),
				Hint:   "Give it a number, or add NO_AUTO_VALUE_ON_ZERO to sql_mode, and send the statement again. " + plan.AskDirect,
			}
		}
	}
	return nil
}

func (r *run) setting(name string) string { return settingOf(r.request.Settings, name) }

func settingOf(settings []Setting, name string) string {
	for _, s := range settings {
		if s.Name == name {
			return s.Value
		}
	}
	return ""
}

// firstNumber is the statement's AUTO_INCREMENT = n; 0 without one.
func firstNumber(s parser.Statement) uint64 {
	for _, a := range s.Actions {
		if a.Kind == parser.AutoIncrement {
			n, _ := strconv.ParseUint(a.Value, 10, 64) // the server has taken it
			return n
		}
	}
	return 0
}
