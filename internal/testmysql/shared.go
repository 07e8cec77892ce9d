package testmysql

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"midflight/internal/localserver"
)

// shared holds one start per flavor. Nobody stops these servers: they end with
// the process, and the next server that is started removes their folders.
var shared = map[Flavor]func() (*localserver.Server, error){
	MySQL:   startOnce(MySQL),
	MariaDB: startOnce(MariaDB),
}

func startOnce(f Flavor) func() (*localserver.Server, error) {
	return sync.OnceValues(func() (*localserver.Server, error) {
		return localserver.Start(context.Background(), f)
	})
}

// Shared returns the server that all tests of this process share. Don't stop
// it, and don't leave its settings changed.
func Shared(t testing.TB, f Flavor) *Server {
	t.Helper()
	s, err := shared[f]()
	if err != nil {
		fatalOrSkip(t, err)
	}
	return &Server{s}
}

// Each runs a test on the shared server of each flavor.
func Each(t *testing.T, fn func(t *testing.T, s *Server)) {
	for _, f := range localserver.Flavors {
		t.Run(string(f), func(t *testing.T) { fn(t, Shared(t, f)) })
	}
}

var (
	databases    atomic.Int64
	notForAName  = regexp.MustCompile(`[^a-z0-9]+`)
	longestTitle = 40 // of the 64 characters that a name may have
)

// NewDatabase creates a database for the test, and drops it when the test ends.
// Its name tells in the server's logs whose it was.
func (s *Server) NewDatabase(t testing.TB) string {
	t.Helper()
	title := notForAName.ReplaceAllString(strings.ToLower(t.Name()), "_")
	name := fmt.Sprintf("%s_%d", title[:min(len(title), longestTitle)], databases.Add(1))
	s.Exec(t, "CREATE DATABASE "+name)
	t.Cleanup(func() {
		// A transaction that the test has left open would hold this up for a year.
		s.Exec(t, "SET SESSION lock_wait_timeout = 20", "DROP DATABASE "+name)
	})
	return name
}
