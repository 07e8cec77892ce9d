package privileges

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"midflight/internal/testmidflight"
)

// With exactly the grants of deploy/ everything is done that Midflight does.
func TestGrantsSuffice(t *testing.T) {
	each(t, func(st site) {
		st.user("owner", "ALL ON shop.*")
		st.database("shop", tableT, rowsT,
			"CREATE DEFINER = owner@'%' TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.v = UPPER(NEW.v)",
			"CREATE TABLE checked (id INT PRIMARY KEY, v INT, CONSTRAINT positive CHECK (v > 0))", "INSERT INTO checked VALUES (1, 1)",
			"CREATE TABLE parent (id INT PRIMARY KEY)", "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))")
		owner := st.session(st.m.Addr, "owner", "shop")
		st.exec(owner, "ALTER TABLE t ADD COLUMN a INT", // INSTANT
			"ALTER TABLE /* midflight: strategy=inplace */ t ADD INDEX (a)",
			"ALTER TABLE /* midflight: strategy=copy */ t ADD COLUMN b BIGINT FIRST",
			"ALTER TABLE /* midflight: strategy=copy */ checked MODIFY v BIGINT",
			"ALTER TABLE child MODIFY p INT COMMENT 'x'", "ALTER TABLE parent ADD COLUMN v INT", "OPTIMIZE TABLE t")
		if v := st.value(owner, "SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = 'shop'"); v != "1" {
			st.Errorf("%s triggers", v)
		}
		// The server's own error, of a copy of the rows.
		if got := says(owner, "ALTER TABLE /* midflight: strategy=copy */ t MODIFY v INT"); !strings.HasPrefix(got, "1366 ") && !strings.HasPrefix(got, "1292 ") {
			st.Errorf("a text becomes a number: %s", got)
		}
		st.steer()
		st.takesBack()
		if n := st.value(st.root, "SELECT COUNT(*) FROM midflight.migrations WHERE phase = 'failed' AND error_number NOT IN (1366, 1292)"); n != "0" {
			st.Error(says(st.root, "SELECT id, statement, error FROM midflight.migrations WHERE phase = 'failed'"))
		}
	})
}

// steer calls each procedure as the account, by the commands.
func (st site) steer() {
	c := st.session(st.m.Addr, "owner", "shop")
	st.exec(c, "SET @midflight_async = 1, @midflight_strategy = 'copy', @midflight_cutover = 'manual', @midflight_new_columns = 'invisible'")
	binary, err := testmidflight.Binary()
	if err != nil {
		st.Fatal(err)
	}
	tell := func(what, id string) {
		st.Helper()
		cmd := exec.Command(binary, what, "--server", st.s.Addr, id)
		cmd.Env = append(cmd.Environ(), "MIDFLIGHT_PASSWORD="+enginePassword)
		if out, err := cmd.CombinedOutput(); err != nil {
			st.Errorf("midflight %s %s: %v %s", what, id, err, out)
		}
	}
	begin := func(q string) (id string) {
		st.exec(c, q)
		id = st.value(st.root, "SELECT MAX(id) FROM midflight.migrations")
		st.await("ready: "+q, func() bool {
			return st.value(st.root, "SELECT phase FROM midflight.migrations WHERE id = "+id) == "ready"
		})
		return id
	}
	ended := func(id, phase string) {
		st.Helper()
		st.await("it is "+phase, func() bool {
			return st.value(st.root, "SELECT phase FROM midflight.migrations WHERE id = "+id) == phase
		})
	}
	id := begin("ALTER TABLE t ADD COLUMN hidden INT FIRST")
	tell("pause", id)
	tell("resume", id)
	tell("cutover", id)
	ended(id, "completed")
	tell("reveal", id)
	st.await("it is visible", func() bool {
		return st.value(st.root, "SELECT extra FROM information_schema.columns WHERE table_schema = 'shop' AND column_name = 'hidden'") == ""
	})
	id = begin("ALTER TABLE t FORCE")
	tell("cancel", id)
	ended(id, "canceled")
}

// takesBack: a forwarded statement that would wait for a transaction keeps nobody else
// waiting, for which the account ends statements of others' sessions.
func (st site) takesBack() {
	st.exec(st.root, "CREATE TABLE shop.dropped (id INT PRIMARY KEY)")
	holder := st.session(st.s.Addr, "owner", "shop")
	st.exec(holder, "BEGIN")
	st.value(holder, "SELECT COUNT(*) FROM dropped")
	dropper := st.session(st.m.Addr, "owner", "shop")
	done := make(chan error, 1)
	go func() {
		_, err := dropper.ExecContext(context.Background(), "ALTER TABLE dropped RENAME TO gone")
		done <- err
	}()
	st.await("it is seen waiting", func() bool {
		return st.value(st.root, "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '/* midflight: waiting for %SLEEP%'") != "0"
	})
	reader := st.session(st.s.Addr, "owner", "shop")
	began := time.Now()
	st.value(reader, "SELECT COUNT(*) FROM dropped")
	if took := time.Since(began); took > time.Second {
		st.Errorf("who reads waited for %s", took)
	}
	st.exec(holder, "COMMIT")
	if err := <-done; err != nil {
		st.Error(err)
	}
}
