package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// mtr is the exam by MySQL's own tests, mysql-test-run --extern. Not all of
// them can run on a server that is only reached by a port; those that can are in
// mtr.list.
type mtr struct {
	o     options
	suite string // the runner's folder
	port  string // the server's own, to clean up by
	tests []string
}

//go:embed mtr.list
var mtrList string

func newMTR(ctx context.Context, o options) (*mtr, error) {
	tools := exec.CommandContext(ctx, "scripts/exam-tools")
	tools.Stderr = os.Stderr
	out, err := tools.Output()
	if err != nil {
		return nil, fmt.Errorf("scripts/exam-tools (run this in the repository's folder): %w", err)
	}
	m := &mtr{o: o, suite: strings.TrimSpace(string(out))}
	list := mtrList
	if o.list != "" {
		text, err := os.ReadFile(o.list)
		if err != nil {
			return nil, fmt.Errorf("read the list of tests: %w", err)
		}
		list = string(text)
	}
	for _, name := range strings.Fields(list) {
		if o.tests.MatchString(name) {
			m.tests = append(m.tests, name)
		}
	}
	return m, nil
}

// start has the runner start the server, since it puts into it what the tests
// expect.
func (m *mtr) start(ctx context.Context, paper string) (server, error) {
	port, err := freePorts()
	if err != nil {
		return server{}, err
	}
	// The server's socket is in here, and a socket's path may have 107 bytes.
	tmp, err := os.MkdirTemp("", "exam-")
	if err != nil {
		return server{}, fmt.Errorf("make a temporary folder: %w", err)
	}
	out, err := m.runner(ctx, paper, "server", "--tmpdir="+tmp,
		"--start-and-exit", "--user=root", "--port-base="+strconv.Itoa(port),
		"--mysqld=--bind-address=127.0.0.1", "--mysqld=--mysqlx=OFF")
	if err != nil {
		return server{}, errors.Join(fmt.Errorf("start the server: %w\n%s", err, out), os.RemoveAll(tmp))
	}
	pid := filepath.Join(paper, "server", "run", "mysqld.1.pid")
	m.port = strconv.Itoa(port)
	return server{
		addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		cert: filepath.Join(m.suite, "std_data", "server-cert.pem"),
		key:  filepath.Join(m.suite, "std_data", "server-key.pem"),
		end:  func() error { return errors.Join(endByPidFile(pid), os.RemoveAll(tmp)) },
	}, nil
}

func (m *mtr) sit(ctx context.Context, paper, addr string) (results, error) {
	list := filepath.Join(paper, "mtr.list")
	if err := os.WriteFile(list, []byte(strings.Join(m.tests, "\n")+"\n"), 0o644); err != nil {
		return nil, fmt.Errorf("write the list of tests: %w", err)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	args := []string{
		"--extern", "host=" + host, "--extern", "port=" + port, "--extern", "user=root",
		"--force", "--max-test-fail=0", "--retry=0", "--testcase-timeout=3", "--suite-timeout=300",
		"--nocheck-testcases", "--nowarnings", "--do-test-list=" + list,
	}
	if m.o.plain {
		args = append(args, "--extern", "ssl-mode=DISABLED")
	}
	if err := m.clients(paper); err != nil {
		return nil, err
	}
	out, err := m.runner(ctx, paper, "client", append(args, m.o.more...)...)
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return nil, fmt.Errorf("run the tests: %w", err)
	}
	return mtrResults(out), ctx.Err()
}

