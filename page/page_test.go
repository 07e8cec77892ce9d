package page_test

import (
	"database/sql"
	"fmt"
	"net"
	"net/http/httptest"
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
	page.Page{DB: db, Server: "db:3306 (MySQL <9>)"}.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
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
		has("<title>Midflight: 1 running</title>", `http-equiv="refresh"`, "db:3306 (MySQL &lt;9&gt;)",
			"shopaaa.t&lt;script&gt;", "ADD COLUMN aaa INT", "cutting_over", `value="41"`, "1m35s left", "41\u202f000 of about 100\u202f000", "1\u202f234",
			"connection 12&lt;script&gt;", "ann&lt;script&gt;", "@10.0.0.1&lt;script&gt;",
			fmt.Sprintf("event 11 of %d &lt;script&gt;", running), fmt.Sprintf("event 4 of %d ", running),
			"ADD COLUMN bbb INT", "Duplicate entry &lt;script&gt;", "phase failed", fmt.Sprintf("event 10 of %d ", ended))
		hasNot("<script", fmt.Sprintf("event 3 of %d ", running), fmt.Sprintf("event 9 of %d ", ended), "nobody now", "ZgotmplZ")
		if strings.Index(text, fmt.Sprintf("event 11 of %d ", running)) > strings.Index(text, fmt.Sprintf("event 10 of %d ", running)) {
			t.Error("the latest event is not the first")
		}
		_, text = get(db, "/?still")
		hasNot("http-equiv=\"refresh\"")
		if t.Failed() {
			t.Log(text)
		}
	})
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
