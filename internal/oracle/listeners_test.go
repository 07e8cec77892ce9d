package oracle

import (
	"testing"
	"time"
)

// A Midflight that has held for another's swap is done with it afterwards: it asked for the
// bell again and again, with a connection of its own for each migration that there ever was.
func TestListenersEnd(t *testing.T) {
	eachPair(t, func(t *testing.T, p pair) {
		user := session(t, p.server.Addr, p.table.Schema, "BEGIN", "UPDATE t SET v = v WHERE id = 1") // until the other listens
		result := p.alter(t, p.midflight, "", "ADD COLUMN n INT")
		p.awaitRow(t, "phase = 'cutting_over' AND EXISTS (SELECT 1 FROM midflight.listeners WHERE migration_id = migrations.id)")
		if _, err := user.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		asked := func() (n int64) {
			var name string
			if err := p.root.QueryRow("SHOW GLOBAL STATUS LIKE 'Com_do'").Scan(&name, &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		await(t, "nobody to ask for the bell any more", func() bool {
			before := asked()
			<-time.After(500 * time.Millisecond)
			return asked() == before
		})
	})
}
