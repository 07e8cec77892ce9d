package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/mysqld"
)

// lines reads what -o json prints.
func jsonLines[T any](t testing.TB, s *testmysql.Server, args ...string) (list []T) {
	t.Helper()
	stdout, stderr, status := runs(t, nil, append(args, "-o", "json", "--server", s.Addr, "--user", "root")...)
	if status != 0 {
		t.Fatalf("midflight %s: status %d: %s", strings.Join(args, " "), status, stderr)
	}
	for line := range strings.Lines(stdout) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("midflight %s: %v in %s", strings.Join(args, " "), err, line)
		}
		list = append(list, v)
	}
	return list
}

// The trail of a day: who, what, by which way, in which time, steered by whom, and how it
// ended; also what was no migration, and what was refused.
func TestTrail(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		db := s.NewDatabase(t)
		s.Exec(t, "DROP USER IF EXISTS ann@'%', eve@'%'", "CREATE USER ann@'%', eve@'%'", "GRANT ALL ON "+db+".* TO ann@'%'", "GRANT SELECT ON "+db+".* TO eve@'%'",
			"USE "+db, "CREATE TABLE t (id INT PRIMARY KEY, n INT)", "INSERT INTO t VALUES (1, 1), (2, 1)")
		defer s.Exec(t, "DROP USER ann@'%', eve@'%'")
		m := testmidflight.Start(t, s, "--keep-old", "0")
		root := s.DB(t)
		as := func(user string) *sql.DB {
			c, err := mysqld.Open(mysqld.Config{Addr: m.Addr, User: user})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			return c
		}
		ann, eve := as("ann"), as("eve")
		latest := func() string { return twins.List(t, root, "SELECT MAX(id) FROM midflight.migrations")[0] }
		watchEnds := func(id string, want int) {
			t.Helper()
			if stdout, stderr, status := runs(t, nil, "watch", id, "--server", s.Addr, "--user", "root"); status != want {
				t.Errorf("watch %s ended with %d, want %d\n%s%s", id, status, want, stdout, stderr)
			}
		}
		phase := func(want string) {
			t.Helper()
			for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				got := twins.List(t, root, "SELECT phase FROM midflight.migrations ORDER BY id DESC LIMIT 1")
				if slices.Equal(got, []string{want}) {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("phase %v, want %s", got, want)
				}
			}
		}
		copied := "ALTER TABLE /* midflight: cutover=manual */ " + db + ".t ADD COLUMN a INT, ALGORITHM=COPY"
		ended := make(chan error, 1)
		go func() {
			_, err := ann.Exec(copied)
			ended <- err
		}()
		phase("ready")
		first := latest()
		for _, word := range []string{"pause", "resume", "cutover"} {
			if _, stderr, status := runs(t, nil, word, first, "--server", s.Addr, "--user", "root"); status != 0 {
				t.Fatalf("%s: %s", word, stderr)
			}
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if said := twins.List(t, root, "SELECT event FROM midflight.events WHERE kind = 'control' AND migration_id = "+first); len(said) != 3 || !strings.Contains(said[0], "pause: CALL by root@") || !strings.Contains(said[0], ", who says to be "+operator()) {
			t.Errorf("of who was at the terminal the history has %q", said)
		}
		watchEnds(first, 0)
		if _, err := ann.Exec("ALTER TABLE " + db + ".t ADD UNIQUE (n)"); err == nil {
			t.Fatal("a duplicate is let through")
		}
		watchEnds(latest(), 3)
		go func() {
			_, err := ann.Exec(copied + " /* again */")
			ended <- err
		}()
		phase("failed") // a is there already
		<-ended
		canceled := strings.Replace(copied, "COLUMN a", "COLUMN b", 1)
		go func() {
			_, err := ann.Exec(canceled)
			ended <- err
		}()
		phase("ready")
		last := latest()
		// By way of Midflight: at the server it may come between two statements.
		if _, err := as("root").Exec("KILL QUERY " + twins.List(t, root, "SELECT connection_id FROM midflight.migrations WHERE id = "+last)[0]); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Fatal("killed, and nobody is told")
		}
		watchEnds(last, 4)
		if _, err := eve.Exec("ALTER TABLE " + db + ".t ADD COLUMN mine INT"); err == nil {
			t.Fatal("eve may alter")
		}
		if _, err := ann.Exec("TRUNCATE " + db + ".t"); err != nil {
			t.Fatal(err)
		}
		if _, err := ann.Exec("DROP TABLE " + db + ".t, " + db + ".nothere"); err == nil {
			t.Fatal("a table that is not there is dropped")
		}

		var trail []string
		for _, c := range jsonLines[changeObject](t, s, "history", "--limit", "7") {
			number := int64(0)
			if c.ErrorNumber != nil {
				number = *c.ErrorNumber
			}
			trail = append(trail, fmt.Sprintf("%s %s %s %s %d", c.User, strings.TrimPrefix(c.Table, db+"."), c.Path, c.Outcome, number))
			if !strings.HasPrefix(c.Host, "127.0.0.1:") || c.Account != c.User+"@%" || c.Session == 0 || c.Took == nil || !strings.Contains(c.RanBy, "process ") {
				t.Errorf("it lacks who or when: %+v", c)
			}
		}
		want := []string{"ann t direct forwarded 1051", "ann t direct forwarded 0", "eve t  refused 1142", "ann t copy canceled 1317", "ann t  failed 1060", "ann t copy failed 1062", "ann t copy completed 0"}
		if !slices.Equal(trail, want) {
			t.Errorf("the trail is\n%s\nwant\n%s", strings.Join(trail, "\n"), strings.Join(want, "\n"))
		}
		if only := jsonLines[changeObject](t, s, "history", "--table", db+".t", "--since", "1h", "--limit", "1"); len(only) != 1 || only[0].Statement == "" {
			t.Errorf("filtered: %+v", only)
		}

		one := jsonLines[migrationObject](t, s, "status", first)[0]
		if one.Statement != copied || one.Warnings == nil || one.Attempts < 1 || one.Locked <= 0 || !strings.HasPrefix(one.Verification, "compared: 2 rows") {
			t.Errorf("its record: %+v", one)
		}
		var phases, words []string
		for _, p := range one.Phases {
			phases = append(phases, p.Phase)
		}
		if got := strings.Join(phases, " "); got != "queued preparing copying catching_up verifying ready cutting_over completed" {
			t.Errorf("its phases: %s", got)
		}
		details := map[string]string{}
		for _, e := range one.Events {
			if e.Kind == "control" {
				word, _, _ := strings.Cut(e.Text, ":")
				user, _, _ := strings.Cut(e.By, "@")
				words = append(words, user+" "+word)
			}
			details[e.Kind] = string(e.Detail)
		}
		if !slices.Equal(words, []string{"root pause", "root resume", "root cutover"}) {
			t.Errorf("who steered it: %q", words)
		}
		if !strings.Contains(details["cutover"], `"ok":true`) || !strings.Contains(details["verify"], `"rows":2`) {
			t.Errorf("details: %v", details)
		}
		killed := jsonLines[migrationObject](t, s, "history", last)[0]
		if !slices.ContainsFunc(killed.Events, func(e eventObject) bool {
			return e.Kind == "control" && strings.HasPrefix(e.By, "ann@") && strings.Contains(e.Text, "KILL or Ctrl-C")
		}) {
			t.Errorf("who killed it: %+v", killed.Events)
		}
		if text, _, status := runs(t, nil, "status", first, "--server", s.Addr, "--user", "root"); status != 0 || !strings.Contains(text, "ann@127.0.0.1") || !strings.Contains(text, "cutting_over") || !strings.Contains(text, "resume: CALL by root@") {
			t.Errorf("status %s: %d\n%s", first, status, text)
		}
	})
}
