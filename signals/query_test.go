package signals

import (
	"strings"
	"testing"
	"time"

	"midflight/internal/testmysql"
	"midflight/mysqld"
	"midflight/throttle"
)

// A query of the operator's that hangs, or returns nonsense, is named itself; what else is
// asked of the server doesn't wait for it.
func TestOddQueries(t *testing.T) {
	testmysql.Each(t, func(t *testing.T, server *testmysql.Server) {
		db := server.DB(t)
		flavor, err := mysqld.ReadFlavor(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		for query, want := range map[string]string{
			"SELECT SLEEP(60) + SLEEP(60)": "it can't be told",
			"SELECT 'emoji 😀'":             `the query of --throttle-query returns "emoji 😀": want a number`,
			"SELECT 'NaN'":                 `returns "NaN": want a number`,
			"SELECT NULL":                  "returns NULL",
			"SELECT 1 FROM DUAL LIMIT 0":   "it returns no row",
			"SELECT ' 2 '":                 "",
		} {
			t.Run(query, func(t *testing.T) {
				t.Parallel()
				s := New(Config{DB: db, Flavor: flavor, Query: query, Rules: throttle.DefaultRules})
				s.Enter()
				go s.watchServer(t.Context())
				go s.watchQuery(t.Context())
				deadline := time.Now().Add(time.Minute)
				for told := false; !told; {
					if time.Now().After(deadline) {
						t.Fatalf("the query is not told of: %+v", s.Readings())
					}
					for _, r := range s.Readings() {
						if r.Signal == throttle.Query {
							told = true
							if strings.Contains(r.Problem, "context") {
								t.Errorf("in a program's words: %s", r.Problem)
							}
							if !strings.Contains(r.Problem, want) || want == "" && r.Value != 2 {
								t.Errorf("%+v, want %q", r, want)
							}
						}
					}
					<-time.After(10 * time.Millisecond)
				}
				for _, r := range s.Readings() {
					if age := time.Since(r.At); r.Signal == throttle.ThreadsRunning && age > patience {
						t.Errorf("%s is %s old", r.Signal, age)
					}
				}
			})
		}
	})
}
