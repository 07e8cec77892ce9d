package oracle

import (
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/mysqld"
	"midflight/schema"
)

// two cases run at a time on one server and one Midflight.
const atATime = 2

// A site is a server with a Midflight in front of it.
type site struct {
	flavor    testmysql.Flavor
	server    *testmysql.Server
	midflight *testmidflight.Midflight
	root      *sql.DB
	gate      chan struct{}
}

// eachSite runs f for every flavor; subtests of it may be parallel.
func eachSite(t *testing.T, f func(t *testing.T, s *site)) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		f(t, &site{server.Flavor, server, testmidflight.Start(t, server), server.DB(t), make(chan struct{}, atATime)})
	})
}

// enter waits for the test's turn.
func (s *site) enter(t *testing.T) {
	t.Parallel()
	s.gate <- struct{}{}
	t.Cleanup(func() { <-s.gate })
}

// pool opens connections on which an UPDATE counts the rows that it finds, not
// those that it changes.
func pool(t *testing.T, addr, db string) *sql.DB {
	t.Helper()
	p, err := sql.Open("mysql", "root@tcp("+addr+")/"+db+"?clientFoundRows=true&maxAllowedPacket=0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// session is one connection through Midflight.
func (s *site) session(t *testing.T, db string, settings ...string) *sql.Conn {
	t.Helper()
	return session(t, s.midflight.Addr, db, settings...)
}

func session(t *testing.T, addr, db string, settings ...string) *sql.Conn {
	t.Helper()
	conn, err := pool(t, addr, db).Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for _, q := range settings {
		if _, err := conn.ExecContext(context.Background(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	return conn
}

// twins are the schemas of a table and its twin, of the same name.
func (s *site) twins(t *testing.T, table string) [2]schema.Name {
	t.Helper()
	return [2]schema.Name{{Schema: s.server.NewDatabase(t), Table: table}, {Schema: s.server.NewDatabase(t), Table: table}}
}

// A change is one case: a statement, a table and what to know about them.
type change struct {
	of      func(testmysql.Flavor) table
	alter   string // what follows ALTER TABLE t, or a statement in which {t} is the table
	path    string // taken by Midflight, "MySQL's MariaDB's" where they differ; copy is asked for, others come by themselves
	avoid   string // columns that the writers must not name
	only    testmysql.Flavor
	values  map[string]values
	lenient bool   // the ALTER is sent in the writers' sql_mode
	mode    string // sql_mode of the writers; "": the server's
	now     string // columns that get the time of the ALTER
	loose   bool   // the writers' key is no key afterwards
}

func (c change) statement(t table) string {
	name := mysqld.QuoteName(t.name)
	if strings.Contains(c.alter, "{t}") {
		return strings.ReplaceAll(c.alter, "{t}", name)
	}
	return "ALTER TABLE " + name + " " + c.alter
}

// TestServersOwnAlter: whatever is written meanwhile, through Midflight and
// around it, the table becomes what the server's own ALTER makes of its twin.
func TestServersOwnAlter(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		for i, c := range changes {
			if c.only != "" && c.only != s.flavor {
				continue
			}
			t.Run(fmt.Sprintf("%02d %s", i, title(c, s.flavor)), func(t *testing.T) {
				s.enter(t)
				s.check(t, c)
			})
		}
	})
}

func title(c change, f testmysql.Flavor) string {
	s := c.of(f).name + " " + c.alter
	return strings.ToValidUTF8(s[:min(len(s), 60)], "")
}

func (s *site) check(t *testing.T, c change) {
	tb := c.of(s.flavor)
	for name, v := range c.values {
		tb = tb.with(name, v)
	}
	tb = tb.without(c.avoid)
	on := s.twins(t, tb.name)
	h := fnv.New64()
	fmt.Fprint(h, c.alter, tb.name)
	seed := h.Sum64()

	setting := "SET @nothing = 1"
	switch {
	case c.mode != "":
		setting = "SET SESSION sql_mode = '" + c.mode + "'"
	case tb.name == "by_moment": // a writer may come by the row of the zero moment
		setting = "SET SESSION sql_mode = 'STRICT_TRANS_TABLES'"
	}
	direct := session(t, s.server.Addr, on[0].Schema)
	for _, n := range on {
		mustExec(t, direct, "USE "+mysqld.QuoteName(n.Schema))
		mustExec(t, direct, tb.create())
		for _, e := range tb.extras {
			mustExec(t, direct, e)
		}
	}
	k := &keys{}
	full := c.of(s.flavor)
	for name, v := range c.values {
		full = full.with(name, v)
	}
	rows := full.fill(t, direct, on, k, rand.New(rand.NewPCG(seed, 2)))

	half := len(rows) / 2
	through := newWriter(t, tb, on, pool(t, s.midflight.Addr, on[0].Schema), k, slices.Clone(rows[:half]), seed)
	around := newWriter(t, tb, on, pool(t, s.server.Addr, on[0].Schema), k, slices.Clone(rows[half:]), seed+1)
	for _, w := range []*writer{through, around} {
		mustExec(t, w.conn, setting)
		w.mayDeadlock, w.noReplace = w.mayDeadlock || c.loose, c.loose
	}
	writers := startWriters(through, around)
	writers.awaitMore(t, 5)

	path := strings.Fields(c.path)
	want := path[0]
	if s.flavor == testmysql.MariaDB {
		want = path[len(path)-1]
	}
	user := s.session(t, on[0].Schema)
	if want == "copy" {
		mustExec(t, user, "SET @midflight_strategy = 'copy'")
	}
	if c.lenient {
		mustExec(t, user, setting)
		mustExec(t, direct, setting)
	}
	statement := c.statement(tb)
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), longEnough)
	_, err := user.ExecContext(ctx, statement)
	cancel()
	took := time.Since(began)
	if err != nil {
		t.Errorf("%s: %v", statement, err)
	}
	writers.awaitMore(t, 10)
	writers.end(t)
	t.Logf("%v, %d transactions through Midflight, %d around it, %d deadlocks", took.Round(time.Millisecond), through.done.Load(), around.done.Load(), through.deadlocks+around.deadlocks)
	if t.Failed() {
		twins.History(t, s.root, on[0].Schema)
		return
	}

	mustExec(t, direct, "USE "+mysqld.QuoteName(on[1].Schema))
	mustExec(t, direct, "SET timestamp = DEFAULT")
	mustExec(t, direct, statement)
	got, next := twins.Definition(t, s.root, on[0])
	expected, least := twins.Definition(t, s.root, on[1])
	if got != expected {
		t.Errorf("the definition is\n%s\nthe server makes\n%s", got, expected)
	}
	if next < least {
		t.Errorf("AUTO_INCREMENT is %d, the server's %d", next, least)
	}
	twins.SameContents(t, twins.Contents(t, s.root, s.flavor, on[0], c.now), twins.Contents(t, s.root, s.flavor, on[1], c.now))
	s.sameTriggers(t, on)
	if s.flavor == onlyMySQL { // what is added and dropped again uses up no row version
		versions := func(n schema.Name) []string {
			return twins.List(t, s.root, "SELECT total_row_versions FROM information_schema.innodb_tables WHERE name = ?", n.Schema+"/"+n.Table)
		}
		if got, expected := versions(on[0]), versions(on[1]); !slices.Equal(got, expected) && !slices.Equal(got, []string{"0"}) {
			t.Errorf("row versions %q, the server's own ALTER has %q", got, expected)
		}
	}
	if c.now != "" {
		for _, n := range twins.List(t, s.root, fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE %s IS NULL", on[0].Quoted(), mysqld.QuoteName(c.now))) {
			if n != "0" {
				t.Errorf("%s rows have no %s", n, c.now)
			}
		}
	}
	paths := twins.List(t, s.root, "SELECT CONCAT(strategy, ' ', phase) FROM midflight.migrations WHERE schema_name = ?", on[0].Schema)
	if taken := want + " completed"; want == "direct" && len(paths) != 0 || want != "direct" && !slices.Equal(paths, []string{taken}) {
		t.Errorf("the path taken is %q, want %q", paths, taken)
	}
	var others []string
	if len(tb.extras) > 0 && tb.name == "watched" {
		others = []string{"audit"}
	}
	twins.NothingLeft(t, s.root, on[0], want == "copy", others...)
}

// longEnough for an ALTER of a small table on a busy machine.
const longEnough = 40 * time.Second

func mustExec(t *testing.T, conn *sql.Conn, q string) {
	t.Helper()
	if _, err := conn.ExecContext(context.Background(), q); err != nil {
		t.Fatalf("%.500s: %v", q, err)
	}
}
