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
	"slices"
	"strings"
	"syscall"
	"time"

	"midflight/internal/localserver"
)

const (
	direct   = "direct"
	haproxy1 = "haproxy-1"
	haproxy2 = "haproxy-2"
	routerPT = "router-pt"
	routerL7 = "router-l7"
)

var (
	haproxies = []string{haproxy1, haproxy2}
	routers   = []string{routerPT, routerL7}
)

// A spec is a way from sysbench to the server that can be started, also twice.
type spec struct {
	name  string
	start func(context.Context, *bench) (*target, error)
}

// A target is a way from sysbench to the server, in use.
type target struct {
	name, addr string
	http       string // Midflight's
	pid        int    // 0 for direct: there is no proxy

	cmd   *exec.Cmd
	log   string
	ended chan struct{} // closed when the process has
}

// specsFor returns the targets that the options ask for, in their order in the tables.
func specsFor(o options) ([]spec, error) {
	all := []spec{
		{direct, func(_ context.Context, b *bench) (*target, error) {
			return &target{name: direct, addr: b.server.Addr}, nil
		}},
		{haproxy1, haproxy(haproxy1, 1)},
		{haproxy2, haproxy(haproxy2, 2)},
		{routerPT, router(routerPT, "PASSTHROUGH")},
		{routerL7, router(routerL7, "PREFERRED")},
	}
	for _, m := range o.builds {
		all = append(all, spec{m.name, midflight(m)})
	}
	if len(o.targets) == 0 {
		return all, nil
	}
	var chosen, names []string
	for _, s := range all {
		names = append(names, s.name)
	}
	for _, name := range o.targets {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("no target %q: there are %s", name, strings.Join(names, ", "))
		}
		chosen = append(chosen, name)
	}
	return slices.DeleteFunc(all, func(s spec) bool { return !slices.Contains(chosen, s.name) }), nil
}

func haproxy(name string, threads int) func(context.Context, *bench) (*target, error) {
	return func(ctx context.Context, b *bench) (*target, error) {
		return b.behindConfig(ctx, name, func(port string) string {
			return fmt.Sprintf(`global
    nbthread %d
    maxconn %d
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen mysql
    bind 127.0.0.1:%s
    server mysql %s
`, threads, b.most()+50, port, b.server.Addr)
		}, func(config string) *exec.Cmd { return exec.Command(b.tools.haproxy, "-db", "-f", config) })
	}
}

// router takes the server's own certificate, without which PREFERRED doesn't start.
func router(name, ssl string) func(context.Context, *bench) (*target, error) {
	return func(ctx context.Context, b *bench) (*target, error) {
		return b.behindConfig(ctx, name, func(port string) string {
			config := fmt.Sprintf(`[DEFAULT]
logging_folder=
runtime_folder=%[1]s
data_folder=%[1]s
max_total_connections=%[2]d
[logger]
level=WARNING
[routing:classic]
bind_address=127.0.0.1
bind_port=%[3]s
destinations=%[4]s
routing_strategy=first-available
protocol=classic
client_ssl_mode=%[5]s
server_ssl_mode=AS_CLIENT
`, b.dir, b.most()+50, port, b.server.Addr, ssl)
			if ssl != "PASSTHROUGH" {
				config += fmt.Sprintf("client_ssl_cert=%[1]s/server-cert.pem\nclient_ssl_key=%[1]s/server-key.pem\n", b.server.Datadir)
			}
			return config
		}, func(config string) *exec.Cmd { return exec.Command(b.tools.mysqlrouter, "--config", config) })
	}
}

var ready = regexp.MustCompile(`^midflight is ready: clients (\S+), server .*, http (\S+)$`)

func midflight(m build) func(context.Context, *bench) (*target, error) {
	return func(ctx context.Context, b *bench) (*target, error) {
		cmd := exec.Command(m.path, "serve", "--server", b.server.Addr, "--user", "root",
			"--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", m.name, err)
		}
		defer context.AfterFunc(ctx, func() { out.Close() })()
		t, err := b.launch(m.name, cmd)
		if err != nil {
			return nil, err
		}
		for lines := bufio.NewScanner(out); lines.Scan(); { // it prints one line
			if f := ready.FindStringSubmatch(lines.Text()); f != nil {
				t.addr, t.http = f[1], f[2]
				return t, nil
			}
		}
		return nil, t.failed(ctx)
	}
}

// behindConfig starts a proxy that reads a file in which a free port is named.
func (b *bench) behindConfig(ctx context.Context, name string, config func(port string) string, command func(config string) *exec.Cmd) (*target, error) {
	port, err := localserver.FreePort()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	path := filepath.Join(b.dir, name+".conf")
	if err := os.WriteFile(path, []byte(config(fmt.Sprint(port))), 0o600); err != nil {
		return nil, fmt.Errorf("configure %s: %w", name, err)
	}
	t, err := b.launch(name, command(path))
	if err != nil {
		return nil, err
	}
	t.addr = fmt.Sprintf("127.0.0.1:%d", port)
	for {
		// It takes a connection before it answers one; only an answer counts.
		c, err := connect(ctx, t.addr, 4096)
		if err == nil {
			return t, c.close()
		}
		select {
		case <-t.ended:
			return nil, t.failed(ctx)
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), t.stop())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// launch starts a proxy's process, which ends when this one does.
func (b *bench) launch(name string, cmd *exec.Cmd) (*target, error) {
	t := &target{name: name, cmd: cmd, log: filepath.Join(b.dir, name+".log"), ended: make(chan struct{})}
	log, err := os.Create(t.log)
	if err != nil {
		return nil, fmt.Errorf("make %s's log: %w", name, err)
	}
	defer log.Close()
	cmd.Stderr = log
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	if err := localserver.Spawn(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	t.pid = cmd.Process.Pid
	go func() {
		cmd.Process.Wait() // not cmd.Wait, which closes the pipe under its reader
		close(t.ended)
	}()
	return t, nil
}

// failed is the error of a proxy that did not get ready.
func (t *target) failed(ctx context.Context) error {
	err := errors.Join(ctx.Err(), t.stop())
	log, _ := os.ReadFile(t.log)
	return errors.Join(fmt.Errorf("%s ended before it was ready:\n%s", t.name, log), err)
}

// stop ends the proxy and waits until it has.
func (t *target) stop() error {
	if t.cmd == nil {
		return nil
	}
	t.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-t.ended:
		return nil
	case <-time.After(5 * time.Second): // draining is not what is measured
		t.cmd.Process.Kill()
		<-t.ended
		return nil
	}
}
