package ghost

import (
	"context"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/mysqld"
)

// Whatever way a transaction came to its snapshot, it is found.
func TestSnapshotsAreFound(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		ctx := t.Context()
		db := server.DB(t)
		name := server.NewDatabase(t)
		server.Exec(t, "USE "+name, "CREATE TABLE other (a INT PRIMARY KEY)", "INSERT INTO other VALUES (1)", "CREATE TABLE orders (a INT PRIMARY KEY)",
			"CREATE PROCEDURE begins() BEGIN START TRANSACTION; SELECT * FROM other; END")
		flavor, err := mysqld.ReadFlavor(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		for _, script := range []string{
			"BEGIN|SELECT * FROM other", "SET autocommit = 0|SELECT * FROM other", "START TRANSACTION WITH CONSISTENT SNAPSHOT",
			"START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", "SET completion_type = 'CHAIN'|BEGIN|COMMIT|SELECT * FROM other",
			"BEGIN|COMMIT AND CHAIN|SELECT * FROM other",
			"XA START 'x%d'|SELECT * FROM other", "XA START 'y%d'|SELECT * FROM other|XA END 'y%d'", "CALL begins()",
			"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED|SET TRANSACTION ISOLATION LEVEL REPEATABLE READ|BEGIN|SELECT * FROM other",
			"BEGIN|SELECT * FROM other|SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
			"BEGIN|SELECT * FROM other|SELECT COUNT(*) FROM information_schema.tables",
			"BEGIN|HANDLER other OPEN|HANDLER other READ FIRST",
			"BEGIN|SELECT * FROM other|CREATE TEMPORARY TABLE tmp (a INT PRIMARY KEY)|INSERT INTO tmp VALUES (1)|SELECT * FROM tmp",
			"SET autocommit = 0|SELECT SLEEP(0.4) FROM other|-",
			"SET autocommit = 0|SELECT * FROM nothing|SELECT * FROM other",
			"SET SESSION TRANSACTION READ ONLY|BEGIN|SELECT * FROM other",
			"PREPARE s FROM 'SELECT * FROM other'|BEGIN|EXECUTE s",
			"SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED|SET TRANSACTION ISOLATION LEVEL REPEATABLE READ|BEGIN|SELECT * FROM other",
			"BEGIN|SELECT * FROM other|KILL QUERY CONNECTION_ID()",
		} {
			c, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var id uint64
			c.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id)
			c.ExecContext(ctx, "USE "+name)
			ended := make(chan struct{})
			steps := strings.Split(script, "|")
			for i, q := range steps {
				if i+1 < len(steps) && steps[i+1] == "-" {
					go func() { defer close(ended); c.ExecContext(ctx, q) }()
					time.Sleep(200 * time.Millisecond)
					break
				}
				c.ExecContext(ctx, strings.ReplaceAll(q, "%d", name))
			}
			if steps[len(steps)-1] != "-" {
				close(ended)
			}
			views, err := snapshots(ctx, db, flavor)
			found := false
			for v := range views {
				found = found || v.connection == id
			}
			if err != nil || !found {
				t.Errorf("%s: not found (error: %v)", script, err)
			}
			<-ended
			discard(c)
		}
	})
}

// Where the server is told not to show transactions, that isn't taken for none.
func TestSnapshotsThatTheServerDoesNotShow(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		if server.Flavor == testmysql.MariaDB {
			t.Skip("MariaDB is asked another way")
		}
		ctx := context.Background()
		db := server.DB(t)
		name := server.NewDatabase(t)
		server.Exec(t, "USE "+name, "CREATE TABLE other (a INT PRIMARY KEY)")
		for _, c := range [][2]string{
			{"UPDATE performance_schema.setup_consumers SET enabled = 'NO' WHERE name = 'events_transactions_current'", "UPDATE performance_schema.setup_consumers SET enabled = 'YES' WHERE name = 'events_transactions_current'"},
			{"UPDATE performance_schema.setup_consumers SET enabled = 'NO' WHERE name = 'thread_instrumentation'", "UPDATE performance_schema.setup_consumers SET enabled = 'YES' WHERE name = 'thread_instrumentation'"},
			{"UPDATE performance_schema.setup_instruments SET enabled = 'NO' WHERE name = 'transaction'", "UPDATE performance_schema.setup_instruments SET enabled = 'YES' WHERE name = 'transaction'"},
		} {
			server.Exec(t, c[0])
			conn, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			conn.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
			views, err := snapshotsMySQL(ctx, db)
			server.Exec(t, c[1])
			discard(conn)
			if err == nil && len(views) == 0 {
				t.Errorf("nothing is found after %s", c[0])
			}
		}
	})
}
