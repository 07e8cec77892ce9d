package binlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/google/uuid"

	"midflight/mysqld"
)

// An empty transaction is delivered this often when the position advances, so
// that consumers can store it.
const advance = time.Second

// Reconnecting waits this long at first and doubles it up to the maximum.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = 5 * time.Second
)

// Who holds others up for this long is detached.
const holdUp = time.Second

// A source reads one dump connection, which is opened again when it is lost, for its
// taps. Its goroutine ends when no tap is left.
//
// Invariant: all taps have the same position. Each is given every event from where it
// began, and begins between two transactions; one that fails is no tap any more.
type source struct {
	server   mysqld.Config
	flavor   mysqld.Flavor
	serverID uint32
	uuid     string // ours, so that the server ends our last dump when we come again
	identity string // the server's

	reach reach

	ctx    context.Context // ends with the last tap
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex // guards what follows, and the taps' assemblers
	feed    *feed      // nil: not connected. Written by the goroutine alone
	taps    []*tap
	joining []*joiner // at the end of the transaction that is being read
	ended   bool
}

// A joiner waits for a tap.
type joiner struct {
	tables *tableSet
	tap    chan *tap // closed without one when the source has ended
}

// errEnded: the source has no taps any more.
var errEnded = errors.New("the binlog source has ended")

