package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"

	"midflight/proxy"
)

// A restart is how this process ends without cutting a transaction: on SIGTERM, or when
// a new process has its sockets.
type restart struct {
	handover
	log      logger
	sessions *proxy.Server
	bound    time.Duration // --drain

	stopEngine  context.CancelFunc // migrations are the next Midflight's from then on
	stopHTTP    context.CancelFunc
	stopAtOnce  context.CancelFunc
	upgrades    <-chan os.Signal // SIGUSR2
	stopping    context.Context  // ends with the first SIGTERM or SIGINT
	sessionsEnd context.Context  // ends with the last session
}

// run turns signals into all this, until the last session has ended.
func (r *restart) run() {
	for done := false; !done; {
		select {
		case <-r.stopping.Done():
			r.say("STOPPING=1")
			done = true
		case <-r.upgrades:
			done = r.handOver()
		case <-r.sessionsEnd.Done():
			return
		}
	}
	r.stopEngine()
	if r.bound <= 0 {
		r.stopAtOnce()
		return
	}
	r.sessions.Drain(r.bound)
	r.log.Info("no new clients, the others may end their transactions", zap.Duration("drain", r.bound))
	select { // a first signal to one that has handed over, as systemd sends to all of a service, says nothing new
	case <-r.stopping.Done():
	case <-r.sessionsEnd.Done():
		return
	}
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(again)
	select {
	case <-again:
		r.log.Info("told again to stop: the connections are cut")
		r.stopAtOnce()
	case <-r.sessionsEnd.Done():
	}
}

// handOver is false when everything goes on as before.
func (r *restart) handOver() bool {
	r.log.Info("hands over to a new process")
	pid, err := r.handover.run(r.stopping)
	if err != nil {
		r.log.Error("no new process has taken over, this one goes on", zap.Error(err))
		return false
	}
	r.log.Info("a new process has taken over", zap.Int("pid", pid))
	for _, l := range slices.Concat(r.clients, listeners{r.http}) {
		l.keepFile(true)
	}
	r.say(fmt.Sprintf("MAINPID=%d", pid))
	r.stopHTTP()
	return true
}

func (r *restart) say(state string) {
	if err := notify(state); err != nil {
		r.log.Warn(err.Error())
	}
}
