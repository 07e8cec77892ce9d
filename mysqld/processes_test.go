package mysqld

import (
	"context"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmysql"
)

// TestProcessesWithAnyStatement: while somebody executes a statement with an emoji, MySQL
// answers each query of information_schema.processlist with error 3854.
func TestProcessesWithAnyStatement(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		db := s.DB(t)
		ctx, cancel := context.WithCancel(context.Background())
		sleeps := make(chan struct{})
		go func() {
			defer close(sleeps)
			db.ExecContext(ctx, "DO /* 😀 */ SLEEP(1000), '"+strings.Repeat("x", 200)+" end'")
		}()
		defer func() { <-sleeps }()
		defer cancel()
		for until := time.Now().Add(20 * time.Second); ; {
			cut, err := Processes(context.Background(), db)
			if err != nil {
				t.Fatal(err)
			}
			full, err := FullProcesses(context.Background(), db)
			if err != nil {
				t.Fatal(err)
			}
			if sleeping(cut, "DO /*") && sleeping(full, "end'") {
				return
			}
			if time.Now().After(until) {
				t.Fatalf("%+v", full)
			}
		}
	})
}

// TestNoProcessesAreNoAnswer: a MySQL that is told to show the performance schema's, and has
// none, shows nothing.
func TestNoProcessesAreNoAnswer(t *testing.T) {
	s := testmysql.Start(t, testmysql.MySQL, "--performance-schema=OFF", "--performance-schema-show-processlist=ON")
	if all, err := Processes(context.Background(), s.DB(t)); err == nil {
		t.Errorf("%+v", all)
	}
}

func sleeping(all []Process, words string) bool {
	for _, p := range all {
		if strings.Contains(p.Statement, words) && p.ID > 0 && p.User == "root" && p.Command == "Query" && p.State == "User sleep" && (p.Host == "localhost" || p.Host == "127.0.0.1") {
			return true
		}
	}
	return false
}

func TestHostOf(t *testing.T) {
	for client, want := range map[string]string{"10.0.0.7:52110": "10.0.0.7", "db2.internal:40000": "db2.internal", "localhost": "localhost", "::1:53422": "::1", "fe80::1:2:40000": "fe80::1:2"} {
		if got := hostOf(client); got != want {
			t.Errorf("%s: %s, want %s", client, got, want)
		}
	}
}
