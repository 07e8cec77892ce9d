package page_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"midflight/ghost"
	"midflight/internal/testmysql"
	"midflight/mysqld"
	"midflight/page"
	"midflight/parser"
	"midflight/schema"
	"midflight/store"
)

// say posts as the page's script does, but for what set changes.
func say(p *page.Page, path, body string, set func(*http.Request)) (int, string) {
	r := httptest.NewRequest("POST", "http://midflight:9307/api/migrations/"+path, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Midflight", "page")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Origin", "http://midflight:9307")
	if set != nil {
		set(r)
	}
	w := httptest.NewRecorder()
	p.Handler(r.Context()).ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// What another site's page could send is refused before anything is looked at.
func TestForeignPages(t *testing.T) {
	db, err := mysqld.Open(mysqld.Config{Addr: "127.0.0.1:1", User: "root"}) // who gets that far is told 503
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p := &page.Page{DB: db}
	for _, c := range []struct {
		what, path, body string
		set              func(*http.Request)
		want             int
	}{
		{"our own page", "7/pause", "{}", nil, 503},
		{"a program", "7/pause", "{}", func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Del("Origin") }, 503},
		{"an old browser, our own page", "7/pause", "{}", func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") }, 503},
		{"another site", "7/pause", "{}", header("Sec-Fetch-Site", "cross-site"), 403},
		{"another port of this host", "7/pause", "{}", header("Sec-Fetch-Site", "same-site"), 403},
		{"an old browser, another site", "7/pause", "{}", func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "http://evil.example") }, 403},
		{"an old browser, a sandboxed frame", "7/pause", "{}", func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") }, 403},
		{"what needs no CORS: no header of ours", "7/pause", "{}", func(r *http.Request) { r.Header.Del("X-Midflight") }, 403},
		{"what needs no CORS: a form", "7/pause", "{}", header("Content-Type", "text/plain"), 415},
		{"a form's type", "7/pause", "a=b", header("Content-Type", "application/x-www-form-urlencoded"), 415},
		{"GET", "7/pause", "", func(r *http.Request) { r.Method = "GET" }, 405},
		{"another procedure", "7/reveal", "{}", nil, 404},
		{"SQL", "7/pause(7);%20DROP", "{}", nil, 404},
		{"no id", "x/pause", "{}", nil, 404},
		{"no JSON", "7/pause", "", nil, 400},
		{"what pause doesn't take", "7/pause", `{"ratio": 1}`, nil, 400},
		{"unknown", "7/pause", `{"id": 8}`, nil, 400},
		{"no ratio", "7/throttle", `{"minutes": 5}`, nil, 400},
		{"a ratio of percents", "7/throttle", `{"ratio": 50, "minutes": 5}`, nil, 400},
		{"no minutes", "7/throttle", `{"ratio": 0.5}`, nil, 400},
		{"parts of minutes", "7/throttle", `{"ratio": 0.5, "minutes": 1.5}`, nil, 400},
		{"throttle", "7/throttle", `{"ratio": 0.5, "minutes": 5}`, nil, 503},
		{"a long body", "7/pause", strings.Repeat(" ", 5000) + "{}", nil, 400},
	} {
		if status, text := say(p, c.path, c.body, c.set); status != c.want {
			t.Errorf("%s: %d %s, want %d", c.what, status, text, c.want)
		}
	}
}

func TestWords(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		s.Exec(t, "DROP DATABASE IF EXISTS midflight")
		db, err := mysqld.Open(mysqld.Config{Addr: s.Addr, User: "root"})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		p := &page.Page{DB: db, Who: func(*http.Request) string { return `"ann"` }}
		if status, text := say(p, "1/pause", "{}", nil); status != 501 || !strings.Contains(text, "restart Midflight") {
			t.Errorf("where no Midflight has run: %d %s", status, text)
		}
		keep, err := store.Open(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		defer keep.Close()
		id, err := keep.Create(t.Context(), ghost.Request{Statement: parser.Statement{Text: "ALTER TABLE t ENGINE=InnoDB"}, Table: schema.Name{Schema: "shop", Table: "t"}})
		if err != nil {
			t.Fatal(err)
		}
		history := func() string {
			events, err := store.LastEvents(t.Context(), db, []store.Migration{{ID: id}}, 10)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(events[id])
		}
		wishes := func() (c ghost.Control) {
			c, err := keep.Control(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		for _, c := range []struct {
			word   string
			want   ghost.Control
			record string
		}{
			{"pause", ghost.Control{Paused: true}, `paused on the page by "ann" from 192.0.2.7:4711`},
			{"resume", ghost.Control{}, `resumed on the page by "ann"`},
			{"cutover", ghost.Control{CutOver: true}, `given leave to cut over on the page by "ann"`},
			{"cancel", ghost.Control{CutOver: true, Cancel: true}, `canceled on the page by "ann"`},
		} {
			status, text := say(p, fmt.Sprintf("%d/%s", id, c.word), "{}", nil)
			if got := wishes(); status != 204 || got != c.want || !strings.Contains(history(), c.record) {
				t.Errorf("%s: %d %s, wishes %v, history %s", c.word, status, text, got, history())
			}
		}

		// Of ours or a stand-in: what is sent is what the procedure gets.
		s.Exec(t, "DROP PROCEDURE IF EXISTS midflight.throttle", `CREATE PROCEDURE midflight.throttle(IN migration BIGINT, IN ratio DOUBLE, IN minutes INT)
INSERT INTO midflight.events (migration_id, happened_at, event) VALUES (migration, UTC_TIMESTAMP(6), CONCAT_WS(' ', 'throttle', ratio, minutes))`)
		if status, text := say(p, fmt.Sprintf("%d/throttle", id), `{"ratio": 0.25, "minutes": 30}`, nil); status != 204 || !strings.Contains(history(), "throttle 0.25 30") || !strings.Contains(history(), `throttled on the page by "ann" from 192.0.2.7:4711: it rests for 25 % of the time, for 30 min`) {
			t.Errorf("throttle: %d %s, history %s", status, text, history())
		}
		s.Exec(t, "DROP PROCEDURE midflight.throttle")

		if err := keep.Finish(t.Context(), ghost.Status{ID: id, Phase: ghost.Canceled}, ghost.Result{}); err != nil {
			t.Fatal(err)
		}
		before := history()
		if status, text := say(p, fmt.Sprintf("%d/pause", id), "{}", nil); status != 409 || !strings.Contains(text, "has ended: canceled") {
			t.Errorf("of one that has ended: %d %s", status, text)
		}
		if status, text := say(p, "999999/pause", "{}", nil); status != 409 || !strings.Contains(text, "does not exist") {
			t.Errorf("of one that never was: %d %s", status, text)
		}
		if after := history(); after != before {
			t.Errorf("what was refused is in the history: %s", after)
		}
	})
}
