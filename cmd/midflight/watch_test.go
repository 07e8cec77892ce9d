package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
)

// A screen may be read while a program writes to it.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// Who watches a migration hears how it ended, also when the server has restarted meanwhile.
func TestWatchOutlivesTheServer(t *testing.T) {
	for _, flavor := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(flavor), func(t *testing.T) {
			s := testmysql.Start(t, flavor)
			s.Exec(t, "CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)")
			m := testmidflight.Start(t, s, "--keep-old", "0")
			if _, err := m.DB(t, "shop").Exec("ALTER TABLE /* midflight: strategy=copy, cutover=manual, async=1 */ t ADD COLUMN a INT"); err != nil {
				t.Fatal(err)
			}
			phase := func() string { return twins.List(t, s.DB(t), "SELECT phase FROM midflight.migrations")[0] }
			until := func(what string, done func() bool) {
				t.Helper()
				for deadline := time.Now().Add(time.Minute); !done(); <-time.After(50 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatalf("waited for %s in vain", what)
					}
				}
			}
			until("ready", func() bool { return phase() == "ready" })
			cmd := midflight(t, nil, "watch", "1", "--server", s.Addr, "--user", "root")
			var out, complaints screen
			cmd.Stdout, cmd.Stderr = &out, &complaints
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			until("its first line", func() bool { return strings.Contains(out.String(), "ready") })
			s.Kill9(t)
			until("its word about the server", func() bool { return strings.Contains(complaints.String(), "the server can't be asked") })
			s.StartAgain(t)
			if _, stderr, status := runs(t, nil, "cutover", "1", "--server", s.Addr, "--user", "root"); status != 0 {
				t.Fatal(stderr)
			}
			if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "completed") {
				t.Errorf("watch ended with %v:\n%s%s", err, out.String(), complaints.String())
			}
			if n := strings.Count(complaints.String(), "\n"); n > 2 {
				t.Errorf("it complained %d times:\n%s", n, complaints.String())
			}
		})
	}
}
