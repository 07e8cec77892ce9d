package hardcases

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/mysqld"
	"midflight/schema"
)

// A hardCase is one way to go wrong. Its name begins with the case's number.
type hardCase struct {
	name  string
	only  testmysql.Flavor // "": both
	alone bool             // what it does disturbs every migration of the server
	run   func(s *scene)
}

// Cases that run at a time on one server: they wait more than they work, since
// Midflight hears the operator's word once in a second.
const atATime = 5

// A site is a server with a Midflight in front of it.
type site struct {
	flavor    testmysql.Flavor
	server    *testmysql.Server
	midflight *testmidflight.Midflight
	root      *sql.DB
}

// eachSite runs f for every flavor.
func eachSite(t *testing.T, f func(t *testing.T, s *site)) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		t.Parallel() // two servers wait better than one
		s := &site{server.Flavor, server, testmidflight.Start(t, server), server.DB(t)}
		s.fillNumbers(t)
		f(t, s)
	})
}

// fillNumbers makes hardcases.n, which has the numbers from 1 to 4000.
func (s *site) fillNumbers(t *testing.T) {
	var values []string
	for i := range 4000 {
		values = append(values, fmt.Sprintf("(%d)", i+1))
	}
	s.server.Exec(t, "CREATE DATABASE IF NOT EXISTS hardcases", "CREATE TABLE IF NOT EXISTS hardcases.n (n INT NOT NULL PRIMARY KEY)",
		"REPLACE INTO hardcases.n VALUES "+strings.Join(values, ","))
}

// TestHardCases: each case ends as the server's own ALTER would, or with a
// refusal that leaves the table alone.
func TestHardCases(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		gate := make(chan struct{}, atATime)
		for _, c := range cases {
			if c.only != "" && c.only != s.flavor {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				if !c.alone { // those that are alone run before all that are parallel
					t.Parallel()
					gate <- struct{}{}
					t.Cleanup(func() { <-gate })
				}
				c.run(newScene(t, s))
			})
		}
	})
}

// A scene is one case on one server: a table t, and its twin in another schema.
type scene struct {
	*site
	t      *testing.T
	on     [2]schema.Name
	direct [2]*sql.Conn // sessions with the server itself, each in its table's schema
	heard  map[*sql.Conn]*recorder

	nativeConn *sql.Conn // which altered the twin
}

func newScene(t *testing.T, on *site) *scene {
	s := &scene{site: on, t: t, heard: map[*sql.Conn]*recorder{}}
	for i := range s.on {
		s.on[i] = schema.Name{Schema: on.server.NewDatabase(t), Table: "t"}
		s.direct[i] = s.around(s.on[i].Schema)
	}
	t.Cleanup(func() {
		if t.Failed() || testing.Verbose() {
			twins.History(t, s.root, s.on[0].Schema)
		}
	})
	return s
}

// around is a session with the server itself, through one through Midflight.
// Several statements may be sent at once.
func (s *scene) around(db string) *sql.Conn  { return s.session(s.server.Addr, db) }
func (s *scene) through(db string) *sql.Conn { return s.session(s.midflight.Addr, db) }

func (s *scene) session(addr, db string) *sql.Conn { return s.sessionOf("root", addr, db) }

