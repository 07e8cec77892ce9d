package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/ghost"
	"midflight/internal/testmysql"
	"midflight/mysqld"
	"midflight/schema"
	"midflight/store"
)

func open(t *testing.T, s *testmysql.Server) (*store.Store, *sql.DB) {
	t.Helper()
	s.Exec(t, "DROP DATABASE IF EXISTS midflight")
	db := s.DB(t)
	keep, err := store.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keep.Close() })
	return keep, db
}

var request = ghost.Request{Table: schema.Name{Schema: "shop", Table: "orders"}, CutOver: ghost.CutOver{Manual: true}, User: "ann", Host: "10.0.0.1:1", Session: 7}

func number(err error) uint16 {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return 0
	}
	return e.Number
}

// Other programs read these. Columns may be added, never renamed.
func TestContract(t *testing.T) {
	want := []string{"id", "schema_name", "table_name", "statement", "strategy", "reason", "phase", "rows_copied", "rows_estimate", "progress",
		"eta_seconds", "waiting_for", "error_number", "error", "user", "host", "created_at", "started_at", "ready_at", "completed_at"}
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		_, db := open(t, s)
		rows, err := db.Query("SELECT * FROM midflight.migrations")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		have, _ := rows.Columns()
		for _, c := range want {
			if !slices.Contains(have, c) {
				t.Errorf("midflight.migrations has no column %s", c)
			}
		}
	})
}

// A second Midflight finds the schema made.
func TestOpenAgain(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		keep, db := open(t, s)
		id, err := keep.Create(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		again, err := store.Open(t.Context(), db)
		if err != nil {
			t.Fatalf("open it again: %v", err)
		}
		defer again.Close()
		if orphans, err := again.Orphans(t.Context(), schema.Name{}); err != nil || len(orphans) != 0 {
			t.Errorf("the first one lives, yet the second finds orphans: %v, %v", orphans, err)
		}
		keep.Close()
		orphans, err := again.Orphans(t.Context(), schema.Name{})
		if err != nil || len(orphans) != 1 || orphans[0].ID != id || orphans[0].Table != request.Table {
			t.Errorf("orphans of the first one, which is closed: %+v, %v", orphans, err)
		}
	})
}

// A schema that an older version made gets what is new in it, and keeps its rows.
func TestUpgrade(t *testing.T) {
	longest, err := ghost.ParseCutOver("02:00-04:00 America/Argentina/ComodRivadavia") // no name is longer
	if err != nil {
		t.Fatal(err)
	}
	later := request
	later.CutOver = longest
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		keep, db := open(t, s)
		definition := func() (name, text string) {
			t.Helper()
			if err := db.QueryRow("SHOW CREATE TABLE midflight.migrations").Scan(&name, &text); err != nil {
				t.Fatal(err)
			}
			return name, text
		}
		id, err := keep.Create(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		_, fresh := definition()
		for _, older := range []struct {
			was  string
			same bool // to the last byte; a column that was not there comes last
		}{
			{"MODIFY COLUMN cutover VARCHAR(16) NOT NULL DEFAULT 'auto'", true},
			{"DROP COLUMN cutover", false},
		} {
			s.Exec(t, "ALTER TABLE midflight.migrations "+older.was)
			again, err := store.Open(t.Context(), db)
			if err != nil {
				t.Fatalf("after %s: %v", older.was, err)
			}
			defer again.Close()
			if _, upgraded := definition(); older.same && upgraded != fresh {
				t.Errorf("after %s it is\n%s\nwant\n%s", older.was, upgraded, fresh)
			}
			if _, err := again.Create(t.Context(), later); err != nil {
				t.Errorf("after %s: %v", older.was, err)
			}
			var text string
			if err := db.QueryRow("SELECT cutover FROM midflight.migrations ORDER BY id DESC LIMIT 1").Scan(&text); err != nil || text != longest.String() {
				t.Errorf("after %s the window is recorded as %q: %v", older.was, text, err)
			}
		}
		var user string
		if err := db.QueryRow("SELECT user FROM midflight.migrations WHERE id = ?", id).Scan(&user); err != nil || user != "ann" {
			t.Errorf("the older row: %q, %v", user, err)
		}
	})
}

func TestLife(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		keep, db := open(t, s)
		ctx := t.Context()
		row := func(id int64) (line string) {
			t.Helper()
			err := db.QueryRow(`SELECT CONCAT_WS(' ', phase, rows_copied, COALESCE(eta_seconds, '-'), COALESCE(error_number, '-'), COALESCE(error, '-'), user,
started_at IS NOT NULL, ready_at IS NOT NULL, completed_at IS NOT NULL) FROM midflight.migrations WHERE id = ?`, id).Scan(&line)
			if err != nil {
				t.Fatal(err)
			}
			return line
		}
		id, err := keep.Create(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		step := func(phase ghost.Phase, eta time.Duration, want string) ghost.Status {
			t.Helper()
			st := ghost.Status{ID: id, Table: request.Table, Phase: phase, RowsCopied: 5, ETA: eta}
			if err := keep.Save(ctx, st); err != nil {
				t.Fatal(err)
			}
			if got := row(id); got != want {
				t.Errorf("in phase %s: %s, want %s", phase, got, want)
			}
			return st
		}
		step(ghost.Queued, -1, "queued 5 - - - ann 0 0 0")
		step(ghost.Copying, time.Minute, "copying 5 60 - - ann 1 0 0")
		st := step(ghost.Ready, 0, "ready 5 0 - - ann 1 1 0")
		st.Phase = ghost.Failed
		if err := keep.Finish(ctx, st, ghost.Result{Err: &mysql.MySQLError{Number: 1062, Message: "Duplicate entry '1' for key 'a'"}}); err != nil {
			t.Fatal(err)
		}
		if got, want := row(id), "failed 5 - 1062 Duplicate entry '1' for key 'a' ann 1 1 1"; got != want {
			t.Errorf("at the end: %s, want %s", got, want)
		}
	})
}

