package signals

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"midflight/mysqld"
	"midflight/throttle"
)

// A watcher asks one replica how far behind it is.
type watcher struct {
	*Sampler
	replica
	db      *sql.DB
	stop    func()       // waits until it has
	reached atomic.Int64 // when it last answered and was a replica, in nanoseconds of the sampler's clock

	status status // of its own goroutine
	asked  time.Time
}

// watch a replica, in a goroutine that ends with stop.
func (s *Sampler) watch(ctx context.Context, r replica) (*watcher, error) {
	db, err := mysqld.Open(mysqld.Config{Addr: r.addr, User: s.Server.User, Password: s.Server.Password})
	if err != nil {
		return nil, fmt.Errorf("watch the replica: %w", err)
	}
	w := &watcher{Sampler: s, replica: r, db: db}
	w.reached.Store(s.now().UnixNano())
	// Until it has answered nobody knows how far it is.
	s.publish(w.reads(), throttle.Reading{Signal: throttle.ReplicaLag, Of: r.addr, At: time.Now(), Problem: "it has not been asked yet"})
	watching, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	w.stop = func() { cancel(); <-ended }
	go func() {
		defer close(ended)
		defer db.Close()
		w.run(watching)
	}()
	return w, nil
}

// reads is the source of its readings.
func (w *watcher) reads() string { return "replica " + w.addr }

// gone tells whether the replica, which is not listed any more, is none now.
func (w *watcher) gone() bool { return w.now().Sub(time.Unix(0, w.reached.Load())) > longGone }

func (w *watcher) run(ctx context.Context) {
	defer w.forget(w.reads())
	w.repeat(ctx, beatEvery, func(ctx context.Context, busy bool) {
		bound, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		r := throttle.Reading{Signal: throttle.ReplicaLag, Of: w.addr}
		lag, err := w.lag(bound, busy)
		if ctx.Err() != nil {
			return
		}
		if r.At, r.Value = time.Now(), lag.Seconds(); err != nil {
			r.Problem = err.Error()
		}
		w.publish(w.reads(), r)
	})
}

// lag is how much older than now the server's state is that the replica shows, beyond the
// delay that it is told to keep. By heartbeats, which are written while rows are copied:
// both their times are of our clock, and they come through every chain of replicas.
func (w *watcher) lag(ctx context.Context, busy bool) (time.Duration, error) {
	if time.Since(w.asked) >= sampleEvery || !busy {
		status, err := w.replica.status(ctx, w.db)
		if err != nil {
			return 0, fmt.Errorf("it can't be asked: %w", inWords(err))
		}
		w.status, w.asked = status, time.Now()
		if !status.none {
			w.reached.Store(w.now().UnixNano())
		}
	}
	if w.status.stopped != "" {
		return 0, errors.New(w.status.stopped)
	}
	if !busy {
		return w.status.beyondDelay(w.status.behind), nil
	}
	var at int64
	err := w.db.QueryRowContext(ctx, "SELECT /* midflight */ sent_at FROM midflight.heartbeats WHERE owner = ?", w.Store.Owner()).Scan(&at)
	never := errors.Is(err, sql.ErrNoRows) || mysqld.Number(err) == mysqld.ErrNoSuchTable || mysqld.Number(err) == errNoSuchDatabase
	if err != nil && !never {
		return 0, fmt.Errorf("it can't be asked: %w", inWords(err))
	}
	w.mu.Lock()
	entered := w.entered
	w.mu.Unlock()
	now := w.now()
	if never && now.Sub(entered)-w.status.behind-w.status.delay > longUnseen {
		return 0, errors.New("it has no heartbeat of ours, though it says that it follows: is the schema midflight replicated to it?")
	}
	return w.status.since(now, time.UnixMicro(at), entered), nil
}

// longUnseen: by then a heartbeat must have come to a replica that follows.
const longUnseen = 10 * time.Second

const errNoSuchDatabase = 1049 // ER_BAD_DB_ERROR

// A status is what a replica tells of its replication.
type status struct {
	none    bool          // it is no replica, or another's
	stopped string        // why it doesn't go on; "": it does
	behind  time.Duration // as it thinks itself, in whole seconds
	delay   time.Duration // that it is told to keep
}

// beyondDelay: of a lag.
func (s status) beyondDelay(lag time.Duration) time.Duration { return max(0, lag-s.delay) }

// since is the lag of who has last seen the heartbeat of sent. One that was sent before
// rows were copied tells nothing: none has been sent for long.
func (s status) since(now, sent, entered time.Time) time.Duration {
	if sent.Before(entered) {
		return s.beyondDelay(max(now.Sub(entered)-beatEvery, s.behind))
	}
	return s.beyondDelay(now.Sub(sent) - beatEvery)
}

