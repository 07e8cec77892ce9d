package page

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"midflight/store"
	"midflight/throttle"
	"midflight/timeline"
)

const (
	mostRunning = 50
	perLeaf     = 20   // of the history
	lastEvents  = 6    // of each that runs
	allEvents   = 2000 // of one
	// longest is how many characters of its statement are shown: a browser lays out a
	// megabyte for half a minute, and a stream would send it each second.
	longest = 20_000
)

// view is all that the templates see.
type view struct {
	Root    string // where the page's other addresses are, from here
	Server  string
	Clients string // where they connect
	Now     time.Time
	Still   bool // it doesn't refresh itself where there is no JavaScript
	Steers  bool // the controls are shown
	Stream  string
	Failure string

	Running []shown
	Ended   []shown
	Before  int64 // the history's leaf begins there; 0: the latest
	Older   int64 // where the next leaf begins; 0: there is none
	One     *shown
	Signals []reading
}

// shown is a migration with what is told of it.
type shown struct {
	store.Migration
	Events   []store.Event
	More     bool // events than these
	Cut      bool // the statement is longer
	Blockers []blocker
	Words    []word
}

// Lasted is the time since it left the queue.
func (s shown) Lasted() string {
	d, ok := s.Took()
	if !ok {
		return ""
	}
	return lasted(d)
}

// Standing is the phase, or what has been said to it since.
func (s shown) Standing() string {
	switch {
	case s.Ended():
		return string(s.Phase)
	case s.Canceling:
		return "canceling"
	case s.Paused:
		return "paused"
	}
	return string(s.Phase)
}

type blocker struct {
	timeline.Blocker
	Age, Ran string
}

type reading struct {
	throttle.Reading
	Shows, Bound string
	Part         float64 // of the limit, 1 at most
	Beyond       bool
}

// readRunning and the others below read one part of the page each.
func (p *Page) readRunning(ctx context.Context, v *view) error {
	list, err := store.Running(ctx, p.DB, mostRunning)
	if err != nil {
		return err
	}
	history, err := store.LastEvents(ctx, p.DB, list, lastEvents)
	if err != nil {
		return err
	}
	blockers := p.blockers(v.Now)
	for _, m := range list {
		v.Running = append(v.Running, shown{Migration: m, Events: history[m.ID], Blockers: blockers[m.ID], Words: sayable(m)})
	}
	return nil
}

func (p *Page) readEnded(ctx context.Context, v *view) error {
	list, err := store.Ended(ctx, p.DB, v.Before, perLeaf+1)
	if err != nil {
		return err
	}
	if len(list) > perLeaf {
		list = list[:perLeaf]
		v.Older = list[perLeaf-1].ID
	}
	for _, m := range list {
		v.Ended = append(v.Ended, shown{Migration: m})
	}
	return nil
}

// readOne leaves v.One nil where there is none of that id.
func (p *Page) readOne(ctx context.Context, v *view, id int64) error {
	m, err := store.Brief(ctx, p.DB, id, longest)
	if errors.As(err, new(*store.NoMigrationError)) {
		return nil
	}
	if err != nil {
		return err
	}
	history, err := store.LastEvents(ctx, p.DB, []store.Migration{m}, allEvents)
	if err != nil {
		return err
	}
	v.One = &shown{Migration: m, Events: history[id], More: len(history[id]) == allEvents, Cut: utf8.RuneCountInString(m.Statement) == longest, Blockers: p.blockers(v.Now)[id], Words: sayable(m)}
	return nil
}

func (p *Page) blockers(now time.Time) map[int64][]blocker {
	all := map[int64][]blocker{}
	if p.Timeline == nil {
		return all
	}
	for _, m := range p.Timeline.Migrations() {
		for _, b := range m.Blockers {
			all[m.ID] = append(all[m.ID], blocker{b, lasted(now.Sub(b.Since).Truncate(time.Second)), b.Ran(1000)})
		}
	}
	return all
}

func (p *Page) readSignals(v *view) {
	if p.Signals == nil {
		return
	}
	for _, r := range p.Signals() {
		s := reading{Reading: r, Shows: r.Signal.Format(r.Value), Beyond: r.Problem != "" || r.Load() >= 1}
		if r.Limit != 0 {
			s.Bound, s.Part = r.Signal.Format(r.Limit), min(max(r.Load(), 0), 1)
			if r.Problem != "" {
				s.Part = 1
			}
		}
		v.Signals = append(v.Signals, s)
	}
}

func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("it did not answer within %s", patience)
	}
	return err.Error()
}
