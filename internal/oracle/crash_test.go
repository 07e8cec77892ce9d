package oracle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"midflight/internal/cutter"
	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
)

// A counter counts Midflight's own statements from the record of a migration on, and
// does something at one of them, before it reaches the server.
type counter struct {
	at      int // from 1; 0: nothing is done
	do      func()
	verdict cutter.Verdict // of that statement

	mu    sync.Mutex // guards what follows
	begun bool
	user  int // the session that waits for the answer
	count int
	what  string // that statement
}

func (c *counter) judge(cmd cutter.Command) cutter.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.HasPrefix(cmd.Text, "SET @midflight_strategy") {
		c.user = cmd.Session
	}
	c.begun = c.begun || strings.HasPrefix(cmd.Text, "INSERT /* midflight */ INTO midflight.migrations")
	if !c.begun || cmd.Session == c.user || !ours.MatchString(cmd.Text) || chore(cmd.Text) {
		return cutter.Pass
	}
	if c.count++; c.count != c.at {
		return cutter.Pass
	}
	c.what = strings.Join(strings.Fields(fmt.Sprintf("%.90s", cmd.Text)), " ")
	c.do()
	return c.verdict
}

// acted tells at which statement, if it was. If it was not, nothing is done any more: a
// chore may come that is the n-th.
func (c *counter) acted() (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = 0
	return c.what, c.what != ""
}

func (c *counter) counted() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// chore tells a statement that comes as time goes by.
func chore(text string) bool {
	for _, part := range []string{"_LOCK(", "SLEEP(", "FROM midflight.tables WHERE drop_at", "reveal_requested = TRUE", "owner <>", "binlog_snapshot", "gtid_executed",
		"midflight.heartbeats", "midflight.limits", "innodb_metrics", "Innodb_history_list_length", "command NOT IN ('Sleep'", "wsrep_flow_control", "@@GLOBAL.server_id", "@@GLOBAL.performance_schema", "Binlog Dump"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return strings.HasSuffix(text, "@@GLOBAL.datadir")
}

// killPoints are at which statements of n something is done: as many as KILLS says, all with KILLS=all, else some
// that differ from run to run.
func killPoints(n, some int) (at []int) {
	if k, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		some = min(k, n)
	} else if os.Getenv("KILLS") == "all" {
		some = n
	}
	for i := range some {
		from, to := i*n/some, (i+1)*n/some
		at = append(at, 1+from+rand.IntN(max(1, to-from)))
	}
	return at
}

var crashCases = []cutCase{{of: loaded, alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (code)"}, {of: small, alter: "ADD COLUMN x INT NOT NULL DEFAULT 3, ADD KEY (x)"}}

// TestMidflightIsKilledAnywhere ends it by kill -9 at a statement of a migration, from its
// record to its end. The next one takes it over within ten seconds, and completes it.
func TestMidflightIsKilledAnywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Midflight often")
	}
	t.Parallel() // most of it is waiting
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		t.Parallel()
		for _, c := range crashCases {
			n := countStatements(t, server, c)
			for _, at := range killPoints(n, 1) {
				t.Run(fmt.Sprintf("%s %d of %d", c.of(server.Flavor).name, at, n), func(t *testing.T) {
					s, r := cutSite(t, server)
					x := s.try(t, c)
					k := &counter{at: at, do: s.midflight.Kill9, verdict: cutter.Cut}
					r.Judge(k.judge)
					err := x.send(t)
					what, killed := k.acted()
					switch {
					case !killed && err != nil:
						t.Fatalf("not killed, and yet: %v", err)
					case killed && err == nil:
						t.Error("the client was told that it is done")
					}
					s.midflight.Stop()
					s.midflight = testmidflight.Start(t, server)
					x.completed(t, x.writers.all[0])
					t.Logf("killed at: %s", what)
				})
			}
		}
	})
}

