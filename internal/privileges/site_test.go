package privileges

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
)

// A site is a server with a Midflight whose account has exactly the grants of deploy/.
type site struct {
	*testing.T
	s    *testmysql.Server
	m    *testmidflight.Midflight
	root *sql.Conn
}

const enginePassword = "engine's own & secret"

var comments = regexp.MustCompile(`(?m)^--.*$`)

// deployed are the statements of deploy/grants-….sql.
func deployed(t testing.TB, f testmysql.Flavor) []string {
	t.Helper()
	b, err := os.ReadFile("../../deploy/grants-" + string(f) + ".sql")
	if err != nil {
		t.Fatal(err)
	}
	text := comments.ReplaceAllString(string(b), "")
	var statements []string
	for q := range strings.SplitSeq(text, ";") {
		if q = strings.TrimSpace(q); q != "" {
			statements = append(statements, strings.ReplaceAll(q, "'change me'", "'"+strings.ReplaceAll(enginePassword, "'", "''")+"'"))
		}
	}
	return statements
}

// each runs a test on both servers, side by side: it waits for their disks.
func each(t *testing.T, test func(site)) {
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			test(at(t, testmysql.Shared(t, f)))
		})
	}
}

func at(t *testing.T, s *testmysql.Server, args ...string) site {
	s.Exec(t, append([]string{"DROP USER IF EXISTS midflight@'%'", "SET GLOBAL log_bin_trust_function_creators = 1"}, deployed(t, s.Flavor)...)...)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(enginePassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	st := site{T: t, s: s}
	st.m = testmidflight.Start(t, s, append([]string{"--user", "midflight", "--password-file", file, "--keep-old", "0"}, args...)...)
	st.root = st.session(s.Addr, "root", "")
	return st
}

// session is one of a user's, directly or through Midflight.
func (st site) session(addr, user, db string, params ...string) *sql.Conn {
	st.Helper()
	c, err := st.connect(addr, user, db, params...)
	if err != nil {
		st.Fatalf("connect %s to %s: %v", user, addr, err)
	}
	return c
}

// try is a login through Midflight.
func (st site) try(user string) (*sql.Conn, error) { return st.connect(st.m.Addr, user, "") }

// connect takes a user's name, or name:password.
func (st site) connect(addr, user, db string, params ...string) (*sql.Conn, error) {
	pool, err := sql.Open("mysql", fmt.Sprintf("%s@tcp(%s)/%s?%s", user, addr, db, strings.Join(params, "&")))
	if err != nil {
		return nil, err
	}
	c, err := pool.Conn(context.Background())
	if err != nil {
		pool.Close()
		return nil, err
	}
	st.Cleanup(func() { go func() { c.Close(); pool.Close() }() }) // one that hangs is not waited for
	return c, nil
}

func (st site) exec(c *sql.Conn, statements ...string) {
	st.Helper()
	for _, q := range statements {
		if _, err := c.ExecContext(context.Background(), q); err != nil {
			st.Fatalf("%s: %v", q, err)
		}
	}
}

func (st site) value(c *sql.Conn, query string) string {
	st.Helper()
	v, err := value(c, query)
	if err != nil {
		st.Fatalf("%s: %v", query, err)
	}
	return v
}

func value(c *sql.Conn, query string) (string, error) {
	var v sql.NullString
	err := c.QueryRowContext(context.Background(), query).Scan(&v)
	return v.String, err
}

// says is the server's verdict on a statement, with its warnings.
func says(c *sql.Conn, q string) string {
	rows, err := c.QueryContext(context.Background(), q)
	var b strings.Builder
	if err == nil {
		b.WriteString("OK")
		table(&b, rows)
		err = rows.Err()
		rows.Close()
	}
	var e *mysql.MySQLError
	switch {
	case errors.As(err, &e):
		fmt.Fprintf(&b, "%d (%s) %s", e.Number, e.SQLState[:], e.Message)
	case err != nil:
		fmt.Fprintf(&b, "lost: %v", err)
	}
	return b.String()
}

func table(b *strings.Builder, rows *sql.Rows) {
	columns, _ := rows.Columns()
	for rows.Next() {
		row := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if rows.Scan(into...) != nil {
			return
		}
		b.WriteString("\n ")
		for _, v := range row {
			fmt.Fprintf(b, " | %s", v.String)
		}
	}
}

// await waits until it is so.
func (st site) await(what string, so func() bool) {
	st.Helper()
	for began := time.Now(); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			st.Fatalf("waited in vain: %s", what)
		}
	}
}

// database makes one anew, and drops it at the end.
func (st site) database(name string, statements ...string) {
	st.Helper()
	quoted := "`" + strings.ReplaceAll(name, "`", "``") + "`"
	st.exec(st.root, append([]string{"DROP DATABASE IF EXISTS " + quoted, "CREATE DATABASE " + quoted, "USE " + quoted}, statements...)...)
	st.Cleanup(func() { st.s.Exec(st, "SET SESSION lock_wait_timeout = 20", "DROP DATABASE IF EXISTS "+quoted) })
}

// user makes an account anew.
func (st site) user(name string, grants ...string) {
	st.Helper()
	st.exec(st.root, "DROP USER IF EXISTS "+name+"@'%'", "CREATE USER "+name+"@'%'")
	for _, g := range grants {
		st.exec(st.root, "GRANT "+g+" TO "+name+"@'%'")
	}
	st.Cleanup(func() { st.s.Exec(st, "DROP USER IF EXISTS "+name+"@'%'") })
}

func (st site) run(name string, test func(site)) {
	st.T.Run(name, func(t *testing.T) {
		sub := st
		sub.T = t
		test(sub)
	})
}
