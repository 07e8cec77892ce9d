package soak

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/internal/localserver"
	"midflight/mysqld"
	"midflight/schema"
)

// A writing is a writer at work. It ends by itself when it sees that the table
// has another definition: from then on the same statement may do other things
// to the twins.
type writing struct {
	writer Writer
	on     [2]schema.Name
	conn   *sql.Conn
	source *source
	before string // the table's definition
	index  int
	// MariaDB dies of ROLLBACK TO SAVEPOINT on a table with a FULLTEXT key
	// (assertion result != FTS_INVALID in fts0fts.cc; seen on 10.11.18).
	noSavepoints bool

	done   atomic.Int64 // transactions committed
	failed atomic.Int64 // rolled back since a statement failed on both twins
	mu     sync.Mutex
	trail  []string // the latest statements committed
	split  []string // statements that failed on one twin only
	broken []string // what must not happen
}

// startWriter opens the writer's session.
func (s *Site) startWriter(ctx context.Context, c Case, i int, on [2]schema.Name, before string) (*writing, error) {
	w := c.Writers[i]
	pool := s.direct
	if w.Through {
		pool = s.through
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect a writer: %w", err)
	}
	for _, q := range append([]string{"SET innodb_lock_wait_timeout = 3, lock_wait_timeout = 20"}, w.Settings...) {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return nil, fmt.Errorf("set up a writer (%s): %w", q, err)
		}
	}
	return &writing{
		writer: w, on: on, conn: conn, index: i, before: before,
		noSavepoints: c.fulltext() && s.Flavor == localserver.MariaDB,
		source:       &source{table: c.Table, r: rand.New(rand.NewPCG(w.Seed, 1)), base: i * ownRows, size: c.Rows / max(1, len(c.Writers))},
	}, nil
}

func (w *writing) run(ctx context.Context, stop <-chan struct{}) {
	defer discard(w.conn)
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-time.After(w.writer.Pause):
		}
		over, err := w.transaction(ctx)
		if over || ctx.Err() != nil {
			return
		}
		if err != nil {
			w.conn.ExecContext(ctx, "ROLLBACK")
			if mysqld.Number(err) == 0 || !mysqld.IsLockConflict(err) {
				w.mu.Lock()
				w.broken = append(w.broken, err.Error())
				w.mu.Unlock()
				return
			}
		}
	}
}

var errUndone = errors.New("rolled back")

// transaction does the same to both twins, or nothing to either.
func (w *writing) transaction(ctx context.Context) (over bool, err error) {
	r := w.source.r
	exec := func(q string) error {
		_, err := w.conn.ExecContext(ctx, q)
		if err != nil {
			return fmt.Errorf("writer %d: %.200s: %w", w.index, q, err)
		}
		return nil
	}
	// Both tables get one time: NOW() differs between statements.
	if err := exec(fmt.Sprintf("SET timestamp = %d.%06d", 1_700_000_000+r.IntN(1e6), r.IntN(1e6))); err != nil {
		return false, err
	}
	if err := exec("BEGIN"); err != nil {
		return false, err
	}
	// The lock is taken before anything is read: no swap comes between the look
	// at the definition and the commit.
	if err := exec("SELECT 1 FROM " + w.on[0].Quoted() + " LIMIT 0"); err != nil {
		return false, err
	}
	now, err := definition(ctx, w.conn, w.on[0])
	if err != nil {
		return false, fmt.Errorf("writer %d: %w", w.index, err)
	}
	if now != w.before {
		return true, exec("ROLLBACK")
	}
	var trail []string
	saved := false
	for range 1 + r.IntN(4) {
		if one(r, 12) && !saved && !w.noSavepoints {
			saved = true
			if err := exec("SAVEPOINT here"); err != nil {
				return false, err
			}
			trail = append(trail, "SAVEPOINT here")
		}
		st := w.source.draw()
		if err := w.both(ctx, st); err != nil {
			if errors.Is(err, errUndone) {
				return false, exec("ROLLBACK")
			}
			return false, err
		}
		trail = append(trail, st.text)
		if saved && one(r, 2) {
			saved = false
			if err := exec("ROLLBACK TO SAVEPOINT here"); err != nil {
				return false, err
			}
			trail = append(trail, "ROLLBACK TO SAVEPOINT here")
		}
	}
	if one(r, 12) {
		return false, exec("ROLLBACK")
	}
	if err := exec("COMMIT"); err != nil {
		return false, err
	}
	w.mu.Lock()
	w.trail = append(w.trail[max(0, len(w.trail)-40):], strings.Join(trail, "; "))
	w.mu.Unlock()
	w.done.Add(1)
	return false, nil
}

// both runs a statement on both twins. It must succeed on both or on none, and
// change the same number of rows.
func (w *writing) both(ctx context.Context, st statement) error {
	var errs [2]error
	var rows [2]int64
	text := st.text
	for i, n := range w.on {
		q := strings.ReplaceAll(text, "{t}", n.Quoted())
		if st.load != "" {
			name := fmt.Sprintf("%s_%d_%d", n.Schema, w.index, i)
			mysql.RegisterReaderHandler(name, func() io.Reader { return strings.NewReader(st.load) })
			q = strings.ReplaceAll(q, "{load}", name)
		}
		if st.lock != "" {
			if _, err := w.conn.ExecContext(ctx, "SELECT 1 FROM "+n.Quoted()+" WHERE "+st.lock+" FOR UPDATE"); err != nil {
				return fmt.Errorf("writer %d: lock rows: %w", w.index, err)
			}
		}
		result, err := w.conn.ExecContext(ctx, q, st.args...)
		if err == nil {
			rows[i], _ = result.RowsAffected()
			if i == 0 && st.withID != "" {
				id, _ := result.LastInsertId()
				text = strings.ReplaceAll(st.withID, "{id}", fmt.Sprint(id))
			}
		} else if mysqld.Number(err) == 0 || mysqld.IsLockConflict(err) {
			return fmt.Errorf("writer %d: %.300s: %w", w.index, q, err)
		}
		errs[i] = err
		if err != nil && i == 0 && st.withID != "" {
			text = strings.ReplaceAll(st.withID, "{id}", "0")
		}
	}
	if errs[0] == nil && errs[1] == nil && rows[0] == rows[1] {
		return nil
	}
	w.failed.Add(1)
	a, b := mysqld.Number(errs[0]), mysqld.Number(errs[1])
	if a != b || errs[0] == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		said := fmt.Sprintf("%.200s: %v (%d rows), on the twin %v (%d rows)", st.text, errs[0], rows[0], errs[1], rows[1])
		w.split = append(w.split, said)
		// Which of two duplicates is met first is the optimizer's affair. That the
		// table is not there is not.
		switch a {
		case 0, mysqld.ErrDupEntry, mysqld.ErrDupKey, mysqld.ErrDupEntryWithKey:
		default:
			if b == 0 {
				w.broken = append(w.broken, said)
			}
		}
	}
	return errUndone
}

var counter = regexp.MustCompile(` AUTO_INCREMENT=(\d+)`)

// definition is SHOW CREATE TABLE without the next AUTO_INCREMENT value.
func definition(ctx context.Context, db mysqld.Queryer, n schema.Name) (string, error) {
	text, err := schema.CreateStatement(ctx, db, n)
	return counter.ReplaceAllString(text, ""), err
}

// discard closes the connection itself: its session has settings of the case.
func discard(c *sql.Conn) {
	c.Raw(func(any) error { return errDiscard })
	c.Close()
}

var errDiscard = fmt.Errorf("discard this connection: %w", driver.ErrBadConn)
