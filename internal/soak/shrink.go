package soak

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Shrink looks for the smallest case that still fails in the same way: it takes
// parts away as long as that shows within a few tries.
func (s *Site) Shrink(ctx context.Context, c Case, o Outcome, most time.Duration) (Case, Outcome) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	kind := signature(o)
	fails := func(v Case) (Outcome, bool) {
		tries := 1
		if len(v.Writers) > 0 || len(v.Disturbances) > 0 {
			tries = 3
		}
		for range tries {
			o, err := s.Run(ctx, v)
			if err == nil && ctx.Err() == nil && signature(o) == kind {
				return o, true
			}
		}
		return Outcome{}, false
	}
	for smaller := true; smaller && ctx.Err() == nil; {
		smaller = false
		for v := range variants(c) {
			if got, ok := fails(v); ok {
				c, o, smaller = v, got, true
				break
			}
			if ctx.Err() != nil {
				break
			}
		}
	}
	return c, o
}

// signature is what two failures of one cause have in common.
func signature(o Outcome) string {
	if len(o.Findings) == 0 {
		return ""
	}
	text, _, _ := strings.Cut(o.Findings[0], "\n")
	words := strings.Fields(digits.ReplaceAllString(text, ""))
	return strings.Join(words[:min(4, len(words))], " ")
}

// variants are the case without one part, the greatest parts first.
func variants(c Case) func(yield func(Case) bool) {
	return func(yield func(Case) bool) {
		try := func(change func(*Case)) bool {
			v := c
			change(&v)
			return yield(v)
		}
		if len(c.Writers) > 0 && !try(func(v *Case) { v.Writers, v.Disturbances = nil, nil }) {
			return
		}
		if len(c.Disturbances) > 0 && !try(func(v *Case) { v.Disturbances = nil }) {
			return
		}
		if len(c.Settings) > 0 && !try(func(v *Case) { v.Settings = nil }) {
			return
		}
		if len(c.Alters) > 1 {
			for i := range c.Alters {
				if !try(func(v *Case) { v.Alters = c.Alters[i : i+1] }) {
					return
				}
			}
		}
		if c.Manual && !try(func(v *Case) { v.Manual = false }) {
			return
		}
		for _, n := range []int{0, 1, 2, 10, 60, c.Rows / 2} {
			if n < c.Rows && !try(func(v *Case) { v.Rows = n }) {
				return
			}
		}
		for i := range c.Writers {
			if len(c.Writers) > 1 && !try(func(v *Case) { v.Writers = without(c.Writers, i) }) {
				return
			}
			if len(c.Writers[i].Settings) > 0 && !try(func(v *Case) { v.Writers = slices.Clone(c.Writers); v.Writers[i].Settings = nil }) {
				return
			}
		}
		for i := range c.Disturbances {
			if !try(func(v *Case) { v.Disturbances = without(c.Disturbances, i) }) {
				return
			}
		}
		for i := range c.Settings {
			if !try(func(v *Case) { v.Settings = without(c.Settings, i) }) {
				return
			}
		}
		for i, a := range c.Alters {
			if a.Tail != "" && len(a.Actions) > 0 && !try(func(v *Case) { v.Alters = slices.Clone(c.Alters); v.Alters[i].Tail = "" }) {
				return
			}
			for k := range a.Actions {
				if len(a.Actions) > 1 && !try(func(v *Case) {
					v.Alters = slices.Clone(c.Alters)
					v.Alters[i].Actions = without(a.Actions, k)
				}) {
					return
				}
			}
		}
		t := c.Table
		for _, change := range []func(*Table){
			func(t *Table) { t.Triggers = nil }, func(t *Table) { t.Checks = nil }, func(t *Table) { t.Options = "" }, func(t *Table) { t.Partition = "" },
		} {
			smaller := t
			change(&smaller)
			if smaller.Create(c.Flavor) == t.Create(c.Flavor) && len(smaller.Triggers) == len(t.Triggers) {
				continue
			}
			if !try(func(v *Case) { v.Table = smaller }) {
				return
			}
		}
		for _, col := range t.Columns {
			if col.Name != t.Number && !try(func(v *Case) { v.Table = t.without(col.Name) }) {
				return
			}
		}
		for i := range t.Keys {
			if !try(func(v *Case) { v.Table.Keys = without(t.Keys, i) }) {
				return
			}
		}
		for i := range t.Triggers {
			if !try(func(v *Case) { v.Table.Triggers = without(t.Triggers, i) }) {
				return
			}
		}
		for i, col := range t.Columns {
			plain := col
			plain.Default, plain.Comment, plain.Invisible = "", "", false
			if col.Default == "" && col.Comment == "" && !col.Invisible {
				continue
			}
			if !try(func(v *Case) { v.Table.Columns = slices.Clone(t.Columns); v.Table.Columns[i] = plain }) {
				return
			}
		}
	}
}

func without[T any](list []T, i int) []T { return slices.Delete(slices.Clone(list), i, i+1) }
