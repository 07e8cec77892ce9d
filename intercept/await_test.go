package intercept_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"midflight/internal/cutter"
	"midflight/internal/testmidflight"
)

// A held ALTER looks and ends like a native one that takes long.
func TestKillQuery(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 50)
		c, other := p.through(""), p.through("")
		want := p.say("SHOW CREATE TABLE t")
		id, done := p.hold(c, "t")
		await(t, "the progress is in SHOW PROCESSLIST", func() bool {
			info := p.value(fmt.Sprintf("SELECT COALESCE(info, '') FROM information_schema.processlist WHERE id = %d", c.id))
			return strings.HasPrefix(info, "/* midflight: t ready")
		})
		if got := p.killedBy(other.exec, c, done); got != "ERROR 1317 (70100): Query execution was interrupted" {
			t.Errorf("the client was told: %s", got)
		}
		p.awaitPhase(id, "canceled")
		p.nothingLeft()
		if got := p.say("SHOW CREATE TABLE t"); got != want {
			t.Errorf("the table is now\n%s", got)
		}
		c.exec("SELECT 1", "ALTER TABLE t ADD COLUMN a INT") // the session goes on
	})
}

// A KILL QUERY that comes through Midflight between two statements of a session that waits,
// when the server finds nothing to kill, ends the wait.
func TestKillQueryBetweenSlices(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		r := cutter.Start(t, p.s.Addr)
		p.m = testmidflight.Start(t, p.s, "--server", r.Addr, "--keep-old", "0")
		for name, w := range map[string]struct {
			begin func(c *client) (done <-chan string, end func())
			slice string
		}{
			"a migration": {func(c *client) (<-chan string, func()) {
				p.table("t", 50)
				id, done := p.hold(c, "t")
				return done, func() { p.awaitPhase(id, "canceled"); p.nothingLeft(); p.exec("DROP TABLE t") }
			}, "/* midflight: t ready"},
			"one that is forwarded": {func(c *client) (<-chan string, func()) {
				holder, done := p.held(c)
				return done, func() { holder.leave(); p.exec("DROP TABLE t") }
			}, "/* midflight: waiting for"},
		} {
			t.Run(name, func(t *testing.T) {
				c, other := p.through(""), p.through("")
				done, end := w.begin(c)
				idle, pass := make(chan struct{}), make(chan struct{})
				var once sync.Once
				r.Judge(func(cmd cutter.Command) cutter.Verdict {
					if strings.HasPrefix(cmd.Text, w.slice) {
						once.Do(func() { close(idle); <-pass })
					}
					return cutter.Pass
				})
				<-idle
				other.exec(fmt.Sprintf("KILL QUERY %d", c.id))
				close(pass)
				if got := ends(t, done); got != "ERROR 1317 (70100): Query execution was interrupted" {
					t.Errorf("the client was told: %s", got)
				}
				r.Judge(nil)
				end()
				c.exec("SELECT 1")
			})
		}
	})
}

// One that ends a question of ours, before the migration is recorded, was meant for the
// ALTER.
func TestKillQueryOfAQuestion(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		c, creator, other := p.through(""), p.through(""), p.through("")
		runs := func(c *client, what string) {
			t.Helper()
			await(t, what+" runs", func() bool {
				return other.value(fmt.Sprintf("SELECT COUNT(*) FROM information_schema.processlist WHERE id = %d AND info LIKE '%s%%'", c.id, what)) == "1"
			})
		}
		// As long as it runs, nobody sees whether there is a table.
		created := creator.begin("CREATE TABLE t (a INT) SELECT SLEEP(25) AS b")
		runs(creator, "CREATE TABLE")
		done := c.begin("ALTER TABLE t ADD COLUMN extra INT")
		runs(c, "SHOW CREATE TABLE")
		other.exec(fmt.Sprintf("KILL QUERY %d", c.id))
		if got := ends(t, done); got != "ERROR 1317 (70100): Query execution was interrupted" {
			t.Errorf("the client was told: %s", got)
		}
		other.exec(fmt.Sprintf("KILL QUERY %d", creator.id))
		ends(t, created)
	})
}

func TestKillConnection(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 50)
		c := p.through("")
		id, done := p.hold(c, "t")
		p.exec(fmt.Sprintf("KILL %d", c.id))
		if got := ends(t, done); !strings.HasPrefix(got, "LOST") && !strings.HasPrefix(got, "ERROR 1317") {
			t.Errorf("the client was told: %s", got)
		}
		p.awaitPhase(id, "canceled")
		p.nothingLeft()
	})
}

// A client that goes away has not killed anything.
func TestClientVanishes(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 50)
		c := p.through("")
		id, done := p.hold(c, "t")
		c.vanish()
		ends(t, done)
		await(t, "the session's server connection ends", func() bool {
			return p.value(fmt.Sprintf("SELECT COUNT(*) FROM information_schema.processlist WHERE id = %d", c.id)) == "0"
		})
		p.awaitPhase(id, "ready")
		p.exec(fmt.Sprintf("CALL midflight.cutover(%d)", id))
		p.awaitPhase(id, "completed")
		p.exec("SELECT extra FROM t")
		p.nothingLeft()
	})
}