// runner runs mysql-test-run.pl, and keeps what it says.
func (m *mtr) runner(ctx context.Context, paper, name string, args ...string) (string, error) {
	bin := filepath.Join(paper, "bin")
	if name == "server" {
		bin = filepath.Join(m.suite, "bin")
	}
	cmd := exec.CommandContext(ctx, "perl", append([]string{"mysql-test-run.pl",
		"--client-bindir=" + bin,
		"--vardir=" + filepath.Join(paper, name)}, args...)...)
	cmd.Dir = m.suite
	cmd.Env = append(os.Environ(), "PERL5LIB="+filepath.Join(m.suite, "../../share/perl5")) // JSON.pm
	// It has children to end.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	log, err := os.Create(filepath.Join(paper, name+".log")) // to look into meanwhile: it takes minutes
	if err != nil {
		return "", fmt.Errorf("make the runner's log: %w", err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Run()
	out, rerr := os.ReadFile(log.Name())
	if rerr != nil {
		return "", fmt.Errorf("read the runner's log: %w", rerr)
	}
	return string(out), err
}

// clients makes the folder of the client programs. They are the suite's, but that
// mysqltest cleans up behind a test that fails: what such a one leaves would fail
// the next ones too. 62 is mysqltest's way to say that the test skips itself.
func (m *mtr) clients(paper string) error {
	bin := filepath.Join(paper, "bin")
	names, err := filepath.Glob(filepath.Join(m.suite, "bin", "*"))
	if err != nil {
		return err
	}
	err = os.Mkdir(bin, 0o755)
	for _, name := range names {
		if filepath.Base(name) != "mysqltest" {
			err = errors.Join(err, os.Symlink(name, filepath.Join(bin, filepath.Base(name))))
		}
	}
	script := fmt.Sprintf(mysqltest, m.suite, m.port)
	err = errors.Join(err, os.WriteFile(filepath.Join(bin, "mysqltest"), []byte(script), 0o755))
	if err != nil {
		return fmt.Errorf("make the folder of the client programs: %w", err)
	}
	return nil
}

const mysqltest = `#!/bin/sh
bin=%s/bin
[ -z "$EXAM_TEST" ] || exec "$bin/mysqltest" "$@" # a test that runs mysqltest
EXAM_TEST=1 "$bin/mysqltest" "$@"
status=$?
[ $status = 0 ] || [ $status = 62 ] || [ "$1" = --version ] || {
	mysql() { "$bin/mysql" --no-defaults -h 127.0.0.1 -P %s -u root -N "$@"; }
	mysql -e "
		SELECT CONCAT('DROP SCHEMA \` + "`" + `', schema_name, '\` + "`" + `;') FROM information_schema.schemata
			WHERE schema_name NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'mtr', 'midflight');
		SELECT CONCAT('DROP USER ', QUOTE(user), '@', QUOTE(host), ';') FROM mysql.user
			WHERE user NOT LIKE 'mysql.%%' AND user <> 'root';
		SELECT 'CREATE SCHEMA test;'" | mysql -f
} >/dev/null 2>&1
exit $status
`

// A line such as
//
//	[  4%] main.bigint                              [ pass ]    373
var mtrLine = regexp.MustCompile(`^\[ *\d+%\] (\S+) +\[ (pass|fail|skipped) \] *(.*)`)

// mtrResults reads what the runner prints: a line for each test, and after that
// of a failed one its difference, followed by the last answers before it.
func mtrResults(out string) results {
	found := results{}
	test := ""
	for line := range strings.Lines(out) {
		f := mtrLine.FindStringSubmatch(line)
		switch {
		case f != nil:
			test = f[1]
			switch f[2] {
			case "pass":
				found[test] = result{status: "pass"}
			case "skipped":
				found[test] = result{"skip", f[3] + "\n"}
			case "fail":
				found[test] = result{status: "fail"}
			}
		case strings.HasPrefix(line, "-----"), strings.HasPrefix(line, "The result from queries just before"):
			test = ""
		case strings.Contains(line, "Test ended at "), strings.TrimSpace(line) == "":
		case test != "" && found[test].status == "fail":
			found[test] = result{"fail", found[test].message + line}
		}
	}
	delete(found, "shutdown_report")
	return found
}

// freePorts is the first of the ten ports that the runner reckons with. It wants
// a multiple of ten, which the system's own choice never is: that is odd.
func freePorts() (int, error) {
	var err error
	for range 20 {
		port := 10000 + 10*rand.IntN(2000)
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}

// endByPidFile ends a server that the runner has left running, and waits.
func endByPidFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("end the server: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("end the server: %s: %w", path, err)
	}
	// Nobody wants its data any more.
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("end the server: %w", err)
	}
	return nil
}
