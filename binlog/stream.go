package binlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/google/uuid"

	"midflight/mysqld"
	"midflight/schema"
)

// Config says what to stream.
type Config struct {
	Server mysqld.Config
	Flavor mysqld.Flavor
	From   Position
	Watch  []Watch
	// Fences is our marker table: Tx.Fences are the values of its first CHAR or
	// VARCHAR column.
	Fences schema.Name
}

// ErrClosed: Next was called on a closed stream.
var ErrClosed = errors.New("the binlog stream is closed")

// An empty transaction is delivered this often when the position advances, so
// that consumers can store it.
const advance = time.Second

// Reconnecting waits this long at first and doubles it up to the maximum.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = 5 * time.Second
)

// A Stream delivers transactions. Next is for one goroutine; Close is for any.
type Stream struct {
	config   Config
	serverID uint32
	uuid     string // ours, so that the server ends our last dump when we come again
	identity string // the server's
	asm      *assembler
	err      error // definitive

	delivered time.Time // when something was delivered last
	moves     uint64    // asm.moves then

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu   sync.Mutex // guards feed, which Close ends
	feed *feed
}

// Open starts streaming. It fails if the server can't serve the position.
func Open(ctx context.Context, c Config) (*Stream, error) {
	tables, err := newTableSet(c.Watch, c.Fences)
	if err != nil {
		return nil, err
	}
	if c.From.GTIDs == "" && c.From.File == "" {
		return nil, errors.New("open the binlog stream: no position")
	}
	if c.Flavor.MariaDB && c.From.GTIDs != "" {
		return nil, fmt.Errorf("open the binlog stream: %s is a position of MySQL", c.From)
	}
	asm, err := newAssembler(tables, c.From)
	if err != nil {
		return nil, fmt.Errorf("open the binlog stream: %w", err)
	}
	s := &Stream{
		config: c,
		// High numbers, as nobody gives them to servers.
		serverID:  1<<31 | 1<<30 | rand.Uint32N(1<<30),
		uuid:      uuid.NewString(),
		asm:       asm,
		delivered: time.Now(),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.connect(ctx, 5*time.Second); err != nil {
		s.cancel()
		return nil, err
	}
	return s, nil
}

// Close ends the stream. A Next that waits returns ErrClosed.
func (s *Stream) Close() {
	s.cancel()
	s.hangUp()
}

// Next waits for the next transaction. Those without anything of interest are
// left out, but after a second at most an empty one tells how far they came.
// A lost connection is opened again from the last whole transaction; other
// errors are definitive, except that of ctx.
func (s *Stream) Next(ctx context.Context) (Tx, error) {
	pause := firstPause
	for {
		if s.ctx.Err() != nil {
			return Tx{}, ErrClosed
		}
		if s.err != nil {
			return Tx{}, s.err
		}
		if tx, ok := s.take(); ok {
			return tx, nil
		}
		f := s.current()
		if f == nil {
			err := s.connect(ctx, time.Minute)
			switch {
			case err == nil:
				continue
			case definitive(err):
				s.err = err
				continue
			}
			if err := s.wait(ctx, pause); err != nil {
				return Tx{}, err
			}
			pause = min(2*pause, maxPause)
			continue
		}
		select {
		case <-ctx.Done():
			return Tx{}, ctx.Err()
		case <-s.ctx.Done():
		case b, ok := <-f.packets:
			if !ok {
				if err := s.lost(f.err); definitive(err) {
					s.err = err
				}
				s.hangUp()
				break
			}
			pause = firstPause
			// What was whole before the event is still delivered.
			s.err = s.asm.add(b)
			if tx, ok := s.take(); ok {
				return tx, nil
			}
		}
	}
}

// take is the next transaction that can be delivered.
func (s *Stream) take() (Tx, bool) {
	a := s.asm
	if len(a.ready) > 0 {
		tx := a.ready[0]
		a.ready = a.ready[1:]
		if len(a.ready) == 0 {
			a.ready = nil
			s.moves = a.moves
		}
		s.delivered = time.Now()
		return tx, true
	}
	if a.moves == s.moves || time.Since(s.delivered) < advance {
		return Tx{}, false
	}
	s.moves, s.delivered = a.moves, time.Now()
	return Tx{ID: a.lastID, After: a.position()}, true
}

func (s *Stream) wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ctx.Done():
		return ErrClosed
	}
}

