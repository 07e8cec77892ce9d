package privileges

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmidflight"
)

// No password is where others read: the log at debug level, metrics, the page, the
// process's arguments, errors. Of statements the log has no text, and no row's value.
func TestSecrets(t *testing.T) {
	each(t, func(st site) {
		st.database("shop", tableT, rowsT)
		const login, made, changed, locked, wrong, value, text, row = "Pw-login-1", "Pw-made-2", "Pw-changed-3", "Pw-locked-4", "Pw-wrong-5", "Pw-default-6", "Pw-text-7", "Pw-row-8"
		st.exec(st.root, "CREATE USER IF NOT EXISTS holds@'%'", "ALTER USER holds@'%' IDENTIFIED BY '"+login+"'", "GRANT ALL ON *.* TO holds@'%' WITH GRANT OPTION",
			"INSERT INTO t VALUES (8, '"+row+"')", "DROP USER IF EXISTS made@'%'", "DROP USER IF EXISTS locked@'%'")
		st.Cleanup(func() {
			st.s.Exec(st, "DROP USER IF EXISTS holds@'%'", "DROP USER IF EXISTS made@'%'", "DROP USER IF EXISTS locked@'%'")
		})
		c := st.session(st.m.Addr, "holds:"+login, "shop", "multiStatements=true")
		st.exec(c, "CREATE USER made@'%' IDENTIFIED BY '"+made+"'", "SELECT 1; ALTER USER made@'%' IDENTIFIED BY '"+changed+"'",
			"ALTER TABLE t ADD COLUMN a VARCHAR(20) DEFAULT '"+value+"'", "ALTER TABLE /* midflight: strategy=copy */ t ADD COLUMN b VARCHAR(20) DEFAULT '"+value+"'")
		for q, want := range map[string]string{
			"ALTER TABLE /* midflight: strategy=copy */ t MODIFY v INT": "one", "ALTER TABLE t ADD COLUMN c INT DEFAULT '" + value + "'": "1067", "ALTER TABLE t FROBNICATE '" + text + "'": text,
			"ALTER TABLE /* midflight: strategy=copy */ t ADD UNIQUE (b)": value,
		} {
			if got := says(c, q); !strings.Contains(got, want) {
				st.Errorf("%s: %s", q, got)
			}
		}
		for _, as := range []string{"holds:" + wrong, "made:" + made, "nobody:" + wrong} {
			if _, err := st.try(as); err == nil {
				st.Errorf("%s is let in", as)
			} else if hides(err.Error(), wrong, made, changed) != "" {
				st.Errorf("an error has a password: %v", err)
			}
		}
		// Somebody holds the table, and what he ran last has a password.
		holder := st.session(st.m.Addr, "holds:"+login, "shop")
		st.exec(holder, "LOCK TABLES t READ")
		says(holder, "CREATE USER locked@'%' IDENTIFIED BY '"+locked+"'")
		done := make(chan error, 1)
		go func() {
			_, err := c.ExecContext(context.Background(), "ALTER TABLE /* midflight: strategy=copy */ t ADD COLUMN d INT")
			done <- err
		}()
		st.await("it waits", func() bool {
			return st.value(st.root, "SELECT COUNT(*) FROM midflight.migrations WHERE waiting_for LIKE 'connection%'") != "0"
		})
		seen := st.get("/") + st.get("/metrics") + says(st.root, "SELECT waiting_for FROM midflight.migrations") + says(st.root, "SELECT event FROM midflight.events") + says(st.root, "SHOW FULL PROCESSLIST")
		st.exec(holder, "UNLOCK TABLES")
		if err := <-done; err != nil {
			st.Error(err)
		}
		if p := hides(seen, login, made, changed, locked, wrong, enginePassword); p != "" {
			st.Errorf("%s is seen", p)
		}
		time.Sleep(50 * time.Millisecond)
		if p := hides(st.m.Log(), login, made, changed, locked, wrong, enginePassword, value, text, row, "'one'"); p != "" {
			st.Errorf("%s is in the log", p)
		}
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", st.m.Pid()))
		if err != nil || hides(string(cmdline), enginePassword) != "" {
			st.Errorf("the process's arguments: %q, %v", cmdline, err)
		}
	})
}

// hides is the first of secrets that a text has.
func hides(text string, secrets ...string) string {
	for _, s := range secrets {
		if strings.Contains(text, s) {
			return s
		}
	}
	return ""
}

func (st site) get(path string) string {
	st.Helper()
	r, err := http.Get("http://" + st.m.HTTP + path)
	if err != nil {
		st.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 {
		st.Fatalf("%s: %s %v", path, r.Status, err)
	}
	return string(b)
}

// How the account's password comes in: not by a flag, which all see.
func TestPasswordOfTheAccount(t *testing.T) {
	binary, err := testmidflight.Binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const secret = "Pw-secret-9"
	for _, c := range []struct {
		env  string
		args []string
		says string
	}{
		{"", []string{"--password=" + secret}, "flag provided but not defined: -password"},
		{"", []string{"--password", secret}, "flag provided but not defined: -password"},
		{"", []string{"-p" + secret}, ""},
		{"MIDFLIGHT_PASSWORD=" + secret, nil, "can't be reached"},
		{"", []string{"--password-file", file("password", secret)}, "can't be reached"},
		{"", []string{"--config", file("good.yaml", "password: "+secret)}, "can't be reached"},
		{"", []string{"--config", file("list.yaml", "password: ["+secret+"]")}, "read the configuration"},
		{"", []string{"--config", file("bad.yaml", "password: '"+secret)}, "read the configuration"},
		{"", []string{"--config", file("odd.yaml", "passwort: "+secret)}, `no setting "passwort"`},
		{"", []string{"--config", file("text.yaml", secret)}, "read the configuration"},
	} {
		cmd := exec.Command(binary, append([]string{"check", "--server", "127.0.0.1:1"}, c.args...)...)
		cmd.Env = append(cmd.Environ(), c.env)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.says) {
			t.Errorf("%s %v: %v\n%s", c.env, c.args, err, out)
		}
		if c.args == nil || !strings.HasPrefix(c.args[0], "-p") {
			if strings.Contains(string(out), secret[:5]) {
				t.Errorf("%s %v: the password is told:\n%s", c.env, c.args, out)
			}
		}
	}
}
