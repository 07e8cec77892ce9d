package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
)

// midflight is the real program with args; env is added to an environment
// without settings of its own.
func midflight(t testing.TB, env []string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := testmidflight.Binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MIDFLIGHT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// runs runs it to its end.
func runs(t testing.TB, env []string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := midflight(t, env, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// serveRefuses checks that serve ends at once with this in its message.
func serveRefuses(t testing.TB, s *testmysql.Server, user string, says ...string) {
	t.Helper()
	began := time.Now()
	stdout, stderr, status := runs(t, nil, "serve", "--server", s.Addr, "--user", user, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
	if status != 1 || stdout != "" || time.Since(began) > 10*time.Second {
		t.Errorf("serve ended with %d after %s and said %q", status, time.Since(began), stdout)
	}
	for _, s := range says {
		if !strings.Contains(stderr, s) {
			t.Errorf("its message lacks %q:\n%s", s, stderr)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		out    string // where: stdout for 0, else stderr
	}{
		{"", 2, "no command given"},
		{"frobnicate", 2, `no command "frobnicate"; see midflight help`},
		{"help", 0, "midflight serve          run the proxy"},
		{"--help", 0, "midflight watch"},
		{"version", 0, "midflight "},
		{"serve --nothing", 2, "flag provided but not defined: -nothing"},
		{"serve --keep-old soon", 2, "invalid value"},
		{"serve --log-level loud", 2, "--log-level"},
		{"status extra", 2, "extra"},
		{"serve extra", 2, "extra"},
		{"pause", 2, "pause needs the id of a migration"},
		{"reveal", 2, "reveal needs the id of a migration"},
		{"cancel many", 2, `cancel: "many" is not the id of a migration`},
		{"cutover 1 2", 2, "cutover needs the id"},
		{"status 1 2", 2, "what is"},
		{"watch x", 2, "not the id of a migration"},
		{"history -o xml", 2, "want text or json"},
		{"history --since never", 2, "want a time"},
		{"throttle 1 2 3", 2, "is no ratio"},
		{"throttle 1 0.5", 2, "throttle needs the ID"},
		{"limit lag", 2, "limit needs the NAME"},
		{"limit lag 2s", 2, "no rule is called"},
		{"limit lag default", 2, "no rule is called"},
		{"limit window 22:00-06:00@Europe/Berln", 2, "window=22:00-06:00@Europe/Berln: want"},
		{"plan", 2, "plan needs one statement"},
		{"status --config /nowhere.yaml", 1, "/nowhere.yaml"},
		{"status --password-file /nowhere", 1, "read the password"},
		{"status --server 127.0.0.1:1", 1, "connection refused"},
	} {
		stdout, stderr, status := runs(t, nil, strings.Fields(c.args)...)
		text := stderr
		if c.status == 0 {
			text = stdout
		}
		if status != c.status || !strings.Contains(text, c.out) {
			t.Errorf("midflight %s: status %d, want %d with %q\n%s%s", c.args, status, c.status, c.out, stdout, stderr)
		}
	}
	if _, stderr, status := runs(t, nil, "throttle", "-h"); status != 0 || !strings.Contains(stderr, "midflight throttle [FLAGS] ID RATIO MINUTES\nlet a copy rest") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if _, stderr, status := runs(t, nil, "serve", "-h"); status != 0 || !strings.Contains(stderr, "-listen HOST:PORT") {
		t.Errorf("midflight serve -h: status %d\n%s", status, stderr)
	}
}

// A flag wins over the environment, which wins over the file.
func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "midflight.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("server: 127.0.0.1:1\nuser: filed\nlisten: 127.0.0.1:9\npassword: secret\n")
	for _, c := range []struct {
		env  []string
		args string
		says string
	}{
		{nil, "status --config " + file, "127.0.0.1:1"},
		{[]string{"MIDFLIGHT_SERVER=127.0.0.1:2"}, "status --config " + file, "127.0.0.1:2"},
		{[]string{"MIDFLIGHT_SERVER=127.0.0.1:2"}, "status --server 127.0.0.1:3 --config " + file, "127.0.0.1:3"},
		{[]string{"MIDFLIGHT_CONFIG=" + file}, "status", "127.0.0.1:1"},
	} {
		if _, stderr, status := runs(t, c.env, strings.Fields(c.args)...); status != 1 || !strings.Contains(stderr, c.says+": connect") {
			t.Errorf("%v %s: %d, %s; want it to try %s", c.env, c.args, status, stderr, c.says)
		}
	}
	write("servr: 127.0.0.1:1\n")
	if _, stderr, status := runs(t, nil, "status", "--config", file); status != 2 || !strings.Contains(stderr, `no setting "servr"`) {
		t.Errorf("an unknown key: %d, %s", status, stderr)
	}
	write("server: [1\n")
	if _, stderr, status := runs(t, nil, "status", "--config", file); status == 0 || !strings.Contains(stderr, file) {
		t.Errorf("no YAML: %d, %s", status, stderr)
	}
	if _, stderr, status := runs(t, []string{"MIDFLIGHT_KEEP_OLD=soon"}, "serve"); status != 2 || !strings.Contains(stderr, "MIDFLIGHT_KEEP_OLD") {
		t.Errorf("a wrong value in the environment: %d, %s", status, stderr)
	}
}

func TestPasswords(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		s.Exec(t, "DROP USER IF EXISTS keeper@'%'", "CREATE USER keeper@'%' IDENTIFIED BY 'se cret'", "GRANT SELECT ON *.* TO keeper@'%'")
		defer s.Exec(t, "DROP USER keeper@'%'")
		file := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(file, []byte("se cret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			env  []string
			args []string
			ok   bool
		}{
			{nil, []string{"--password-file", file}, true},
			{[]string{"MIDFLIGHT_PASSWORD=se cret"}, nil, true},
			{[]string{"MIDFLIGHT_PASSWORD=wrong", "MIDFLIGHT_PASSWORD_FILE=" + file}, nil, true},
			{[]string{"MIDFLIGHT_PASSWORD=wrong"}, nil, false},
			{nil, nil, false},
		} {
			_, stderr, status := runs(t, c.env, append([]string{"status", "--server", s.Addr, "--user", "keeper"}, c.args...)...)
			if (status == 0) != c.ok || !c.ok && !strings.Contains(stderr, "Access denied for user 'keeper'") {
				t.Errorf("%v %v: %d, %s", c.env, c.args, status, stderr)
			}
		}
	})
}

func TestServeRefuses(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		for _, format := range []string{"STATEMENT", "MIXED"} {
			s.Exec(t, "SET GLOBAL binlog_format = '"+format+"'")
			serveRefuses(t, s, "root", "binlog_format: found "+format+", wanted ROW. To mend it: SET GLOBAL binlog_format = 'ROW'")
		}
		_, stderr, status := runs(t, nil, "check", "--server", s.Addr, "--user", "root")
		if status != 5 || !strings.Contains(stderr, "is not ready for Midflight") {
			t.Errorf("check: %d, %s", status, stderr)
		}
		s.Exec(t, "SET GLOBAL binlog_format = 'ROW'")
		stdout, stderr, status := runs(t, nil, "check", "--server", s.Addr, "--user", "root")
		if status != 0 || !strings.Contains(stdout, "binlog_format") || strings.Contains(stdout, "\nNO") {
			t.Errorf("check: %d, %s%s", status, stdout, stderr)
		}
		serveRefuses(t, s, "nobody", "refuses the account nobody", "1045")
	})
	for _, f := range []testmysql.Flavor{testmysql.MySQL, testmysql.MariaDB} {
		t.Run(string(f)+" without a binlog", func(t *testing.T) {
			s := testmysql.Start(t, f, "--skip-log-bin")
			serveRefuses(t, s, "root", "log_bin: found OFF, wanted ON. To mend it: put log_bin=binlog")
		})
	}
}

// The message about privileges has the GRANT, and with it the program works.
func TestGrants(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		db := s.NewDatabase(t)
		s.Exec(t, "DROP DATABASE IF EXISTS midflight", "DROP USER IF EXISTS keeper@'%'", "CREATE USER keeper@'%'",
			"USE "+db, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))", "INSERT INTO t VALUES (1, 'a')")
		defer s.Exec(t, "DROP USER keeper@'%'")
		for range 3 { // what is behind missing privileges shows in the next round
			_, stderr, status := runs(t, nil, "check", "--server", s.Addr, "--user", "keeper")
			if status == 0 {
				break
			}
			stdout, _, _ := runs(t, nil, "check", "--server", s.Addr, "--user", "keeper")
			_, grant, ok := strings.Cut(stdout, "\n  GRANT ")
			if !ok {
				t.Fatalf("check names no GRANT:\n%s%s", stdout, stderr)
			}
			grant, _, _ = strings.Cut("GRANT "+grant, "\n")
			serveRefuses(t, s, "keeper", grant)
			s.Exec(t, grant)
		}
		m := testmidflight.Start(t, s, "--user", "keeper")
		through := m.DB(t, db)
		for _, q := range []string{"ALTER TABLE /* midflight: strategy=copy */ t ADD COLUMN a INT", "ALTER TABLE t ADD UNIQUE (v)", "ALTER TABLE t ADD COLUMN b INT", "OPTIMIZE TABLE t"} {
			if _, err := through.Exec(q); err != nil {
				t.Errorf("with the account's grants alone: %s: %v", q, err)
			}
		}
		m.Stop()
		s.Exec(t, "DROP DATABASE IF EXISTS midflight") // its procedures are that account's
	})
}
