package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
)

// What plan tells is what then happens, and it leaves nothing behind.
func TestPlanAgrees(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		db := s.NewDatabase(t)
		m := testmidflight.Start(t, s, "--keep-old", "0")
		root, through := s.DB(t), m.DB(t, db)
		s.Exec(t, "USE "+db,
			"CREATE TABLE t (id INT PRIMARY KEY, n INT, name VARCHAR(40), kind ENUM('a','b'), total DECIMAL(10,2))",
			"INSERT INTO t VALUES (1, 1, 'x', 'a', 1.25), (2, 1, 'y', 'b', NULL)",
			"CREATE TABLE keyless (a INT)", "CREATE TABLE child (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id))",
			"CREATE TABLE checked (id INT PRIMARY KEY, a INT, CONSTRAINT positive CHECK (a > 0))", "INSERT INTO checked VALUES (1, 1), (2, 2)", "CREATE VIEW v AS SELECT id FROM t")
		s.Exec(t, "USE "+db, "CREATE TABLE lone LIKE t", "INSERT INTO lone SELECT * FROM t")
		tables := func() string {
			return strings.Join(twins.List(t, root, "SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables WHERE table_schema IN (?, 'midflight') OR table_schema LIKE '\\_midflight%' ORDER BY 1", db), " ") +
				strings.Join(twins.List(t, root, "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE '\\_midflight%'"), " ")
		}
		seen := map[string]bool{}
		for _, statement := range []string{
			"ALTER TABLE lone ADD COLUMN a INT",
			"ALTER TABLE lone MODIFY name VARCHAR(50)",
			"ALTER TABLE lone MODIFY kind ENUM('a','b','c')",
			"ALTER TABLE lone MODIFY n BIGINT NOT NULL",
			"ALTER TABLE lone ADD INDEX by_name (name)",
			"ALTER TABLE /* midflight: strategy=inplace */ lone ADD INDEX by_kind (kind)",
			"DROP INDEX by_name ON lone",
			"ALTER TABLE lone ADD UNIQUE (n)",
			"ALTER TABLE lone ADD COLUMN a INT",
			"ALTER TABLE /* midflight: strategy=instant */ lone MODIFY name INT",
			"ALTER TABLE lone MODIFY total DECIMAL(8,1), ALGORITHM=COPY",
			"OPTIMIZE TABLE lone",
			"ALTER TABLE lone ADD CONSTRAINT FOREIGN KEY (id) REFERENCES t (id)",
			"ALTER TABLE child MODIFY t BIGINT",
			"ALTER TABLE child ADD COLUMN c INT",
			"ALTER TABLE checked ADD COLUMN b INT DEFAULT 2, ADD CHECK (b > 1)",
			"ALTER TABLE keyless ADD INDEX (a)",
			"ALTER TABLE v ADD COLUMN x INT",
			"ALTER TABLE keyless RENAME TO keyfree",
		} {
			before := tables()
			stdout, stderr, status := runs(t, nil, "plan", statement, "--database", db, "-o", "json", "--server", s.Addr, "--user", "root")
			var plan planObject
			if err := json.Unmarshal([]byte(stdout), &plan); err != nil {
				t.Fatalf("plan %s: status %d, %v\n%s%s", statement, status, err, stdout, stderr)
			}
			if after := tables(); after != before {
				t.Errorf("plan %s: there were the tables %s, and then %s", statement, before, after)
			}
			_, ran := through.Exec(statement)
			// A statement that the server runs is the latest of midflight.statements, also
			// where a migration has left it.
			took := twins.List(t, root, `SELECT path FROM (SELECT created_at AS at, strategy AS path FROM midflight.migrations WHERE schema_name = ?
UNION ALL SELECT happened_at, 'direct' FROM midflight.statements WHERE schema_name = ?) AS trail ORDER BY at DESC LIMIT 1`, db, db)[0]
			fails := plan.ErrorNumber != nil || plan.SampleError != ""
			switch {
			case ran != nil && plan.ErrorNumber != nil && fmt.Sprint(*plan.ErrorNumber) != errorNumber(ran):
				t.Errorf("%s: plan has error %d, and it ended with %v", statement, *plan.ErrorNumber, ran)
			case ran == nil && fails, ran != nil && !fails && plan.Path != "direct":
				t.Errorf("%s: plan is %s, and it ended with %v", statement, stdout, ran)
			case plan.ErrorNumber == nil && plan.Path != took:
				t.Errorf("%s: plan is %s (%s), and it went by %s", statement, plan.Path, plan.Reason, took)
			}
			want := 0
			if fails {
				want = 5
			}
			if status != want {
				t.Errorf("plan %s: exit status %d, want %d", statement, status, want)
			}
			if plan.Path == "copy" && !fails && (plan.Most == nil || *plan.Least <= 0 || *plan.Most < *plan.Least || plan.SampleRows != 2) {
				t.Errorf("plan %s: it tells no time: %s", statement, stdout)
			}
			seen[plan.Path] = true
		}
		for _, path := range []string{"instant", "copy", "inplace", "direct", ""} {
			if !seen[path] {
				t.Errorf("no statement goes by %q", path)
			}
		}
	})
}

