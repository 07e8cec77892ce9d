package page_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"midflight/ghost"
	"midflight/ghost/pace"
	"midflight/internal/testmysql"
	"midflight/mysqld"
	"midflight/page"
	"midflight/parser"
	"midflight/schema"
	"midflight/timeline"
)

// A listener reads a stream's events.
type listener struct {
	t     *testing.T
	lines *bufio.Scanner
	id    string // of the last event that had one
}

func listen(t *testing.T, url, last string) *listener {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("the stream: %s %s", answer.Status, answer.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 10<<20)
	return &listener{t: t, lines: lines}
}

// next is the next event, or "" at the end.
func (l *listener) next() (event, data string) {
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch name {
		case "event":
			event = value
		case "id":
			l.id = value
		case "data":
			data = value
		case "":
			if event != "" {
				return event, data
			}
		}
	}
	return "", ""
}

// until reads up to an event whose data has something in it.
func (l *listener) until(event, has string) string {
	l.t.Helper()
	for {
		e, data := l.next()
		if e == "" {
			l.t.Fatalf("the stream has ended before an event %s with %s", event, has)
		}
		if e == event && strings.Contains(data, has) {
			return data
		}
	}
}

func TestStream(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MySQL)
	s.Exec(t, "DROP DATABASE IF EXISTS midflight")
	db, err := mysqld.Open(mysqld.Config{Addr: s.Addr, User: "root"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	lately := timeline.New(func() pace.Felt { return pace.Felt{} })
	ctx, cancel := context.WithCancel(t.Context())
	sampled := make(chan error, 1)
	go func() { sampled <- lately.Run(ctx) }()
	defer func() { cancel(); <-sampled }()
	lately.Observe(ghost.PhaseChanged{ID: 7, Table: schema.Name{Schema: "shop", Table: "orders"}, Phase: ghost.Copying})
	stopping, stop := context.WithCancel(t.Context())
	p := &page.Page{DB: db, Timeline: lately}
	web := httptest.NewUnstartedServer(p.Handler(stopping))
	// Deadlines as serve has them, but short: the stream outlives them.
	web.Config.ReadTimeout, web.Config.WriteTimeout = 500*time.Millisecond, 500*time.Millisecond
	web.Start()
	defer web.Close() // which waits for the streams
	defer stop()

	l := listen(t, web.URL+"/api/stream", "")
	l.until("part", "No schema change is under way")
	l.until("timeline", `"table":"shop.orders","spans":[{"phase":"copying"`)
	var first, second, third struct{ Samples [][5]float64 }
	read := func(data string, to any) {
		t.Helper()
		if err := json.Unmarshal([]byte(data), to); err != nil {
			t.Fatal(err)
		}
	}
	read(l.until("timeline", `"samples":[[`), &first)
	l.until("tick", "") // beyond the deadlines by now
	read(l.until("timeline", `"samples":[[`), &second)
	if first.Samples[len(first.Samples)-1][0] >= second.Samples[0][0] {
		t.Errorf("a sample is sent twice: %v, then %v", first, second)
	}
	// Who comes back gets what he has missed.
	again := listen(t, web.URL+"/api/stream", l.id)
	read(again.until("timeline", `"samples":[[`), &third)
	if third.Samples[0][0] <= second.Samples[len(second.Samples)-1][0] {
		t.Errorf("a sample is sent again after a reconnect: %v, then %v", second, third)
	}
	one := listen(t, web.URL+"/api/stream?migration=7", "")
	one.until("failure", "its record is gone")
	stop()
	for _, l := range []*listener{l, again, one} {
		for event, _ := l.next(); event != ""; event, _ = l.next() {
		}
	}
}

// A statement of megabytes is not sent each second: a browser could not even show it.
func TestStreamOfALongStatement(t *testing.T) {
	keep, db := emptyStore(t)
	text := "ALTER TABLE orders ADD COLUMN n INT /* " + strings.Repeat("lang ü ", 1<<18) + "*/"
	id, err := keep.Create(t.Context(), ghost.Request{Table: schema.Name{Schema: "shop", Table: "orders"}, Statement: parser.Statement{Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	stopping, stop := context.WithCancel(t.Context())
	web := httptest.NewServer((&page.Page{DB: db}).Handler(stopping))
	defer web.Close()
	defer stop()
	l := listen(t, fmt.Sprintf("%s/api/stream?migration=%d", web.URL, id), "")
	if data := l.until("part", "ADD COLUMN n INT"); len(data) > 100_000 || !strings.Contains(data, "The whole statement is in") {
		t.Errorf("%d bytes are sent: %.200s", len(data), data)
	}
}
