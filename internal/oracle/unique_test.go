package oracle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"midflight/internal/twins"
	"midflight/schema"
)

// seats has nothing but rows that change seats.
func seats(nullable bool) table {
	null := "NOT NULL"
	if nullable {
		null = "NULL"
	}
	return table{
		name: "seats", rows: 6000, key: []string{"id"}, newKey: sequence,
		unique: "seat", nullable: nullable, newUnique: func(n int64) string { return fmt.Sprint(n) },
		columns: []column{
			{"id", "INT NOT NULL", nil},
			{"seat", "INT " + null, nil},
			{"v", "VARCHAR(20) NULL", utf8},
		},
		keys: "PRIMARY KEY (id), UNIQUE KEY one_seat (seat), UNIQUE KEY seat_of_row (seat, v(3))",
	}
}

// TestUniqueValuesMove: rows swap, rotate and give away their unique values all
// the time. No row is lost, and nobody gets a duplicate. (gh-ost and pt-osc
// lose rows here.)
func TestUniqueValuesMove(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		for _, nullable := range []bool{false, true} {
			t.Run(fmt.Sprintf("nullable %v", nullable), func(t *testing.T) { s.moveUnique(t, seats(nullable)) })
		}
		t.Run("a chain of the whole table", s.shiftUnique)
	})
}

func (s *site) moveUnique(t *testing.T, tb table) {
	on := s.twins(t, tb.name)
	for _, n := range on {
		s.server.Exec(t, "USE "+n.Schema, tb.create())
	}
	k := &keys{}
	rows := tb.fill(t, session(t, s.server.Addr, on[0].Schema), on, k, rand.New(rand.NewPCG(7, 7)))
	var all []*writer
	for i := range 4 {
		addr := []string{s.midflight.Addr, s.server.Addr}[i%2]
		var own []*row // each has some rows in every chunk
		for j := i; j < len(rows); j += 4 {
			own = append(own, rows[j])
		}
		w := newWriter(t, tb, on, pool(t, addr, on[0].Schema), k, own, uint64(i))
		w.moveOnly = true
		all = append(all, w)
	}
	writers := startWriters(all...)
	writers.awaitMore(t, 20)
	user := s.session(t, on[0].Schema, "SET @midflight_strategy = 'copy'")
	ctx, cancel := context.WithTimeout(context.Background(), longEnough)
	defer cancel()
	began := time.Now()
	if _, err := user.ExecContext(ctx, "ALTER TABLE seats ENGINE=InnoDB"); err != nil {
		t.Error(err)
	}
	took := time.Since(began)
	writers.awaitMore(t, 20)
	writers.end(t)
	done, deadlocks := int64(0), 0
	for _, w := range all {
		done, deadlocks = done+w.done.Load(), deadlocks+w.deadlocks
	}
	t.Logf("%v, %d transactions, %d deadlocks among them", took.Round(time.Millisecond), done, deadlocks)
	if t.Failed() {
		twins.History(t, s.root, on[0].Schema)
		return
	}
	twins.SameContents(t, twins.Contents(t, s.root, s.flavor, on[0], ""), twins.Contents(t, s.root, s.flavor, on[1], ""))
	twins.NothingLeft(t, s.root, on[0], true)
}

// shiftUnique moves every row's value to the next row, in one statement, while
// the migration waits for its cut-over.
func (s *site) shiftUnique(t *testing.T) {
	db := s.server.NewDatabase(t)
	n := schema.Name{Schema: db, Table: "t"}
	var values string
	for i := range 5000 {
		if i > 0 {
			values += ","
		}
		values += fmt.Sprintf("(%d, %d)", i, i)
	}
	s.server.Exec(t, "USE "+db, "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, u INT NOT NULL, UNIQUE KEY (u))", "INSERT INTO t VALUES "+values)
	user := s.session(t, db, "SET @midflight_cutover = 'manual', @midflight_strategy = 'copy'")
	result := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), longEnough)
	defer cancel()
	go func() {
		_, err := user.ExecContext(ctx, "ALTER TABLE t ENGINE=InnoDB")
		result <- err
	}()
	awaitPhase(t, s.root, db, "ready")
	s.server.Exec(t, "UPDATE "+n.Quoted()+" SET u = u + 1 ORDER BY u DESC", "UPDATE "+n.Quoted()+" SET u = u - 3 ORDER BY u")
	before := twins.Contents(t, s.root, s.flavor, n, "")
	id := twins.List(t, s.root, "SELECT id FROM midflight.migrations WHERE schema_name = ?", db)[0]
	s.server.Exec(t, "CALL midflight.cutover("+id+")")
	if err := <-result; err != nil {
		t.Error(err)
		twins.History(t, s.root, db)
	}
	if after := twins.Contents(t, s.root, s.flavor, n, ""); !slices.Equal(before, after) {
		twins.SameContents(t, after, before)
	}
}
