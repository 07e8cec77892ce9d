package oracle

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"midflight/internal/cutter"
	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
	"midflight/schema"
)

// TestFailover: the source dies, and a replica is promoted under its address. The migration
// goes on with what that one has. What it lacks of what the dead one had acknowledged, the
// application's changes, copied rows and checkpoints alike, nobody believes.
func TestFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	t.Parallel() // it has servers of its own
	for _, c := range []struct {
		name string
		lags string // the phase from which on nothing reaches the replica; "": all does
	}{{"with all", ""}, {"without the latest changes", "ready"}, {"with half of the copy", "copying"}} {
		if c.lags != "copying" && os.Getenv("KILLS") == "" {
			continue // it has the others in it
		}
		t.Run(c.name, func(t *testing.T) {
			source, replica := testmysql.Start(t, testmysql.MySQL), testmysql.Start(t, testmysql.MySQL)
			source.Exec(t, "CREATE USER repl@'%' IDENTIFIED BY 'secret'", "GRANT REPLICATION SLAVE ON *.* TO repl@'%'", "RESET BINARY LOGS AND GTIDS")
			host, port, _ := net.SplitHostPort(source.Addr)
			replica.Exec(t, "RESET BINARY LOGS AND GTIDS", fmt.Sprintf("CHANGE REPLICATION SOURCE TO source_host = '%s', source_port = %s, source_user = 'repl', source_password = 'secret', source_auto_position = 1, get_source_public_key = 1", host, port), "START REPLICA")
			r := cutter.Start(t, source.Addr)
			s := &site{flavor: testmysql.MySQL, server: source, root: source.DB(t), midflight: testmidflight.Start(t, source, "--server", r.Addr, "--limit", "replica_lag=off")}
			on := [2]schema.Name{{Schema: "shop", Table: "t"}, {Schema: "twin", Table: "t"}}
			both := func(server *testmysql.Server, q string) {
				for _, n := range on {
					server.Exec(t, strings.ReplaceAll(q, "{t}", n.Quoted()))
				}
			}
			source.Exec(t, "CREATE DATABASE shop", "CREATE DATABASE twin")
			both(source, "CREATE TABLE {t} (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL, w VARCHAR(100), KEY v (v))")
			both(source, "INSERT INTO {t} (v, w) VALUES (1, REPEAT('x', 100))")
			for range 14 {
				both(source, "INSERT INTO {t} (v, w) SELECT v + 1, w FROM {t}")
			}
			user := s.session(t, "shop", "SET @midflight_strategy = 'copy', @midflight_cutover = 'manual', @midflight_async = 1", "ALTER TABLE t ADD COLUMN x INT NOT NULL DEFAULT 7, ADD KEY (w(10))")
			user.Close()
			if c.lags == "copying" {
				await(t, "a part of the copy", func() bool {
					return len(twins.List(t, s.root, "SELECT m.id FROM midflight.migrations m JOIN midflight.chunks c ON c.migration_id = m.id WHERE phase IN ('copying', 'ready')")) > 0
				})
				replica.Exec(t, "STOP REPLICA")
			}
			awaitPhase(t, s.root, "shop", "ready")
			if c.lags == "ready" {
				replica.Exec(t, "STOP REPLICA")
			}
			both(source, "UPDATE {t} SET v = -v WHERE id % 3 = 0")
			both(source, "DELETE FROM {t} WHERE id % 7 = 0")
			both(source, "INSERT INTO {t} (v, w) VALUES (4711, 'late')")
			await(t, "all is applied", func() bool {
				return twins.List(t, s.root, "SELECT COUNT(*) FROM shop._t_shadow WHERE v = 4711")[0] == "1" && twins.List(t, s.root, "SELECT backlog FROM midflight.migrations")[0] == "0"
			})
			if c.lags == "" {
				executed := twins.List(t, s.root, "SELECT @@GLOBAL.gtid_executed")[0]
				if got := twins.List(t, replica.DB(t), "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60)", executed)[0]; got != "0" {
					t.Fatalf("the replica has not all")
				}
			}
			source.Kill9(t)
			replica.Exec(t, "STOP REPLICA", "RESET REPLICA ALL")
			r.Redirect(replica.Addr)

			s.server, s.root = replica, replica.DB(t)
			both(replica, "UPDATE {t} SET w = 'after' WHERE id % 5 = 0")
			s.root.Exec("UPDATE midflight.migrations SET cutover_requested = TRUE")
			awaitPhase(t, s.root, "shop", "completed")
			replica.Exec(t, "ALTER TABLE twin.t ADD COLUMN x INT NOT NULL DEFAULT 7, ADD KEY (w(10))")
			twins.SameContents(t, twins.Contents(t, s.root, s.flavor, on[0], ""), twins.Contents(t, s.root, s.flavor, on[1], ""))
			twins.NothingLeft(t, s.root, on[0], true)
			history := strings.Join(twins.List(t, s.root, "SELECT event FROM midflight.events ORDER BY id"), "\n")
			if !strings.Contains(history, "the server is another one now") {
				t.Error("its history does not tell")
			}
			t.Log(history)
		})
	}
}
