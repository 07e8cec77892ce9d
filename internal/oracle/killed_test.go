package oracle

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/mysqld"
	"midflight/schema"
)

// TestSwapIsKilled kills Midflight's own sessions at random moments of the swap:
// whatever becomes of it, the table has its rows, triggers and names.
func TestSwapIsKilled(t *testing.T) {
	rounds := 4
	if n, err := strconv.Atoi(os.Getenv("KILL_ROUNDS")); err == nil {
		rounds = n
	}
	eachSite(t, func(t *testing.T, s *site) {
		kill := s.server.DB(t)
		outcomes := map[string]int{}
		for round := range rounds {
			t.Run(strconv.Itoa(round), func(t *testing.T) {
				n := schema.Name{Schema: s.server.NewDatabase(t), Table: "watched"}
				check := ""
				if s.flavor == testmysql.MySQL && round%2 == 0 {
					check = ", CONSTRAINT mine CHECK (v <> 77)"
				}
				session(t, s.server.Addr, n.Schema,
					"CREATE TABLE watched (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, k VARCHAR(20) NOT NULL, v INT, UNIQUE KEY (k)"+check+")",
					"CREATE TABLE audit (no INT NOT NULL AUTO_INCREMENT PRIMARY KEY, id INT)",
					"INSERT INTO watched (k, v) VALUES ('a', 1), ('b', 2), ('c', 3)",
					"CREATE TRIGGER one AFTER INSERT ON watched FOR EACH ROW INSERT INTO audit (id) VALUES (NEW.id)",
					"CREATE TRIGGER two BEFORE INSERT ON watched FOR EACH ROW SET NEW.v = NEW.v + 1",
					"CREATE TRIGGER three BEFORE INSERT ON watched FOR EACH ROW SET NEW.v = NEW.v * 2",
					"CREATE TRIGGER four AFTER DELETE ON watched FOR EACH ROW INSERT INTO audit (id) VALUES (-OLD.id)")
				before := createTriggers(t, s.root, n)
				alter := []string{"ALTER TABLE watched ADD x INT NOT NULL DEFAULT 3", "ALTER TABLE watched DROP PRIMARY KEY, MODIFY id INT NOT NULL, ADD PRIMARY KEY (k)"}[round/2%2]
				stop := make(chan struct{})
				var wait sync.WaitGroup
				kills := 0
				wait.Add(1)
				go func() {
					defer wait.Done()
					for ended := false; !ended; { // only the swap's sessions
						select {
						case <-stop:
							return
						default:
							ended = len(twins.List(t, kill, "SELECT id FROM midflight.migrations WHERE schema_name = ? AND phase = 'cutting_over'", n.Schema)) > 0
						}
					}
					for after := time.Duration(rand.IntN(4000)) * time.Microsecond; ; {
						select {
						case <-stop:
							return
						default:
						}
						var id string
						err := kill.QueryRow("SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND info NOT LIKE 'SELECT%' AND (info LIKE 'RENAME /* midflight m%' OR info LIKE '%FOR RENAME /* mid%' OR info LIKE 'DROP TRIGGER /* mid%' OR info LIKE 'CREATE DEFINER%' OR info LIKE 'LOCK /* midflight m%' OR info LIKE 'DROP TABLE /* mid%' OR info LIKE 'ALTER TABLE /* midflight m%DROP%' OR info LIKE 'SET /* midflight */ SESSION sql_mode%') LIMIT 1").Scan(&id)
						if err == sql.ErrNoRows {
							continue
						}
						time.Sleep(after)
						how := []string{"CONNECTION", "QUERY"}[rand.IntN(2)]
						if _, err := kill.Exec("KILL " + how + " " + id); err == nil {
							if kills++; kills > rand.IntN(6) {
								return
							}
						}
						after = time.Duration(rand.IntN(4000)) * time.Microsecond
					}
				}()
				written := 0
				wait.Add(1)
				go func() {
					defer wait.Done()
					conn := session(t, s.server.Addr, n.Schema)
					var halfRead time.Time // since when
					for i := 0; ; i++ {
						select {
						case <-stop:
							return
						case <-time.After(3 * time.Millisecond):
						}
						_, err := conn.ExecContext(context.Background(), fmt.Sprintf("INSERT INTO watched (id, k, v) VALUES (%d, 'w%d', 1)", 1000+i, i))
						// The server's own doing, which the swap ends: ghost/reopen.go.
						if s.flavor == testmysql.MariaDB && mysqld.Number(err) == mysqld.ErrParse {
							if halfRead.IsZero() {
								halfRead = time.Now()
							}
							if time.Since(halfRead) < longEnough/6 {
								continue
							}
						}
						if err != nil {
							t.Errorf("a writer's INSERT: %v", err)
							return
						}
						if !halfRead.IsZero() {
							t.Logf("its triggers were read by half for %v", time.Since(halfRead))
							halfRead = time.Time{}
						}
						written++
					}
				}()
				user := s.session(t, n.Schema, "SET @midflight_strategy = 'copy'")
				ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
				_, err := user.ExecContext(ctx, alter)
				cancel()
				close(stop)
				wait.Wait()
				if _, err := s.root.Exec("INSERT INTO " + n.Quoted() + " (id, k, v) VALUES (999, 'last', 1)"); err != nil {
					t.Errorf("an INSERT after it: %v", err)
				} else {
					written++
				}
				if err != nil {
					outcomes[err.Error()]++
				} else {
					outcomes["done"]++
				}
				if got := createTriggers(t, s.root, n); strings.Join(oneSpelling(got), "\n") != strings.Join(oneSpelling(before), "\n") {
					t.Errorf("after %d kills (%v) the triggers are\n%s", kills, err, strings.Join(got, "\n"))
				}
				if got := twins.List(t, s.root, "SELECT CONCAT(trigger_name, action_order) FROM information_schema.triggers WHERE event_object_schema = ? ORDER BY 1", n.Schema); fmt.Sprint(got) != "[four1 one1 three2 two1]" {
					t.Errorf("order %q", got)
				}
				if got := twins.List(t, s.root, "SELECT COUNT(*) FROM "+n.Quoted()); got[0] != fmt.Sprint(3+written) {
					t.Errorf("%s rows instead of %d (%v)", got, 3+written, err)
				}
				create, _ := twins.Definition(t, s.root, n)
				changed := strings.Contains(create, "`x`") || strings.Contains(create, "PRIMARY KEY (`k`)")
				if changed != (err == nil) || strings.Contains(create, "_midflight") || check != "" && !strings.Contains(create, "CONSTRAINT `mine`") {
					t.Errorf("after %v:\n%s", err, create)
				}
				audited := twins.List(t, s.root, "SELECT COUNT(*) FROM "+n.With("audit").Quoted())
				double := twins.List(t, s.root, "SELECT id FROM "+n.With("audit").Quoted()+" GROUP BY id HAVING COUNT(*) > 1 OR id < 0")
				if len(double) > 0 {
					t.Errorf("fired twice: %q", double)
				}
				id := twins.List(t, s.root, "SELECT MAX(id) FROM midflight.migrations")[0]
				left := twins.List(t, s.root, "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_name NOT IN ('watched', 'audit', '_watched_old') UNION ALL SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE '\\_midflight\\_"+id+"%' AND schema_name NOT LIKE '%old' UNION ALL SELECT 'triggers' FROM midflight.triggers", n.Schema)
				if len(left) > 0 {
					t.Errorf("left: %q", left)
				}
				t.Logf("%d kills, %v, %d written, %s audited", kills, err, written, audited[0])
			})
		}
		t.Log(outcomes)
	})
}