func (s *Stream) current() *feed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.feed
}

// hangUp closes the connection.
func (s *Stream) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed != nil {
		s.feed.close()
		s.feed = nil
	}
}

// connect opens the connection from the last whole transaction. A server that
// has not executed what the position says is given some patience: we read
// transactions before they are committed.
func (s *Stream) connect(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()

	// What was whole when the connection was lost is delivered first (Next takes
	// before it connects), so nothing is ready here.
	s.asm.restart()
	conn, err := connect(ctx, s.config.Server)
	if err != nil {
		return s.lost(fmt.Errorf("connect to %s: %w", s.config.Server.Addr, err))
	}
	stop := context.AfterFunc(ctx, func() { cut(conn) })
	defer stop()
	first, err := s.begin(conn, patience)
	if err != nil {
		cut(conn)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return s.lost(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !stop() || s.ctx.Err() != nil { // the connection may be closed already
		cut(conn)
		return context.Canceled
	}
	s.feed = newFeed(conn, first)
	return nil
}

// begin makes the server send its binlog.
func (s *Stream) begin(conn *client.Conn, patience time.Duration) ([]byte, error) {
	if err := s.checkServer(conn, patience); err != nil {
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
	if s.asm.byGTID {
		gtids = &s.asm.gtids
	}
	first, err := dumpFrom(conn, s.serverID, gtids, s.asm.pos)
	if err != nil {
		return nil, fmt.Errorf("start the binlog dump: %w", err)
	}
	return first, nil
}

// checkServer refuses a server of another history: positions by file mean
// nothing on another server, and GTIDs that it never executed would be skipped
// when it comes to use their numbers.
func (s *Stream) checkServer(conn *client.Conn, patience time.Duration) error {
	query := "SELECT /* midflight */ @@GLOBAL.server_id, @@GLOBAL.server_uuid"
	if s.config.Flavor.MariaDB {
		query = "SELECT /* midflight */ @@GLOBAL.server_id, ''"
	}
	r, err := conn.Execute(query)
	if err != nil {
		return fmt.Errorf("read the server's identity: %w", err)
	}
	id, _ := r.GetString(0, 0)
	uid, _ := r.GetString(0, 1)
	if id == fmt.Sprint(s.serverID) {
		s.serverID ^= 1
	}
	identity := id + " " + uid
	if s.identity == "" {
		s.identity = identity
	}
	if !s.asm.byGTID {
		if identity != s.identity {
			return s.lostPosition(fmt.Errorf("the server is %q, not %q", identity, s.identity))
		}
		return nil
	}
	r, err = conn.Execute(fmt.Sprintf("SELECT /* midflight */ WAIT_FOR_EXECUTED_GTID_SET('%s', %d)", s.asm.gtids, int(patience.Seconds())))
	if err != nil {
		return fmt.Errorf("compare the position with gtid_executed: %w", err)
	}
	if late, _ := r.GetInt(0, 0); late != 0 {
		return s.lostPosition(errors.New("the server has not executed it all"))
	}
	return nil
}

func (s *Stream) lostPosition(err error) error { return &LostPosition{s.asm.position(), err} }

// lost turns the server's answer that it can't go on into a LostPosition.
func (s *Stream) lost(err error) error {
	var e *mysql.MyError
	if errors.As(err, &e) && (e.Code == 1236 || e.Code == 1373) {
		return s.lostPosition(err)
	}
	return err
}

// definitive: trying again leads to the same error.
func definitive(err error) bool {
	var lost *LostPosition
	if errors.As(err, &lost) {
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
