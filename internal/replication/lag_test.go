package replication

import (
	"context"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"midflight/internal/testmysql"
)

// TestLagStaysBelow: a copy at full load, to two replicas of which one works for a small
// part of the time. Nobody comes to lag by the limit, by a clock of the test's own, and what the
// slow one can bear is used: that is found out first, without a limit.
func TestLagStaysBelow(t *testing.T) {
	rows := 200_000
	if n, err := strconv.Atoi(os.Getenv("LAG_ROWS")); err == nil {
		rows = n
	}
	topologies(t, func(t *testing.T, top *topology) {
		top.fill(t, rows)
		part := 0.2
		if top.source.Flavor == testmysql.MariaDB { // whose replicas are quicker than the source
			part = 0.04
		}
		defer slow(top.replicas[1], part)()

		free := top.midflight(t, "--limit", "replica_lag=off", "--keep-old", "0")
		clock := top.clock(t)
		began := time.Now()
		alter(t, free, "")
		top.awaitPhase(t, "completed")
		top.level(t)
		bears := float64(rows) / time.Since(began).Seconds()
		unbound := clock()
		free.Stop()
		<-free.Done()

		m := top.midflight(t, "--keep-old", "0")
		clock = top.clock(t)
		began = time.Now()
		alter(t, m, "")
		top.awaitPhase(t, "completed")
		rate := float64(rows) / time.Since(began).Seconds()
		top.level(t)
		worst := clock()
		t.Logf("the slow replica bears %.0f rows a second (it came to lag by %s), copied were %.0f (%.0f %%); lag %s at most; waited: %s",
			bears, unbound[1].Round(10*time.Millisecond), rate, 100*rate/bears, max(worst[0], worst[1]).Round(10*time.Millisecond), top.latest(t, "throttled"))
		if unbound[1] < time.Second { // which is the limit
			t.Errorf("the replica is not slow enough for this to be a test: without a limit it came to lag by %s", unbound[1])
		}
		for i, lag := range worst {
			if lag >= time.Second && os.Getenv("LAG_ROWS") != "" || lag > max(time.Second, unbound[1]/2) {
				t.Errorf("replica %d came to lag by %s", i, lag)
			}
		}
		// Beside all other tests it is late to look, and finds less.
		if part := bears / 3; rate < part && os.Getenv("LAG_ROWS") != "" || rate < bears/10 {
			t.Errorf("only %.0f of %.0f rows a second were copied", rate, bears)
		}
	})
}

// clock measures the replicas' lag until read is called, which returns the longest of each:
// a row of the test's, written all the time, and how old the one is that a replica shows.
func (top *topology) clock(t *testing.T) (read func() []time.Duration) {
	t.Helper()
	top.source.Exec(t, "CREATE TABLE IF NOT EXISTS shop.clock (id INT NOT NULL PRIMARY KEY, at BIGINT NOT NULL)", "REPLACE INTO shop.clock VALUES (1, 0)")
	top.level(t)
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	const pause = 20 * time.Millisecond
	wait.Add(1)
	go func() {
		defer wait.Done()
		for ctx.Err() == nil {
			top.root.Exec("UPDATE shop.clock SET at = ?", time.Now().UnixMicro())
			time.Sleep(pause)
		}
	}()
	worst := make([]time.Duration, len(top.replicas))
	for i, r := range top.replicas {
		db := r.DB(t)
		wait.Add(1)
		go func() {
			defer wait.Done()
			for ctx.Err() == nil {
				var at int64
				if db.QueryRow("SELECT at FROM shop.clock").Scan(&at) == nil && at > 0 {
					worst[i] = max(worst[i], time.Since(time.UnixMicro(at))-pause)
				}
				time.Sleep(pause)
			}
		}()
	}
	return func() []time.Duration {
		cancel()
		wait.Wait()
		return worst
	}
}
