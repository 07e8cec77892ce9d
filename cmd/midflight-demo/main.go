// Command midflight-demo shows an ALTER TABLE pass through the traffic of an
// application, and tells whether the application noticed: make demo.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"midflight/internal/localserver"
)

const (
	before = 3 * time.Second // of load before the ALTER
	after  = 2 * time.Second // and after it
)

type options struct {
	flavor  localserver.Flavor
	rows    int64
	once    bool
	program string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A second Ctrl-C doesn't wait; but make and timeout may send the first twice.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, context.Canceled):
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "midflight-demo:", err)
		os.Exit(1)
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{flavor: localserver.MySQL}
	f := flag.NewFlagSet("midflight-demo", flag.ContinueOnError)
	f.SetOutput(stderr)
	maria := f.Bool("mariadb", false, "show it on MariaDB instead of MySQL")
	f.Int64Var(&o.rows, "rows", 1_000_000, "rows in the table")
	f.BoolVar(&o.once, "once", false, "end after the report")
	f.StringVar(&o.program, "midflight", "", "`PATH` of the program; built when not given")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if *maria {
		o.flavor = localserver.MariaDB
	}
	if o.rows < 100 || o.rows > 100_000_000 {
		return o, errors.New("-rows must be from 100 to 100000000")
	}
	return o, nil
}

// run is the demo, from the first line to the last.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	s := newScreen(stdout)
	dir, err := os.MkdirTemp("", "midflight-demo-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	told := false // the report is printed
	defer func() {
		if ctx.Err() != nil && !told { // what failed, failed because of that
			err = ctx.Err()
		}
		err = errors.Join(err, os.RemoveAll(dir))
		if ctx.Err() != nil {
			s.say("\n  stopped; nothing is left running")
		}
	}()

	s.say("\n  %s  a plain ALTER TABLE, under load\n", s.bold("Midflight"))
	server, err := startServer(ctx, o.flavor)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Remove()) }()
	direct, err := sql.Open("mysql", server.RootDSN(""))
	if err != nil {
		return fmt.Errorf("connect to the server: %w", err)
	}
	defer direct.Close()
	var version string
	if err := direct.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return fmt.Errorf("connect to the server: %w", err)
	}
	s.say("%s", s.item("server", fmt.Sprintf("%s on %s, private, binlog on", product(version), server.Addr)))

	if o.program == "" {
		if o.program, err = build(ctx, dir); err != nil {
			return err
		}
	}
	front, err := startMidflight(ctx, o.program, server.Addr, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, front.stop()) }()
	s.say("%s", s.item("midflight", fmt.Sprintf("on %s, in front of it", front.addr)))

	start := time.Now()
	if err := fill(ctx, direct, o.rows, func(done int64) {
		s.redraw(s.item("table", fmt.Sprintf("%s %9s rows", s.bar(float64(done)/float64(o.rows)), thousands(done))))
	}); err != nil {
		return err
	}
	s.say("%s", s.item("table", fmt.Sprintf("shop.orders, %s rows, filled in %s", thousands(o.rows), seconds(time.Since(start)))))

	a, err := newApp(front.dsn("shop"), o.rows)
	if err != nil {
		return err
	}
	defer a.close()
	client, err := sql.Open("mysql", front.dsn("shop"))
	if err != nil {
		return fmt.Errorf("connect to midflight: %w", err)
	}
	defer client.Close()
	stop := a.start()
	defer func() { stop() }() // which one is decided then
	s.say("%s", s.item("application", fmt.Sprintf("%d writers and %d readers work through midflight;", writers, readers)))
	s.say("%s", s.item("", "every write that is acknowledged is remembered"))
	loaded := time.Now()
	if err := sleep(ctx, before); err != nil {
		return err
	}

	s.say("\n  %s%s", s.dim("mysql> "), s.bold(alterOrders+";"))
	result, err := watch(ctx, s, front, a.meter, client)
	if err != nil {
		return err
	}
	if err := sleep(ctx, after); err != nil {
		return err
	}
	stop()
	ended := time.Now()

	r, err := newReport(ctx, direct, a, result, loaded, ended, func() {
		s.redraw("", "  reading every row back …")
	})
	if err != nil {
		return err
	}
	r.print(s)
	told = true
	verdict := r.verdict()
	if verdict != nil {
		s.say("\n  the end of midflight's log:\n%s", front.lastWords())
	}
	if o.once {
		return verdict
	}
	stop = a.start()
	invite(s, server, front)
	linger(ctx, s, front, a.meter)
	return verdict
}

// watch sends the ALTER and shows what happens until it is answered.
func watch(ctx context.Context, s *screen, front *midflight, m *meter, client *sql.DB) (answer, error) {
	start := time.Now()
	var speed speedometer
	done := alter(ctx, client)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case r := <-done:
			if ctx.Err() != nil {
				return r, ctx.Err()
			}
			s.last = s.last.Add(-time.Second) // the last line is always shown
			state, err := latest(ctx, client)
			if err != nil {
				return r, err
			}
			s.show(view{time.Since(start), state, speed.see(state.copied), m.lately()})
			s.keep()
			return r, nil
		case <-front.ended:
			return answer{}, fmt.Errorf("midflight ended:\n%s", front.lastWords())
		case <-ctx.Done():
			return answer{}, ctx.Err()
		case <-tick.C:
			state, err := latest(ctx, client)
			if err != nil {
				return answer{}, err
			}
			if state.phase != "completed" { // which the answer shows
				s.show(view{time.Since(start), state, speed.see(state.copied), m.lately()})
			}
		}
	}
}

// invite tells how to look for oneself.
func invite(s *screen, server *localserver.Server, front *midflight) {
	_, port, _ := net.SplitHostPort(front.addr)
	mysql := "mysql"
	if path := os.Getenv("MIDFLIGHT_MYSQL_CLIENT"); path != "" {
		if _, err := exec.LookPath(mysql); err != nil {
			mysql = path
		}
	}
	s.say("\n  %s Look for yourself, or send another ALTER:\n", s.bold("All of it goes on until Ctrl-C."))
	s.say("    %s -h127.0.0.1 -P%s -uroot shop", mysql, port)
	s.say("    %s status --server %s --user root", front.program, server.Addr)
	s.say("    http://%s/", front.http)
	s.say("    %s", front.log)
}

// linger shows the application's pulse until Ctrl-C.
func linger(ctx context.Context, s *screen, front *midflight, m *meter) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-front.ended:
			s.say("\n  midflight ended:\n%s", front.lastWords())
			return
		case <-tick.C:
			p := m.lately()
			m.forget()
			s.redraw("", fmt.Sprintf("  %s trx/s  %s reads/s  worst answer %8s  %s", thousands(int64(p.transactions)), thousands(int64(p.reads)),
				ms(p.worst), s.good(int64(p.errors), thousands(int64(p.errors))+" errors")))
		}
	}
}

// product is the server as people call it: MySQL 9.7.4, MariaDB 10.11.14.
func product(version string) string {
	number, rest, _ := strings.Cut(version, "-")
	if strings.Contains(rest, "MariaDB") {
		return "MariaDB " + number
	}
	return "MySQL " + number
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