// newSource is not connected and does not run yet. Its first tap begins at from.
func newSource(c mysqld.Config, f mysqld.Flavor, from Position, tables *tableSet) (*source, *tap, error) {
	if from.GTIDs == "" && from.File == "" {
		return nil, nil, errors.New("open the binlog stream: no position")
	}
	if f.MariaDB && from.GTIDs != "" {
		return nil, nil, fmt.Errorf("open the binlog stream: %s is a position of MySQL", from)
	}
	asm, err := newAssembler(tables, from)
	if err != nil {
		return nil, nil, fmt.Errorf("open the binlog stream: %w", err)
	}
	s := &source{
		server: c, flavor: f,
		// High numbers, as nobody gives them to servers.
		serverID: 1<<31 | 1<<30 | rand.Uint32N(1<<30),
		uuid:     uuid.NewString(),
		done:     make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	t := newTap(s, asm)
	s.taps = []*tap{t}
	return s, t, nil
}

// openSource connects and runs.
func openSource(ctx context.Context, c mysqld.Config, f mysqld.Flavor, from Position, tables *tableSet) (*tap, error) {
	s, t, err := newSource(c, f, from, tables)
	if err != nil {
		return nil, err
	}
	if err := s.connect(ctx, 5*time.Second); err != nil {
		s.cancel()
		return nil, err
	}
	go s.run()
	return t, nil
}

// join makes a tap that begins between two transactions.
func (s *source) join(ctx context.Context, tables *tableSet) (*tap, error) {
	j := &joiner{tables, make(chan *tap, 1)}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return nil, errEnded
	}
	s.joining = append(s.joining, j)
	s.admit()
	s.mu.Unlock()
	select {
	case t, ok := <-j.tap:
		if !ok {
			return nil, errEnded
		}
		return t, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	s.joining = slices.DeleteFunc(s.joining, func(o *joiner) bool { return o == j })
	s.mu.Unlock()
	select {
	case t, ok := <-j.tap:
		if ok {
			t.leave()
		}
	default:
	}
	return nil, ctx.Err()
}

// admit lets in who waits, if no transaction is being read. The mutex is held.
func (s *source) admit() {
	if len(s.joining) == 0 || len(s.taps) == 0 || s.taps[0].asm.inGroup() {
		return
	}
	for _, j := range s.joining {
		t := newTap(s, s.taps[0].asm.fork(j.tables))
		s.taps = append(s.taps, t)
		j.tap <- t
	}
	s.joining = nil
}

// remove takes a tap away. If it was the last one, the goroutine is waited for.
func (s *source) remove(t *tap) {
	s.mu.Lock()
	s.taps = slices.DeleteFunc(s.taps, func(o *tap) bool { return o == t })
	s.endWithoutTaps()
	ended := s.ended
	s.mu.Unlock()
	if ended {
		<-s.done
	}
}

// endWithoutTaps: the mutex is held.
func (s *source) endWithoutTaps() {
	if len(s.taps) > 0 || s.ended {
		return
	}
	s.ended = true
	s.cancel()
	if s.feed != nil {
		s.feed.close()
	}
	for _, j := range s.joining {
		close(j.tap)
	}
	s.joining = nil
}

// run reads until no tap is left.
func (s *source) run() {
	defer close(s.done)
	defer s.hangUp()
	pause := firstPause
	for s.ctx.Err() == nil {
		if s.feed == nil {
			err := s.connect(s.ctx, time.Minute)
			switch {
			case err == nil:
			case definitive(err):
				s.fail(err)
			default:
				wait(s.ctx, pause)
				pause = min(2*pause, maxPause)
			}
			continue
		}
		event, whole, err := s.feed.next(s.unwanted)
		if err != nil {
			if err := s.lost(err); definitive(err) {
				s.fail(err)
			}
			s.hangUp()
			continue
		}
		pause = firstPause
		s.reach.event(event)
		if whole {
			s.give(event)
		} else {
			s.pass(event)
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// unwanted tells of an event's head that nobody wants more of it, and whether the
// events have checksums.
func (s *source) unwanted(head []byte) (skip, checksums bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.taps {
		if !t.asm.unwanted(head) {
			return false, false
		}
		checksums = t.asm.checksums
	}
	return true, checksums
}

// pass is give for an event that is unwanted.
func (s *source) pass(head []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.taps {
		t.asm.pass(head)
	}
}

// give hands an event to all taps, and what it has finished to their consumers.
func (s *source) give(event []byte) {
	var news, failed []*tap
	var errs []error
	s.mu.Lock()
	now := time.Now()
	for _, t := range s.taps {
		err := t.asm.add(event)
		t.collect(now)
		switch {
		case err != nil:
			failed, errs = append(failed, t), append(errs, err)
		case len(t.out) > 0:
			news = append(news, t)
		}
	}
	if failed != nil {
		s.taps = slices.DeleteFunc(s.taps, func(t *tap) bool { return slices.Contains(failed, t) })
	}
	s.admit()
	s.endWithoutTaps()
	s.mu.Unlock()
	for i, t := range failed {
		// What was whole before the event is still delivered.
		t.finish(errs[i], t.out...)
	}
	news = slices.DeleteFunc(news, (*tap).offer)
	for _, t := range news {
		s.await(t)
	}
}

// await waits until a tap's queue has taken everything. Who holds others up is detached.
func (s *source) await(t *tap) {
	tick := time.NewTicker(holdUp / 10)
	defer tick.Stop()
	for !t.offer() {
		if t.heldUp() >= holdUp && s.detach(t) {
			return
		}
		select {
		case <-t.taken:
		case <-tick.C:
		case <-t.left:
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// detach takes away a tap, unless nobody else is there to be held up. Its consumer goes
// on from behind what is in its queue.
func (s *source) detach(t *tap) bool {
	s.mu.Lock()
	if len(s.taps)+len(s.joining) < 2 {
		s.mu.Unlock()
		return false
	}
	s.taps = slices.DeleteFunc(s.taps, func(o *tap) bool { return o == t })
	// Those who wait for the end of a transaction that nobody reads now begin anew.
	s.endWithoutTaps()
	s.mu.Unlock()
	t.finish(errDetached)
	return true
}

// fail ends all taps.
func (s *source) fail(err error) {
	s.mu.Lock()
	taps := s.taps
	s.taps = nil
	s.endWithoutTaps()
	s.mu.Unlock()
	for _, t := range taps {
		t.finish(err)
	}
}

// hangUp closes the connection. What is not whole comes again.
func (s *source) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed != nil {
		s.feed.close()
		s.feed = nil
	}
	s.restart()
}

// restart: the mutex is held, and what was whole has been delivered.
func (s *source) restart() {
	for _, t := range s.taps {
		t.asm.restart()
	}
	s.admit()
}

// place is where all taps are; nil when there are none.
func (s *source) place() *assembler {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.taps) == 0 {
		return nil
	}
	return s.taps[0].asm
}

// connect opens the connection from the last whole transaction. A server that
// has not executed what the position says is given some patience: we read
// transactions before they are committed.
func (s *source) connect(ctx context.Context, patience time.Duration) error {
	s.mu.Lock()
	s.restart()
	s.mu.Unlock()
	at := s.place()
	if at == nil {
		return context.Canceled
	}
	conn, err := connect(ctx, s.server)
	if err != nil {
		return s.lost(fmt.Errorf("connect to %s: %w", s.server.Addr, err))
	}
	stop := context.AfterFunc(ctx, func() { cut(conn) })
	defer stop()
	f, err := s.begin(conn, at, patience)
	if err != nil {
		cut(conn)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return s.lost(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !stop() || s.ended { // the connection may be closed already
		cut(conn)
		return context.Canceled
	}
	s.feed = f
	return nil
}

// begin makes the server send its binlog.
func (s *source) begin(conn *client.Conn, at *assembler, patience time.Duration) (*feed, error) {
	if err := s.checkServer(conn, at, patience); err != nil {
		return nil, err
	}
	settings := fmt.Sprintf("SET @master_binlog_checksum = 'NONE', @source_binlog_checksum = 'NONE', "+
		"@master_heartbeat_period = %[1]d, @source_heartbeat_period = %[1]d, "+
		"@slave_uuid = '%[2]s', @replica_uuid = '%[2]s', @mariadb_slave_capability = 4",
		heartbeat.Nanoseconds(), s.uuid)
	if _, err := conn.Execute(settings); err != nil {
		return nil, fmt.Errorf("prepare the binlog connection: %w", err)
	}
	var gtids *gtidSet
	if at.byGTID {
		gtids = &at.gtids
	}
	f, err := startFeed(conn, s.serverID, gtids, at.pos)
	if err != nil {
		return nil, fmt.Errorf("start the binlog dump: %w", err)
	}
	return f, nil
}

// checkServer refuses a server of another history: positions by file mean
// nothing on another server, and GTIDs that it never executed would be skipped
// when it comes to use their numbers.
func (s *source) checkServer(conn *client.Conn, at *assembler, patience time.Duration) error {
	query := "SELECT /* midflight */ @@GLOBAL.server_id, @@GLOBAL.server_uuid, UNIX_TIMESTAMP(NOW(6))"
	if s.flavor.MariaDB {
		query = "SELECT /* midflight */ @@GLOBAL.server_id, '', UNIX_TIMESTAMP(NOW(6))"
	}
	r, err := conn.Execute(query)
	if err != nil {
		return fmt.Errorf("read the server's identity: %w", err)
	}
	id, _ := r.GetString(0, 0)
	uid, _ := r.GetString(0, 1)
	if now, err := r.GetFloat(0, 2); err == nil {
		s.reach.skew.Store(int64(now*1e9) - time.Now().UnixNano())
	}
	if id == fmt.Sprint(s.serverID) {
		s.serverID ^= 1
	}
	identity := id + " " + uid
	was := s.identity
	if was == "" {
		s.identity, was = identity, identity
	}
	switch {
	case identity != was && !at.byGTID:
		return &LostPosition{at.position(), fmt.Errorf("the server is %q, not %q", identity, was)}
	case identity != was:
		return &ServerChanged{was, identity}
	case !at.byGTID:
		return nil
	}
	r, err = conn.Execute(fmt.Sprintf("SELECT /* midflight */ WAIT_FOR_EXECUTED_GTID_SET('%s', %d)", at.gtids, int(patience.Seconds())))
	if err != nil {
		return fmt.Errorf("compare the position with gtid_executed: %w", err)
	}
	if late, _ := r.GetInt(0, 0); late != 0 {
		return &LostPosition{at.position(), errors.New("the server has not executed it all")}
	}
	return nil
}

// lost turns the server's answer that it can't go on into a LostPosition, and any other into
// what mysqld knows errors by.
func (s *source) lost(err error) error {
	var e *mysql.MyError
	if !errors.As(err, &e) {
		return err
	}
	if at := s.place(); at != nil && (e.Code == 1236 || e.Code == 1373) {
		return &LostPosition{at.position(), err}
	}
	return mysqld.Answered(err, e.Code, e.Message)
}

// definitive: trying again leads to the same error.
func definitive(err error) bool {
	var lost *LostPosition
	var changed *ServerChanged
	if errors.As(err, &lost) || errors.As(err, &changed) || errors.Is(err, errChecksum) {
		return true
	}
	var e *mysql.MyError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case 1040, 1203, 1226, // too many connections
		1053, 1077, 1079, // shutting down
		1317, 1927, 3169, 4031: // killed
		return false
	}
	return true
}

func (s *source) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}
