package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"midflight/check"
	"midflight/ghost"
	"midflight/intercept"
	"midflight/internal/version"
	"midflight/metrics"
	"midflight/mysqld"
	"midflight/page"
	"midflight/proxy"
	"midflight/signals"
	"midflight/store"
	"midflight/timeline"
)

// serve runs the proxy until ctx ends, and goes on for the sessions that are left (restart).
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	upgrades := make(chan os.Signal, 1)
	signal.Notify(upgrades, syscall.SIGUSR2) // which would end a process that is not ready yet
	defer signal.Stop(upgrades)
	in, err := inherit()
	if err != nil {
		return err
	}
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
	atOnce, stopAtOnce := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAtOnce()
	front, err := c.front(atOnce, log)
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

	series := metrics.New(version.String())
	door := new(door)
	sampler := signals.New(signals.Config{
		Server: c.account(), Flavor: flavor, DB: db, Store: keep, Rules: c.Rules, Replicas: c.Replicas, Query: c.Query,
		Observe: func(err error) { log.repeated.Warn("signals: " + err.Error()) },
	})
	series.Signals(sampler.Readings)
	lately := timeline.New(door.Felt)
	queue := ghost.NewQueue(ghost.Config{
		Server: c.account(), Flavor: flavor, DB: db, Store: keep, Door: door, Gate: sampler, KeepOld: c.KeepOld, Bounds: c.Bounds, Memory: c.MemoryMiB << 20,
		Observe: func(e ghost.Event) { log.migration(e); series.Migration(e); lately.Observe(e) },
	})
	interceptor := &intercept.Interceptor{Flavor: flavor, Queue: queue, Trail: trail{keep},
		Observe: func(e intercept.Event) { log.interception(e); series.Interception(e) }}
	front.Candidate, front.Intercept = intercept.Candidate, interceptor.Intercept
	front.Observe = func(e proxy.Event) { log.session(e); series.Session(e) }
	sessions := proxy.New(front)
	door.Server = sessions
	series.Commands(sessions.Stats)
	series.Running(queue.Running)

	clients, people, err := in.orListen(c.Listen, c.HTTP)
	if err != nil {
		return err
	}
	defer clients.Close()
	defer people.Close()

	g, atOnce := errgroup.WithContext(atOnce)
	engine, stopEngine := context.WithCancel(atOnce)
	web, stopHTTP := context.WithCancel(atOnce)
	sessionsEnd, ended := context.WithCancel(atOnce)
	g.Go(func() error { return sampler.Run(engine) })
	clientsCanCome := func(ctx context.Context) error { return ready(ctx, engine, db) }
	series.Ready(func() bool { return clientsCanCome(web) == nil })
	g.Go(func() error {
		err := queue.Run(engine)
		keep.Close() // the next Midflight waits for it
		return err
	})
	g.Go(func() error {
		defer ended()
		defer stopHTTP()
		defer stopEngine()
		return sessions.Serve(atOnce, clients.bare()...)
	})
	g.Go(func() error { return lately.Run(web) })
	g.Go(func() error {
		return serveHTTP(web, clientsCanCome, people, admit, series, &page.Page{DB: db, Server: fmt.Sprintf("%s (%s)", c.Server, flavor), Clients: clients.String(), Timeline: lately, Signals: sampler.Readings, Who: admit.who})
	})
	r := restart{
		handover: handover{clients, people, stdout, stderr}, log: log, sessions: sessions, bound: c.Drain,
		stopEngine: stopEngine, stopHTTP: stopHTTP, stopAtOnce: stopAtOnce,
		upgrades: upgrades, stopping: ctx, sessionsEnd: sessionsEnd,
	}
	fmt.Fprintf(stdout, "midflight is ready: clients %s, server %s (%s), http %s\n", clients, c.Server, flavor, people.Addr())
	r.say("READY=1")
	if err := in.isReady(); err != nil { // it has died; all is ours
		log.Warn("the process that was to hand over is gone", zap.Error(err))
	}
	for _, l := range slices.Concat(clients, listeners{people}) {
		l.keepFile(false)
	}
	g.Go(func() error { r.run(); return nil })
	return g.Wait()
}
