package store_test

import (
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"midflight/ghost"
	"midflight/internal/testmysql"
	"midflight/mysqld"
	"midflight/schema"
	"midflight/store"
)

// ours is a pool as the program has it.
func ours(t *testing.T, s *testmysql.Server, user string) *sql.DB {
	t.Helper()
	db, err := mysqld.Open(mysqld.Config{Addr: s.Addr, User: user})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Who steers is in the history: the caller, not the account that the procedures run as.
func TestWhoSaidIt(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		keep, _ := open(t, s)
		db := ours(t, s, "root")
		id, err := keep.Create(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		s.Exec(t, "DROP USER IF EXISTS steers@'%'", "CREATE USER steers@'%'", "GRANT EXECUTE ON midflight.* TO steers@'%'")
		defer s.Exec(t, "DROP USER steers@'%'")
		steers := ours(t, s, "steers")
		for _, what := range []string{"pause", "cancel"} {
			if _, err := steers.Exec(fmt.Sprintf("CALL midflight.%s(?)", what), id); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := steers.Exec("CALL midflight.pause(?)", id+1); err == nil {
			t.Error("a migration that is not there can be paused")
		}
		events, err := store.Events(t.Context(), db, id)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, e := range events {
			if e.Kind == ghost.EntryControl {
				user, _, _ := strings.Cut(e.By, "@")
				what, _, _ := strings.Cut(e.Text, ":")
				said = append(said, user+" "+what)
				if !strings.Contains(e.Text, "CALL by steers@") || !strings.Contains(e.Text, "connection ") {
					t.Errorf("the history says %q", e.Text)
				}
			}
		}
		if want := []string{"steers pause", "steers cancel"}; !slices.Equal(said, want) {
			t.Errorf("control events: %q, want %q", said, want)
		}
	})
}

var autoIncrement = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// A schema from before the audit trail gets it, and its phases can be read by program.
func TestUpgradeToTheTrail(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		keep, _ := open(t, s)
		db := ours(t, s, "root")
		id, err := keep.Create(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		definition := func(table string) (text string) {
			t.Helper()
			var name string
			if err := db.QueryRow("SHOW CREATE TABLE midflight."+table).Scan(&name, &text); err != nil {
				t.Fatal(err)
			}
			return autoIncrement.ReplaceAllString(text, "")
		}
		migrations, events := definition("migrations"), definition("events")
		s.Exec(t, "ALTER TABLE midflight.events DROP COLUMN kind, DROP COLUMN phase, DROP COLUMN said_by, DROP COLUMN detail",
			`ALTER TABLE midflight.migrations DROP COLUMN account, DROP COLUMN database_name, DROP COLUMN ran_by, DROP COLUMN warnings, DROP COLUMN verification,
DROP COLUMN cutover_attempts, DROP COLUMN locked_microseconds, DROP COLUMN held_statements, DROP COLUMN held_microseconds`,
			"DROP TABLE midflight.statements",
			"DROP PROCEDURE midflight.pause",
			"CREATE PROCEDURE midflight.pause(IN migration BIGINT) COMMENT 'Stops the row copy; changes are applied meanwhile' UPDATE midflight.migrations SET pause_requested = TRUE WHERE id = migration",
			fmt.Sprintf("INSERT INTO midflight.events (migration_id, happened_at, event) VALUES (%d, '2026-01-01 10:00:00', 'phase preparing'), (%d, '2026-01-01 10:00:02', 'phase copying of what'), (%d, '2026-01-01 10:00:05', 'phase copying')", id, id, id))
		again, err := store.Open(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if now := definition("migrations"); now != migrations {
			t.Errorf("midflight.migrations is\n%s\nwant\n%s", now, migrations)
		}
		if now := definition("events"); now != events {
			t.Errorf("midflight.events is\n%s\nwant\n%s", now, events)
		}
		s.Exec(t, fmt.Sprintf("CALL midflight.pause(%d)", id))
		all, err := store.Events(t.Context(), db, id)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range all {
			got = append(got, fmt.Sprintf("%s %s", e.Kind, e.Phase))
		}
		if want := []string{"phase preparing", "note ", "phase copying", "control "}; !slices.Equal(got, want) {
			t.Errorf("events: %q, want %q", got, want)
		}
		m := store.Migration{Created: sql.NullTime{Time: all[0].At.Add(-time.Second), Valid: true}}
		stays := store.Stays(m, all, all[0].At.Add(time.Minute))
		if len(stays) != 3 || stays[0].Took != time.Second || stays[1].Phase != ghost.Preparing || stays[1].Took != 5*time.Second || stays[2].Took != 55*time.Second {
			t.Errorf("stays: %+v", stays)
		}
	})
}

func TestHistory(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		keep, _ := open(t, s)
		db := ours(t, s, "root")
		ctx := t.Context()
		r := request
		r.Account, r.Database = "ann@%", "shop"
		id, err := keep.Create(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		st := ghost.Status{ID: id, Table: r.Table, Phase: ghost.Completed, Strategy: "copy", Tries: ghost.Tries{Number: 2, Locked: 3 * time.Millisecond, Held: 4, Longest: 5 * time.Millisecond}, Verified: "compared: 7 rows"}
		if err := keep.Finish(ctx, st, ghost.Result{Warned: 3, Records: 7}); err != nil {
			t.Fatal(err)
		}
		long := "DROP TABLE orders /* " + strings.Repeat("ü", 70000) + " */"
		forwarded, err := keep.Came(ctx, store.Statement{Table: schema.Name{Schema: "shop", Table: "orders"}, Text: long, Verdict: store.Forwarded, Reason: "it drops tables", User: "bob", Host: "10.0.0.2:5", Session: 9})
		if err != nil {
			t.Fatal(err)
		}
		if err := keep.Answered(ctx, forwarded, &ghost.ServerError{Number: 1051, Message: "Unknown table"}); err != nil {
			t.Fatal(err)
		}
		if _, err := keep.Came(ctx, store.Statement{Table: schema.Name{Schema: "shop", Table: "customers"}, Text: "ALTER TABLE customers ADD x INT", Verdict: store.Refused, User: "eve", Err: &ghost.ServerError{Number: 1142, Message: "ALTER command denied"}}); err != nil {
			t.Fatal(err)
		}
		lines := func(f store.Filter) (lines []string) {
			t.Helper()
			if f.Limit == 0 {
				f.Limit = 10
			}
			list, err := store.History(ctx, db, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range list {
				lines = append(lines, fmt.Sprintf("%d %s %s %s %d", c.ID, c.Table, c.Outcome, c.User, c.ErrorNumber.Int64))
				if !c.Took.Valid || c.RanBy == "" {
					t.Errorf("%+v lacks its end, or the Midflight", c)
				}
			}
			return lines
		}
		all := []string{"0 shop.customers refused eve 1142", "0 shop.orders forwarded bob 1051", fmt.Sprintf("%d shop.orders completed ann 0", id)}
		for _, c := range []struct {
			f    store.Filter
			want []string
		}{
			{store.Filter{}, all},
			{store.Filter{Limit: 1}, all[:1]},
			{store.Filter{Table: "orders"}, all[1:]},
			{store.Filter{Table: "shop.customers"}, all[:1]},
			{store.Filter{Table: "other.orders"}, nil},
			{store.Filter{Table: "shop.a.b"}, nil},
			{store.Filter{Since: time.Now().Add(time.Hour)}, nil},
			{store.Filter{Since: time.Now().Add(-time.Hour)}, all},
		} {
			if got := lines(c.f); !slices.Equal(got, c.want) {
				t.Errorf("%+v: %q, want %q", c.f, got, c.want)
			}
		}
		m, err := store.One(ctx, db, id)
		if err != nil {
			t.Fatal(err)
		}
		if m.Account != "ann@%" || m.Database != "shop" || m.Warnings.Int64 != 3 || m.Records.Int64 != 7 || m.Verification != st.Verified || m.Tries != st.Tries {
			t.Errorf("read back: %+v", m)
		}
		var kept int
		if err := db.QueryRow("SELECT LENGTH(statement) FROM midflight.statements WHERE id = ?", forwarded).Scan(&kept); err != nil || kept > 64<<10 || kept < 60<<10 {
			t.Errorf("%d bytes of a long statement are kept, %v", kept, err)
		}
		if _, err := store.One(ctx, db, id+1); err == nil {
			t.Error("there is a migration that there is not")
		}
	})
}

// A statement in another character set is kept as its sender meant it: MySQL would cut it,
// and the names in it, where it is no UTF-8.
func TestOtherCharacterSets(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		keep, _ := open(t, s)
		db := ours(t, s, "root")
		for _, c := range []struct{ charset, schema, table, text, wantSchema, wantTable, wantText string }{
			{"latin1", "Stra\xdfe", "Gr\xfc\xdfe", "DROP TABLE `Gr\xfc\xdfe`", "Straße", "Grüße", "DROP TABLE `Grüße`"},
			{"latin1", "größe", "caf\xe9", "DROP TABLE `caf\xe9`", "größe", "café", "DROP TABLE `café`"}, // the selected database's name
			{"gbk", "shop", "\xb0\xa1", "DROP TABLE `\xb0\xa1`", "shop", "啊", "DROP TABLE `啊`"},
			{"binary", "shop", "caf\xe9", "DROP TABLE `caf\xe9`", "shop", "caf?", "DROP TABLE `caf?`"},
			{"", "shop", "t\xff", "DROP TABLE `t\xff` /* and more */", "shop", "t?", "DROP TABLE `t?` /* and more */"},
		} {
			id, err := keep.Came(t.Context(), store.Statement{Table: schema.Name{Schema: c.schema, Table: c.table}, Text: c.text, Charset: c.charset, Verdict: store.Forwarded, Database: "größe"})
			if err != nil {
				t.Fatal(err)
			}
			if err := keep.Answered(t.Context(), id, &ghost.ServerError{Number: 1051, Message: "Unbekannte Tabelle 'gr\xfcn', leider"}); err != nil {
				t.Fatal(err)
			}
			var in, table, text, failure string
			if err := db.QueryRow("SELECT schema_name, table_name, statement, error FROM midflight.statements WHERE id = ?", id).Scan(&in, &table, &text, &failure); err != nil {
				t.Fatal(err)
			}
			if in != c.wantSchema || table != c.wantTable || text != c.wantText || failure != "Unbekannte Tabelle 'gr?n', leider" {
				t.Errorf("%s: kept are %q.%q, %q, %q; want %q.%q, %q", c.charset, in, table, text, failure, c.wantSchema, c.wantTable, c.wantText)
			}
		}
	})
}