// status of a replica, which it tells by db.
func (r replica) status(ctx context.Context, db *sql.DB) (status, error) {
	if r.member {
		return readMember(ctx, db)
	}
	s, err := readStatus(ctx, db, r.source)
	if err == nil && s.none && r.source == 0 { // one that is named, which may be a member
		if m, err := readMember(ctx, db); err != nil || !m.none {
			return m, err
		}
	}
	return s, err
}

// readMember is the status of a member of a group, of which SHOW REPLICA STATUS has nothing.
func readMember(ctx context.Context, db *sql.DB) (s status, err error) {
	flavor, err := mysqld.ReadFlavor(ctx, db)
	if err != nil {
		return status{}, err
	}
	if flavor.MariaDB {
		return status{none: true, stopped: "it is a member of no group"}, nil
	}
	var state string
	var behind int64
	err = db.QueryRowContext(ctx, `SELECT /* midflight */ m.member_state, COALESCE(MAX(TIMESTAMPDIFF(SECOND, w.applying_transaction_original_commit_timestamp, NOW(6))), 0)
FROM performance_schema.replication_group_members m
LEFT JOIN performance_schema.replication_applier_status_by_worker w ON w.channel_name = m.channel_name AND w.applying_transaction <> ''
WHERE m.member_id = @@GLOBAL.server_uuid GROUP BY m.member_state`).Scan(&state, &behind)
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && state == "OFFLINE":
		return status{none: true, stopped: "it is a member of no group"}, nil
	case err != nil:
		return status{}, err
	case state != "ONLINE":
		s.stopped = "as a member of its group it is " + state
	}
	s.behind = time.Duration(max(0, behind)) * time.Second
	return s, nil
}

// readStatus of the replication from a source; from whatever it is when its id is 0.
func readStatus(ctx context.Context, db *sql.DB, source int64) (status, error) {
	flavor, err := mysqld.ReadFlavor(ctx, db)
	if err != nil {
		return status{}, err
	}
	query := "SHOW /* midflight */ REPLICA STATUS"
	switch {
	case flavor.MariaDB:
		query = "SHOW /* midflight */ ALL SLAVES STATUS"
	case flavor.Version < 80022:
		query = "SHOW /* midflight */ SLAVE STATUS"
	}
	rows, err := rowMaps(ctx, db, query)
	if err != nil {
		return status{}, err
	}
	return statusOf(rows, source), nil
}

// statusOf the replication from a source, of the rows of all sources.
func statusOf(rows []map[string]string, source int64) status {
	var of []status
	for _, row := range rows {
		s := parseStatus(row)
		// The id is 0 as long as it has not connected.
		if id := first(row, "Source_Server_Id", "Master_Server_Id"); source == 0 || id == "0" || id == strconv.FormatInt(source, 10) {
			of = append(of, s)
		}
	}
	switch {
	case len(rows) == 0:
		return status{none: true, stopped: "it is no replica"}
	case len(of) == 0:
		return status{none: true, stopped: "it follows another server now"}
	}
	// Which of several is ours nobody knows: one that is stopped may be, and a delay is
	// none that all of them have.
	worst := of[0]
	for _, s := range of[1:] {
		if worst.stopped == "" {
			worst.stopped = s.stopped
		}
		worst.behind, worst.delay = max(worst.behind, s.behind), min(worst.delay, s.delay)
	}
	return worst
}

// parseStatus reads a row of SHOW REPLICA STATUS.
func parseStatus(row map[string]string) (s status) {
	var behind, delay int64
	fmt.Sscan(first(row, "Seconds_Behind_Source", "Seconds_Behind_Master"), &behind)
	fmt.Sscan(row["SQL_Delay"], &delay)
	s.behind, s.delay = time.Duration(behind)*time.Second, time.Duration(delay)*time.Second
	io, sql := first(row, "Replica_IO_Running", "Slave_IO_Running"), first(row, "Replica_SQL_Running", "Slave_SQL_Running")
	switch {
	case sql != "Yes":
		s.stopped = "it is stopped: its SQL thread does not run" + because(row["Last_SQL_Errno"], row["Last_SQL_Error"])
	case io != "Yes":
		s.stopped = "it is cut off: its IO thread does not run" + because(row["Last_IO_Errno"], row["Last_IO_Error"])
	}
	return s
}

func because(number, text string) string {
	if number == "" || number == "0" {
		return ""
	}
	return fmt.Sprintf(" (error %s: %.200s)", number, text)
}
