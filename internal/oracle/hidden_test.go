package oracle

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/internal/twins"
)

// TestHiddenChanges: what a session changes without a row event, through
// Midflight or around it, is in the new table nevertheless.
func TestHiddenChanges(t *testing.T) {
	const writes = `UPDATE {t} SET v = v + 1000 WHERE id % 7 = 0; DELETE FROM {t} WHERE id % 11 = 0; INSERT INTO {t} VALUES (5001, 1, 5001), (5002, 2, 5002); UPDATE {t} SET id = 6000 + id WHERE id % 13 = 0; REPLACE INTO {t} VALUES (3, 3, 3)`
	type hider struct {
		name   string
		around bool
		hide   string
		alter  string
		early  bool // the transaction has begun before the migration
		only   testmysql.Flavor
	}
	cases := []hider{
		{name: "statement format", hide: "SET SESSION binlog_format = 'STATEMENT'"},
		{name: "statement format around", around: true, hide: "SET SESSION binlog_format = 'STATEMENT'"},
		{name: "no binlog", hide: "SET SESSION sql_log_bin = 0"},
		{name: "no binlog, spelled", hide: "/* x */ set @@session.sql_log_bin := OFF"},
		{name: "no binlog, begun before", hide: "SET sql_log_bin = 0", early: true},
		{name: "no binlog around", around: true, hide: "SET SESSION sql_log_bin = 0", only: onlyMySQL},
		{name: "no binlog around, begun before", around: true, hide: "SET SESSION sql_log_bin = 0", early: true, only: onlyMySQL},
		{name: "images without the chunk key", hide: "SET SESSION binlog_row_image = 'MINIMAL'", alter: "DROP PRIMARY KEY, DROP COLUMN id"},
		{name: "images without the chunk key around", around: true, hide: "SET SESSION binlog_row_image = 'MINIMAL'", alter: "DROP PRIMARY KEY, DROP COLUMN id"},
	}
	eachSite(t, func(t *testing.T, s *site) {
		for _, c := range cases {
			if c.only != "" && c.only != s.flavor {
				continue // nobody can tell there: docs/limits.md
			}
			if c.alter == "" {
				c.alter = "ADD COLUMN x INT NOT NULL DEFAULT 9"
			}
			t.Run(c.name, func(t *testing.T) {
				s.enter(t)
				on := s.twins(t, "t")
				for _, n := range on {
					conn := session(t, s.server.Addr, n.Schema, "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT, u INT NOT NULL UNIQUE)")
					var rows []string
					for i := range 1500 {
						rows = append(rows, fmt.Sprintf("(%d, %d, %d)", i, i, i))
					}
					mustExec(t, conn, "INSERT INTO t VALUES "+strings.Join(rows, ", "))
				}
				addr := s.midflight.Addr
				if c.around {
					addr = s.server.Addr
				}
				hider := session(t, addr, on[0].Schema, c.hide)
				plain := session(t, s.server.Addr, on[1].Schema)
				write := func() {
					for _, q := range strings.Split(writes, ";") {
						mustExec(t, hider, strings.ReplaceAll(q, "{t}", "t"))
						mustExec(t, plain, strings.ReplaceAll(q, "{t}", "t"))
					}
				}
				if c.early {
					mustExec(t, hider, "BEGIN")
					write()
				}
				user := s.session(t, on[0].Schema, "SET @midflight_strategy = 'copy', @midflight_cutover = 'manual'")
				result := make(chan error, 1)
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), longEnough)
					defer cancel()
					_, err := user.ExecContext(ctx, "ALTER TABLE t "+c.alter)
					result <- err
				}()
				awaitPhase(t, s.root, on[0].Schema, "ready")
				if c.early {
					mustExec(t, hider, "COMMIT")
				} else {
					write()
					// What was mended once may be changed again.
					await(t, "the new table has what was hidden", func() bool {
						return twins.List(t, s.root, "SELECT COUNT(*) FROM "+on[0].With("_t_shadow").Quoted()+" WHERE u = 5001")[0] == "1"
					})
					for _, conn := range []*sql.Conn{hider, plain} {
						mustExec(t, conn, "UPDATE t SET v = v + 1 WHERE u > 1400")
					}
				}
				id := twins.List(t, s.root, "SELECT id FROM midflight.migrations WHERE schema_name = ?", on[0].Schema)[0]
				mustExec(t, hider, "CALL midflight.cutover("+id+")")
				select {
				case err := <-result:
					if err != nil {
						t.Error(err)
					}
				case <-time.After(longEnough):
					t.Error("the migration does not end")
				}
				mustExec(t, plain, "ALTER TABLE t "+c.alter)
				got, _ := twins.Definition(t, s.root, on[0])
				want, _ := twins.Definition(t, s.root, on[1])
				if got != want {
					t.Errorf("the definition is\n%s\nthe server makes\n%s", got, want)
				}
				twins.SameContents(t, twins.Contents(t, s.root, s.flavor, on[0], ""), twins.Contents(t, s.root, s.flavor, on[1], ""))
				events := twins.List(t, s.root, "SELECT event FROM midflight.events WHERE migration_id = ?", id)
				if !slices.ContainsFunc(events, func(e string) bool { return strings.Contains(e, "compared again") }) {
					t.Error("nothing was compared again: the test tests nothing")
				}
				if t.Failed() {
					twins.History(t, s.root, on[0].Schema)
				}
			})
		}
	})
}

