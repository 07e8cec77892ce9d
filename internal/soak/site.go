package soak

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/internal/localserver"
)

// A Site is a server with a Midflight in front of it, for many cases.
type Site struct {
	Flavor          localserver.Flavor
	server          *localserver.Server
	cmd             *exec.Cmd
	addr            string // Midflight's
	log             string // a file
	ended           chan struct{}
	direct, through *sql.DB
	cases           atomic.Int64
	// dumpKills counts the binlog streams killed: nobody knows whose.
	dumpKills atomic.Int64
}

var ready = regexp.MustCompile(`^midflight is ready: clients (\S+), `)

// account is Midflight's own, with the rights of deploy/grants-*.sql.
const account = "midflight"

// Start starts a server and, in front of it, the program. dir is for its log.
func Start(ctx context.Context, f localserver.Flavor, program, grants, dir string) (_ *Site, err error) {
	s := &Site{Flavor: f, log: filepath.Join(dir, "midflight-"+string(f)+".log"), ended: make(chan struct{})}
	if s.server, err = localserver.Start(ctx, f, "--max-connections=300"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.direct, err = sql.Open("mysql", s.server.RootDSN("")+"?maxAllowedPacket=0"); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(grants, "grants-"+string(f)+".sql"))
	if err != nil {
		return nil, fmt.Errorf("read the grants of Midflight's account: %w", err)
	}
	for statement := range strings.SplitSeq(strings.ReplaceAll(string(text), "'change me'", "''"), ";") {
		if statement = strings.TrimSpace(statement); statement != "" {
			if _, err := s.direct.ExecContext(ctx, statement); err != nil {
				return nil, fmt.Errorf("make Midflight's account: %w", err)
			}
		}
	}
	// Else no account without SUPER makes a trigger.
	if _, err := s.direct.ExecContext(ctx, "SET GLOBAL log_bin_trust_function_creators = 1"); err != nil {
		return nil, fmt.Errorf("let triggers be made: %w", err)
	}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, fmt.Errorf("make midflight's log: %w", err)
	}
	defer log.Close()
	s.cmd = exec.Command(program, "serve", "--server", s.server.Addr, "--user", account, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log-level", "debug")
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start midflight: %w", err)
	}
	if err := localserver.Spawn(s.cmd); err != nil {
		return nil, fmt.Errorf("start midflight: %w", err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := ready.FindStringSubmatch(lines.Text()); m != nil {
			s.addr = m[1]
			break
		}
	}
	go func() {
		for lines.Scan() {
		}
		s.cmd.Wait()
		close(s.ended)
	}()
	if s.addr == "" {
		<-s.ended
		return nil, fmt.Errorf("midflight ended before it was ready:\n%s", s.lastWords(40))
	}
	s.through, err = sql.Open("mysql", "root@tcp("+s.addr+")/?maxAllowedPacket=0")
	return s, err
}

// Close ends both, in order.
func (s *Site) Close() error {
	for _, db := range []*sql.DB{s.direct, s.through} {
		if db != nil {
			db.Close()
		}
	}
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.ended:
		case <-time.After(10 * time.Second):
			s.cmd.Process.Kill()
			<-s.ended
		}
	}
	return s.server.Remove()
}

// Died tells whether the server or Midflight has ended, with their last words.
func (s *Site) Died(ctx context.Context) (lastWords string) {
	select {
	case <-s.ended:
		return "midflight ended:\n" + s.lastWords(60)
	default:
	}
	if err := s.direct.PingContext(ctx); err != nil && ctx.Err() == nil {
		log := strings.Split(s.server.ErrorLog(), "\n")
		return fmt.Sprintf("the server ended (%v):\n%s", err, strings.Join(log[max(0, len(log)-80):], "\n"))
	}
	return ""
}

func (s *Site) lastWords(n int) string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// A session is one connection whose answers are recorded: the driver does not
// tell the text of an OK packet.
type session struct {
	pool *sql.DB
	conn *sql.Conn
	rec  *recorder
}

type recorder struct {
	net.Conn
	mu  sync.Mutex
	got []byte
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, p[:n]...)
	return n, err
}

func open(ctx context.Context, addr, db string, settings []string) (*session, error) {
	s := &session{rec: &recorder{}}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.DBName = "root", "tcp", addr, db
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, addr)
		s.rec.Conn = c
		return s.rec, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	s.pool = sql.OpenDB(connector)
	if s.conn, err = s.pool.Conn(ctx); err != nil {
		s.pool.Close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	for _, q := range settings {
		if _, err := s.conn.ExecContext(ctx, q); err != nil {
			s.close()
			return nil, fmt.Errorf("%s: %w", q, err)
		}
	}
	return s, nil
}

func (s *session) close() {
	s.conn.Close()
	s.pool.Close()
}

// An answer is all that a client is told of its statement.
type answer struct {
	err      error
	info     string   // of the OK packet
	rows     []string // of OPTIMIZE TABLE
	warnings []string
}

var info = regexp.MustCompile(`Records: \d+  Duplicates: \d+  Warnings: \d+`)

func (s *session) say(ctx context.Context, statement string) (a answer) {
	s.rec.mu.Lock()
	s.rec.got = nil
	s.rec.mu.Unlock()
	a.rows, a.err = list(ctx, s.conn, statement)
	s.rec.mu.Lock()
	a.info = string(info.Find(s.rec.got))
	s.rec.mu.Unlock()
	if a.err == nil {
		a.warnings, _ = list(ctx, s.conn, "SHOW WARNINGS")
	}
	return a
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// list reads a result, a text for each row.
func list(ctx context.Context, db querier, query string, args ...any) ([]string, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values := make([]sql.NullString, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	var all []string
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		texts := make([]string, len(columns))
		for i, v := range values {
			texts[i] = v.String
		}
		all = append(all, strings.Join(texts, " | "))
	}
	return all, rows.Err()
}