func TestManualCutOver(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 50)
		c, other := p.through(""), p.through("")
		id, done := p.hold(c, "t")
		other.exec("INSERT INTO t (v) VALUES ('written while it waits')", "UPDATE t SET v = 'changed' WHERE id = 7", "DELETE FROM t WHERE id = 8")
		want := other.say("SELECT id, v, n, NULL AS extra FROM t ORDER BY id")
		if got := p.value(fmt.Sprintf("SELECT ready_at IS NOT NULL AND completed_at IS NULL FROM midflight.migrations WHERE id = %d", id)); got != "1" {
			t.Errorf("ready_at is not set, or completed_at is")
		}
		other.exec(fmt.Sprintf("CALL midflight.cutover(%d)", id))
		if got := ends(t, done); got != "OK" {
			t.Errorf("the client was told: %s", got)
		}
		if got := other.say("SELECT id, v, n, extra FROM t ORDER BY id"); got != want {
			t.Errorf("rows before:\n%s\nand after:\n%s", want, got)
		}
		p.nothingLeft()
	})
}

func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 50)
		c := p.through("")
		id, done := p.hold(c, "t")
		p.exec(fmt.Sprintf("CALL midflight.cancel(%d)", id))
		if got := ends(t, done); got != "ERROR 1317 (70100): Query execution was interrupted" {
			t.Errorf("the client was told: %s", got)
		}
		p.awaitPhase(id, "canceled")
		p.nothingLeft()
		c.exec("SHOW WARNINGS", "SELECT 1")
	})
}

// While it is paused, the copy stands still. The wish is there before the copy
// begins, or it would come too late for a small table.
func TestPauseAndResume(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 2000)
		first, c := p.through(""), p.through("")
		id, firstDone := p.hold(first, "t")
		done := c.begin("ALTER TABLE /* midflight: strategy=copy */ t ADD COLUMN more INT")
		await(t, "the second is recorded", func() bool { return p.latest("t") > id })
		next := p.latest("t")
		p.exec(fmt.Sprintf("CALL midflight.pause(%d)", next), fmt.Sprintf("CALL midflight.cutover(%d)", id))
		if got := ends(t, firstDone); got != "OK" {
			t.Fatalf("the first client was told: %s", got)
		}
		row := fmt.Sprintf("SELECT CONCAT_WS(' ', phase, waiting_for, rows_copied) FROM midflight.migrations WHERE id = %d", next)
		await(t, "the pause is shown", func() bool { return strings.HasPrefix(p.value(row), "copying CALL midflight.resume ") })
		before := p.value(row)
		p.exec("INSERT INTO t (v) VALUES ('meanwhile')", "DO SLEEP(0.3)") // nothing tells that nothing happens
		if after := p.value(row); after != before {
			t.Errorf("paused at %q, and now at %q", before, after)
		}
		p.exec(fmt.Sprintf("CALL midflight.resume(%d)", next))
		if got := ends(t, done); got != "OK" {
			t.Errorf("the client was told: %s", got)
		}
		if got := p.value("SELECT COUNT(*) FROM t"); got != "2001" {
			t.Errorf("%s rows afterwards, want 2001", got)
		}
		p.nothingLeft()
	})
}

func TestQueue(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 50)
		p.table("u", 50)
		first, second, third := p.through(""), p.through(""), p.through("")
		id, done := p.hold(first, "t")
		waits := second.begin("ALTER TABLE t ADD COLUMN later INT")
		await(t, "the second is recorded", func() bool { return p.latest("t") > id })
		next := p.latest("t")
		other, otherDone := p.hold(third, "u") // another table is not waited for
		if got := p.phase(next); got != "queued" {
			t.Errorf("the second of the table is in phase %s, want queued", got)
		}
		if got := p.phase(id); got != "ready" {
			t.Errorf("the first is in phase %s, want ready", got)
		}
		p.exec(fmt.Sprintf("CALL midflight.cutover(%d)", id), fmt.Sprintf("CALL midflight.cutover(%d)", other))
		for _, d := range []<-chan string{done, waits, otherDone} {
			if got := ends(t, d); got != "OK" {
				t.Errorf("a client was told: %s", got)
			}
		}
		p.exec("SELECT extra, later FROM t", "SELECT extra FROM u")
		p.nothingLeft()
	})
}

// One that waits in the queue can be killed too, and those behind it go on.
func TestKillQueued(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		p.table("t", 50)
		first, second, third := p.through(""), p.through(""), p.through("")
		id, done := p.hold(first, "t")
		killed := second.begin("ALTER TABLE t ADD COLUMN never INT")
		await(t, "the second is recorded", func() bool { return p.latest("t") > id })
		next := p.latest("t")
		last := third.begin("ALTER TABLE t ADD COLUMN later INT")
		await(t, "the third is recorded", func() bool { return p.latest("t") > next })
		await(t, "the second waits", func() bool {
			return strings.Contains(p.value(fmt.Sprintf("SELECT COALESCE(info, '') FROM information_schema.processlist WHERE id = %d", second.id)), "queued")
		})
		if got := p.killed(second, killed); !strings.HasPrefix(got, "ERROR 1317") {
			t.Errorf("the client in the queue was told: %s", got)
		}
		p.exec(fmt.Sprintf("CALL midflight.cutover(%d)", id))
		for _, d := range []<-chan string{done, last} {
			if got := ends(t, d); got != "OK" {
				t.Errorf("a client was told: %s", got)
			}
		}
		p.awaitPhase(next, "canceled")
		p.refused("SELECT never FROM t", "ERROR 1054")
		p.nothingLeft()
	})
}
