// Package signals samples what package throttle decides by: the server's load, its disk,
// and how far behind each of its replicas is.
package signals

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"midflight/mysqld"
	"midflight/throttle"
)

// A Store is what the sampler keeps on the server. Its methods are safe for concurrent use.
type Store interface {
	// Beat writes a heartbeat of this process, which replicas come to have.
	Beat(ctx context.Context, number int64, at time.Time) error
	// Owner is whose heartbeats they are.
	Owner() string
	// Limits are the operators' rules, by their names.
	Limits(ctx context.Context) (map[string]string, error)
}

// A Config says what is sampled.
type Config struct {
	Server   mysqld.Config
	Flavor   mysqld.Flavor
	DB       *sql.DB
	Store    Store
	Rules    throttle.Rules // beside which the operators' are
	Replicas Replicas
	Query    string      // returns a number; "": there is none
	Observe  func(error) // must not block; nil: nobody listens
}

const (
	// While rows are copied somewhere: a heartbeat is what a replica's lag is told by, so
	// its interval is how exactly that is known.
	beatEvery   = 100 * time.Millisecond
	sampleEvery = time.Second
	// While nothing is copied, for whoever looks at the metrics.
	idleEvery = 4 * time.Second
	// patience with one answer.
	patience = 3 * time.Second
)

// A Sampler samples until its Run ends.
type Sampler struct {
	Config
	began time.Time // see now

	mu       sync.Mutex // guards what follows
	copies   int        // that are under way
	entered  time.Time  // when the first of them began, by now
	wake     chan struct{}
	rules    throttle.Rules
	ruled    time.Time // when they were last read
	unruled  error     // why they can't be read now
	unclear  error     // why one of them can't be obeyed
	found    time.Time // when the replicas were last looked for
	replicas int
	readings map[string][]throttle.Reading // by their source
	at       map[string]time.Time          // when the source was last asked
}

// New makes a sampler; Run makes it work.
func New(c Config) *Sampler {
	if c.Observe == nil {
		c.Observe = func(error) {}
	}
	return &Sampler{Config: c, began: time.Now(), wake: make(chan struct{}), rules: c.Rules, readings: map[string][]throttle.Reading{}, at: map[string]time.Time{}}
}

// Run samples until ctx ends.
func (s *Sampler) Run(ctx context.Context) error {
	var sources sync.WaitGroup
	for _, f := range []func(context.Context){s.readRules, s.beat, s.watchServer, s.watchQuery, s.watchReplicas} {
		sources.Add(1)
		go func() {
			defer sources.Done()
			f(ctx)
		}()
	}
	sources.Wait()
	return nil
}

// now is a clock that nobody sets: what is compared with a heartbeat's time, which knows
// only the wall's, must not jump with that. A replica would be ahead for an hour.
func (s *Sampler) now() time.Time { return s.began.Add(time.Since(s.began)) }

// Enter tells that rows are copied, until leave is called: all is sampled at once, and
// often.
func (s *Sampler) Enter() (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copies++; s.copies == 1 {
		s.entered = s.now()
		close(s.wake)
		s.wake = make(chan struct{})
	}
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.copies--
	})
}

// State is what was last sampled.
func (s *Sampler) State() throttle.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return throttle.State{Rules: s.rules, Late: s.replicas > 0, Readings: s.all(), Missing: s.missing(time.Now())}
}

// missing says what isn't known as of the copy's begin, or not any more.
func (s *Sampler) missing(now time.Time) string {
	if s.copies == 0 {
		return ""
	}
	rules := "the rules in midflight.limits"
	if s.unruled != nil {
		rules += " (" + s.unruled.Error() + ")"
	}
	for _, m := range []struct {
		what  string
		at    time.Time
		lasts time.Duration
	}{
		{rules, s.ruled, 2*patience + sampleEvery},
		{"the replicas", s.found, 4 * patience},
		{"the server", s.at[serverSource], forever}, // its readings get old by themselves
		{"the query of --throttle-query", s.askedQuery(), forever},
		{"how long a commit takes", s.at[beatSource], forever},
	} {
		switch {
		case m.at.Before(s.entered):
			return "a first look at " + m.what
		case now.Sub(m.at) > m.lasts:
			return fmt.Sprintf("a look at %s, not known for %s", m.what, now.Sub(m.at).Round(time.Second))
		}
	}
	if s.unclear != nil {
		return fmt.Sprintf("a rule in midflight.limits that can be read: %v (CALL midflight.limit(…, NULL) takes it back)", s.unclear)
	}
	for _, source := range slices.Sorted(maps.Keys(s.at)) { // the replicas'
		if s.at[source].Before(s.entered) && source != lostSource {
			return "a first look at the lag of the " + source
		}
	}
	return ""
}

// askedQuery is when the operator's query was last asked, if there is one.
func (s *Sampler) askedQuery() time.Time {
	if s.Query == "" {
		return s.entered
	}
	return s.at[querySource]
}

const forever = math.MaxInt64

// Readings are the latest, with their limits, for whoever wants to look.
func (s *Sampler) Readings() []throttle.Reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rules.Limited(s.all())
}

func (s *Sampler) all() (list []throttle.Reading) {
	for _, source := range slices.Sorted(maps.Keys(s.readings)) {
		list = append(list, s.readings[source]...)
	}
	return list
}

// publish replaces what a source has told; forget takes it away.
func (s *Sampler) publish(source string, readings ...throttle.Reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readings[source], s.at[source] = readings, time.Now()
}

func (s *Sampler) forget(source string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.readings, source)
	delete(s.at, source)
}

// busy tells whether rows are copied, and what is closed when that begins.
func (s *Sampler) busy() (bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copies > 0, s.wake
}

// repeat does f until ctx ends: every d while rows are copied, else every idleEvery, and
// at once when that begins.
func (s *Sampler) repeat(ctx context.Context, d time.Duration, f func(ctx context.Context, busy bool)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		busy, wake := s.busy()
		f(ctx, busy)
		pause := d
		if !busy {
			pause = idleEvery
		}
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-wake:
		case <-ctx.Done():
			return
		}
	}
}
