package metrics

import "time"

// block records how many sessions a migration waits for.
func (m *Metrics) block(id int64, blockers int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.blockers) > 0
	if blockers > 0 {
		m.blockers[id] = blockers
	} else {
		delete(m.blockers, id)
	}
	switch now := len(m.blockers) > 0; {
	case now && !before:
		m.since = time.Now()
	case before && !now:
		m.blocked += time.Since(m.since)
	}
}

func (m *Metrics) blockersNow() (sum float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.blockers {
		sum += float64(n)
	}
	return sum
}

func (m *Metrics) blockersOf(id int64) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return float64(m.blockers[id])
}

// blockedSeconds counts as it happens: who is waited for may stay for hours.
func (m *Metrics) blockedSeconds() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.blocked
	if len(m.blockers) > 0 {
		d += time.Since(m.since)
	}
	return d.Seconds()
}
