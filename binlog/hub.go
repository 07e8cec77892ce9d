package binlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"midflight/mysqld"
	"midflight/schema"
)

// A Hub reads one server's binlog once for all who watch. While nobody does, it has no
// connection.
type Hub struct {
	db     *sql.DB
	server mysqld.Config
	flavor mysqld.Flavor
	fences schema.Name

	opening chan struct{} // has an element while somebody uses what follows
	source  *source       // nil before the first
}

// NewHub connects to nothing yet. Fences is as in Config.
func NewHub(db *sql.DB, server mysqld.Config, flavor mysqld.Flavor, fences schema.Name) *Hub {
	return &Hub{db: db, server: server, flavor: flavor, fences: fences, opening: make(chan struct{}, 1)}
}

// A Subscription delivers transactions. Next is for one goroutine; Close is for any.
type Subscription struct {
	// From is a start: what is before it, every read sees that began after Subscribe
	// returned. Next has the rest.
	From Position

	hub   *Hub
	watch []Watch

	mu     sync.Mutex // guards what follows
	tap    *tap
	closed bool
}

// Subscribe begins to watch tables. It fails with XAPreparedError as Start does.
func (h *Hub) Subscribe(ctx context.Context, watch []Watch) (*Subscription, error) {
	for {
		s, err := h.subscribe(ctx, watch)
		if !errors.Is(err, errEnded) {
			return s, err
		}
	}
}

func (h *Hub) subscribe(ctx context.Context, watch []Watch) (*Subscription, error) {
	tables, err := newTableSet(watch, h.fences)
	if err != nil {
		return nil, err
	}
	s := &Subscription{hub: h, watch: watch}
	source, err := h.current(ctx, s, tables)
	if err != nil {
		return nil, err
	}
	if s.tap != nil {
		return s, nil
	}
	if s.tap, err = source.join(ctx, tables); err != nil {
		return nil, err
	}
	comparable := false
	s.From, comparable, err = h.startBehind(ctx, s.tap)
	if err == nil && comparable {
		s.tap.since, err = s.From.horizon()
	}
	if err == nil && comparable {
		return s, nil
	}
	s.tap.leave()
	if err != nil {
		return nil, err
	}
	if tables, err = newTableSet(watch, h.fences); err != nil {
		return nil, err
	}
	if s.tap, err = openSource(ctx, h.server, h.flavor, s.From, tables); err != nil {
		return nil, err
	}
	return s, nil
}

// Resume goes on from a place, by a stream of its own. server is what Server told of the
// subscription that had come so far; a place by GTIDs is one on every server of a
// history. LostPosition: the server can't serve it, here or in Next.
func (h *Hub) Resume(ctx context.Context, from Position, server string, watch []Watch) (*Subscription, error) {
	tables, err := newTableSet(watch, h.fences)
	if err != nil {
		return nil, err
	}
	s, t, err := newSource(h.server, h.flavor, from, tables)
	if err != nil {
		return nil, err
	}
	if from.GTIDs == "" {
		s.identity = server
	}
	if err := s.connect(ctx, 5*time.Second); err != nil {
		s.cancel()
		return nil, err
	}
	go s.run()
	return &Subscription{From: from, hub: h, watch: watch, tap: t}, nil
}

// Server is the identity of the server that is read from. A place by file means nothing on
// another one.
func (s *Subscription) Server() string {
	s.mu.Lock()
	t := s.tap
	s.mu.Unlock()
	t.source.mu.Lock()
	defer t.source.mu.Unlock()
	return t.source.identity
}

// Behind is how far the reading is behind what the server has written, negative while that
// is not known; connected tells that it goes on now. For any goroutine.
func (s *Subscription) Behind() (lag time.Duration, connected bool) {
	s.mu.Lock()
	from := s.tap.source
	s.mu.Unlock()
	from.mu.Lock()
	connected = from.feed != nil
	from.mu.Unlock()
	lag, known := from.reach.behind(time.Now())
	if !known {
		lag = -1
	}
	return lag, connected
}

// current is the source to join. If there is none, it is opened for the subscription,
// which has its tap then.
func (h *Hub) current(ctx context.Context, s *Subscription, tables *tableSet) (*source, error) {
	select {
	case h.opening <- struct{}{}:
		defer func() { <-h.opening }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if h.source != nil && !h.source.hasEnded() {
		return h.source, nil
	}
	var err error
	if s.From, err = Start(ctx, h.db, h.flavor); err != nil {
		return nil, err
	}
	if s.tap, err = openSource(ctx, h.server, h.flavor, s.From, tables); err != nil {
		return nil, err
	}
	h.source = s.tap.source
	return h.source, nil
}

// startBehind is a start that covers where the tap began.
func (h *Hub) startBehind(ctx context.Context, t *tap) (start Position, comparable bool, err error) {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		start, err = Start(ctx, h.db, h.flavor)
		if err != nil {
			return start, false, err
		}
		covered, comparable, err := t.began.coveredBy(start)
		if err != nil || covered || !comparable {
			return start, comparable, err
		}
		if err := t.failed(); err != nil && !errors.Is(err, errDetached) {
			return start, false, err
		}
		wait(ctx, pause)
		if ctx.Err() != nil {
			return start, false, fmt.Errorf("wait until all up to %s is visible: %w", t.began.last, ctx.Err())
		}
	}
}

// Next is as Stream.Next. Who doesn't call it for long is left behind, and then reads
// by a connection of its own.
func (s *Subscription) Next(ctx context.Context) (Tx, error) {
	for {
		s.mu.Lock()
		t := s.tap
		s.mu.Unlock()
		tx, err := t.next(ctx)
		if !errors.Is(err, errDetached) {
			return tx, err
		}
		if err := s.detach(t); err != nil {
			return Tx{}, err
		}
	}
}

// detach goes on with a source of its own. Transactions that are prepared now are
// unknown to it.
func (s *Subscription) detach(t *tap) error {
	tables, err := newTableSet(s.watch, s.hub.fences)
	if err != nil {
		return err
	}
	own, err := t.apart(tables)
	if err != nil {
		return err
	}
	t.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		own.source.cancel()
		return ErrClosed
	}
	go own.source.run()
	s.tap = own
	return nil
}

// Close ends the subscription; the last one's ends the connection. A Next that waits
// returns ErrClosed.
func (s *Subscription) Close() {
	s.mu.Lock()
	s.closed = true
	t := s.tap
	s.mu.Unlock()
	t.leave()
}
