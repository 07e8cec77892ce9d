package localserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

// A Server is a private server with a data folder of its own, which goes away
// with it. Root has no password. It ends when this process does.
type Server struct {
	Flavor  Flavor
	Addr    string // host:port
	Socket  string
	Datadir string

	folder  *folder
	program string
	args    []string
	env     []string // nil: this process's
	process *process // of the last start
}

// process is one run of the server.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
	err   error         // of Wait; valid when ended is closed
}

// readyTimeout is generous: a test machine may start several at a time.
const readyTimeout = 90 * time.Second

// Start starts a new server and returns when it answers. The arguments come
// after ours, so they win.
func Start(ctx context.Context, f Flavor, args ...string) (*Server, error) {
	program, err := Find(f)
	if err != nil {
		return nil, err
	}
	from, err := template(ctx, f, program)
	if err != nil {
		return nil, err
	}
	return start(ctx, f, program, from, func(*Server) ([]string, error) { return args, nil })
}

// start starts a server with a copy of a data folder, and asks for its arguments anew with
// each port that it tries.
func start(ctx context.Context, f Flavor, program, from string, more func(*Server) (args []string, err error)) (*Server, error) {
	dir, err := newFolder()
	if err != nil {
		return nil, err
	}
	s := &Server{
		Flavor: f, Socket: filepath.Join(dir.path, "sock"), Datadir: filepath.Join(dir.path, "data"),
		folder: dir, program: program,
	}
	if err := copyDir(from, s.Datadir); err != nil {
		return nil, errors.Join(fmt.Errorf("copy the template: %w", err), dir.remove())
	}
	// A port can be lost to somebody between the moment it is found to be free
	// and the moment the server has it.
	for attempt := 1; ; attempt++ {
		port, err := FreePort()
		if err != nil {
			return nil, errors.Join(err, dir.remove())
		}
		s.Addr = fmt.Sprintf("127.0.0.1:%d", port)
		args, err := more(s)
		if err != nil {
			return nil, errors.Join(err, dir.remove())
		}
		s.args = append(s.options(port), args...)
		if resolve := "--skip-name-resolve=OFF"; slices.Contains(args, resolve) {
			// MySQL remembers the option's first appearance.
			s.args = slices.DeleteFunc(s.args, func(a string) bool { return a == "--skip-name-resolve" })
		}
		if err = s.StartAgain(ctx); err == nil {
			return s, nil
		}
		if attempt == 3 || !strings.Contains(s.ErrorLog(), "Address already in use") {
			return nil, errors.Join(err, dir.remove())
		}
	}
}

func (s *Server) options(port int) []string {
	o := asUser(
		"--no-defaults",
		"--datadir="+s.Datadir,
		"--socket="+s.Socket,
		"--pid-file="+filepath.Join(s.folder.path, "pid"),
		"--log-error="+s.errorLog(),
		"--tmpdir="+s.folder.path,
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--port=%d", port),
		fmt.Sprintf("--server-id=%d", port),
		"--log-bin=binlog",
		"--binlog-format=ROW",
		"--character-set-server=utf8mb4",
		"--skip-name-resolve",
		"--local-infile=ON",
		"--secure-file-priv=",
		// What a crash of the machine loses doesn't matter here.
		"--innodb-flush-log-at-trx-commit=2",
		"--sync-binlog=0",
		"--innodb-buffer-pool-size=64M",
		// The answer tells that a statement was slow, which it may be on one machine only.
		"--long-query-time=3600",
	)
	if s.Flavor == MySQL {
		return append(o, "--mysqlx=OFF", "--gtid-mode=ON", "--enforce-gtid-consistency=ON",
			"--innodb-redo-log-capacity=64M")
	}
	return append(o, "--innodb-log-file-size=64M")
}

// StartAgain starts a server that has ended, with the same data and address.
func (s *Server) StartAgain(ctx context.Context) error {
	p := &process{cmd: exec.Command(s.program, s.args...), ended: make(chan struct{})}
	p.cmd.Env = s.env
	// The error log takes what the server says; this is for what goes wrong before.
	early, err := os.OpenFile(s.errorLog(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the error log: %w", err)
	}
	defer early.Close()
	p.cmd.Stdout, p.cmd.Stderr = early, early
	if err := Spawn(p.cmd); err != nil {
		return fmt.Errorf("start %s: %w", s.program, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	s.process = p
	if err := s.awaitReady(ctx); err != nil {
		s.Kill()
		return fmt.Errorf("start %s: %w\n%s", s.program, err, tail(s.ErrorLog(), 30))
	}
	return nil
}

// awaitReady polls: a server doesn't say to its parent that it is ready.
func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr = "root", "tcp", s.Addr
	cfg.Logger = log.New(io.Discard, "", 0) // refused connections are expected
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return fmt.Errorf("configure a connection: %w", err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-s.process.ended:
			return fmt.Errorf("the server ended: %v", s.process.err)
		case <-ctx.Done():
			return fmt.Errorf("wait until the server answers: %w (%v)", ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the server as an operator would and waits until it has. The data
// stays, for StartAgain.
func (s *Server) Stop(ctx context.Context) error {
	if err := s.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.process.ended:
		return nil
	case <-ctx.Done():
		s.Kill()
		return fmt.Errorf("stop %s: %w", s.program, ctx.Err())
	}
}

// Kill ends the server as a crash would and waits until it has. The data
// stays, for StartAgain.
func (s *Server) Kill() error {
	err := s.signal(syscall.SIGKILL)
	<-s.process.ended
	return err
}

// Remove ends the server, and its data with it.
func (s *Server) Remove() error {
	return errors.Join(s.Kill(), s.folder.remove())
}

func (s *Server) signal(sig os.Signal) error {
	if err := s.process.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v to %s: %w", sig, s.program, err)
	}
	return nil
}

// Pid is the process id of the running server.
func (s *Server) Pid() int { return s.process.cmd.Process.Pid }

// ErrorLog is what the server has written into it so far.
func (s *Server) ErrorLog() string {
	b, err := os.ReadFile(s.errorLog())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (s *Server) errorLog() string { return filepath.Join(s.folder.path, "error.log") }

// RootDSN is the address for the driver; db may be empty.
func (s *Server) RootDSN(db string) string { return "root@tcp(" + s.Addr + ")/" + db }

// FreePort looks below the range from which the system takes the ports of
// outgoing connections: a server that is down for a restart keeps its port.
func FreePort() (int, error) {
	var last error
	for range 100 {
		port := 10000 + rand.IntN(20000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
		last = err
	}
	return 0, fmt.Errorf("find a free port: %w", last)
}

func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
