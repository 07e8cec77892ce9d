package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// A load moves money between accounts, by many connections, and counts what it was told.
type load struct {
	t          *testing.T
	stop       context.CancelFunc
	ctx        context.Context
	workers    sync.WaitGroup
	committed  atomic.Int64 // acknowledged
	singles    atomic.Int64
	cut        atomic.Int64 // first statements that crossed the end of their idle connection
	failures   atomic.Int64
	connection atomic.Int64 // of them: a new connection was refused or lost
}

const accounts = 1000

func newLoad(t *testing.T, s site) *load {
	s.Exec("CREATE TABLE account (id INT PRIMARY KEY, balance BIGINT)")
	s.Exec("CREATE TABLE moved (id BIGINT PRIMARY KEY AUTO_INCREMENT, n INT)")
	s.Exec("CREATE TABLE single (id BIGINT PRIMARY KEY AUTO_INCREMENT)")
	for i := range accounts / 100 {
		values := ""
		for j := range 100 {
			values += fmt.Sprintf(",(%d, 100)", i*100+j)
		}
		s.Exec("INSERT INTO account VALUES " + values[1:])
	}
	l := &load{t: t}
	l.ctx, l.stop = context.WithCancel(context.Background())
	t.Cleanup(l.stop)
	return l
}

// use starts workers on a pool, which pause for up to think between transactions. Without
// keep every transaction has a new connection.
func (l *load) use(dsn string, workers int, think time.Duration, keep bool) {
	pool, err := sql.Open("mysql", dsn)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { pool.Close() })
	pool.SetMaxIdleConns(workers)
	if !keep {
		pool.SetMaxIdleConns(-1)
	}
	for range workers {
		l.workers.Go(func() {
			for l.ctx.Err() == nil {
				l.one(pool)
				if think > 0 {
					time.Sleep(rand.N(think))
				}
			}
		})
	}
}

func (l *load) one(pool *sql.DB) {
	if rand.N(2) == 0 {
		if _, err := pool.Exec("INSERT INTO single VALUES ()"); l.fine("a single statement", true, err) {
			l.singles.Add(1)
		}
		return
	}
	tx, err := pool.Begin()
	if !l.fine("BEGIN", true, err) {
		return
	}
	defer tx.Rollback()
	a, b := rand.N(accounts-1), 0
	b = a + 1 + rand.N(accounts-a-1) // in order, so that there is no deadlock
	for _, q := range []string{"UPDATE account SET balance = balance - 1 WHERE id = ?", "UPDATE account SET balance = balance + 1 WHERE id = ?"} {
		if _, err := tx.Exec(q, a); !l.fine(q, false, err) {
			return
		}
		a = b
	}
	if _, err := tx.Exec("INSERT INTO moved (n) VALUES (1)"); !l.fine("INSERT", false, err) {
		return
	}
	if l.fine("COMMIT", false, tx.Commit()) {
		l.committed.Add(1)
	}
}

// fine counts errors. first: it was sent on a connection that may have been idle.
func (l *load) fine(what string, first bool, err error) bool {
	var refused *net.OpError
	switch {
	case err == nil:
		return true
	case first && (errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, io.EOF)):
		l.cut.Add(1)
	case errors.As(err, &refused):
		l.connection.Add(1)
	}
	l.failures.Add(1)
	l.t.Logf("%s %s: %v", time.Now().Format("15:04:05.000"), what, err)
	return false
}

// browse asks for /healthz all the time.
func (l *load) browse(url string) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	l.workers.Go(func() {
		for l.ctx.Err() == nil {
			r, err := client.Get(url)
			if err != nil {
				l.failures.Add(1)
				l.t.Logf("%s: %v", url, err)
				continue
			}
			r.Body.Close()
		}
	})
}

// ends stops it and compares what it was told with what is there.
func (l *load) ends(s site) {
	l.t.Helper()
	l.stop()
	l.workers.Wait()
	l.t.Logf("%d transactions and %d single statements, %d failed, of which %d on a new connection and %d at the end of an idle one",
		l.committed.Load(), l.singles.Load(), l.failures.Load(), l.connection.Load(), l.cut.Load())
	// An idle connection may be closed in the very moment in which it is used, as by wait_timeout.
	if lost := l.failures.Load() - l.cut.Load(); lost > 0 || l.cut.Load() > 1 {
		l.t.Errorf("%d statements have failed, %d at the end of an idle connection", lost, l.cut.Load())
	}
	for query, want := range map[string]int64{
		"SELECT SUM(balance) FROM account": 100 * accounts,
		"SELECT COUNT(*) FROM moved":       l.committed.Load(),
		"SELECT COUNT(*) FROM single":      l.singles.Load(),
	} {
		if got := s.value(query); got != fmt.Sprint(want) {
			l.t.Errorf("%s: %s, want %d", query, got, want)
		}
	}
}