func errorNumber(err error) string {
	number, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "Error "), " ")
	return number
}

// What plan says for people, of what can't be undone and who is in the way.
func TestPlanTells(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		db := s.NewDatabase(t)
		s.Exec(t, "USE "+db, "CREATE TABLE t (id INT PRIMARY KEY, a INT, b BIGINT, c VARCHAR(20))", "INSERT INTO t VALUES (1, 2, 3, 'x')")
		conn, err := s.DB(t).Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, q := range []string{"USE " + db, "START TRANSACTION WITH CONSISTENT SNAPSHOT", "SELECT * FROM t"} {
			if _, err := conn.ExecContext(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		stdout, stderr, status := runs(t, nil, "plan", "ALTER TABLE t DROP COLUMN a, MODIFY b INT, MODIFY c VARCHAR(5) CHARACTER SET latin1, ADD COLUMN price FLOAT", "--database", db, "--server", s.Addr, "--user", "root")
		for _, says := range []string{"path             copy: ", "time ", "disk ", "locks ", "in the way       connection ",
			"column a, int", "is dropped with its values", "column b, bigint", "column c, varchar(20) to varchar(5): characters that latin1 does not have", "longer texts", "[inexact-money] column price"} {
			if !strings.Contains(stdout, says) {
				t.Errorf("it lacks %q:\n%s%s", says, stdout, stderr)
				break
			}
		}
		if status != 0 {
			t.Errorf("status %d: %s", status, stderr)
		}
	})
}

// Whatever ends it, nothing stays: what was killed is cleared by the next.
func TestPlanIsKilled(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		db := s.NewDatabase(t)
		root := s.DB(t)
		s.Exec(t, "USE "+db, "CREATE TABLE t (id INT PRIMARY KEY)")
		scratch := func() []string {
			return twins.List(t, root, "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE '\\_midflight\\_plan\\_%'")
		}
		args := []string{"plan", "ALTER TABLE t ADD COLUMN a INT", "--database", db, "--server", s.Addr, "--user", "root"}
		for _, signal := range []os.Signal{os.Interrupt, os.Kill} {
			lock, err := root.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := lock.ExecContext(t.Context(), "LOCK TABLES "+db+".t WRITE"); err != nil {
				t.Fatal(err)
			}
			cmd := midflight(t, nil, args...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for len(scratch()) == 0 { // it is in the middle, and waits for the table
				if t.Context().Err() != nil {
					t.Fatal("plan makes no scratch schema")
				}
			}
			cmd.Process.Signal(signal)
			lock.ExecContext(t.Context(), "UNLOCK TABLES")
			lock.Close()
			cmd.Wait()
			if left := scratch(); signal == os.Interrupt && len(left) > 0 {
				t.Errorf("interrupted, it leaves %v", left)
			}
		}
		// The server may not have noticed yet that it has died.
		for deadline := time.Now().Add(20 * time.Second); ; {
			_, stderr, status := runs(t, nil, args...)
			left := scratch()
			if status == 0 && len(left) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("behind one that was killed: status %d, %s, left %v", status, stderr, slices.Clone(left))
			}
		}
	})
}
