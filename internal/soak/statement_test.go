package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"midflight/internal/localserver"
	"midflight/internal/testmysql"
)

// TestPlans: a drawn UPDATE of a join does the same to both twins, whichever
// table each plan reads first. MySQL's hint names the order.
func TestPlans(t *testing.T) {
	s := testmysql.Shared(t, localserver.MySQL)
	integer, text := Type{Kind: Integer, SQL: "INT", Lo: "-5", Hi: "500"}, Type{Kind: Text, SQL: "LONGTEXT", Size: 100}
	table := Table{Name: "t", Number: "n", Columns: []Column{
		{Name: "n", Type: integer, NotNull: true},
		{Name: "i", Type: integer, NotNull: true, Default: "DEFAULT (1 + 2)"},
		{Name: "s", Type: text, Default: "DEFAULT ('abc')"},
		{Name: "w", Type: Type{Kind: Timestamp, SQL: "TIMESTAMP(2)"}, Default: "DEFAULT CURRENT_TIMESTAMP(2) ON UPDATE CURRENT_TIMESTAMP(2)"},
		{Name: "u", Type: Type{Kind: Datetime, SQL: "DATETIME"}, Default: "ON UPDATE CURRENT_TIMESTAMP"},
		{Name: "k", Type: integer, Default: "DEFAULT 7"},
	}, Keys: []Key{{Kind: "PRIMARY KEY", Parts: []Part{{Column: "n", Text: "n"}}}}}

	conn, err := s.DB(t).Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer discard(conn)
	exec := func(q string) {
		t.Helper()
		if _, err := conn.ExecContext(context.Background(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	var rows []string
	for n := range 20 {
		rows = append(rows, fmt.Sprintf("(%d)", n))
	}
	orders := []string{"a, b", "b, a"}
	var twins []string
	for range orders {
		twins = append(twins, s.NewDatabase(t))
		exec("USE " + twins[len(twins)-1])
		exec("SET sql_mode = '', timestamp = 1700000000.123456")
		exec(table.Create(localserver.MySQL))
		exec("INSERT INTO t (n) VALUES " + strings.Join(rows, ", "))
	}

	from := &source{table: table, r: rand.New(rand.NewPCG(1, 1)), size: len(rows)}
	for joins := 0; joins < 60; {
		from.next = 0 // numbers that are there
		update, ok := strings.CutPrefix(from.draw().text, "UPDATE {t} AS a JOIN (")
		if !ok {
			continue
		}
		joins++
		var became [2][]string
		for i, order := range orders {
			q := fmt.Sprintf("UPDATE /*+ JOIN_ORDER(%s) */ %s.t AS a JOIN (%s", order, twins[i], update)
			exec(q)
			if became[i], err = list(context.Background(), conn, "SELECT * FROM "+twins[i]+".t ORDER BY n"); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(became[0], became[1]) {
			t.Fatalf("%s:\n%s\nin the order %s, but in the order %s\n%s", update, strings.Join(became[0], "\n"), orders[0], orders[1], strings.Join(became[1], "\n"))
		}
	}
}