// TestServerIsKilledAnywhere ends the server by kill -9 at such a statement and starts it
// again. Midflight goes on by itself.
func TestServerIsKilledAnywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the server often")
	}
	t.Parallel() // most of it is waiting
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			server := testmysql.Start(t, f)
			for i, c := range crashCases {
				if i > 0 && os.Getenv("KILLS") == "" {
					break
				}
				n := countStatements(t, server, c)
				for _, at := range killPoints(n, 1) {
					t.Run(fmt.Sprintf("%s %d of %d", c.of(f).name, at, n), func(t *testing.T) {
						s, r := cutSite(t, server)
						x := s.try(t, c)
						k := &counter{at: at, do: func() { server.Kill9(t) }, verdict: cutter.Cut}
						r.Judge(k.judge)
						err := x.send(t)
						what, killed := k.acted()
						if !killed && err != nil {
							t.Fatalf("not killed, and yet: %v", err)
						}
						if killed {
							server.StartAgain(t)
							x.root = server.DB(t)
						}
						x.completed(t, x.writers.all...)
						t.Logf("killed at: %s", what)
						s.midflight.Stop()
					})
				}
			}
		})
	}
}

// TestConnectionsAreCutAnywhere cuts the connection of such a statement, or loses its
// answer. The client is told that all is done.
func TestConnectionsAreCutAnywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	t.Parallel() // most of it is waiting
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		t.Parallel()
		for _, c := range crashCases {
			n := countStatements(t, server, c)
			s, r := cutSite(t, server)
			for i, at := range killPoints(n, 2) {
				verdict := []cutter.Verdict{cutter.Cut, cutter.Swallow}[i%2]
				t.Run(fmt.Sprintf("%s %d of %d %s", c.of(server.Flavor).name, at, n, verdict), func(t *testing.T) {
					x := s.try(t, c)
					k := &counter{at: at, do: func() {}, verdict: verdict}
					r.Judge(k.judge)
					defer r.Judge(nil)
					err := x.send(t)
					what, _ := k.acted()
					if err != nil {
						t.Errorf("cut at: %s: the client was told: %v", what, err)
					}
					x.writers.end(t)
					x.judge(t, err == nil)
					t.Logf("cut at: %s", what)
					if t.Failed() {
						twins.History(t, x.root, x.on[0].Schema)
					}
				})
			}
		}
	})
}

// TestMidflightIsFrozenAnywhere stops it at such a statement, which reaches the server, until
// another has taken the migration over; then it wakes up, and finds that nothing is its own
// any more. Its client is told what the other has done.
func TestMidflightIsFrozenAnywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	t.Parallel() // most of it is waiting
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		t.Parallel()
		for _, c := range crashCases {
			n := countStatements(t, server, c)
			for _, at := range killPoints(n, 1) {
				t.Run(fmt.Sprintf("%s %d of %d", c.of(server.Flavor).name, at, n), func(t *testing.T) {
					s, r := cutSite(t, server)
					second := testmidflight.Start(t, server)
					x := s.try(t, c)
					frozen := make(chan struct{})
					k := &counter{at: at, do: func() { s.midflight.Freeze(); close(frozen) }}
					defer s.midflight.Thaw()
					r.Judge(k.judge)
					answer := make(chan error, 1)
					go func() { answer <- x.send(t) }()
					var err error
					select {
					case err = <-answer: // it was done in fewer statements
						t.Logf("not frozen: %v", err)
					case <-frozen:
						x.takenOver(t)
						s.midflight.Thaw()
						err = <-answer
					}
					if err != nil {
						t.Errorf("the client was told: %v", err)
					}
					x.completed(t)
					what, _ := k.acted()
					t.Logf("frozen at: %s", what)
					second.Stop()
				})
			}
		}
	})
}

