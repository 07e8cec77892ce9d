package privileges

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"midflight/internal/testmysql"
)

// The session of who alters a table is seen to run a comment with the table's name,
// which another has chosen.
func TestNameInTheProcessList(t *testing.T) {
	each(t, func(st site) {
		st.database("eve", "CREATE TABLE loot (who VARCHAR(99))",
			"CREATE PROCEDURE p() SQL SECURITY INVOKER INSERT INTO eve.loot VALUES (CURRENT_USER())",
			"CREATE TABLE `/*/CALL eve.p() #` (id INT PRIMARY KEY)", "CREATE TABLE `*//*/CALL eve.p() #` (id INT PRIMARY KEY)")
		for _, name := range []string{"/*/CALL eve.p() #", "*//*/CALL eve.p() #"} {
			root := st.session(st.m.Addr, "root", "eve")
			done := make(chan error, 1)
			go func() {
				_, err := root.ExecContext(context.Background(), "ALTER TABLE /* midflight: strategy=copy, cutover=manual */ `"+name+"` ADD COLUMN a INT")
				done <- err
			}()
			st.await("it is ready", func() bool {
				return st.value(st.root, "SELECT COUNT(*) FROM midflight.migrations WHERE phase = 'ready'") == "1"
			})
			time.Sleep(50 * time.Millisecond)
			st.exec(st.root, "CALL midflight.cutover("+st.value(st.root, "SELECT MAX(id) FROM midflight.migrations")+")")
			if err := <-done; err != nil {
				st.Error(err)
			}
		}
		if who := says(st.root, "SELECT * FROM eve.loot LIMIT 1"); who != "OK" {
			st.Errorf("eve's procedure was called by %s", who)
		}
	})
}

// Two accounts may have one name. One doesn't take over the other's migration, which
// he could cancel then.
func TestAttachIsByAccount(t *testing.T) {
	s := testmysql.Shared(t, testmysql.MariaDB)
	s.Exec(t, "SET GLOBAL proxy_protocol_networks = '127.0.0.1'")
	t.Cleanup(func() { s.Exec(t, "SET GLOBAL proxy_protocol_networks = ''") })
	st := at(t, s, "--server-proxy-protocol", "v2")
	st.database("eve", tableT, rowsT)
	for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
		st.exec(st.root, "CREATE OR REPLACE USER twin@'"+host+"'", "GRANT ALL ON eve.* TO twin@'"+host+"'")
		mysql.RegisterDialContext("from"+host, func(ctx context.Context, addr string) (net.Conn, error) {
			return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}).DialContext(ctx, "tcp", addr)
		})
		st.Cleanup(func() { st.s.Exec(st, "DROP USER twin@'"+host+"'") })
	}
	const statement = "ALTER TABLE /* midflight: strategy=copy, cutover=manual */ t ADD COLUMN a INT"
	send := func(host string) {
		config := mysql.NewConfig()
		config.User, config.Net, config.Addr, config.DBName = "twin", "from"+host, st.m.Addr, "eve"
		db, err := mysql.NewConnector(config)
		if err != nil {
			st.Fatal(err)
		}
		c, err := db.Connect(context.Background())
		if err != nil {
			st.Fatal(err)
		}
		ctx, leave := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() {
			_, err := c.(driver.ExecerContext).ExecContext(ctx, statement, nil)
			done <- err
		}()
		st.await("it is taken", func() bool {
			return st.value(st.root, "SELECT COUNT(*) FROM midflight.migrations WHERE NOT client_gone AND phase NOT IN ('completed', 'canceled', 'failed')") == "1"
		})
		leave()
		if err := <-done; !errors.Is(err, context.Canceled) {
			st.Errorf("from %s: %v", host, err)
		}
		c.Close()
	}
	gone := func(n int) func() bool {
		return func() bool {
			return st.value(st.root, "SELECT COUNT(*) FROM midflight.migrations WHERE client_gone AND phase NOT IN ('completed', 'canceled', 'failed')") == fmt.Sprint(n)
		}
	}
	send("127.0.0.1")
	st.await("the first has left", gone(1))
	send("127.0.0.2")
	st.await("the second has a migration of his own", gone(2))
	for range 2 {
		send("127.0.0.2") // but not two
		st.await("the second has gone again", gone(2))
	}
	for _, id := range strings.Split(st.value(st.root, "SELECT GROUP_CONCAT(id) FROM midflight.migrations WHERE client_gone AND phase NOT IN ('completed', 'canceled', 'failed')"), ",") {
		st.exec(st.root, "CALL midflight.cancel("+id+")")
	}
	st.await("both are canceled", gone(0))
}

// A value of a user's variable is told, but not at any length.
func TestLongValues(t *testing.T) {
	each(t, func(st site) {
		st.database("eve", tableT)
		st.user("eve", "ALL ON eve.*")
		eve := st.session(st.m.Addr, "eve", "eve")
		for _, v := range []string{"strategy", "cutover", "async", "new_columns"} {
			for _, value := range []string{"REPEAT('x', 9000000)", "REPEAT('ü', 2000)", "'\\'; DROP TABLE t; -- '", "_latin1 x'ff00fe'", "'../../../etc/passwd'", "'02:00-04:00 ../../etc/passwd'", "-1", "NULL"} {
				st.exec(eve, "SET @midflight_"+v+" = "+value)
				got := says(eve, "ALTER TABLE t ADD COLUMN a INT")
				if want := "1231 (42000) @midflight_" + v; value != "NULL" && (!strings.HasPrefix(got, want) || len(got) > 2000) {
					st.Errorf("%s = %s: %.200s", v, value, got)
				} else if value == "NULL" && got != "OK" && !strings.HasPrefix(got, "1060 ") {
					st.Errorf("%s = NULL: %.200s", v, got)
				}
			}
		}
		long := strings.Repeat("y", 100000)
		if got := says(eve, "ALTER TABLE /* midflight: strategy="+long+" */ t ADD COLUMN b INT"); !strings.HasPrefix(got, "1231 ") || len(got) > 2000 {
			st.Errorf("a long hint: %.200s", got)
		}
	})
}

// A prepared statement is about the table of the database in which it was prepared.
func TestPreparedBeforeUse(t *testing.T) {
	each(t, func(st site) {
		st.user("eve")
		say := func(addr string) (said []string) {
			st.database("other", tableT)
			st.database("eve", tableT)
			st.exec(st.root, "GRANT ALL ON eve.* TO eve@'%'", "GRANT ALL ON other.* TO eve@'%'")
			c := st.session(addr, "eve", "eve")
			p, err := c.PrepareContext(context.Background(), "ALTER TABLE t ADD COLUMN a INT")
			if err != nil {
				st.Fatal(err)
			}
			defer p.Close()
			st.exec(c, "USE other")
			_, err = p.Exec()
			return []string{fmt.Sprint(err), says(st.root, "SHOW CREATE TABLE eve.t"), says(st.root, "SHOW CREATE TABLE other.t"), says(c, "SELECT DATABASE()")}
		}
		if want, got := say(st.s.Addr), say(st.m.Addr); !slices.Equal(want, got) {
			st.Errorf("directly:\n%s\nthrough Midflight:\n%s", want, got)
		}
	})
}
