package testmysql

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"midflight/internal/localserver"
)

func variable(t *testing.T, s *Server, name string) string {
	t.Helper()
	var value string
	if err := s.DB(t).QueryRow("SELECT @@" + name).Scan(&value); err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return value
}

func TestSettings(t *testing.T) {
	Each(t, func(t *testing.T, s *Server) {
		want := map[string]string{"log_bin": "1", "binlog_format": "ROW", "local_infile": "1"}
		if s.Flavor == MySQL {
			want["gtid_mode"] = "ON"
		}
		for name, value := range want {
			if got := variable(t, s, name); got != value {
				t.Errorf("%s is %s, want %s", name, got, value)
			}
		}
	})
}

func TestArgumentsWin(t *testing.T) {
	s := Start(t, MySQL, "--gtid-mode=OFF")
	if got := variable(t, s, "gtid_mode"); got != "OFF" {
		t.Errorf("gtid_mode is %s, want OFF", got)
	}
}

func TestServersDifferInUUID(t *testing.T) {
	a, b := Shared(t, MySQL), Start(t, MySQL)
	if variable(t, a, "server_uuid") == variable(t, b, "server_uuid") {
		t.Error("two servers have the same server_uuid")
	}
}

func TestNoAnonymousAccounts(t *testing.T) {
	Each(t, func(t *testing.T, s *Server) {
		var n int
		if err := s.DB(t).QueryRow("SELECT COUNT(*) FROM mysql.user WHERE user = ''").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != 0 {
			t.Errorf("%d anonymous accounts, want none", n)
		}
	})
}

func TestDatabaseIsDropped(t *testing.T) {
	Each(t, func(t *testing.T, s *Server) {
		var name string
		t.Run("uses one", func(t *testing.T) {
			name = s.NewDatabase(t)
			s.Exec(t, "USE "+name, "CREATE TABLE a (id INT PRIMARY KEY)", "INSERT INTO a VALUES (1)")
		})
		var n int
		err := s.DB(t).QueryRow("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?", name).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n != 0 {
			t.Errorf("database %s is still there", name)
		}
	})
}

func TestDataSurvives(t *testing.T) {
	for _, f := range localserver.Flavors {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			s := Start(t, f)
			t.Logf("started in %v", time.Since(began).Round(time.Millisecond))
			s.Exec(t, "CREATE DATABASE d", "CREATE TABLE d.a (id INT PRIMARY KEY)", "INSERT INTO d.a VALUES (1)")
			s.Restart(t)
			s.Exec(t, "INSERT INTO d.a VALUES (2)")
			s.Kill9(t)
			s.StartAgain(t)
			var n int
			if err := s.DB(t).QueryRow("SELECT COUNT(*) FROM d.a").Scan(&n); err != nil {
				t.Fatal(err)
			}
			if n != 2 {
				t.Errorf("%d rows after a restart and a crash, want 2", n)
			}
		})
	}
}

// A killed test process must not leave servers behind. This test runs itself
// as that process: it tells its server's pid and waits to be killed.
func TestCrashLeavesNoServer(t *testing.T) {
	if name := os.Getenv("TESTMYSQL_CRASH"); name != "" {
		fmt.Println("pid", Shared(t, Flavor(name)).Pid())
		select {}
	}
	Each(t, func(t *testing.T, s *Server) {
		child := exec.Command(os.Args[0], "-test.run=^TestCrashLeavesNoServer$")
		child.Env = append(os.Environ(), "TESTMYSQL_CRASH="+string(s.Flavor))
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		defer child.Process.Kill()
		pid := 0
		for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
			fmt.Sscanf(lines.Text(), "pid %d", &pid)
		}
		if pid == 0 {
			t.Fatal("the child has started no server")
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		child.Wait()
		awaitEnd(t, pid)
	})
}

// awaitEnd waits for a process that isn't our child, which can only be polled.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(30 * time.Second)
	for {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return
		}
		// In a container nobody may reap it; a zombie has ended too.
		if stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("server %d still runs though its parent was killed", pid)
		}
	}
}
