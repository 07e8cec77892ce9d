package oracle

import (
	"context"
	"database/sql"
	"sync"
	"testing"

	"midflight/internal/cutter"
	"midflight/internal/testmidflight"
	"midflight/internal/testmysql"
	"midflight/internal/twins"
)

// TestCountAfterALostCommit: the answer has the number of rows, also if the answer
// to a COMMIT of changes got lost.
func TestCountAfterALostCommit(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Midflight twice")
	}
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		r := cutter.Start(t, server.Addr)
		s := &site{flavor: server.Flavor, server: server, root: server.DB(t),
			midflight: testmidflight.Start(t, server, "--server", r.Addr)}
		db := server.NewDatabase(t)
		direct := session(t, server.Addr, db, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)")
		user := s.session(t, db)
		type answer struct {
			sql.Result
			error
		}
		answers := make(chan answer, 1)
		go func() {
			r, err := user.ExecContext(context.Background(), "ALTER TABLE /* midflight: strategy=copy, cutover=manual */ t MODIFY v BIGINT")
			answers <- answer{r, err}
		}()
		awaitPhase(t, s.root, db, "ready")
		forgot := make(chan struct{})
		var once sync.Once
		r.Judge(func(c cutter.Command) (v cutter.Verdict) {
			if c.Text == "COMMIT" {
				once.Do(func() { v = cutter.Swallow; close(forgot) })
			}
			return v
		})
		mustExec(t, direct, "INSERT INTO t VALUES (4, 40), (5, 50)")
		<-forgot
		id := twins.List(t, s.root, "SELECT id FROM midflight.migrations WHERE schema_name = ?", db)[0]
		mustExec(t, direct, "CALL midflight.cutover("+id+")")
		a := <-answers
		if a.error != nil {
			t.Fatal(a.error)
		}
		if n, _ := a.RowsAffected(); n != 5 {
			t.Errorf("the answer says %d rows", n)
		}
		if n := twins.List(t, s.root, "SELECT COUNT(*) FROM "+db+".t")[0]; n != "5" {
			t.Errorf("there are %s rows", n)
		}
	})
}
