package page_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/ghost"
	"midflight/internal/testmysql"
	"midflight/mysqld"
	"midflight/page"
	"midflight/parser"
	"midflight/schema"
	"midflight/store"
)

func get(db *sql.DB, path string) (int, string) {
	w := httptest.NewRecorder()
	p := &page.Page{DB: db, Server: "db:3306 (MySQL <9>)", Clients: "proxy:3307"}
	p.Handler(context.Background()).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

// evil stands wherever other people's text can.
const evil = `<script>alert("x")</script>'"&`

func TestPage(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		s.Exec(t, "DROP DATABASE IF EXISTS midflight")
		db, err := mysqld.Open(mysqld.Config{Addr: s.Addr, User: "root"}) // as Midflight opens it
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if status, text := get(db, "/"); status != 200 || !strings.Contains(text, "No schema change is under way") {
			t.Errorf("where no Midflight has run: %d\n%s", status, text)
		}
		keep, err := store.Open(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		defer keep.Close()
		create := func(n string) int64 {
			t.Helper()
			id, err := keep.Create(t.Context(), ghost.Request{
				Statement: parser.Statement{Text: "ALTER TABLE t ADD COLUMN " + n + " INT DEFAULT '" + evil + "'"}, Table: schema.Name{Schema: "shop" + n, Table: "t" + evil},
				User: "ann" + evil, Host: "10.0.0.1" + evil, Session: 7})
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		running, ended := create("aaa"), create("bbb")
		for id, times := range map[int64]int{running: 12, ended: 12} {
			for i := range times {
				if err := keep.Log(t.Context(), id, ghost.Entry{Kind: ghost.EntryNote, Text: fmt.Sprintf("event %d of %d %s", i, id, evil)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		st := ghost.Status{ID: running, Phase: ghost.CuttingOver, Strategy: "copy", RowsCopied: 41000, RowsTotal: 100000, Progress: 0.41, ETA: 95 * time.Second, Backlog: 1234, WaitingFor: "connection 12" + evil}
		if err := keep.Save(t.Context(), st); err != nil {
			t.Fatal(err)
		}
		failed := ghost.Status{ID: ended, Phase: ghost.Failed, Strategy: "copy", WaitingFor: "nobody now"}
		if err := keep.Finish(t.Context(), failed, ghost.Result{Err: &mysql.MySQLError{Number: 1062, Message: "Duplicate entry " + evil}}); err != nil {
			t.Fatal(err)
		}

		status, text := get(db, "/")
		has := func(what ...string) {
			t.Helper()
			for _, w := range what {
				if !strings.Contains(text, w) {
					t.Errorf("it lacks %q", w)
				}
			}
		}
		hasNot := func(what ...string) {
			t.Helper()
			for _, w := range what {
				if strings.Contains(text, w) {
					t.Errorf("it has %q", w)
				}
			}
		}
		if status != 200 {
			t.Errorf("status %d", status)
		}
		has("<title>Midflight: 1 running</title>", `<noscript><meta http-equiv="refresh"`, "db:3306 (MySQL &lt;9&gt;)",
			"shopaaa.t&lt;script&gt;", "ADD COLUMN aaa INT", "cutting_over", `value="41"`, "1m35s left", "41\u202f000 of about 100\u202f000", "1\u202f234",
			"connection 12&lt;script&gt;", "ann&lt;script&gt;", "@10.0.0.1&lt;script&gt;",
			fmt.Sprintf("event 11 of %d &lt;script&gt;", running), fmt.Sprintf("event 6 of %d ", running),
			`data-word="cancel"`, "ADD COLUMN bbb INT", "Duplicate entry &lt;script&gt;")
		hasNot("<script>", "alert(\"", fmt.Sprintf("event 5 of %d ", running), fmt.Sprintf("of %d ", ended), "nobody now", "ZgotmplZ", "style=", "onclick")
		if strings.Index(text, fmt.Sprintf("event 11 of %d ", running)) > strings.Index(text, fmt.Sprintf("event 10 of %d ", running)) {
			t.Error("the latest event is not the first")
		}
		_, text = get(db, "/?still")
		hasNot("http-equiv=\"refresh\"")
		_, text = get(db, fmt.Sprintf("/migrations/%d", ended))
		has(fmt.Sprintf("event 0 of %d &lt;script&gt;", ended), fmt.Sprintf("event 11 of %d ", ended), "<strong>1062</strong> Duplicate entry", "connection 7", "ann&lt;script&gt;")
		hasNot("<script>", "data-word=", "ZgotmplZ")
		if status, _ := get(db, "/migrations/999999"); status != 404 {
			t.Errorf("a migration that never was: %d", status)
		}
		if t.Failed() {
			t.Log(text)
		}
	})
}

// The history is told leaf by leaf, and none of it twice.
func TestHistoryLeaves(t *testing.T) {
	keep, db := emptyStore(t)
	const all = 47
	for range all {
		id, err := keep.Create(t.Context(), ghost.Request{Statement: parser.Statement{Text: "ALTER TABLE t ENGINE=InnoDB"}, Table: schema.Name{Schema: "shop", Table: "t"}})
		if err == nil {
			err = keep.Finish(t.Context(), ghost.Status{ID: id, Phase: ghost.Completed}, ghost.Result{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	older := regexp.MustCompile(`href="\./(\?before=\d+)"`)
	rows := regexp.MustCompile(`<tr id="m(\d+)"`)
	seen := map[string]int{}
	leaves := 0
	for path := "/"; path != ""; leaves++ {
		_, text := get(db, path)
		for _, row := range rows.FindAllStringSubmatch(text, -1) {
			seen[row[1]]++
		}
		path = ""
		if next := older.FindStringSubmatch(text); next != nil {
			path = "/" + next[1]
		}
	}
	if len(seen) != all || leaves != 3 {
		t.Errorf("%d migrations on %d leaves, want %d on 3", len(seen), leaves, all)
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("migration %s is there %d times", id, times)
		}
	}
}

func TestServerAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it takes connections and says nothing
	for addr, reason := range map[string]string{"127.0.0.1:1": "connection refused", l.Addr().String(): "it did not answer within 2s"} {
		db, err := mysqld.Open(mysqld.Config{Addr: addr, User: "root"})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		status, text := get(db, "/")
		if status != 503 || !strings.Contains(text, "The server can’t be asked:") || !strings.Contains(text, reason) || !strings.Contains(text, `http-equiv="refresh"`) {
			t.Errorf("%s: %d\n%s", reason, status, text)
		}
	}
}

// emptyStore is a server's on which nothing has been migrated yet.
func emptyStore(t *testing.T) (*store.Store, *sql.DB) {
	t.Helper()
	s := testmysql.Shared(t, testmysql.MySQL)
	s.Exec(t, "DROP DATABASE IF EXISTS midflight")
	db, err := mysqld.Open(mysqld.Config{Addr: s.Addr, User: "root"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	keep, err := store.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keep.Close() })
	return keep, db
}
