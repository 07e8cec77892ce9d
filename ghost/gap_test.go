package ghost

import (
	"errors"
	"slices"
	"testing"
	"time"

	"midflight/schema"
)

func TestLockingThrough(t *testing.T) {
	var keys []schema.ForeignKey
	for _, k := range [][2]string{{"lines", "orders"}, {"orders", "customers"}, {"customers", "regions"}, {"lines", "articles"}, {"notes", "lines"}} {
		keys = append(keys, schema.ForeignKey{Child: schema.Name{Table: k[0]}, Parent: schema.Name{Table: k[1]}})
	}
	for _, c := range []struct {
		table string
		want  []string
	}{
		{"orders", []string{"customers", "lines", "orders", "regions"}}, // not articles: its rows are none of orders'
		{"Lines", []string{"Lines", "articles", "customers", "notes", "orders", "regions"}},
		{"alone", []string{"alone"}},
	} {
		got := lockingThrough([]string{c.table}, keys)
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.table, got, c.want)
		}
	}
}

func TestHasWord(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
	}{
		{"select `orders`.`id` from `shop`.`orders`", true},
		{"select 1 from orders_2025", false},
		{"select 1 from old_orders, orders", true},
		{"/*!50003orders */", true},
		{"x50003orders", false},
		{"bücherorders", false},
		{"", false},
	} {
		if got := hasWord(c.text, "orders"); got != c.want {
			t.Errorf("%q: %v", c.text, got)
		}
	}
}

// As MySQL 9.7 and MariaDB 10.11 print it.
const innodbStatus = `
LIST OF TRANSACTIONS FOR EACH SESSION:
---TRANSACTION 421234, not started
0 lock struct(s), heap size 1128, 0 row lock(s)
---TRANSACTION 1567, ACTIVE 0 sec
1 lock struct(s), heap size 1128, 0 row lock(s), undo log entries 1
MySQL thread id 15, OS thread handle 140238120191680, query id 27 127.0.0.1 root
Trx read view will not see trx with id >= 1568, sees < 1564
---TRANSACTION 1564, ACTIVE 0 sec
1 lock struct(s), heap size 1128, 0 row lock(s), undo log entries 1
MySQL thread id 13, OS thread handle 140238122305216, query id 25 127.0.0.1 root
--------
FILE I/O
`

func TestViewsIn(t *testing.T) {
	got := viewsIn(innodbStatus, "MySQL thread id ")
	if len(got) != 2 || got[15] != "1568, sees < 1564" || got[13] != "" {
		t.Errorf("%v", got)
	}
	if _, shown := got[13]; !shown {
		t.Error("13 is not shown")
	}
}

func TestBlockerIsALine(t *testing.T) {
	b := Blocker{Connection: 7, User: "app", Host: "10.0.0.5", Age: 3 * time.Second, Statement: "SELECT *\n\tFROM orders WHERE note = '\xff'"}
	if got, want := b.String(), "connection 7 (app@10.0.0.5, 3s: SELECT * FROM orders WHERE note = '?')"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	b.Why, b.Statement = "LOCK TABLES", ""
	if got, want := describe([]Blocker{b, b, b, b}), "connection 7 (app@10.0.0.5, 3s, LOCK TABLES), "; got[:len(want)] != want || got[len(got)-6:] != "1 more" {
		t.Error(got)
	}
}

func TestBlockedErrorIs1205(t *testing.T) {
	if e := ErrorFor(errors.Join(&BlockedError{"Midflight waited"})); e.Number != 1205 || e.State != "HY000" {
		t.Errorf("%+v", e)
	}
	for _, p := range []string{"", "Wait", "drop"} {
		if _, err := ParsePolicy(p); err == nil {
			t.Errorf("%q is a policy", p)
		}
	}
}

// What lasts is judged by how long one has waited, and by what a connection did.
func TestLongOf(t *testing.T) {
	g := &gap{run: &run{attempt: attempt{lasting: map[uint64]bool{}}}}
	ages := func(ages ...time.Duration) []Blocker {
		var b []Blocker
		for i, a := range ages {
			b = append(b, Blocker{Connection: uint64(i), Age: a})
		}
		return b
	}
	if got := g.longOf(ages(16*time.Millisecond, 3*time.Second)); len(got) != 2 {
		t.Errorf("at first: %v", got)
	}
	g.blockedSince = time.Now().Add(-10 * time.Second)
	if got := g.longOf(ages(200*time.Millisecond, 20*time.Millisecond)); len(got) != 1 || got[0].Connection != 1 {
		t.Errorf("after ten seconds: %v", got)
	}
}
