package oracle

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"midflight/internal/cutter"
	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/mysqld"
	"midflight/schema"
)

// cutSite is a site with a relay between Midflight and the server.
func cutSite(t *testing.T, server *testmysql.Server) (*site, *cutter.Relay) {
	r := cutter.Start(t, server.Addr)
	return &site{flavor: server.Flavor, server: server, root: server.DB(t),
		midflight: testmidflight.Start(t, server, "--server", r.Addr, "--cutover-pause", "10ms")}, r
}

// small is a table that is altered in no time.
func small(f testmysql.Flavor) table {
	t := orders(f)
	t.name, t.rows = "small", 60
	return t
}

// loaded is one with triggers, CHECK constraints and, for the ALTER below, an index
// of ours on the shadow. Its triggers write nothing into the table itself: the server
// gives the lock up with the session that has it, and then the table is without
// triggers for a moment.
func loaded(f testmysql.Flavor) table {
	t := twoKeys(f)
	t.name, t.rows = "loaded", 60
	t.keys = "PRIMARY KEY (id), KEY by_code (code), CONSTRAINT mine CHECK (id > -7)"
	t.extras = []string{
		"CREATE TABLE audit (what VARCHAR(20), id BIGINT, at TIMESTAMP(6))",
		"CREATE TRIGGER one AFTER INSERT ON loaded FOR EACH ROW INSERT INTO audit VALUES ('insert', NEW.id, NOW(6))",
		"CREATE TRIGGER two AFTER DELETE ON loaded FOR EACH ROW INSERT INTO audit VALUES ('delete', OLD.id, NOW(6))",
	}
	return t
}

// A cutCase is a table and an ALTER in whose swap something is cut.
type cutCase struct {
	of    func(testmysql.Flavor) table
	alter string
	usual []cutter.Verdict // what is tried if CUTS=all doesn't ask for more
}

var cutCases = []cutCase{
	{small, "ADD COLUMN x INT NOT NULL DEFAULT 3", []cutter.Verdict{cutter.Lose, cutter.Swallow}},
	{loaded, "DROP PRIMARY KEY, ADD PRIMARY KEY (code)", []cutter.Verdict{cutter.Lose}},
}

// A trial is one table, its twin, and their writers.
type trial struct {
	*site
	table   table
	on      [2]schema.Name
	alter   string
	writers *writers
}

func (s *site) try(t *testing.T, c cutCase) *trial {
	t.Helper()
	tb := c.of(s.flavor)
	x := &trial{site: s, table: tb, on: s.twins(t, tb.name), alter: "ALTER TABLE " + mysqld.QuoteName(tb.name) + " " + c.alter}
	direct := session(t, s.server.Addr, x.on[0].Schema)
	for _, n := range x.on {
		mustExec(t, direct, "USE "+mysqld.QuoteName(n.Schema))
		for _, q := range append([]string{tb.create()}, tb.extras...) {
			mustExec(t, direct, q)
		}
	}
	k, random := &keys{}, rand.New(rand.NewPCG(1, 2))
	rows := tb.fill(t, direct, x.on, k, random)
	half := len(rows) / 2
	x.writers = startWriters(
		newWriter(t, tb, x.on, pool(t, s.midflight.Addr, x.on[0].Schema), k, slices.Clone(rows[:half]), 1),
		newWriter(t, tb, x.on, pool(t, s.server.Addr, x.on[0].Schema), k, slices.Clone(rows[half:]), 2))
	return x
}

// send has Midflight alter the table.
func (x *trial) send(t *testing.T) error {
	t.Helper()
	user := x.session(t, x.on[0].Schema, "SET @midflight_strategy = 'copy'")
	defer user.Close()
	ctx, cancel := context.WithTimeout(context.Background(), longEnough)
	defer cancel()
	_, err := user.ExecContext(ctx, x.alter)
	return err
}

