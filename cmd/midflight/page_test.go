package main

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midflight/internal/chromium"
	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
)

// Who steers is asked who he is as who looks, and the history names him.
func TestPageIsGuarded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("a token of some length"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, testmysql.Shared(t, testmysql.MariaDB), "--http-token-file", file)
	id, done := s.hold()
	ask := func(method, path string, set func(*http.Request)) int {
		t.Helper()
		r, err := http.NewRequest(method, "http://"+s.m.HTTP+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Midflight", "test")
		set(r)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	none := func(*http.Request) {}
	ann := func(r *http.Request) { r.SetBasicAuth("ann", "a token of some length") }
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer a token of some length") }
	for _, c := range []struct {
		method, path string
		set          func(*http.Request)
		want         int
	}{
		{"GET", "/", none, 401},
		{"GET", "/migrations/" + id, none, 401},
		{"GET", "/assets/page.js", none, 401},
		{"GET", "/api/stream", none, 401},
		{"POST", "/api/migrations/" + id + "/cancel", none, 401},
		{"POST", "/api/migrations/" + id + "/cancel", func(r *http.Request) { r.SetBasicAuth("ann", "another") }, 401},
		{"GET", "/", ann, 200},
		{"GET", "/assets/page.js", ann, 200},
		{"GET", "/assets/main.html", ann, 404},
		{"POST", "/api/migrations/" + id + "/pause", ann, 204},
		{"POST", "/api/migrations/" + id + "/resume", bearer, 204},
		{"POST", "/api/migrations/" + id + "/cutover", ann, 204},
	} {
		if got := ask(c.method, c.path, c.set); got != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, got, c.want)
		}
	}
	if err := <-done; err != nil {
		t.Errorf("the ALTER: %v", err)
	}
	history := s.value("SELECT GROUP_CONCAT(event ORDER BY id SEPARATOR '\n') FROM midflight.events WHERE migration_id = ?", id)
	for _, want := range []string{`paused on the page by "ann" from 127.0.0.1:`, "resumed on the page by somebody with the token from 127.0.0.1:", `given leave to cut over on the page by "ann"`} {
		if !strings.Contains(history, want) {
			t.Errorf("the history lacks %q:\n%s", want, history)
		}
	}
}

