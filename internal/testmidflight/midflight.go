// Package testmidflight runs the real program in front of a test's server.
package testmidflight

import (
	"bufio"
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"midflight/internal/testmysql"
)

// Binary builds the program once per test process, unless make has built it for all.
var Binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("MIDFLIGHT_BINARY"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "midflight-binary-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "midflight")
	out, err := exec.Command("go", "build", "-o", path, "midflight/cmd/midflight").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build midflight: %w\n%s", err, out)
	}
	return path, nil
})

// A Midflight is a running program.
type Midflight struct {
	Addr, HTTP string // where it listens
	Server     *testmysql.Server

	process *os.Process
	out     *output
	done    chan struct{} // closed when it has ended
}

// An output is what a program and those who take its place say.
type output struct {
	ready chan []string // the ready line's fields, of each of them
	ended chan struct{} // closed when none of them is left

	mu  sync.Mutex // guards log
	log bytes.Buffer
}

var ready = regexp.MustCompile(`^midflight is ready: clients (\S+), server .*, http (\S+)$`)

// Start runs midflight serve with more args, as root of s, and waits for its
// ready line. It ends with the test, and with the test process.
func Start(t testing.TB, s *testmysql.Server, args ...string) *Midflight {
	t.Helper()
	path, err := Binary()
	if err != nil {
		t.Fatal(err)
	}
	m := &Midflight{Server: s, done: make(chan struct{})}
	cmd := exec.Command(path, append([]string{"serve", "--server", s.Addr, "--user", "root", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log-level", "debug", "--drain", "0"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if m.out, err = newOutput(cmd); err != nil {
		t.Fatal(err)
	}
	started := make(chan error)
	go func() { // Pdeathsig is sent when this thread ends (go.dev/issue/27505)
		runtime.LockOSThread()
		started <- cmd.Start()
		<-m.done
	}()
	err = <-started
	cmd.Stdout.(*os.File).Close()
	cmd.Stderr.(*os.File).Close()
	if err != nil {
		t.Fatal(err)
	}
	m.process = cmd.Process
	go func() {
		cmd.Wait()
		select {
		case <-m.out.ended:
		case <-time.After(100 * time.Millisecond): // another goes on
		}
		close(m.done)
	}()
	t.Cleanup(func() { m.Stop(); m.report(t) })
	select {
	case f := <-m.out.ready:
		m.Addr, m.HTTP = f[1], f[2]
	case <-m.out.ended:
		t.Fatalf("midflight serve ended before it was ready:\n%s", m.Log())
	}
	return m
}

// newOutput has pipes for what the program says: they outlive it when another takes its place.
func newOutput(cmd *exec.Cmd) (*output, error) {
	o := &output{ready: make(chan []string, 10), ended: make(chan struct{})}
	said, stdout, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	logged, stderr, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	var readers sync.WaitGroup
	readers.Go(func() {
		defer said.Close()
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if f := ready.FindStringSubmatch(lines.Text()); f != nil {
				o.ready <- f
			}
		}
	})
	readers.Go(func() {
		defer logged.Close()
		io.Copy(o, logged)
	})
	go func() { readers.Wait(); close(o.ended) }()
	return o, nil
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.Write(p)
}

// Log is what it, and those before and behind it, have logged so far.
func (m *Midflight) Log() string {
	m.out.mu.Lock()
	defer m.out.mu.Unlock()
	return m.out.log.String()
}

var heir = regexp.MustCompile(`"a new process has taken over","pid":(\d+)`)

// Upgrade has a new process take m's place, and waits until it is ready and m drains.
func (m *Midflight) Upgrade(t testing.TB) *Midflight {
	t.Helper()
	m.process.Signal(syscall.SIGUSR2)
	next := &Midflight{Server: m.Server, out: m.out, done: m.out.ended}
	select {
	case f := <-m.out.ready:
		next.Addr, next.HTTP = f[1], f[2]
	case <-time.After(time.Minute):
		t.Fatal("no new process gets ready")
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if found := heir.FindAllStringSubmatch(m.Log(), -1); len(found) > 0 {
			pid, _ := strconv.Atoi(found[len(found)-1][1])
			next.process, _ = os.FindProcess(pid)
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody says that a new process has taken over")
		}
	}
	t.Cleanup(next.Stop)
	return next
}

// Signal sends it a signal, and doesn't wait.
func (m *Midflight) Signal(s syscall.Signal) { m.process.Signal(s) }

// Done is closed when it has ended.
func (m *Midflight) Done() <-chan struct{} { return m.done }

func (m *Midflight) report(t testing.TB) {
	if t.Failed() {
		lines := strings.Split(m.Log(), "\n")
		t.Logf("midflight's log ends:\n%s", strings.Join(lines[max(0, len(lines)-60):], "\n"))
	}
}

// Pid is its process.
func (m *Midflight) Pid() int { return m.process.Pid }

// Stop ends it by SIGTERM and waits.
func (m *Midflight) Stop() { m.signal(syscall.SIGTERM) }

// Kill9 ends it at once and waits.
func (m *Midflight) Kill9() { m.signal(syscall.SIGKILL) }

// Freeze stops it like a machine that hangs; its connections stay open. Thaw lets it go on.
func (m *Midflight) Freeze() { m.process.Signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (m *Midflight) Thaw() { m.process.Signal(syscall.SIGCONT) }

func (m *Midflight) signal(s syscall.Signal) {
	m.process.Signal(s)
	<-m.done
}

// DSN is root's through Midflight.
func (m *Midflight) DSN(db string) string { return "root@tcp(" + m.Addr + ")/" + db }

// DB is a pool of root's connections through Midflight.
func (m *Midflight) DB(t testing.TB, db string) *sql.DB {
	t.Helper()
	pool, err := sql.Open("mysql", m.DSN(db))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return pool
}
