// Package testmidflight runs the real program in front of a test's server.
package testmidflight

import (
	"bufio"
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	_ "github.com/go-sql-driver/mysql"

	"midflight/internal/testmysql"
)

// Binary builds the program once per test process.
var Binary = sync.OnceValues(func() (string, error) {
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

	cmd  *exec.Cmd
	mu   sync.Mutex // guards log
	log  bytes.Buffer
	done chan struct{} // closed when it has ended
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
	m.cmd = exec.Command(path, append([]string{"serve", "--server", s.Addr, "--user", "root", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log-level", "debug"}, args...)...)
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	m.cmd.Stderr = logWriter{m}
	started := make(chan error)
	go func() { // Pdeathsig is sent when this thread ends (go.dev/issue/27505)
		runtime.LockOSThread()
		started <- m.cmd.Start()
		<-m.done
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Stop(); m.report(t) })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if f := ready.FindStringSubmatch(lines.Text()); f != nil {
			m.Addr, m.HTTP = f[1], f[2]
			go func() {
				for lines.Scan() {
				}
				m.cmd.Wait()
				close(m.done)
			}()
			return m
		}
	}
	m.cmd.Wait()
	close(m.done)
	t.Fatalf("midflight serve ended before it was ready:\n%s", m.Log())
	return nil
}

type logWriter struct{ m *Midflight }

func (w logWriter) Write(p []byte) (int, error) {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	return w.m.log.Write(p)
}

// Log is what it has logged so far.
func (m *Midflight) Log() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.String()
}

func (m *Midflight) report(t testing.TB) {
	if t.Failed() {
		lines := strings.Split(m.Log(), "\n")
		t.Logf("midflight's log ends:\n%s", strings.Join(lines[max(0, len(lines)-60):], "\n"))
	}
}

// Pid is its process.
func (m *Midflight) Pid() int { return m.cmd.Process.Pid }

// Stop ends it by SIGTERM and waits.
func (m *Midflight) Stop() { m.signal(syscall.SIGTERM) }

// Kill9 ends it at once and waits.
func (m *Midflight) Kill9() { m.signal(syscall.SIGKILL) }

func (m *Midflight) signal(s syscall.Signal) {
	m.cmd.Process.Signal(s)
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
