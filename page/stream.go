package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"midflight/timeline"
)

const (
	pace        = time.Second
	writeWithin = 10 * time.Second // else the browser is gone
	mostStreams = 64
)

// serveStream tells one browser what changes (server-sent events, HTML standard 9.2) until
// it leaves or stopping ends; then it asks again, and is answered by whoever serves by then.
func (p *Page) serveStream(stopping context.Context, w http.ResponseWriter, r *http.Request) {
	defer p.streams.Add(-1)
	if p.streams.Add(1) > mostStreams {
		http.Error(w, fmt.Sprintf("%d pages are open already; close some", mostStreams), http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(stopping, cancel)()
	s := stream{out: w, control: http.NewResponseController(w), told: map[string]string{}}
	// The server's deadlines are for requests that end.
	if err := s.control.SetReadDeadline(time.Time{}); err != nil {
		http.Error(w, "this connection carries no stream", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep it for itself
	s.text.WriteString("retry: 1000\n\n")
	one, _ := strconv.ParseInt(r.URL.Query().Get("migration"), 10, 64)
	last := lastSample(r)
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		parts := p.latestParts(ctx)
		if one != 0 {
			parts = p.oneParts(ctx, one)
		}
		if ctx.Err() != nil {
			return
		}
		s.tell("failure", parts.failure)
		for id, html := range parts.html {
			s.part(id, html)
		}
		if one == 0 && p.Timeline != nil {
			last = s.timeline(p.Timeline, last)
		}
		s.send("tick", "", time.Now().UnixMilli())
		if s.flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// lastSample is what the browser has of before its connection broke.
func lastSample(r *http.Request) time.Time {
	ms, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	if err != nil {
		return time.Now().Add(-window)
	}
	return time.UnixMilli(ms)
}

// parts are pieces of the page by their elements' ids.
type parts struct {
	at      time.Time
	html    map[string]string
	failure string // the pieces are those of before then
}

// latestParts asks the server once for all who watch.
func (p *Page) latestParts(ctx context.Context) parts {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.latest.at) < pace/2 {
		return p.latest
	}
	v := p.view("")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience) // who leaves takes nothing from the others
	defer cancel()
	err := p.readRunning(ctx, &v)
	if err == nil {
		err = p.readEnded(ctx, &v)
	}
	p.readSignals(&v)
	p.latest = parts{time.Now(), map[string]string{"signals": render("signals", v)}, ""}
	if err != nil {
		p.latest.failure = reason(err)
	} else {
		p.latest.html["running"], p.latest.html["history"] = render("running", v), render("history", v)
	}
	return p.latest
}

func (p *Page) oneParts(ctx context.Context, id int64) parts {
	v := p.view("../")
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch err := p.readOne(ctx, &v, id); {
	case err != nil:
		return parts{failure: reason(err)}
	case v.One == nil:
		return parts{failure: "its record is gone"}
	}
	return parts{html: map[string]string{"one": render("detail", v)}}
}

func render(name string, v view) string {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, v); err != nil {
		panic("BUG: template " + name + ": " + err.Error())
	}
	return b.String()
}

// A stream writes events and remembers what it has told.
type stream struct {
	out     http.ResponseWriter
	control *http.ResponseController
	told    map[string]string
	text    bytes.Buffer
}

// part is an element's content, if it is another than before.
func (s *stream) part(id, html string) {
	if before, ok := s.told["part "+id]; ok && before == html {
		return
	}
	s.told["part "+id] = html
	s.send("part", "", map[string]string{"id": id, "html": html})
}

func (s *stream) tell(event, text string) {
	if s.told[event] != text {
		s.told[event] = text
		s.send(event, "", text)
	}
}

// timeline sends the samples since last, and returns the moment of the latest.
func (s *stream) timeline(t *timeline.Timeline, last time.Time) time.Time {
	samples := t.Since(last)
	if len(samples) > 0 {
		last = samples[len(samples)-1].At
	}
	// The sample is later than its millisecond begins, and would be sent again.
	s.send("timeline", strconv.FormatInt(last.UnixMilli()+1, 10), drawn(samples, t.Migrations()))
	return last
}

func (s *stream) send(event, id string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		panic("BUG: event " + event + ": " + err.Error())
	}
	fmt.Fprintf(&s.text, "event: %s\n", event)
	if id != "" {
		fmt.Fprintf(&s.text, "id: %s\n", id)
	}
	fmt.Fprintf(&s.text, "data: %s\n\n", text) // JSON has no line breaks
}

func (s *stream) flush() error {
	if err := s.control.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	if _, err := s.text.WriteTo(s.out); err != nil {
		return err
	}
	return s.control.Flush()
}
