package main

import (
	"context"
	"fmt"
	"io"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"midflight/check"
	"midflight/ghost"
	"midflight/intercept"
	"midflight/metrics"
	"midflight/mysqld"
	"midflight/page"
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
	if err := c.Bounds.Check(); err != nil {
		return usageError{fmt.Errorf("--cutover-…: %w", err)}
	}
	if c.MemoryMiB < 1 {
		return usageError{fmt.Errorf("--memory %d: it must be at least 1 MiB", c.MemoryMiB)}
	}
	log, err := newLogger(c.LogLevel)
	if err != nil {
		return err
	}
	defer log.Sync()
	front, err := c.front(ctx, log)
	if err != nil {
		return err
	}
	admit, err := c.guard(ctx, log)
	if err != nil {
		return err
	}

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
	for _, f := range findings {
		if f.Warn {
			log.Warn(f.What, zap.String("found", f.Found), zap.String("mend", f.Mend))
		}
	}
	keep, err := store.Open(ctx, db)
	if err != nil {
		return err
	}
	defer keep.Close()

	series := metrics.New()
	door := new(door)
	queue := ghost.NewQueue(ghost.Config{
		Server: c.account(), Flavor: flavor, DB: db, Store: keep, Door: door, KeepOld: c.KeepOld, Bounds: c.Bounds, Memory: c.MemoryMiB << 20,
		Observe: func(e ghost.Event) { log.migration(e); series.Migration(e) },
	})
	interceptor := &intercept.Interceptor{Flavor: flavor, Queue: queue,
		Observe: func(e intercept.Event) { log.interception(e); series.Interception(e) }}
	front.Candidate, front.Intercept = intercept.Candidate, interceptor.Intercept
	front.Observe = func(e proxy.Event) { log.session(e); series.Session(e) }
	sessions := proxy.New(front)
	door.Server = sessions
	series.Commands(sessions.Stats)

	clients, err := listenAll(c.Listen)
	if err != nil {
		return err
	}
	defer clients.Close()
	people, err := listen(c.HTTP)
	if err != nil {
		return err
	}
	defer people.Close()

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return queue.Run(ctx) })
	g.Go(func() error { return sessions.Serve(ctx, clients...) })
	g.Go(func() error {
		return serveHTTP(ctx, people, admit, db, series, page.Page{DB: db, Server: fmt.Sprintf("%s (%s)", c.Server, flavor)})
	})
	fmt.Fprintf(stdout, "midflight is ready: clients %s, server %s (%s), http %s\n", clients, c.Server, flavor, people.Addr())
	return g.Wait()
}
