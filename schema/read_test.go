package schema_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/schema"
)

// Somebody else's DROP and CREATE TRIGGER, some killed half-way, are no reason not to
// be able to read the table.
func TestReadWhileTriggersAreMoved(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		db, ctx := s.DB(t), context.Background()
		name := schema.Name{Schema: s.NewDatabase(t), Table: "t"}
		s.Exec(t, "CREATE TABLE "+name.Quoted()+" (id INT PRIMARY KEY)")
		stop, stopped := make(chan struct{}), make(chan struct{})
		defer func() { close(stop); <-stopped }()
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond): // or there would be no moment to read it in
				}
				conn, err := db.Conn(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				var id uint64
				if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
					t.Error(err)
				}
				kill := time.AfterFunc(rand.N(6*time.Millisecond), func() { db.Exec(fmt.Sprintf("KILL QUERY %d", id)) })
				for _, trigger := range []string{"one", "two", "three"} { // they may be killed
					conn.ExecContext(ctx, "DROP TRIGGER IF EXISTS "+name.With(trigger).Quoted())
				}
				for _, trigger := range []string{"one", "two", "three"} {
					conn.ExecContext(ctx, fmt.Sprintf("CREATE TRIGGER %s BEFORE INSERT ON %s FOR EACH ROW SET @a = 1", name.With(trigger).Quoted(), name.Quoted()))
				}
				kill.Stop()
				conn.Close()
			}
		}()
		read := 0
		for until := time.Now().Add(3 * time.Second); time.Now().Before(until); read++ {
			if _, err := schema.Read(ctx, db, name); err != nil {
				t.Fatalf("after %d times: %v", read, err)
			}
		}
		t.Logf("read %d times", read)
	})
}
