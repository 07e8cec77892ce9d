package ghost

import (
	"testing"

	"midflight/internal/testmysql"
	"midflight/mysqld"
)

func TestCountIDs(t *testing.T) {
	for list, want := range map[string]int{"0": 1, "0-1": 2, "0-3,8": 5, "0-3, 8-9": 6, "": 0, "x": 0, "3-1": 0} {
		if n := countIDs(list); n != want {
			t.Errorf("%q: %d, want %d", list, n, want)
		}
	}
}

// Both servers tell how many processors they have.
func TestProcessors(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, s *testmysql.Server) {
		r := &run{Config: Config{DB: s.DB(t), Flavor: mysqld.Flavor{MariaDB: s.Flavor == testmysql.MariaDB}}}
		if n := r.processors(t.Context()); n < 1 {
			t.Errorf("%d processors", n)
		}
	})
}
