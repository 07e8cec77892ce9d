// Package page shows people what Midflight is doing, in a browser: one page that
// reads, takes nothing from elsewhere and needs no JavaScript.
package page

import (
	"bytes"
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"midflight/store"
)

//go:embed page.html
var source string

// html/template escapes by where a value stands. Statements, users' names and
// errors are other people's text.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"took": took, "eta": eta, "percent": percent, "clock": clock, "count": count,
}).Parse(source))

const (
	most       = 30              // migrations, those that run first
	events     = 8               // of each that runs
	lastEvents = 3               // of each that has ended
	patience   = 2 * time.Second // with the server
	refresh    = 2               // seconds from one page to the next
)

// A Page answers with the migrations that run and those that ended lately.
type Page struct {
	DB     *sql.DB
	Server string // its address and version, for the heading
}

// view is all that the template sees.
type view struct {
	Server         string
	Now            time.Time
	Refresh        int // in seconds; 0: never
	Running, Ended []shown
	Failure        string
}

type shown struct {
	store.Migration
	Now    time.Time
	Events []store.Event
}

// ServeHTTP implements http.Handler. ?still is the page that stays as it is.
func (p Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := view{Server: p.Server, Now: time.Now().UTC(), Refresh: refresh}
	if r.URL.Query().Has("still") {
		v.Refresh = 0
	}
	status := http.StatusOK
	if err := v.read(r.Context(), p.DB); err != nil {
		v.Failure, status = reason(err), http.StatusServiceUnavailable
	}
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		http.Error(w, "the page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

func (v *view) read(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	list, err := store.Recent(ctx, db, most)
	if err != nil {
		return err
	}
	history, err := store.LastEvents(ctx, db, list, events)
	if err != nil {
		return err
	}
	for _, m := range list {
		s := shown{m, v.Now, history[m.ID]}
		if m.Ended() {
			s.Events = s.Events[:min(lastEvents, len(s.Events))]
			v.Ended = append(v.Ended, s)
		} else {
			v.Running = append(v.Running, s)
		}
	}
	return nil
}

func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("it did not answer within %s", patience)
	}
	return err.Error()
}

func took(m shown) string {
	d, ok := m.Took(m.Now)
	switch {
	case !ok:
		return ""
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func eta(m shown) string { return m.Left() }

// percent is 100 when all rows are copied.
func percent(m shown) string { return fmt.Sprintf("%.0f", 100*m.Progress) }

func clock(t any) string {
	const layout = "2006-01-02 15:04:05"
	switch t := t.(type) {
	case time.Time:
		return t.UTC().Format(layout)
	case sql.NullTime:
		if t.Valid {
			return t.Time.UTC().Format(layout)
		}
	}
	return ""
}

// count parts thousands by blanks that don't break lines.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}
