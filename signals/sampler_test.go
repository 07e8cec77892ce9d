package signals

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"midflight/throttle"
)

// TestMissing: what was last known before rows were copied, or is not asked for any more,
// is not known.
func TestMissing(t *testing.T) {
	s := New(Config{Rules: throttle.DefaultRules})
	want := func(reason string) {
		t.Helper()
		if got := s.State().Missing; reason == "" && got != "" || !strings.Contains(got, reason) {
			t.Errorf("missing: %q, want %q", got, reason)
		}
	}
	asked := func() { // all, by their goroutines
		s.mu.Lock()
		s.ruled = time.Now()
		s.mu.Unlock()
		s.countReplicas(1)
		s.publish(serverSource)
		s.publish(beatSource)
		s.publish("replica db2:3306")
	}
	asked()
	want("") // nobody copies
	leave := s.Enter()
	want("a first look at the rules")
	asked()
	want("")
	s.mu.Lock()
	s.at["replica db2:3306"] = s.entered.Add(-time.Second)
	s.mu.Unlock()
	want("a first look at the lag of the replica db2:3306")
	asked()
	s.mu.Lock()
	s.ruled, s.unruled = time.Now(), errors.New("no such table")
	s.entered = s.entered.Add(-time.Hour)
	s.ruled = s.ruled.Add(-time.Minute)
	s.mu.Unlock()
	want("a look at the rules in midflight.limits (no such table), not known for 1m0s")
	asked()
	s.mu.Lock()
	s.found = s.found.Add(-time.Minute) // whoever looks for them hangs
	s.mu.Unlock()
	want("a look at the replicas, not known for 1m0s")
	asked()
	s.mu.Lock()
	_, unread := withLimits(throttle.DefaultRules, map[string]string{"window": "22:00-06:00 Europe/Berln", "of another version": "1"})
	s.unclear = unclearOf(unread)
	s.mu.Unlock()
	want("a rule in midflight.limits that can be read: window=22:00-06:00 Europe/Berln: the time zone")
	leave()
	leave() // once
	want("")
}

// TestWithLimits: what can be read holds beside what can't.
func TestWithLimits(t *testing.T) {
	rules, unread := withLimits(throttle.DefaultRules, map[string]string{"replica_lag": "2s", "of another version": "1"})
	if rules.Limits[throttle.ReplicaLag] != 2 || unclearOf(unread) != nil || len(unread) != 1 {
		t.Errorf("%+v, %v", rules, unread)
	}
}

// TestEntered: a heartbeat of before tells nothing of who begins now, and the second to
// begin begins nothing anew.
func TestEntered(t *testing.T) {
	s := New(Config{})
	first := s.Enter()
	began := s.entered
	second := s.Enter()
	if first(); !s.entered.Equal(began) {
		t.Error("a second copy has begun it anew")
	}
	if busy, _ := s.busy(); !busy {
		t.Error("one still copies")
	}
	if second(); s.entered.Before(began) {
		t.Error("it goes back")
	}
	if busy, _ := s.busy(); busy {
		t.Error("nobody copies")
	}
	if s.Enter(); !s.entered.After(began) {
		t.Error("it has not begun anew")
	}
}

type beats struct {
	Store
	written chan time.Time
}

func (b beats) Beat(context.Context, int64, time.Time) error {
	b.written <- time.Now()
	return nil
}

// TestBeatsAtOnce: who begins right after another has ended waits for no second to pass.
func TestBeatsAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := beats{written: make(chan time.Time, 100)}
	s := New(Config{Store: b})
	ended := make(chan struct{})
	go func() { defer close(ended); s.beat(ctx) }()
	quickest := time.Hour
	for try := range 6 {
		entered := time.Now()
		leave := s.Enter()
		for at := range b.written {
			if at.After(entered) && try == 0 {
				break
			} else if at.After(entered) {
				quickest = min(quickest, at.Sub(entered))
				break
			}
		}
		leave()
	}
	if quickest > sampleEvery/4 {
		t.Errorf("%v at least", quickest)
	}
	cancel()
	<-ended
}
