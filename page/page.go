// Package page shows people what Midflight is doing, in a browser, and lets them steer it.
// It takes nothing from elsewhere; without JavaScript it shows the same and steers nothing.
package page

import (
	"bytes"
	"context"
	"database/sql"
	"html/template"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"midflight/throttle"
	"midflight/timeline"
)

const patience = 2 * time.Second // with the server

// A Page is served by its Handler. It asks nobody who he is: the guard before it does.
type Page struct {
	DB       *sql.DB
	Server   string // its address and version, for the heading
	Clients  string // where they connect, for who has no traffic yet
	Timeline *timeline.Timeline
	Signals  func() []throttle.Reading    // nil: they are not watched
	Who      func(r *http.Request) string // sends a request, for the history

	streams atomic.Int64
	mu      sync.Mutex // guards latest: one asks the server for all who watch
	latest  parts
}

// Handler answers until stopping ends, and the streams end with it.
func (p *Page) Handler(stopping context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.serveMain)
	mux.HandleFunc("GET /migrations/{id}", p.serveOne)
	mux.HandleFunc("GET /assets/{name}", serveAsset)
	mux.HandleFunc("GET /api/stream", func(w http.ResponseWriter, r *http.Request) { p.serveStream(stopping, w, r) })
	mux.HandleFunc("POST /api/migrations/{id}/{word}", p.serveWord)
	return secured(mux)
}

// secured says to browsers what the page may do: load its own files, and nothing else. It
// stands in no frame, where a click could be somebody else's idea.
func secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types midflight")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

// serveMain: ?before=ID is a leaf of the history, ?still the page that stays as it is.
func (p *Page) serveMain(w http.ResponseWriter, r *http.Request) {
	v := p.view("")
	v.Still = r.URL.Query().Has("still")
	v.Before, _ = strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	v.Stream = "api/stream"
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	err := p.readEnded(ctx, &v)
	if err == nil && v.Before == 0 {
		err = p.readRunning(ctx, &v)
		p.readSignals(&v)
	}
	p.write(w, "main", v, err)
}

func (p *Page) serveOne(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	v := p.view("../")
	v.Still = r.URL.Query().Has("still")
	v.Stream = "../api/stream?migration=" + strconv.FormatInt(id, 10)
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	err := p.readOne(ctx, &v, id)
	if err == nil && v.One == nil {
		http.Error(w, "there is no such migration", http.StatusNotFound)
		return
	}
	p.write(w, "one", v, err)
}

func (p *Page) view(root string) view {
	return view{Root: root, Server: p.Server, Clients: p.Clients, Now: time.Now().UTC()}
}

func (p *Page) write(w http.ResponseWriter, name string, v view, err error) {
	status := http.StatusOK
	if err != nil {
		v.Failure, status = reason(err), http.StatusServiceUnavailable
	}
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, v); err != nil {
		http.Error(w, "the page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// html/template escapes by where a value stands. Statements, users' names and
// errors are other people's text.
var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"percent": percent, "clock": clock, "millis": millis, "count": count, "waits": waits, "share": share, "machine": machine,
}).ParseFS(assets, "assets/*.html"))
