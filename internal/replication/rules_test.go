package replication

import (
	"context"
	"database/sql"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
)

// TestRules: each rule that needs no replica stops a copy, says why, has its time booked,
// and lets go.
func TestRules(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		top := &topology{source: testmysql.Start(t, s.Flavor)}
		top.root = top.source.DB(t)
		top.fill(t, 20_000)
		top.source.Exec(t, "CREATE TABLE shop.stop (n INT NOT NULL)")
		m := top.midflight(t, "--keep-old", "0", "--throttle-query", "SELECT COUNT(*) FROM shop.stop", "--limit", "threads_running=3,breaker=1s")
		id := "(SELECT MAX(id) FROM midflight.migrations)"
		run := func(name, begin, why, signal, end string) {
			t.Run(name, func(t *testing.T) {
				alter(t, m, "")
				top.source.Exec(t, "CALL midflight.pause("+id+")")
				await(t, "the pause", func() bool { return top.latest(t, "waiting_for") == "CALL midflight.resume" })
				top.source.Exec(t, strings.ReplaceAll(begin, "ID", id), "CALL midflight.resume("+id+")")
				await(t, why, func() bool {
					return strings.Contains(top.latest(t, "waiting_for"), why) && strings.Contains(top.latest(t, "throttled"), `"`+signal+`":`)
				})
				if phase := top.latest(t, "phase"); phase != "copying" {
					t.Errorf("it is %s", phase)
				}
				top.source.Exec(t, strings.ReplaceAll(end, "ID", id))
				top.awaitPhase(t, "completed")
			})
		}
		run("ratio", "CALL midflight.throttle(ID, 1, 10)", "CALL midflight.throttle", "ratio", "CALL midflight.throttle(ID, 0, 0)")
		run("query", "INSERT INTO shop.stop VALUES (1)", "query (1, limit 1)", "query", "DELETE FROM shop.stop")
		now := time.Now().UTC()
		closed := now.Add(12*time.Hour).Format("15:04") + "-" + now.Add(13*time.Hour).Format("15:04")
		run("window", "CALL midflight.limit('window', '"+closed+"')", "the window "+closed+" UTC", "window", "CALL midflight.limit('window', NULL)")

		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		top.source.Exec(t, "CREATE TABLE shop.locked (id INT PRIMARY KEY)", "INSERT INTO shop.locked VALUES (1)", "CREATE USER app@'%' IDENTIFIED BY 'secret'", "GRANT ALL ON shop.* TO app@'%'")
		app, err := sql.Open("mysql", "app:secret@tcp("+top.source.Addr+")/shop?tls=skip-verify&allowFallbackToPlaintext=true")
		if err != nil {
			t.Fatal(err)
		}
		defer app.Close()
		tx, err := top.root.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec("SELECT id FROM shop.locked FOR UPDATE"); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			waiting.Add(1)
			go func() {
				defer waiting.Done()
				app.ExecContext(ctx, "SELECT id FROM shop.locked FOR UPDATE")
			}()
		}
		run("threads", "DO 0", "threads_running (5, limit 3)", "threads_running", "CALL midflight.limit('threads_running', 'off')")
		cancel()
		tx.Rollback()
		waiting.Wait()

		t.Run("breaker", func(t *testing.T) {
			db := m.DB(t, "shop")
			for range 200 { // before it
				if _, err := db.Exec("SELECT 1"); err != nil {
					t.Fatal(err)
				}
			}
			await(t, "a second of it", func() bool {
				db.Exec("SELECT 1")
				return top.felt(t, m) > 200
			})
			alter(t, m, "")
			top.source.Exec(t, "CALL midflight.throttle("+id+", 1, 10)")
			// New code that asks already for what the migration is to bring must not stop it.
			for range 200 {
				db.Exec("SELECT nothing FROM nowhere")
			}
			await(t, "the breaker", func() bool {
				for range 20 {
					db.Exec("SIGNAL SQLSTATE '40001'")
				}
				var paused bool
				top.root.QueryRow("SELECT pause_requested FROM midflight.migrations ORDER BY id DESC LIMIT 1").Scan(&paused)
				return paused
			})
			var why string
			if err := top.root.QueryRow("SELECT event FROM midflight.events WHERE event LIKE 'stopped until CALL midflight.resume: app_errors (%' ORDER BY id DESC LIMIT 1").Scan(&why); err != nil {
				t.Error(err)
			}
			t.Log(why)
			top.source.Exec(t, "CALL midflight.throttle("+id+", 0, 0)", "CALL midflight.limit('app_errors', 'off')", "CALL midflight.resume("+id+")")
			top.awaitPhase(t, "completed")
		})
		t.Run("by the terminal", func(t *testing.T) {
			program, err := testmidflight.Binary()
			if err != nil {
				t.Fatal(err)
			}
			alter(t, m, ", @midflight_cutover = 'manual'")
			for _, args := range [][]string{{"limit", "replica_lag", "2s"}, {"throttle", top.latest(t, "id"), "0.25", "30"}} {
				out, err := exec.Command(program, append([]string{args[0], "--server", top.source.Addr, "--user", "root"}, args[1:]...)...).CombinedOutput()
				if err != nil {
					t.Errorf("%s: %v\n%s", args, err, out)
				}
			}
			if got := top.latest(t, "throttle_ratio"); got != "0.25" {
				t.Errorf("it rests for %s", got)
			}
			var lag, by string
			if err := top.root.QueryRow("SELECT value, set_by FROM midflight.limits WHERE name = 'replica_lag'").Scan(&lag, &by); err != nil || lag != "2s" || !strings.HasPrefix(by, "root@") {
				t.Errorf("the limit is %q, by %q: %v", lag, by, err)
			}
			top.source.Exec(t, "CALL midflight.cancel("+id+")")
			top.awaitPhase(t, "canceled")
		})
		t.Run("what is no rule", func(t *testing.T) {
			for _, call := range []string{"limit('lag', '1s')", "limit(NULL, '1s')", "limit('replica_lag', 'soon')", "limit('window', 'noon')", "limit('breaker', '5')", "limit('disk_free', '-1')", "limit('app_errors', '2')", "limit('réplica_lag', '2s')",
				"throttle(" + id + ", 0.5, 1)", "throttle(0, 0.5, 1)", "throttle(" + id + ", 2, 1)", "throttle(" + id + ", NULL, 1)"} {
				_, err := top.root.Exec("CALL midflight." + call)
				if e, ok := err.(*mysql.MySQLError); !ok || string(e.SQLState[:]) != "45000" || !strings.HasPrefix(e.Message, "midflight: ") {
					t.Errorf("%s: %v", call, err)
				}
			}
		})
		t.Run("as a person writes it", func(t *testing.T) {
			top.source.Exec(t, "CALL midflight.limit('Replica_Lag ', ' 2S')", "CALL midflight.limit('app_errors', '1.5%')")
			var name, value string
			if err := top.root.QueryRow("SELECT name, value FROM midflight.limits WHERE name LIKE 'replica_lag%'").Scan(&name, &value); err != nil || name != "replica_lag" || value != "2s" {
				t.Errorf("%q = %q: %v", name, value, err)
			}
		})
	})
}

// felt is how many statements the Midflight has carried.
func (top *topology) felt(t *testing.T, m *testmidflight.Midflight) (n int) {
	t.Helper()
	fmt.Sscanf(line(t, m, `midflight_commands_total{command="query"}`), "%d", &n)
	return n
}
