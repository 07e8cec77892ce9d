package ghost

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"midflight/binlog"
	"midflight/ghost/backlog"
	"midflight/ghost/plan"
	"midflight/ghost/rowsql"
	"midflight/ghost/verify"
	"midflight/internal/testmysql"
	"midflight/schema"
)

// A swap that does not take place after all leaves a shadow without its helper;
// before anything is looked up in it again, the helper must be back.
func TestHelperIsMadeAgain(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		db := server.DB(t)
		shadow := schema.Name{Schema: server.NewDatabase(t), Table: "_t_shadow"}
		server.Exec(t, "CREATE TABLE "+shadow.Quoted()+" (id INT NOT NULL, a INT NOT NULL PRIMARY KEY)", "INSERT INTO "+shadow.Quoted()+" VALUES (1, 2), (3, 4)")
		id := []schema.Column{{Name: "id", Type: "int", FullType: "int"}}
		tables := rowsql.Tables{ID: 7, Original: shadow.With("t"), Shadow: shadow, Key: plan.Key{Index: "PRIMARY", Original: id, Shadow: id, Helper: true}}
		r := &run{Config: Config{DB: db, Store: forgetful{}}, attempt: attempt{tables: tables}}
		s := &syncer{
			run: r, ctx: ctx,
			txs: make(chan binlog.Tx), streamE: make(chan error), done: make(chan func() error), busy: map[job]int{},
			appliers: newCrew(r.worker, nil), backlog: backlog.New[*binlog.TxID](), last: &binlog.TxID{}, verify: verify.New(true), second: time.NewTicker(time.Hour), tick: time.NewTicker(time.Hour),
		}
		defer s.appliers.close()
		if _, err := s.makeHelper(ctx, plan.Plan{}); err != nil {
			t.Fatal(err)
		}
		with, err := schema.CreateStatement(ctx, db, shadow)
		if err != nil || !strings.Contains(with, plan.HelperIndex) {
			t.Fatalf("%v: %s", err, with)
		}
		conn, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer discard(conn)
		for _, q := range []string{fmt.Sprintf("LOCK TABLES %s WRITE", shadow.Quoted()), tables.Delete([]binlog.Key{"3"})} {
			if _, err := conn.ExecContext(ctx, q); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.dropHelper(ctx, conn); err != nil {
			t.Fatal(err)
		}
		without, err := schema.CreateStatement(ctx, conn, shadow)
		if err != nil || strings.Contains(without, "midflight") {
			t.Fatalf("%v: %s", err, without)
		}
		if _, err := conn.ExecContext(ctx, "UNLOCK TABLES"); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second has nothing to do
			if err := s.restoreHelper(ctx); err != nil {
				t.Fatal(err)
			}
			if again, err := schema.CreateStatement(ctx, db, shadow); err != nil || again != with {
				t.Errorf("%v: the shadow is\n%s\ninstead of\n%s", err, again, with)
			}
		}
		if len(s.busy) > 0 {
			t.Errorf("still busy: %v", s.busy)
		}
	})
}

// What the server can't give the shadow is refused like anything else that a
// copy can't do, and the shadow is gone.
func TestHelperIsRefused(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		db := server.DB(t)
		shadow := schema.Name{Schema: server.NewDatabase(t), Table: "_t_shadow"}
		server.Exec(t, "CREATE TABLE "+shadow.Quoted()+" (id INT NOT NULL PRIMARY KEY, a INT, KEY `"+plan.HelperIndex+"` (a))")
		id := []schema.Column{{Name: "id", Type: "int", FullType: "int"}}
		r := &run{
			Config: Config{DB: db, Store: forgetful{}}, request: Request{Strategy: plan.Strategy(plan.Copy)},
			attempt: attempt{shadow: shadow, tables: rowsql.Tables{ID: 7, Shadow: shadow, Key: plan.Key{Original: id, Shadow: id, Helper: true}}},
		}
		_, err := r.makeHelper(ctx, plan.Plan{})
		if refusal, ok := err.(*plan.Refusal); !ok || !strings.Contains(refusal.Reason, plan.HelperIndex) {
			t.Errorf("%v", err)
		}
		if _, err := schema.Read(ctx, db, shadow); err == nil {
			t.Error("the shadow is left")
		}
	})
}

// forgetful stores nothing.
type forgetful struct{ Store }

func (forgetful) Release(context.Context, schema.Name) error { return nil }

func (forgetful) Admit(context.Context, *sql.Conn, int64) error { return nil }

// Without a unique index a row may be there twice: equal in each of its values,
// and still wrong.
func TestRowTwiceIsADifference(t *testing.T) {
	db := testmysql.Shared(t, testmysql.MySQL).DB(t)
	row := func(side string, key int) string { return fmt.Sprintf("SELECT '%s', 9, '%d'", side, key) }
	got, err := differentRows(t.Context(), db, strings.Join([]string{row("o", 1), row("o", 2), row("s", 1), row("s", 2), row("s", 2)}, " UNION ALL "),
		rowsql.Tables{Key: plan.Key{Original: []schema.Column{{Type: "int"}}}})
	if err != nil || len(got) != 1 || got[0] != "2" {
		t.Errorf("%q, %v", got, err)
	}
}
