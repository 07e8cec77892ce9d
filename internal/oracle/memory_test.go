package oracle

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
)

// TestLittleMemory: more rows are changed than there is room for their keys, again and
// again; the stream is held back, the copy gives way, and every change arrives. The
// application's rows are never locked by us.
func TestLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a table")
	}
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		s := &site{flavor: server.Flavor, server: server, root: server.DB(t), midflight: testmidflight.Start(t, server, "--memory", "1")}
		on := s.twins(t, "t")
		for _, n := range on {
			c := session(t, server.Addr, n.Schema, "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v INT NOT NULL, w INT NOT NULL, KEY v (v))", "INSERT INTO t (v, w) VALUES (0, 0)")
			for range 15 { // 32 768 rows, of whose keys 1 MiB has room for 6 000
				mustExec(t, c, "INSERT INTO t (v, w) SELECT v, w FROM t")
			}
		}
		user := s.session(t, on[0].Schema, "SET @midflight_strategy = 'copy', @midflight_cutover = 'manual'")
		result := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), longEnough)
			defer cancel()
			_, err := user.ExecContext(ctx, "ALTER TABLE t ADD COLUMN x INT NOT NULL DEFAULT 9")
			result <- err
		}()
		awaitPhase(t, s.root, on[0].Schema, "ready")
		writer, twin := session(t, server.Addr, on[0].Schema), session(t, server.Addr, on[1].Schema)
		locked := make(chan string, 1)
		done := make(chan struct{})
		go func() { locked <- locksOn(s.root, on[0].Schema, done, server.Flavor) }()
		for i := range 4 {
			for part := range 16 {
				q := fmt.Sprintf("UPDATE t SET v = v + 1, w = w + %d WHERE id %% 16 = %d", i, part)
				mustExec(t, writer, q)
				mustExec(t, twin, q)
			}
		}
		id := twins.List(t, s.root, "SELECT id FROM midflight.migrations WHERE schema_name = ?", on[0].Schema)[0]
		mustExec(t, writer, "CALL midflight.cutover("+id+")")
		if err := <-result; err != nil {
			t.Error(err)
		}
		close(done)
		if l := <-locked; l != "" {
			t.Errorf("a row of the original is locked by %s", l)
		}
		mustExec(t, twin, "ALTER TABLE t ADD COLUMN x INT NOT NULL DEFAULT 9")
		twins.SameContents(t, twins.Image(t, s.root, s.flavor, on[0]), twins.Image(t, s.root, s.flavor, on[1]))
	})
}

// locksOn looks for locks of Midflight's sessions on rows of t, until done is closed, and
// tells who has one. (MariaDB shows those only that somebody waits for.)
func locksOn(db *sql.DB, schema string, done <-chan struct{}, f testmysql.Flavor) string {
	if f != testmysql.MySQL {
		return ""
	}
	for {
		select {
		case <-done:
			return ""
		case <-time.After(10 * time.Millisecond):
		}
		var who sql.NullString
		err := db.QueryRow(`SELECT MIN(CONCAT(l.lock_mode, ' of ', s.sql_text)) FROM performance_schema.data_locks l JOIN performance_schema.events_statements_current s ON s.thread_id = l.thread_id
WHERE l.object_schema = ? AND l.object_name = 't' AND l.lock_type = 'RECORD' AND s.sql_text LIKE '%/* midflight m%'`, schema).Scan(&who)
		if err != nil || strings.TrimSpace(who.String) != "" {
			return fmt.Sprint(who.String, err)
		}
	}
}
