package testmysql

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"midflight/internal/localserver"
)

type Flavor = localserver.Flavor

const (
	MySQL   = localserver.MySQL
	MariaDB = localserver.MariaDB
)

// A Server is a private server. Root has no password, from localhost and from
// 127.0.0.1.
type Server struct {
	*localserver.Server
}

// stopTimeout is how long a server may take to end in order.
const stopTimeout = 60 * time.Second

// Start starts a server for this test alone. It writes a row binlog, and on
// MySQL has GTIDs; args override that. It is removed when the test ends.
func Start(t testing.TB, f Flavor, args ...string) *Server {
	t.Helper()
	s, err := localserver.Start(context.Background(), f, args...)
	if err != nil {
		fatalOrSkip(t, err)
	}
	return ofTest(t, s)[0]
}

// StartCluster starts MariaDB servers for this test alone that are one Galera cluster.
func StartCluster(t testing.TB, nodes int, args ...string) []*Server {
	t.Helper()
	started, err := localserver.StartCluster(context.Background(), nodes, args...)
	if err != nil {
		fatalOrSkip(t, err)
	}
	return ofTest(t, started...)
}

// StartGroup starts MySQL servers for this test alone that are one replication group.
func StartGroup(t testing.TB, members int, multiPrimary bool, args ...string) []*Server {
	t.Helper()
	started, err := localserver.StartGroup(context.Background(), members, multiPrimary, args...)
	if err != nil {
		fatalOrSkip(t, err)
	}
	return ofTest(t, started...)
}

// FoundCluster starts a server that has ended as the first node of a Galera cluster, with the
// same data and address.
func (s *Server) FoundCluster(t testing.TB) {
	t.Helper()
	if err := s.Server.FoundCluster(context.Background()); err != nil {
		fatalOrSkip(t, err)
	}
}

// ofTest removes the servers when the test ends.
func ofTest(t testing.TB, started ...*localserver.Server) (servers []*Server) {
	for _, s := range started {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s's errors:\n%s", s.Flavor, errorsIn(s.ErrorLog()))
			}
			if err := s.Remove(); err != nil {
				t.Errorf("remove the server: %v", err)
			}
		})
		servers = append(servers, &Server{s})
	}
	return servers
}

// errorsIn leaves out of a log what every run says, so that a failed test's own
// words aren't lost in it.
func errorsIn(log string) string {
	var out []string
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "[Note]") && !strings.Contains(line, "[System]") && !strings.Contains(line, "[Warning]") {
			out = append(out, line)
		}
	}
	return strings.Join(out[max(0, len(out)-40):], "")
}

// fatalOrSkip lets a developer without servers run what can be run, and lets
// nobody believe that everything was.
func fatalOrSkip(t testing.TB, err error) {
	t.Helper()
	required := os.Getenv("CI") == "true" || os.Getenv("MIDFLIGHT_REQUIRE_SERVERS") == "1"
	missing := errors.Is(err, localserver.ErrNotFound) || errors.Is(err, localserver.ErrNoGalera)
	if missing && !required {
		t.Skipf("NOT TESTED on a real server: %v", err)
	}
	t.Fatalf("start a server: %v", err)
}

// DB returns a pool of root's connections, closed when the test ends.
func (s *Server) DB(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", s.RootDSN(""))
	if err != nil {
		t.Fatalf("open %s: %v", s.Addr, err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Exec executes statements as root, all on one connection, so that USE and SET
// reach those that follow.
func (s *Server) Exec(t testing.TB, statements ...string) {
	t.Helper()
	db, err := sql.Open("mysql", s.RootDSN(""))
	if err != nil {
		t.Fatalf("open %s: %v", s.Addr, err)
	}
	defer db.Close()
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatalf("connect to %s: %v", s.Addr, err)
	}
	defer conn.Close()
	for _, q := range statements {
		if _, err := conn.ExecContext(context.Background(), q); err != nil {
			t.Fatalf("execute %q: %v", q, err)
		}
	}
}

// Restart stops the server in order and starts it again.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Fatalf("restart: %v", err)
	}
	s.StartAgain(t)
}

// Kill9 ends the server as a crash would.
func (s *Server) Kill9(t testing.TB) {
	t.Helper()
	if err := s.Kill(); err != nil {
		t.Fatalf("kill the server: %v", err)
	}
}

// StartAgain starts a server that has ended, with the same data and address.
func (s *Server) StartAgain(t testing.TB) {
	t.Helper()
	if err := s.Server.StartAgain(context.Background()); err != nil {
		t.Fatalf("start again: %v", err)
	}
}