// TestMidflightWakesUpBeforeItsShadow stops it just before it makes the shadow table, until
// another has made one: that is not taken for what is left of an earlier migration, nor
// touched otherwise.
func TestMidflightWakesUpBeforeItsShadow(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	t.Parallel() // most of it is waiting
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		t.Parallel()
		for _, c := range []struct {
			cutCase
			at string
		}{
			{crashCases[1], "SELECT /* midflight */ @@GLOBAL.datadir"},
			{crashCases[0], "INSERT /* midflight */ INTO midflight.tables"}, // schemas are made next
		} {
			if server.Flavor == testmysql.MariaDB && c.of(server.Flavor).name == "loaded" {
				continue // none are made there
			}
			t.Run(c.of(server.Flavor).name, func(t *testing.T) {
				s, r := cutSite(t, server)
				second := testmidflight.Start(t, server)
				x := s.try(t, c.cutCase)
				frozen := make(chan struct{})
				var once sync.Once
				defer s.midflight.Thaw()
				r.Judge(func(cmd cutter.Command) cutter.Verdict {
					if strings.HasPrefix(cmd.Text, c.at) {
						once.Do(func() { s.midflight.Freeze(); close(frozen) })
					}
					return cutter.Pass
				})
				answer := make(chan error, 1)
				user := x.session(t, x.on[0].Schema, "SET @midflight_strategy = 'copy'", "SET @midflight_cutover = 'manual'")
				go func() { _, err := user.ExecContext(context.Background(), x.alter); answer <- err }()
				<-frozen
				awaitPhase(t, x.root, x.on[0].Schema, "ready")
				s.midflight.Thaw()
				await(t, "it finds that nothing is its own", func() bool { return strings.Contains(s.midflight.Log(), ": left in phase preparing") })
				mustExec(t, session(t, server.Addr, ""), "CALL midflight.cutover("+twins.List(t, x.root, "SELECT id FROM midflight.migrations WHERE schema_name = ?", x.on[0].Schema)[0]+")")
				if err := <-answer; err != nil {
					t.Errorf("the client was told: %v", err)
				}
				x.completed(t)
				second.Stop()
			})
		}
	})
}

// TestMidflightIsFrozenInATransaction stops it while it has the migration's own record locked:
// that holds nobody up for longer than the lease does.
func TestMidflightIsFrozenInATransaction(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	t.Parallel() // most of it is waiting
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		t.Parallel()
		s, r := cutSite(t, server)
		second := testmidflight.Start(t, server)
		x := s.try(t, crashCases[1])
		frozen := make(chan struct{})
		var once sync.Once
		defer s.midflight.Thaw()
		r.Judge(func(cmd cutter.Command) cutter.Verdict {
			if strings.HasPrefix(cmd.Text, "INSERT /* midflight */ INTO midflight.checkpoints") {
				once.Do(func() { s.midflight.Freeze(); close(frozen) })
			}
			return cutter.Pass
		})
		answer := make(chan error, 1)
		go func() { answer <- x.send(t) }()
		<-frozen
		x.takenOver(t)
		s.midflight.Thaw()
		if err := <-answer; err != nil {
			t.Errorf("the client was told: %v", err)
		}
		x.completed(t)
		second.Stop()
	})
}

// takenOver waits until another Midflight has taken the migration over: the second, or that
// of a test beside this one. What had ended already nobody takes over.
func (x *trial) takenOver(t *testing.T) {
	t.Helper()
	began := time.Now()
	await(t, "the takeover", func() bool {
		return len(twins.List(t, x.root, "SELECT id FROM midflight.migrations WHERE schema_name = ? AND (owner <> client_at OR phase = 'completed')", x.on[0].Schema)) > 0
	})
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it was taken over after %s", took)
	}
}