// TestAlterAfterHiding: a session of which Midflight believes that its binlog may
// be off does not wait for itself.
func TestAlterAfterHiding(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		db := s.server.NewDatabase(t)
		user := s.session(t, db, "SET @was = @@sql_log_bin", "SET sql_log_bin = 0", "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)", "SET sql_log_bin = @was",
			"SET @midflight_strategy = 'copy'")
		ctx, cancel := context.WithTimeout(context.Background(), longEnough)
		defer cancel()
		if _, err := user.ExecContext(ctx, "ALTER TABLE t ADD COLUMN v INT"); err != nil {
			t.Error(err)
		}
		if path := twins.List(t, s.root, "SELECT CONCAT(strategy, ' ', phase) FROM midflight.migrations WHERE schema_name = ?", db); !slices.Equal(path, []string{"copy completed"}) {
			t.Errorf("the path taken is %q", path)
		}
	})
}

// TestHiddenDefinition: an ALTER that no binlog has is not undone by the swap.
func TestHiddenDefinition(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		for i, addr := range []string{s.midflight.Addr, s.server.Addr, s.midflight.Addr} {
			change, kept := "ADD COLUMN kept INT DEFAULT 7", "SELECT kept FROM t"
			if i == 2 {
				change, kept = "COMMENT = '7'", "SELECT table_comment FROM information_schema.tables WHERE table_schema = DATABASE()"
			}
			db := s.server.NewDatabase(t)
			hider := session(t, addr, db, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
			user := s.session(t, db, "SET @midflight_strategy = 'copy', @midflight_cutover = 'manual'")
			result := make(chan error, 1)
			go func() {
				_, err := user.ExecContext(context.Background(), "ALTER TABLE t ADD COLUMN v INT")
				result <- err
			}()
			awaitPhase(t, s.root, db, "ready")
			mustExec(t, hider, "SET sql_log_bin = 0")
			mustExec(t, hider, "ALTER TABLE t "+change)
			mustExec(t, hider, "SET sql_log_bin = 1")
			id := twins.List(t, s.root, "SELECT id FROM midflight.migrations WHERE schema_name = ?", db)[0]
			mustExec(t, hider, "CALL midflight.cutover("+id+")")
			if err := <-result; err == nil || !strings.Contains(err.Error(), "changed the definition") {
				t.Errorf("the ALTER ends with %v", err)
			}
			var got string
			if err := hider.QueryRowContext(context.Background(), kept).Scan(&got); err != nil || got != "7" {
				t.Errorf("%s: %q, %v", change, got, err)
			}
		}
	})
}
