package signals

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// readRules takes notice of what operators allow, or don't any more. A rule that says
// nothing is not obeyed, and told of.
func (s *Sampler) readRules(ctx context.Context) {
	told := map[string]string{}
	s.repeat(ctx, sampleEvery, func(ctx context.Context, _ bool) {
		bound, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		limits, err := s.Store.Limits(bound)
		if err != nil {
			s.mu.Lock()
			first := s.unruled == nil && ctx.Err() == nil
			s.unruled = err
			s.mu.Unlock()
			if first {
				s.Observe(fmt.Errorf("read the rules in midflight.limits: %w", err))
			}
			return
		}
		rules := s.Rules
		for _, name := range slices.Sorted(maps.Keys(limits)) {
			with, err := rules.With(name, limits[name])
			if err == nil {
				rules = with
			} else if told[name] != limits[name] {
				s.Observe(fmt.Errorf("midflight.limits: %w", err))
				told[name] = limits[name]
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rules, s.ruled, s.unruled = rules, time.Now(), nil
	})
}