// A name may have dots.
func TestHistoryOfNamesWithDots(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		keep, _ := open(t, s)
		for _, n := range []schema.Name{{Schema: "shop", Table: "a.b"}, {Schema: "shop.a", Table: "b"}, {Schema: "a", Table: "b"}} {
			if _, err := keep.Came(t.Context(), store.Statement{Table: n, Text: "TRUNCATE b", Verdict: store.Forwarded}); err != nil {
				t.Fatal(err)
			}
		}
		for table, want := range map[string][]string{"a.b": {"a.b", "shop.a.b"}, "shop.a.b": {"shop.a.b", "shop.a.b"}, "b": {"a.b", "shop.a.b"}} {
			list, err := store.History(t.Context(), ours(t, s, "root"), store.Filter{Table: table, Limit: 9})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range list {
				got = append(got, c.Table)
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", table, got, want)
			}
		}
	})
}

// How long a migration has run is told by the server's clock, not by that of whoever looks.
func TestTookByTheServersClock(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		keep, _ := open(t, s)
		db := ours(t, s, "root")
		db.SetMaxOpenConns(1)
		id, err := keep.Create(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{"SET timestamp = UNIX_TIMESTAMP() - 86400", "UPDATE midflight.migrations SET started_at = UTC_TIMESTAMP(6) - INTERVAL 60 SECOND"} {
			if _, err := db.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
		m, err := store.One(t.Context(), db, id)
		if err != nil {
			t.Fatal(err)
		}
		if took, ok := m.Took(); !ok || took.Round(time.Second) != time.Minute {
			t.Errorf("it has run for %s, by the server for a minute", took)
		}
	})
}