// TestPageInABrowser goes through the page as an operator does: by mouse, by keyboard, on a
// phone, while migrations run.
func TestPageInABrowser(t *testing.T) {
	browser := chromium.Start(t)
	s := newSite(t, testmysql.Shared(t, testmysql.MySQL))
	through := s.m.DB(t, s.db)
	page := browser.Open(t, "http://"+s.m.HTTP+"/", 1200, 900)
	page.Await("document.querySelector('#live:not(.off)')?.textContent === 'live'")
	page.Await("document.querySelector('#running').innerText.includes('No schema change is under way')")

	alter := func(statement string) <-chan error {
		answer := make(chan error, 1)
		go func() {
			_, err := through.Exec(statement)
			answer <- err
		}()
		return answer
	}
	card := func(has string) { // live: nothing is loaded again
		t.Helper()
		page.Await(fmt.Sprintf("document.querySelector('#running article')?.innerText.includes(%q)", has))
	}
	narrow := func(what string) {
		t.Helper()
		page.Resize(360, 740)
		if w := page.Eval("document.documentElement.scrollWidth"); w.(float64) > 360 {
			t.Errorf("%s is %v wide on a phone", what, w)
		}
		page.Resize(1200, 900)
	}
	ended := func(done <-chan error) error {
		t.Helper()
		select {
		case err := <-done:
			return err
		case <-time.After(30 * time.Second):
			t.Fatalf("the ALTER goes on; the page says:\n%s", page.Text("main"))
			return nil
		}
	}
	open := func(word string) {
		t.Helper()
		page.Click("[data-word=" + word + "]")
		page.Await("document.querySelector('#confirm').open")
	}
	paused := func() string {
		return s.value("SELECT pause_requested FROM midflight.migrations ORDER BY id DESC LIMIT 1")
	}

	// A statement of somebody's who would like to be a part of the page.
	done := alter("ALTER TABLE /* midflight: strategy=copy, cutover=manual */ t ADD COLUMN held VARCHAR(99) DEFAULT '<img src=x onerror=document.title=1>'")
	card("ready")
	card("<img src=x onerror=")
	narrow("the page")
	open("pause")
	narrow("the dialog")
	if at := page.Eval("document.activeElement.id"); at != "confirm-no" {
		t.Errorf("the dialog begins at %v, want the button that does nothing", at)
	}
	page.Press("Escape")
	page.Await("!document.querySelector('#confirm').open")
	if paused() != "0" {
		t.Error("it is paused, which nobody confirmed")
	}
	page.Press("Enter") // the button has the focus again
	page.Await("document.querySelector('#confirm').open")
	page.Press("Tab", "Enter")
	card("paused")
	if paused() != "1" {
		t.Error("the page says paused, the server doesn't")
	}
	open("resume")
	page.Click("#confirm-yes")
	page.Await("document.querySelector('[data-word=pause]')")

	// Who holds the table is shown with what he runs.
	tx, err := through.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("UPDATE t SET v = 'mine' WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	open("cutover")
	page.Click("#confirm-yes")
	card("The cut-over waits for")
	card("UPDATE t SET v = 'mine'")
	narrow("the blockers")
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := ended(done); err != nil {
		t.Errorf("the ALTER: %v", err)
	}
	page.Await("document.querySelector('#history tr .phase')?.innerText === 'completed'")

	// The chart has what was felt and the phases, and is read by keyboard and by mouse.
	page.Await("document.querySelector('#plot path.p99')?.getAttribute('d').length > 10")
	for _, phase := range []string{"copying", "ready", "cutting_over"} {
		page.Await("document.querySelector('#plot .band." + phase + "')")
	}
	page.Eval("document.querySelector('#plot').focus()")
	page.Press("Home")
	first := page.Text("#readout")
	page.Press("ArrowRight", "ArrowRight")
	if second := page.Text("#readout"); first == second || page.Eval("document.querySelector('#plot').getAttribute('aria-valuetext')") != second {
		t.Errorf("two seconds on, the chart reads %q, before %q", second, first)
	}
	page.Hover("#plot", 0.99, 0.5)
	page.Await("document.querySelector('#plot .cursor').getAttribute('visibility') === 'visible'")

	// All of one migration, and its end by another word.
	page.Click("#history a")
	page.Await("document.querySelector('#one h2')")
	for _, want := range []string{"paused on the page by somebody on this machine from 127.0.0.1:", "<img src=x onerror=", "sent by"} {
		page.Await(fmt.Sprintf("document.querySelector('#one').innerText.includes(%q)", want))
	}
	narrow("a migration")
	page.Click(".trail a")
	done = alter("ALTER TABLE /* midflight: strategy=copy, cutover=manual */ t ADD COLUMN other INT")
	card("ready")
	open("cancel")
	page.Click("#confirm-yes")
	if err := ended(done); err == nil || !strings.Contains(err.Error(), "1317") {
		t.Errorf("canceled on the page: %v", err)
	}
	page.Await("document.querySelector('#history tr .phase')?.innerText === 'canceled'")
	if c := page.Complaints(); len(c) > 0 || page.Eval("document.title") == "1" {
		t.Errorf("the browser complains: %s", c)
	}

	withoutScript(t, browser, s, through)
	restarts(page, s.m)
}

// withoutScript: the same is shown, and nothing that would do nothing.
func withoutScript(t *testing.T, browser *chromium.Browser, s site, through *sql.DB) {
	t.Helper()
	answer := make(chan error, 1)
	go func() {
		_, err := through.Exec("ALTER TABLE /* midflight: strategy=copy, cutover=manual */ t ADD COLUMN last INT")
		answer <- err
	}()
	await(t, "the ALTER is ready", func() bool {
		return s.value("SELECT phase FROM midflight.migrations ORDER BY id DESC LIMIT 1") == "ready"
	})
	plain := browser.Open(t, "about:blank#", 800, 600)
	plain.NoScript()
	plain.Go("http://" + s.m.HTTP + "/?still")
	if text := plain.Text("main"); !strings.Contains(text, "ready") || !strings.Contains(text, "completed") || strings.Contains(text, "Cancel") || strings.Contains(text, "What the applications feel") {
		t.Errorf("without JavaScript the page says:\n%s", text)
	}
	s.Exec("CALL midflight.cancel((SELECT MAX(id) FROM midflight.migrations))")
	<-answer
}

// restarts: the page finds whoever takes the place of the one it came from, and says when
// there is nobody.
func restarts(page *chromium.Tab, m *testmidflight.Midflight) {
	page.Eval(`globalThis.marks = [];
		new MutationObserver(() => marks.push(document.querySelector('#live').textContent)).observe(document.querySelector('#live'), { childList: true })`)
	next := m.Upgrade(page.T())
	page.Await("marks.length > 1 && marks[0].startsWith('not live') && marks.at(-1) === 'live'")
	next.Stop()
	page.Await("document.querySelector('#live.off')?.innerText.includes('not live')")
	if page.Eval("globalThis.marks?.length > 0") != true {
		page.T().Error("the page was loaded anew")
	}
}