// The operator's words are procedures, and the server's own grants say who may.
func TestProcedures(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		keep, db := open(t, s)
		ctx := context.Background()
		id, err := keep.Create(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		s.Exec(t, "DROP USER IF EXISTS pauser@'%'", "CREATE USER pauser@'%'", "GRANT EXECUTE ON PROCEDURE midflight.pause TO pauser@'%'")
		defer s.Exec(t, "DROP USER pauser@'%'")
		pauser, err := mysqld.Open(mysqld.Config{Addr: s.Addr, User: "pauser"})
		if err != nil {
			t.Fatal(err)
		}
		defer pauser.Close()
		call := func(db *sql.DB, what string, id any) error {
			_, err := db.Exec(fmt.Sprintf("CALL midflight.%s(?)", what), id)
			return err
		}
		if err := call(pauser, "pause", id); err != nil {
			t.Errorf("who may pause is told %v", err)
		}
		for _, what := range []string{"resume", "cutover", "cancel"} {
			if err := call(pauser, what, id); number(err) != 1370 {
				t.Errorf("who may only pause calls %s and is told %v", what, err)
			}
		}
		for _, step := range []struct {
			what string
			want ghost.Control
		}{
			{"resume", ghost.Control{}}, {"pause", ghost.Control{Paused: true}}, {"cutover", ghost.Control{Paused: true, CutOver: true}},
			{"resume", ghost.Control{CutOver: true}}, {"cancel", ghost.Control{CutOver: true, Cancel: true}},
		} {
			if err := call(db, step.what, id); err != nil {
				t.Fatalf("%s: %v", step.what, err)
			}
			if got, err := keep.Control(ctx, id); err != nil || got != step.want {
				t.Errorf("after %s: %+v, %v; want %+v", step.what, got, err, step.want)
			}
		}
		if err := keep.Finish(ctx, ghost.Status{ID: id, Phase: ghost.Completed}, ghost.Result{}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			id   any
			says string
		}{
			{id, fmt.Sprintf("midflight: migration %d has ended: completed", id)},
			{id + 1, fmt.Sprintf("midflight: migration %d does not exist", id+1)},
			{nil, "midflight: migration NULL does not exist"},
		} {
			for _, what := range []string{"pause", "resume", "cutover", "cancel"} {
				var e *mysql.MySQLError
				if err := call(db, what, c.id); !errors.As(err, &e) || e.Number != 1644 || string(e.SQLState[:]) != "45000" || e.Message != c.says {
					t.Errorf("%s(%v): %v, want %s", what, c.id, err, c.says)
				}
			}
		}
	})
}

// A midflight.migrations of an earlier version gets the columns that are new, also
// from two Midflights at a time, and what it has stays.
func TestOpenOlder(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		keep, db := open(t, s)
		columns := func() (n int) {
			if err := db.QueryRow("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'midflight' AND table_name = 'migrations'").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		want := columns()
		id, err := keep.Create(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		s.Exec(t, "ALTER TABLE midflight.migrations DROP KEY by_reveal, DROP COLUMN reveal_requested, DROP COLUMN invisible_columns", "DROP PROCEDURE midflight.reveal")
		opened := make(chan error)
		for range 2 {
			go func() {
				again, err := store.Open(t.Context(), db)
				if err == nil {
					err = again.Close()
				}
				opened <- err
			}()
		}
		if err := errors.Join(<-opened, <-opened); err != nil {
			t.Fatalf("open an older schema: %v", err)
		}
		if got := columns(); got != want {
			t.Errorf("%d columns, want %d", got, want)
		}
		if err := keep.Invisible(t.Context(), id, []string{"a,b", `"`}); err != nil {
			t.Error(err)
		}
	})
}

func TestReveals(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		keep, db := open(t, s)
		ctx := t.Context()
		id, err := keep.Create(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		columns := []string{"a,b", `"'ü`}
		if err := keep.Invisible(ctx, id, columns); err != nil {
			t.Fatal(err)
		}
		call := func() error {
			_, err := db.Exec("CALL midflight.reveal(?)", id)
			return err
		}
		if err := call(); number(err) != 1644 {
			t.Errorf("reveal what is not completed: %v", err)
		}
		if err := keep.Finish(ctx, ghost.Status{ID: id, Phase: ghost.Completed, ETA: -1}, ghost.Result{}); err != nil {
			t.Fatal(err)
		}
		if w, err := keep.Reveals(ctx); err != nil || len(w) != 0 {
			t.Errorf("nobody has wished: %+v, %v", w, err)
		}
		if err := errors.Join(call(), call()); err != nil {
			t.Fatal(err)
		}
		w, err := keep.Reveals(ctx)
		if err != nil || len(w) != 1 || w[0].ID != id || w[0].Table != request.Table || !slices.Equal(w[0].Columns, columns) || w[0].User != "ann" || w[0].Host != request.Host {
			t.Fatalf("wishes: %+v, %v", w, err)
		}
		by, err := keep.Grant(ctx, id, request)
		if err != nil || by <= id {
			t.Errorf("granted by %d, %v", by, err)
		}
		if again, err := keep.Grant(ctx, id, request); again != 0 || err != nil {
			t.Errorf("granted twice, by %d: %v", again, err)
		}
		if w, err := keep.Reveals(ctx); err != nil || len(w) != 0 {
			t.Errorf("wishes after it was granted: %+v, %v", w, err)
		}
	})
}
