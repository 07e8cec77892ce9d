package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"time"

	"midflight/proxy"
)

var ready = regexp.MustCompile(`^midflight is ready: clients (\S+), `)

// startMidflight serves s with the server's own certificate, so that clients
// that verify it are content.
func startMidflight(ctx context.Context, program string, s server, log string) (addr string, end func(), err error) {
	args := []string{"serve", "--server", s.addr, "--user", "root", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0",
		"--keep-old", "0s"} // a test that lists its tables doesn't expect _t_old
	if s.cert != "" {
		args = append(args, "--tls-cert", s.cert, "--tls-key", s.key)
	}
	f, err := os.Create(log)
	if err != nil {
		return "", nil, fmt.Errorf("make midflight's log: %w", err)
	}
	defer f.Close()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = f
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, fmt.Errorf("start midflight: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start midflight (make build): %w", err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if found := ready.FindStringSubmatch(lines.Text()); found != nil {
			return found[1], func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() }, nil
		}
	}
	return "", nil, fmt.Errorf("midflight ended before it was ready: see %s (%w)", log, cmd.Wait())
}

// startProxy serves s by package proxy, with nobody who intercepts.
func startProxy(ctx context.Context, s server) (addr string, end func(), err error) {
	config := proxy.Config{Server: s.addr}
	if s.cert != "" {
		pair, err := tls.LoadX509KeyPair(s.cert, s.key)
		if err != nil {
			return "", nil, fmt.Errorf("read the server's certificate: %w", err)
		}
		config.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listen: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		proxy.New(config).Serve(ctx, l)
	}()
	return l.Addr().String(), func() { cancel(); <-done }, nil
}