// judge compares the table with its twin, on which the server runs the ALTER if it
// has been done, and looks for what is left.
func (x *trial) judge(t *testing.T, done bool, others ...string) {
	t.Helper()
	if done {
		direct := session(t, x.server.Addr, x.on[1].Schema)
		mustExec(t, direct, x.alter)
		direct.Close()
	}
	got, _ := twins.Definition(t, x.root, x.on[0])
	want, _ := twins.Definition(t, x.root, x.on[1])
	if got != want {
		t.Errorf("done %v: the definition is\n%s\ninstead of\n%s", done, got, want)
	}
	twins.SameContents(t, twins.Contents(t, x.root, x.flavor, x.on[0], ""), twins.Contents(t, x.root, x.flavor, x.on[1], ""))
	if len(x.table.extras) > 0 {
		others = append(others, "audit")
		triggers := func(n schema.Name) string {
			return strings.Join(twins.List(t, x.root, `SELECT CONCAT_WS('|', trigger_name, event_manipulation, action_timing, action_order, action_statement, definer, sql_mode, character_set_client, collation_connection, database_collation)
FROM information_schema.triggers WHERE event_object_schema = ? AND event_object_table = ? ORDER BY 1`, n.Schema, n.Table), "\n")
		}
		if got, want := triggers(x.on[0]), triggers(x.on[1]); got != want {
			t.Errorf("done %v: the triggers are\n%s\ninstead of\n%s", done, got, want)
		}
		// None fired twice, or for what we have copied.
		more := "SELECT CONCAT_WS(' ', what, id, at, COUNT(*)) FROM (SELECT what, id, at, 1 AS n FROM %s UNION ALL SELECT what, id, at, -1 FROM %s) a GROUP BY what, id, at HAVING SUM(n) > 0"
		if twice := twins.List(t, x.root, fmt.Sprintf(more, x.on[0].With("audit").Quoted(), x.on[1].With("audit").Quoted())); len(twice) > 0 {
			t.Errorf("fired too often: %q", twice)
		}
	}
	twins.NothingLeft(t, x.root, x.on[0], done, others...)
	if left := twins.List(t, x.root, "SELECT CONCAT_WS(' ', migration_id, position) FROM midflight.triggers JOIN midflight.migrations ON id = migration_id WHERE schema_name = ?", x.on[0].Schema); len(left) > 0 {
		t.Errorf("triggers left in the store: %q", left)
	}
}

// ofTheSwap tells a session that has the tables locked, or renames them, by its first
// statement: MySQL needs one, MariaDB two.
func ofTheSwap(text string) bool {
	return strings.HasPrefix(text, "LOCK /* midflight m") || strings.Contains(text, "FOR RENAME /* midflight m")
}

// A sweep cuts at each packet of the swap: each attempt one packet later than the one
// before, until an attempt goes through uncut.
type sweep struct {
	verdict cutter.Verdict
	all     bool   // of our own packets, not only of the swap's sessions
	every   int    // packets later is the next cut
	step    string // where it begins to count; "": at the first

	mu       sync.Mutex // guards what follows
	on       bool
	n        int // to be cut
	count    int // of the attempt
	sessions map[int]bool
	acted    bool
	log      []string
	then     func()
}

// ours is in each statement of Midflight's own.
var ours = regexp.MustCompile(`/\* midflight (m\d+[a-z ]*)?\*/`)

// judge is asked by the relay.
func (s *sweep) judge(c cutter.Command) cutter.Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.on {
		return cutter.Pass
	}
	if strings.HasPrefix(c.Text, "LOCK /* midflight m") { // a new attempt
		s.count, s.sessions, s.acted = 0, map[int]bool{}, false
	}
	if s.sessions == nil {
		return cutter.Pass
	}
	if ofTheSwap(c.Text) {
		s.sessions[c.Session] = true
	}
	if !s.sessions[c.Session] && !(s.all && ours.MatchString(c.Text)) {
		return cutter.Pass
	}
	if s.step != "" && s.count == 0 && !strings.HasPrefix(c.Text, s.step) {
		return cutter.Pass
	}
	s.count++
	if s.acted || s.count <= s.n {
		return cutter.Pass
	}
	s.acted = true
	s.n += max(1, s.every)
	s.log = append(s.log, fmt.Sprintf("%d %s", s.count, strings.Join(strings.Fields(fmt.Sprintf("%.70s", c.Text)), " ")))
	if s.then != nil {
		s.then()
	}
	return s.verdict
}

// begin is called before an ALTER, end after it; it tells whether the last attempt
// was cut.
func (s *sweep) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on, s.sessions, s.acted, s.log = true, nil, false, nil
}

