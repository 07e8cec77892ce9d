package oracle

import (
	"context"
	"fmt"
	"testing"
	"time"

	"midflight/internal/twins"
	"midflight/schema"
)

// TestCopyIsKilledWithoutAKey: where no key of the new table refuses a second
// copy of a row, a chunk that has to be copied again still does not come twice.
func TestCopyIsKilledWithoutAKey(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		db := s.server.NewDatabase(t)
		n := schema.Name{Schema: db, Table: "t"}
		s.server.Exec(t, "USE "+db, "CREATE TABLE d (n INT PRIMARY KEY)", "INSERT INTO d VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
			"CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARCHAR(40))",
			"INSERT INTO t SELECT a.n+10*b.n+100*c.n+1000*d.n+10000*e.n, REPEAT('x', 30) FROM d a, d b, d c, d d, d e WHERE e.n < 3")
		before := twins.Contents(t, s.root, s.flavor, n, "")
		user := s.session(t, db, "SET @midflight_strategy = 'copy'")
		result := make(chan error, 1)
		ctx, cancel := context.WithTimeout(context.Background(), longEnough)
		defer cancel()
		go func() {
			_, err := user.ExecContext(ctx, "ALTER TABLE t DROP PRIMARY KEY")
			result <- err
		}()
		kills := 0
		var err error
		for done := false; !done; {
			select {
			case err = <-result:
				done = true
			case <-time.After(time.Millisecond): // the server tells nobody when a chunk begins
				if kills >= 5 { // several chunks may be under way
					continue
				}
				for _, id := range twins.List(t, s.root, "SELECT id FROM information_schema.processlist WHERE info LIKE 'INSERT /* midflight m% copy */%'") {
					if _, err := s.root.Exec("KILL CONNECTION " + id); err == nil {
						kills++
					}
				}
			}
		}
		if err != nil {
			t.Error(err)
			twins.History(t, s.root, db)
		}
		if kills == 0 {
			t.Error("no chunk was seen")
		}
		t.Log(fmt.Sprint(kills, " kills"))
		twins.SameContents(t, twins.Contents(t, s.root, s.flavor, n, ""), before)
	})
}
