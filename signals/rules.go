package signals

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"midflight/throttle"
)

// readRules takes notice of what operators allow, or don't any more.
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
		rules, unread := withLimits(s.Rules, limits)
		for name, err := range unread {
			if told[name] != limits[name] {
				s.Observe(fmt.Errorf("midflight.limits: %w", err))
				told[name] = limits[name]
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rules, s.ruled, s.unruled, s.unclear = rules, time.Now(), nil, unclearOf(unread)
	})
}

// withLimits is the rules with the operators', but for those that can't be read.
func withLimits(rules throttle.Rules, limits map[string]string) (_ throttle.Rules, unread map[string]error) {
	unread = map[string]error{}
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		with, err := rules.With(name, limits[name])
		if err == nil {
			rules = with
			continue
		}
		unread[name] = err
	}
	return rules, unread
}

// unclearOf is the first limit that can't be read, such as a window of a zone that this
// machine doesn't know: it was meant to forbid something. (One of another name is another
// version's.)
func unclearOf(unread map[string]error) error {
	for _, name := range slices.Sorted(maps.Keys(unread)) {
		if slices.Contains(throttle.Names(), name) {
			return unread[name]
		}
	}
	return nil
}