// TestMidflightIsKilledInPlace ends it by kill -9 when it sends a change that needs no copy,
// before or after the server gets it. The next one tells by the definition whether it was
// made; where that doesn't show it is not made again, since it would take what was written
// meanwhile.
func TestMidflightIsKilledInPlace(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Midflight often")
	}
	t.Parallel() // most of it is waiting
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		t.Parallel()
		for _, c := range []struct {
			change  string
			verdict cutter.Verdict // Pass: the server gets it
			phase   string
		}{
			{"ADD COLUMN x INT", cutter.Pass, "completed"},
			{"ADD COLUMN x INT", cutter.Cut, "completed"},
			{"DROP COLUMN b, ADD COLUMN b INT", cutter.Pass, "failed"},
			{"DROP COLUMN b, ADD COLUMN b INT", cutter.Cut, "failed"},
		} {
			t.Run(c.change+" "+c.verdict.String(), func(t *testing.T) {
				s, r := cutSite(t, server)
				on := s.twins(t, "t")
				direct := session(t, server.Addr, on[0].Schema, "CREATE TABLE t (id INT PRIMARY KEY, b INT)", "INSERT INTO t VALUES (1, 1)")
				killed := make(chan struct{})
				var once sync.Once
				r.Judge(func(cmd cutter.Command) (v cutter.Verdict) {
					if strings.Contains(cmd.Text, "ALGORITHM=INSTANT") && strings.Contains(cmd.Text, on[0].Schema) {
						once.Do(func() { s.midflight.Kill9(); close(killed); v = c.verdict })
					}
					return v
				})
				if _, err := s.session(t, on[0].Schema).ExecContext(t.Context(), "ALTER TABLE t "+c.change); err == nil {
					t.Error("the client was told that it is done")
				}
				<-killed
				await(t, "the server's end of it", func() bool {
					return len(twins.List(t, s.root, "SELECT id FROM information_schema.processlist WHERE info LIKE '%ALGORITHM=INSTANT%' AND id <> CONNECTION_ID()")) == 0
				})
				made := c.verdict == cutter.Pass && c.phase == "failed"
				if made {
					await(t, "the change", func() bool { return twins.List(t, direct, "SELECT COUNT(*) FROM t WHERE b IS NULL")[0] == "1" })
				}
				mustExec(t, direct, "UPDATE t SET b = 5")
				s.midflight = testmidflight.Start(t, server)
				awaitPhase(t, s.root, on[0].Schema, c.phase)
				if got := twins.List(t, direct, "SELECT b FROM t"); got[0] != "5" {
					t.Errorf("b is %s", got)
				}
				if columns := twins.List(t, s.root, "SELECT column_name FROM information_schema.columns WHERE table_schema = ? AND table_name = 't' ORDER BY 1", on[0].Schema); c.phase == "completed" && len(columns) != 3 {
					t.Errorf("the columns are %q", columns)
				}
				twins.NothingLeft(t, s.root, on[0], false)
				s.midflight.Stop()
			})
		}
	})
}

// completed waits until somebody has completed the migration, and judges it; lost are the
// writers whose connections are.
func (x *trial) completed(t *testing.T, lost ...*writer) {
	t.Helper()
	began := time.Now()
	ended := func(q string) string {
		return strings.Join(twins.List(t, x.root, q+" FROM midflight.migrations WHERE schema_name = ?", x.on[0].Schema), " ")
	}
	await(t, "somebody takes it over", func() bool {
		return ended("SELECT owner") == "" || ended("SELECT phase") == "completed" || len(twins.List(t, x.root, "SELECT m.id FROM midflight.migrations m WHERE m.schema_name = ? AND IS_USED_LOCK(CONCAT('midflight.owner.', owner)) IS NOT NULL", x.on[0].Schema)) > 0
	})
	took := time.Since(began)
	if took > 10*time.Second {
		t.Errorf("it was taken over after %s", took)
	}
	await(t, "the end", func() bool {
		phase := ended("SELECT phase")
		return phase == "" || phase == "completed" || phase == "failed" || phase == "canceled"
	})
	phase := ended("SELECT phase")
	if phase != "completed" && phase != "" { // "": it was not recorded yet
		t.Errorf("it is %s: %s", phase, ended("SELECT COALESCE(error, '')"))
	}
	x.writers.endBut(t, lost...)
	x.judge(t, phase == "completed")
	t.Logf("taken over in %s, %s in %s", took.Round(time.Millisecond), phase, time.Since(began).Round(time.Millisecond))
	if t.Failed() {
		twins.History(t, x.root, x.on[0].Schema)
	}
}

// countStatements of a migration to which nothing happens, once for all tests.
func countStatements(t *testing.T, server *testmysql.Server, c cutCase) int {
	t.Helper()
	counts.Lock()
	defer counts.Unlock()
	of := string(server.Flavor) + " " + c.of(server.Flavor).name
	if counts.of[of] == 0 {
		s, r := cutSite(t, server)
		x := s.try(t, c)
		k := &counter{}
		r.Judge(k.judge)
		if err := x.send(t); err != nil {
			t.Fatal(err)
		}
		r.Judge(nil)
		x.writers.end(t)
		x.judge(t, true)
		s.midflight.Stop()
		counts.of[of] = k.counted()
	}
	return counts.of[of]
}

var counts = struct {
	sync.Mutex
	of map[string]int
}{of: map[string]int{}}
