package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

// A sample is one transaction or one read, as the application felt it.
type sample struct {
	start, end time.Time
	read       bool
}

func (s sample) took() time.Duration { return s.end.Sub(s.start) }

// A meter collects samples and errors from all workers.
type meter struct {
	mu      sync.Mutex // guards the fields below
	samples []sample   // in the order of their ends
	worst   time.Duration
	errors  map[string]int // by text
}

func newMeter() *meter { return &meter{errors: map[string]int{}} }

func (m *meter) record(start time.Time, read bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := sample{start, time.Now(), read}
	m.samples = append(m.samples, s)
	m.worst = max(m.worst, s.took())
	if err != nil {
		m.errors[short(err)]++
	}
}

// short leaves out what differs from one occurrence to the next.
func short(err error) string {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return fmt.Sprintf("%d %.60s", e.Number, e.Message)
	}
	return fmt.Sprintf("%.66s", err)
}

// pulse is what the application did and felt lately.
type pulse struct {
	transactions, reads int
	worst               time.Duration // of the last second
	worstEver           time.Duration
	errors              int
}

// lately looks back one second.
func (m *meter) lately() pulse {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := pulse{worstEver: m.worst}
	since := time.Now().Add(-time.Second)
	for i := len(m.samples) - 1; i >= 0 && m.samples[i].end.After(since); i-- {
		if m.samples[i].read {
			p.reads++
		} else {
			p.transactions++
		}
		p.worst = max(p.worst, m.samples[i].took())
	}
	for _, n := range m.errors {
		p.errors += n
	}
	return p
}

// between tells of all that was under way at some moment between two.
func (m *meter) between(from, to time.Time) (worst time.Duration, transactions, reads int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.samples {
		if s.end.Before(from) || s.start.After(to) {
			continue
		}
		worst = max(worst, s.took())
		if s.read {
			reads++
		} else {
			transactions++
		}
	}
	return worst, transactions, reads
}

// texts are the errors so far, with how often each occurred.
func (m *meter) texts() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	texts := make(map[string]int, len(m.errors))
	for text, n := range m.errors {
		texts[text] = n
	}
	return texts
}

// forget drops the samples of the past, so that they don't pile up.
func (m *meter) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	keep := time.Now().Add(-2 * time.Second)
	n := 0
	for _, s := range m.samples {
		if s.end.After(keep) {
			m.samples[n] = s
			n++
		}
	}
	m.samples = m.samples[:n]
}
