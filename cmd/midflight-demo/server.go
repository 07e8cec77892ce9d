package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"midflight/internal/localserver"
)

// startServer starts a private server: as localserver's for tests, with memory
// and redo log for a table that doesn't fit into theirs.
func startServer(ctx context.Context, f localserver.Flavor) (*localserver.Server, error) {
	redo := "--innodb-redo-log-capacity=512M"
	if f == localserver.MariaDB {
		redo = "--innodb-log-file-size=512M"
	}
	return localserver.Start(ctx, f, "--innodb-buffer-pool-size=512M", redo)
}

// midflight is the real program, running in front of the server.
type midflight struct {
	program    string
	addr, http string // where it listens
	log        string // path of what it logs
	cmd        *exec.Cmd
	ended      chan struct{} // closed when it has
}

// build builds the program into a folder.
func build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "midflight")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "midflight/cmd/midflight").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build midflight: %w\n%s", err, out)
	}
	return path, nil
}

var ready = regexp.MustCompile(`^midflight is ready: clients (\S+), server .*, http (\S+)$`)

// startMidflight runs midflight serve on free ports and returns when it is
// ready. The calling goroutine must outlive it.
func startMidflight(ctx context.Context, program, server, dir string) (*midflight, error) {
	m := &midflight{program: program, log: filepath.Join(dir, "midflight.log"), ended: make(chan struct{})}
	log, err := os.Create(m.log)
	if err != nil {
		return nil, fmt.Errorf("make midflight's log: %w", err)
	}
	defer log.Close()
	m.cmd = exec.Command(program, "serve", "--server", server, "--user", "root",
		"--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
	m.cmd.Stderr, m.cmd.SysProcAttr = log, child()
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start midflight: %w", err)
	}
	// The parent-death signal is sent when the parent's *thread* ends, so this
	// one is kept. https://go.dev/issue/27505
	runtime.LockOSThread()
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start midflight: %w", err)
	}
	release := context.AfterFunc(ctx, func() { m.cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if f := ready.FindStringSubmatch(lines.Text()); f != nil {
			m.addr, m.http = f[1], f[2]
			break
		}
	}
	release()
	go func() {
		for lines.Scan() {
		}
		m.cmd.Wait()
		close(m.ended)
	}()
	if m.addr == "" {
		<-m.ended
		return nil, fmt.Errorf("midflight ended before it was ready:\n%s", m.lastWords())
	}
	return m, nil
}

// stop ends the program as an operator would and waits until it has.
func (m *midflight) stop() error {
	m.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-m.ended:
		return nil
	case <-time.After(5 * time.Second):
		m.cmd.Process.Kill()
		<-m.ended
		return errors.New("midflight did not end within 5 s and was killed")
	}
}

// lastWords is the end of the log.
func (m *midflight) lastWords() string {
	b, err := os.ReadFile(m.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

func (m *midflight) dsn(db string) string { return "root@tcp(" + m.addr + ")/" + db }
