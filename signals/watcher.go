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
	stop    context.CancelFunc
	reached atomic.Int64 // when it last answered and was a replica, in nanoseconds of the wall clock

	status status // of its own goroutine
	asked  time.Time
}

func (s *Sampler) newWatcher(r replica) (*watcher, error) {
	db, err := mysqld.Open(mysqld.Config{Addr: r.addr, User: s.Server.User, Password: s.Server.Password})
	if err != nil {
		return nil, fmt.Errorf("watch the replica %s: %w", r.addr, err)
	}
	w := &watcher{Sampler: s, replica: r, db: db}
	w.reached.Store(time.Now().UnixNano())
	return w, nil
}

// gone tells whether the replica, which is not listed any more, is none now.
func (w *watcher) gone(now time.Time) bool { return now.Sub(time.Unix(0, w.reached.Load())) > longGone }

func (w *watcher) run(ctx context.Context) {
	source := "replica " + w.addr
	defer w.forget(source)
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
		w.publish(source, r)
	})
}

// lag is how much older than now the server's state is that the replica shows, beyond the
// delay that it is told to keep. By heartbeats, which are written while rows are copied:
// both their times are of our clock, and they come through every chain of replicas.
func (w *watcher) lag(ctx context.Context, busy bool) (time.Duration, error) {
	if time.Since(w.asked) >= sampleEvery || !busy {
		status, err := readStatus(ctx, w.db, w.source)
		if err != nil {
			return 0, fmt.Errorf("it can't be asked: %w", err)
		}
		w.status, w.asked = status, time.Now()
		w.reached.Store(time.Now().UnixNano())
	}
	if w.status.stopped != "" {
		return 0, errors.New(w.status.stopped)
	}
	if !busy {
		return w.status.beyondDelay(w.status.behind), nil
	}
	var at int64
	err := w.db.QueryRowContext(ctx, "SELECT /* midflight */ sent_at FROM midflight.heartbeats WHERE owner = ?", w.Store.Owner()).Scan(&at)
	if n := mysqld.Number(err); err != nil && !errors.Is(err, sql.ErrNoRows) && n != mysqld.ErrNoSuchTable && n != errNoSuchDatabase {
		return 0, fmt.Errorf("it can't be asked: %w", err)
	}
	w.mu.Lock()
	entered := w.entered
	w.mu.Unlock()
	return w.status.since(time.Now(), time.UnixMicro(at), entered), nil
}

const errNoSuchDatabase = 1049 // ER_BAD_DB_ERROR

// A status is what a replica tells of its replication.
type status struct {
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
	worst := status{stopped: "it is no replica"}
	for i, row := range rows {
		if s := parseStatus(row); i == 0 || first(row, "Source_Server_Id", "Master_Server_Id") == strconv.FormatInt(source, 10) {
			worst = s
		}
	}
	return worst, nil
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
