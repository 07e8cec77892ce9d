package main

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"midflight/metrics"
	"midflight/page"
)

// ready tells whether the server can be reached, so that clients can be carried to it, and
// they are as long as accepting lasts. Its errors are for everybody.
func ready(ctx, accepting context.Context, db *sql.DB) error {
	if accepting.Err() != nil {
		return errors.New("it is being stopped")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if db.PingContext(ctx) != nil {
		return errors.New("the server can't be reached")
	}
	return nil
}

// serveHTTP answers on the HTTP address until ctx ends. healthz: the process lives; readyz:
// it is ready.
func serveHTTP(ctx context.Context, ready func(context.Context) error, l net.Listener, admit guard, m *metrics.Metrics, p *page.Page) error {
	mux := http.NewServeMux()
	mux.Handle("/", admit.only(p.Handler(ctx)))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", admit.only(promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{})))
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: log.New(io.Discard, "", 0)} // of handshakes and panics of strangers' making
	if admit.tls != nil {
		l = tls.NewListener(l, admit.tls)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve http: %w", err)
	case <-ctx.Done():
	}
	// Shutdown drops the request of who was accepted and has not sent it yet. He may have
	// come to us while the listener is another process's already.
	l.Close()
	s.SetKeepAlivesEnabled(false)
	time.Sleep(httpLinger)
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if s.Shutdown(bound) != nil {
		s.Close()
	}
	<-served
	return nil
}

const httpLinger = 100 * time.Millisecond