func (s *sweep) end() (acted bool, log []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = false
	return s.acted, s.log
}

// TestSwapIsCut cuts the connections of the swap at every packet, in every way (with
// CUTS=all; of the larger cases a third of the packets, and the worst way, else). None
// of it is a reason for the migration to fail, and nobody is kept waiting by a session
// that the server believes alive.
func TestSwapIsCut(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		t.Parallel()
		s, r := cutSite(t, server)
		for _, c := range cutCases {
			verdicts := []cutter.Verdict{cutter.Cut, cutter.Lose, cutter.Deafen, cutter.Swallow}
			if os.Getenv("CUTS") != "all" {
				verdicts = c.usual
			}
			for _, verdict := range verdicts {
				t.Run(fmt.Sprintf("%s %s", c.of(s.flavor).name, verdict), func(t *testing.T) {
					began := time.Now()
					w := &sweep{verdict: verdict}
					if c.of(s.flavor).name != "small" && os.Getenv("CUTS") != "all" {
						w.every, w.n = 3, rand.IntN(3)
					}
					r.Judge(w.judge)
					defer r.Judge(nil)
					for round, acted := 0, true; acted; round++ {
						x := s.try(t, c)
						w.begin()
						err := x.send(t)
						var log []string
						acted, log = w.end()
						if err != nil {
							t.Errorf("%v", err)
							t.Log(twins.List(t, s.root, "SELECT CONCAT_WS(' ', id, host, time, state, info) FROM information_schema.processlist"))
						}
						t.Logf("%v %v: %d cuts\n%s", time.Since(began).Round(time.Millisecond), err, len(log), strings.Join(log, "\n"))
						x.writers.end(t)
						x.judge(t, err == nil)
						if t.Failed() {
							twins.History(t, s.root, x.on[0].Schema)
							return
						}
					}
				})
			}
		}
	})
}

// TestSwapIsKilledAtAStep ends Midflight by kill -9 in the middle of the swap, before or
// after a statement has reached the server. The next one tells the truth about it. Where
// the server isn't told that nobody is there any more, it finds out in seconds.
func TestSwapIsKilledAtAStep(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Midflight often")
	}
	type kill struct {
		step    string
		n       int
		verdict cutter.Verdict // Pass: it has died when the server gets the statement
	}
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		t.Parallel()
		rename := map[testmysql.Flavor]string{testmysql.MySQL: "RENAME /* midflight m", testmysql.MariaDB: "SET STATEMENT lock_wait_timeout"}[server.Flavor]
		kills := []kill{{rename, 0, cutter.Pass}, {"DROP TRIGGER /* midflight m", 1, cutter.Pass}, {"CREATE DEFINER", 0, cutter.Pass}, {"UNLOCK /*", 0, cutter.Cut}, {"INSERT /* midflight */ INTO midflight.triggers", 0, cutter.Lose}}
		if server.Flavor == testmysql.MariaDB {
			kills = append(kills, kill{"DROP TABLE /* midflight */", 0, cutter.Pass})
		} else {
			kills = append(kills, kill{rename, 0, cutter.Lose})
		}
		if os.Getenv("CUTS") == "all" {
			kills = nil
			for n := range 60 {
				kills = append(kills, kill{"", n, cutter.Pass}, kill{"", n, cutter.Cut})
			}
		}
		for _, k := range kills {
			uncut := false
			t.Run(fmt.Sprintf("%s %d %s", strings.Trim(k.step, " /*m"), k.n, k.verdict), func(t *testing.T) {
				began := time.Now()
				s, r := cutSite(t, server)
				x := s.try(t, cutCases[1])
				w := &sweep{verdict: k.verdict, all: true, step: k.step, n: k.n, then: s.midflight.Kill9}
				r.Judge(w.judge)
				w.begin()
				err := x.send(t)
				acted, log := w.end()
				died := time.Now()
				switch {
				case !acted && k.step == "" && err == nil:
					uncut = true
				case !acted:
					t.Fatalf("not killed: %v", err)
				case err == nil:
					t.Error("the client was told that it is done")
				}
				s.midflight.Stop()
				s.midflight = testmidflight.Start(t, server)
				phase := ""
				await(t, "the end of the orphan", func() bool {
					phase = twins.List(t, s.root, "SELECT phase FROM midflight.migrations WHERE schema_name = ?", x.on[0].Schema)[0]
					return phase == "completed" || phase == "failed"
				})
				ended := time.Now()
				x.writers.endBut(t, x.writers.all[0])
				x.judge(t, phase == "completed")
				t.Logf("%v to its death, %v to the end, %v in all, %s, %q", died.Sub(began).Round(time.Millisecond), ended.Sub(died).Round(time.Millisecond), time.Since(began).Round(time.Millisecond), phase, log)
				if t.Failed() {
					twins.History(t, s.root, x.on[0].Schema)
				}
			})
			if uncut {
				break
			}
		}
	})
}