func (s *scene) sessionOf(user, addr, db string) *sql.Conn {
	s.t.Helper()
	config, err := driver.ParseDSN(user + "@tcp(" + addr + ")/" + db + "?multiStatements=true&maxAllowedPacket=0")
	if err != nil {
		s.t.Fatal(err)
	}
	heard := &recorder{}
	config.DialFunc = heard.dial
	connector, err := driver.NewConnector(config)
	if err != nil {
		s.t.Fatal(err)
	}
	pool := sql.OpenDB(connector)
	s.t.Cleanup(func() { pool.Close() })
	conn, err := pool.Conn(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	s.heard[conn] = heard
	return conn
}

// leave ends a session for good.
func (s *scene) leave(conn *sql.Conn) { s.heard[conn].Close() }

// say puts in what differs between the servers, and between the schemas.
func (s *scene) say(text, db string) string {
	ci := "utf8mb4_0900_ai_ci"
	if s.flavor == testmysql.MariaDB {
		ci = "utf8mb4_unicode_ci"
	}
	return strings.NewReplacer("{ci}", ci, "{db}", db, "{n}", "hardcases.n").Replace(text)
}

func (s *scene) exec(conn *sql.Conn, text string) {
	s.t.Helper()
	text = s.say(text, s.on[0].Schema)
	if _, err := conn.ExecContext(context.Background(), text); err != nil {
		s.t.Fatalf("%.500s: %v", text, err)
	}
}

// both runs statements on the table and on its twin, at the same time of the
// clock.
func (s *scene) both(text string) {
	s.t.Helper()
	if text == "" {
		return
	}
	for i, conn := range s.direct {
		q := "SET timestamp = 1700000000.123456; " + s.say(text, s.on[i].Schema)
		if _, err := conn.ExecContext(context.Background(), q); err != nil {
			s.t.Fatalf("%.500s: %v", q, err)
		}
	}
}

// list is a query's first column, by a session with the server.
func (s *scene) list(query string, args ...any) []string {
	s.t.Helper()
	return twins.List(s.t, s.root, query, args...)
}

// value is the one value of a query in the table's schema.
func (s *scene) value(query string) string {
	s.t.Helper()
	all := twins.List(s.t, s.direct[0], s.say(query, s.on[0].Schema))
	if len(all) != 1 {
		s.t.Fatalf("%s: %d rows", query, len(all))
	}
	return all[0]
}

// image is the definition and the rows of the table (0) or its twin (1).
func (s *scene) image(i int) []string { return twins.Image(s.t, s.root, s.flavor, s.on[i]) }

// native has the server alter the twin.
func (s *scene) native(session, alter string) error {
	conn := s.around(s.on[1].Schema)
	s.nativeConn = conn
	s.exec(conn, "DO 0; "+session)
	_, err := conn.ExecContext(context.Background(), s.say(alter, s.on[1].Schema))
	return err
}

// same checks that the table is what its twin is.
func (s *scene) same(leaveOut string) {
	s.t.Helper()
	got, next := twins.Definition(s.t, s.root, s.on[0])
	want, least := twins.Definition(s.t, s.root, s.on[1])
	if got != want {
		s.t.Errorf("the definition is\n%s\nthe server makes\n%s", got, want)
	}
	if next < least {
		s.t.Errorf("AUTO_INCREMENT is %d, the server's %d", next, least)
	}
	twins.SameContents(s.t, twins.Contents(s.t, s.root, s.flavor, s.on[0], leaveOut), twins.Contents(s.t, s.root, s.flavor, s.on[1], leaveOut))
}

// untouched checks that the table is as it was.
func (s *scene) untouched(before []string) {
	s.t.Helper()
	if after := s.image(0); !slices.Equal(before, after) {
		s.t.Errorf("the table was\n%.3000s\nand is\n%.3000s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	s.nothingLeft(false)
}

// nothingLeft checks that nothing of ours stays, but an old table.
func (s *scene) nothingLeft(swapped bool) {
	s.t.Helper()
	others := s.list("SELECT table_name FROM information_schema.tables WHERE table_schema = ?", s.on[1].Schema)
	others = slices.DeleteFunc(others, func(n string) bool { return n == "t" })
	twins.NothingLeft(s.t, s.root, s.on[0], swapped, others...)
}

// await asks again and again, since the server tells nobody.
func (s *scene) await(what string, done func() bool) {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(40 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("still waiting for %s", what)
		}
	}
}

func isError(err error, number uint16) bool { return mysqld.Number(err) == number }

func (s *scene) sameError(ours, native error, loose bool) {
	s.t.Helper()
	twins.SameError(s.t, ours, native, s.on, loose)
}

// name is the case's.
func (s *scene) name() string { return s.t.Name()[strings.LastIndex(s.t.Name(), "/")+1:] }

// asked is a query's first column in the schema of the table (0) or of its twin.
func (s *scene) asked(i int, query string) []string {
	s.t.Helper()
	return twins.List(s.t, s.direct[i], s.say(query, s.on[i].Schema))
}
