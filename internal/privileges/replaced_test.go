package privileges

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"
)

// Who may rename a table may put a view in its place while it is copied. Read by the
// engine, a view of SQL SECURITY INVOKER would show what its maker may not see.
func TestViewInPlaceOfTheTable(t *testing.T) {
	each(t, func(st site) {
		st.database("vault", "CREATE TABLE words (w VARCHAR(50))", "INSERT INTO words VALUES ('open sesame')")
		for _, kind := range []struct{ name, column string }{
			{"function", "CAST(eve.f() AS CHAR(200))"},
			{"catalogue", "(SELECT LEFT(MIN(host), 200) FROM information_schema.processlist WHERE user = 'root')"},
		} {
			st.run(kind.name, func(st site) { st.viewAttack(kind.column) })
		}
	})
}

func (st site) viewAttack(column string) {
	st.database("eve", "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200))",
		"INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
	st.user("eve", "ALL ON eve.*")
	eve := st.session(st.s.Addr, "eve", "eve")
	if _, err := value(eve, "SELECT w FROM vault.words"); err == nil {
		st.Fatal("eve may read the vault")
	}
	st.exec(eve, "CREATE FUNCTION f() RETURNS VARCHAR(200) READS SQL DATA SQL SECURITY INVOKER RETURN (SELECT MAX(w) FROM vault.words)",
		"CREATE TABLE rows_of_t (id INT, k INT, KEY (id, k))", "INSERT INTO rows_of_t VALUES (2, 1), (2, 2)",
		// Of two rows with one key the second takes a second: meanwhile who reads
		// uncommitted sees the first.
		"CREATE SQL SECURITY INVOKER VIEW w AS SELECT id, CASE k WHEN 1 THEN "+column+" ELSE SLEEP(1) END AS v FROM rows_of_t")
	through := st.session(st.m.Addr, "eve", "eve")
	st.exec(through, "SET @midflight_async = 1, @midflight_strategy = 'copy', @midflight_cutover = 'manual'")
	st.exec(through, "ALTER TABLE t ADD COLUMN a INT")
	id := st.value(st.root, "SELECT MAX(id) FROM midflight.migrations")
	st.await("it is ready", func() bool {
		return st.value(st.root, "SELECT phase FROM midflight.migrations WHERE id = "+id) == "ready"
	})
	shadow := st.value(st.root, "SELECT CONCAT(schema_name, '.', table_name) FROM midflight.tables WHERE migration_id = "+id)

	// eve reads the new table in a transaction, so that nobody can drop it.
	reader := st.session(st.s.Addr, "eve", "eve")
	st.exec(reader, "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED", "SET autocommit = 0")
	st.value(reader, "SELECT COUNT(*) FROM "+shadow)
	// The engine is stopped between its two statements by which it applies a change: at
	// a row of the new table, and then behind the rename, at the old one.
	locker := st.session(st.s.Addr, "eve", "eve")
	st.exec(locker, "BEGIN")
	st.value(locker, "SELECT id FROM "+shadow+" WHERE id = 2 FOR UPDATE")
	st.exec(eve, "UPDATE t SET v = 'z' WHERE id = 2")
	st.await("the engine waits for the row", func() bool {
		return st.value(st.root, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'midflight' AND info LIKE 'DELETE /* midflight m"+id+" apply%'") != "0"
	})
	holder := st.session(st.s.Addr, "eve", "eve")
	st.exec(holder, "BEGIN")
	st.value(holder, "SELECT COUNT(*) FROM t")
	renamed := make(chan error, 1)
	renamer := st.session(st.s.Addr, "eve", "eve")
	go func() {
		_, err := renamer.ExecContext(context.Background(), "RENAME TABLE t TO t_was, w TO t")
		renamed <- err
	}()
	st.await("the rename waits", func() bool { return st.waits("RENAME TABLE t TO t_was%") })
	st.exec(locker, "COMMIT")
	st.await("the engine waits for the table", func() bool { return st.waits("INSERT /* midflight m" + id + " apply%") })
	st.exec(holder, "COMMIT")
	if err := <-renamed; err != nil {
		st.Fatal(err)
	}
	st.watch(reader, shadow, id)
}

// watch looks for what nobody may see until the migration has ended.
func (st site) watch(reader *sql.Conn, shadow, id string) {
	defer reader.ExecContext(context.Background(), "COMMIT")
	for began := time.Now(); time.Since(began) < 2*time.Second; time.Sleep(time.Millisecond) {
		v, err := value(reader, fmt.Sprintf("SELECT GROUP_CONCAT(v) FROM %s WHERE v NOT IN ('a', 'b', 'c', 'z')", shadow))
		if err != nil || v != "" {
			if v != "" {
				st.Errorf("eve has read %q", v)
			}
			return
		}
	}
}

func (st site) waits(like string) bool {
	return st.value(st.root, "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata lock%' AND info LIKE '"+like+"'") != "0"
}