// TestSwapsQuestionsAreCut cuts each kind of question that is asked for the swap, on
// whatever session: who has locks, what is open, where the binlog is.
func TestSwapsQuestionsAreCut(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		t.Parallel()
		s, r := cutSite(t, server)
		for _, c := range cutCases {
			if c.of(s.flavor).name != "small" && os.Getenv("CUTS") != "all" {
				continue
			}
			for _, verdict := range []cutter.Verdict{cutter.Cut} {
				t.Run(fmt.Sprintf("%s %s", c.of(s.flavor).name, verdict), func(t *testing.T) {
					x := s.try(t, c)
					var mu sync.Mutex
					seen, begun, last := map[string]int{}, false, time.Time{}
					user := 0 // the session that waits
					r.Judge(func(c cutter.Command) cutter.Verdict {
						mu.Lock()
						defer mu.Unlock()
						begun = begun || strings.Contains(c.Text, "phase cutting_over")
						if strings.HasPrefix(c.Text, "SET @midflight_strategy") {
							user = c.Session
						}
						// With the lease the right to swap is lost.
						if !begun || c.Session == user || !asks.MatchString(c.Text) || strings.Contains(c.Text, "_LOCK") {
							return cutter.Pass
						}
						kind, _, _ := strings.Cut(varying.ReplaceAllString(c.Text, ""), "WHERE")
						kind = strings.Join(strings.Fields(kind[:min(len(kind), 100)]), " ")
						if seen[kind] > 0 || time.Since(last) < 20*time.Millisecond {
							return cutter.Pass
						}
						last = time.Now()
						seen[kind]++
						return verdict
					})
					began := time.Now()
					err := x.send(t)
					took := time.Since(began)
					r.Judge(nil)
					x.writers.end(t)
					if err != nil {
						t.Error(err)
					}
					if len(seen) < 5 {
						t.Errorf("only %d were cut", len(seen))
					}
					x.judge(t, err == nil)
					var kinds []string
					for k := range seen {
						kinds = append(kinds, k)
					}
					t.Logf("%v, %d cut:\n%s", took.Round(time.Millisecond), len(seen), strings.Join(kinds, "\n"))
					if t.Failed() {
						twins.History(t, s.root, x.on[0].Schema)
					}
				})
			}
		}
	})
}

var asks = regexp.MustCompile(`^(SELECT|SHOW|KILL) /\* midflight`)

var varying = regexp.MustCompile("`[^`]*`|'[^']*'|[0-9]+")

// TestWatchdogIsCut: a swap whose lock is not granted is taken back in time, also if the
// session that watches over it is lost.
func TestWatchdogIsCut(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Midflight")
	}
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		t.Parallel()
		s, r := cutSite(t, server)
		for _, verdict := range []cutter.Verdict{cutter.Cut, cutter.Lose, cutter.Swallow} {
			t.Run(verdict.String(), func(t *testing.T) {
				x := s.try(t, cutCases[0])
				blocker := session(t, server.Addr, x.on[0].Schema)
				var locked, killed, cut time.Time
				var once sync.Once
				var mu sync.Mutex
				r.Judge(func(c cutter.Command) cutter.Verdict {
					mu.Lock()
					defer mu.Unlock()
					switch {
					case locked.IsZero() && strings.HasPrefix(c.Text, "LOCK /* midflight m"):
						for _, q := range []string{"BEGIN", "SELECT * FROM small LIMIT 1"} {
							if _, err := blocker.ExecContext(context.Background(), q); err != nil {
								t.Error(err)
							}
						}
						locked = time.Now()
					case !locked.IsZero() && cut.IsZero() && watches.MatchString(c.Text):
						cut = time.Now()
						return verdict
					case killed.IsZero() && strings.HasPrefix(c.Text, "KILL /* midflight */ "):
						killed = time.Now()
						once.Do(func() {
							time.AfterFunc(50*time.Millisecond, func() { blocker.ExecContext(context.Background(), "COMMIT") })
						})
					}
					return cutter.Pass
				})
				err := x.send(t)
				r.Judge(nil)
				x.writers.end(t)
				if err != nil {
					t.Error(err)
				}
				if cut.IsZero() || killed.IsZero() || killed.Sub(locked) > time.Second {
					t.Errorf("locked at %v, cut at %v, killed at %v", locked, cut, killed)
				}
				t.Logf("the LOCK was taken back after %v", killed.Sub(locked).Round(time.Millisecond))
				x.judge(t, err == nil)
				if t.Failed() {
					twins.History(t, s.root, x.on[0].Schema)
				}
			})
		}
	})
}

