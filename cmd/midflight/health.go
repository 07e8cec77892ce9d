package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// health asks the Midflight of the same settings whether it lives: for images, which have
// no other program (HEALTHCHECK).
func health(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c config
	rest, err := c.parse("health", args, stderr, (*config).serveFlags)
	if err := noArgs("health", rest, err); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	url := "http://midflight/healthz"
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		network, addr := near(c.HTTP)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	if c.HTTPTLSCert != "" { // whose name is not this machine's; nothing secret is said
		url, transport.TLSClientConfig = "https://midflight/healthz", &tls.Config{InsecureSkipVerify: true}
	}
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.HTTP, err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s: it says %s", c.HTTP, answer.Status)
	}
	fmt.Fprintln(stdout, "ok")
	return nil
}

// near is where to reach, from the same machine, who listens on an address.
func near(listen string) (network, addr string) {
	if strings.HasPrefix(listen, "/") {
		return "unix", listen
	}
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return "tcp", net.JoinHostPort("localhost", port)
	}
	return "tcp", listen
}
