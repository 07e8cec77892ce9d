package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"

	"midflight/check"
	"midflight/ghost"
	"midflight/intercept"
	"midflight/metrics"
	"midflight/mysqld"
	"midflight/proxy"
	"midflight/store"
)

// serve runs the proxy until ctx ends.
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c config
	rest, err := c.parse("serve", args, stderr, (*config).serveFlags)
	if err := noArgs("serve", rest, err); err != nil {
		return err
	}
	log, err := newLogger(c.LogLevel)
	if err != nil {
		return err
	}
	defer log.Sync()

	db, err := mysqld.Open(c.account())
	if err != nil {
		return err
	}
	defer db.Close()
	flavor, findings, err := check.Server(ctx, db, c.account())
	if err != nil {
		return err
	}
	if missing := check.Missing(findings); missing != nil {
		return missing
	}
	keep, err := store.Open(ctx, db)
	if err != nil {
		return err
	}
	defer keep.Close()

	series := metrics.New()
	door := new(door)
	queue := ghost.NewQueue(ghost.Config{
		Server: c.account(), Flavor: flavor, DB: db, Store: keep, Door: door, KeepOld: c.KeepOld,
		Observe: func(e ghost.Event) { log.migration(e); series.Migration(e) },
	})
	interceptor := &intercept.Interceptor{Flavor: flavor, Queue: queue,
		Observe: func(e intercept.Event) { log.interception(e); series.Interception(e) }}
	certificate, err := c.certificate()
	if err != nil {
		return err
	}
	front := proxy.New(proxy.Config{
		Server: c.Server, TLS: certificate,
		Candidate: intercept.Candidate, Intercept: interceptor.Intercept,
		Observe: func(e proxy.Event) { log.session(e); series.Session(e) },
	})
	door.Server = front
	series.Commands(front.Stats)

	clients, err := listen(c.Listen)
	if err != nil {
		return err
	}
	defer clients.Close()
	page, err := listen(c.HTTP)
	if err != nil {
		return err
	}
	defer page.Close()

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return queue.Run(ctx) })
	g.Go(func() error { return front.Serve(ctx, clients) })
	g.Go(func() error { return serveHTTP(ctx, page, db, series) })
	fmt.Fprintf(stdout, "midflight is ready: clients %s, server %s (%s), http %s\n", clients.Addr(), c.Server, flavor, page.Addr())
	return g.Wait()
}

// certificate is what clients are offered; nil without one.
func (c *config) certificate() (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

func listen(addr string) (net.Listener, error) {
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
		// A socket that nobody listens on is what a crash left.
		if conn, err := net.Dial(network, addr); err == nil {
			conn.Close()
		} else {
			os.Remove(addr)
		}
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}