var watches = regexp.MustCompile(`^SELECT /\* midflight \*/ (processlist_)?state FROM`)

// TestServerHangsInTheSwap: for three seconds nothing comes through to the server or back.
// The hold opens by its own clock; what it lets go then waits for the server, and no longer.
func TestServerHangsInTheSwap(t *testing.T) {
	if testing.Short() {
		t.Skip("hangs for a while")
	}
	const hang = 3 * time.Second
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		t.Parallel()
		s, r := cutSite(t, server)
		steps := []string{"LOCK /* midflight m", "RENAME /* midflight m", "UNLOCK /* midflight"}
		if s.flavor == testmysql.MariaDB {
			steps = []string{"SET STATEMENT lock_wait_timeout", "DROP TABLE /* midflight */", "UNLOCK /* midflight"}
		}
		for i, step := range steps {
			t.Run(strings.Trim(step, " /*m"), func(t *testing.T) {
				c := cutCases[i%2]
				x := s.try(t, c)
				name := mysqld.QuoteName(c.of(s.flavor).name)
				other := x.session(t, x.on[0].Schema, "CREATE TABLE other (id INT PRIMARY KEY)")
				same := x.session(t, x.on[0].Schema)
				var mu sync.Mutex
				var begun, ended time.Time
				locked := false
				arrived, answered := map[string]time.Duration{}, map[string]time.Duration{}
				var wait sync.WaitGroup
				r.Judge(func(c cutter.Command) cutter.Verdict {
					mu.Lock()
					defer mu.Unlock()
					locked = locked || strings.HasPrefix(c.Text, "LOCK /* midflight m")
					if begun.IsZero() && locked && strings.HasPrefix(c.Text, step) {
						begun = time.Now()
						r.Hang()
						time.AfterFunc(hang, func() {
							mu.Lock()
							ended = time.Now()
							mu.Unlock()
							r.Resume()
						})
						for conn, q := range map[*sql.Conn]string{same: "SELECT COUNT(*) FROM " + name + " /* probe */", other: "SELECT COUNT(*) FROM other /* probe */"} {
							wait.Go(func() {
								if _, err := conn.ExecContext(context.Background(), q); err != nil {
									t.Errorf("%s: %v", q, err)
								}
								mu.Lock()
								defer mu.Unlock()
								answered[q] = time.Since(ended)
							})
						}
					}
					if strings.HasSuffix(c.Text, "/* probe */") {
						arrived[c.Text] = time.Since(begun)
					}
					return cutter.Pass
				})
				err := x.send(t)
				wait.Wait()
				r.Judge(nil)
				x.writers.end(t)
				if err != nil {
					t.Error(err)
				}
				if len(arrived) != 2 {
					t.Errorf("sent on: %v", arrived)
				}
				for q, d := range arrived {
					if d > hang/2 {
						t.Errorf("%s was held for %v", q, d)
					}
				}
				for q, d := range answered {
					if d > hang/2 {
						t.Errorf("%s was answered %v after the server was back", q, d)
					}
				}
				t.Logf("let go after %v, answered %v after the server was back", arrived, answered)
				x.judge(t, err == nil, "other")
				if t.Failed() {
					twins.History(t, s.root, x.on[0].Schema)
				}
			})
		}
	})
}
