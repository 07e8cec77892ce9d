package binlog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"

	"midflight/mysqld"
	"midflight/schema"
)

func TestCoveredBy(t *testing.T) {
	const a, b = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"
	byGTID := func(set string) boundary {
		g, err := parseGTIDs(set)
		if err != nil {
			t.Fatal(err)
		}
		return boundary{gtids: g, last: TxID{File: "b.000009", End: 1 << 40}}
	}
	byFile := func(file string, end uint64) boundary { return boundary{last: TxID{File: file, End: end, Seq: 1}} }
	for i, c := range []struct {
		b                   boundary
		start               Position
		covered, comparable bool
	}{
		{byGTID(a + ":1-5"), Position{GTIDs: a + ":1-5", File: "b.000001", Offset: 4}, true, true},
		{byGTID(a + ":1-5"), Position{GTIDs: a + ":1-9," + b + ":1"}, true, true},
		{byGTID(a + ":1-5"), Position{GTIDs: a + ":1-4"}, false, true},
		{byGTID(a + ":1-5"), Position{GTIDs: a + ":1-4:6-9"}, false, true}, // the 5th hangs, later ones don't
		{byGTID(a + ":1-5," + b + ":7"), Position{GTIDs: a + ":1-9"}, false, true},
		{byGTID(a + ":1-5:tag:2"), Position{GTIDs: a + ":1-9"}, false, true},
		{byGTID(a + ":1-5:tag:2"), Position{GTIDs: a + ":1-9:tag:1-2"}, true, true},
		{byGTID(a + ":1-5"), Position{File: "b.000099", Offset: 4}, false, false},
		{byFile("b.000009", 500), Position{GTIDs: a + ":1-5"}, false, false},
		{byFile("b.000009", 500), Position{File: "b.000009", Offset: 500}, true, true},
		{byFile("b.000009", 500), Position{File: "b.000009", Offset: 499}, false, true},
		{byFile("b.000009", 500), Position{File: "b.000010", Offset: 4}, true, true},
		{byFile("b.1000000", 500), Position{File: "b.999999", Offset: 900}, false, true},
		{boundary{}, Position{File: "b.000001", Offset: 4}, true, true},
	} {
		covered, comparable, err := c.b.coveredBy(c.start)
		if err != nil || covered != c.covered || comparable != c.comparable {
			t.Errorf("%d: covered %t, comparable %t, %v", i, covered, comparable, err)
		}
	}
}

func TestPassed(t *testing.T) {
	const a = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	gtid := func(n int64) (id TxID) {
		set, err := parseGTIDs(a + ":1")
		if err != nil {
			t.Fatal(err)
		}
		for sid := range *set.set {
			id.setGTID(sid[:], mysql.Tag{}, n)
		}
		return id
	}
	row := []Change{{}}
	for i, c := range []struct {
		start  Position
		tx     Tx
		passed bool
	}{
		{Position{}, Tx{ID: TxID{File: "b.000001", End: 5}, Changes: row}, false},
		{Position{GTIDs: a + ":1-4:6"}, Tx{ID: gtid(4), Changes: row}, true},
		{Position{GTIDs: a + ":1-4:6"}, Tx{ID: gtid(5), Changes: row}, false},
		{Position{GTIDs: a + ":1-4:6"}, Tx{ID: gtid(6), broken: errChecksum}, true},
		{Position{GTIDs: a + ":1-4:6"}, Tx{Changes: row}, false}, // anonymous
		{Position{GTIDs: a + ":1-4:6"}, Tx{}, true},
		{Position{File: "b.000002", Offset: 50}, Tx{ID: TxID{File: "b.000002", End: 50}, Changes: row}, true},
		{Position{File: "b.000002", Offset: 50}, Tx{ID: TxID{File: "b.000002", End: 51}, Changes: row}, false},
		{Position{File: "b.000002", Offset: 50}, Tx{ID: TxID{File: "b.000002", End: 50}, After: Position{File: "b.000003", Offset: 4}}, false},
		{Position{File: "b.000002", Offset: 50}, Tx{ID: TxID{File: "b.000001", End: 50}, After: Position{File: "b.000002", Offset: 4}}, true},
	} {
		h, err := c.start.horizon()
		if err != nil {
			t.Fatal(err)
		}
		if got := h.passed(c.tx); got != c.passed {
			t.Errorf("%d: %t", i, got)
		}
	}
}

// idleSource is not connected: the test gives it its events.
func idleSource(t *testing.T) (*source, *tap) {
	t.Helper()
	s, first, err := newSource(mysqld.Config{}, mysqld.Flavor{}, Position{File: "b.000001", Offset: 4}, noTables(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.cancel)
	return s, first
}

func noTables(t *testing.T) *tableSet {
	t.Helper()
	tables, err := newTableSet(nil, schema.Name{})
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// Whoever joins, whenever it is, gets exactly the transactions that begin after the
// boundary that he is told, and those are whole.
func TestJoinBetweenTransactions(t *testing.T) {
	prepare := event(eventXAPrepare, 0, []byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, '1'})
	anonymous := event(eventAnonymousGTID, 0, make([]byte, 25))
	groups := [][][]byte{
		{anonymous, queryEvent(0, "CREATE TABLE a")},
		{anonymous, queryEvent(0, "BEGIN"), queryEvent(0, "INSERT b"), queryEvent(0, "SAVEPOINT s"), queryEvent(0, "INSERT c"), event(eventXID, 0, make([]byte, 8))},
		{anonymous, queryEvent(0, "XA START X'31',X'',1"), queryEvent(0, "INSERT d"), queryEvent(0, "XA END X'31',X'',1"), prepare},
		{anonymous, queryEvent(0, "BEGIN"), queryEvent(0, "INSERT e"), queryEvent(0, "COMMIT")},
		{anonymous, queryEvent(0, "XA COMMIT X'31',X'',1")},
		{queryEvent(0, "CREATE TABLE f")},
	}
	want := []string{"[CREATE TABLE a]", "[INSERT b INSERT c]", "", "[INSERT e]", "[INSERT d]", "[CREATE TABLE f]"}
	var events [][]byte
	var of []int // the group of each event
	for i, g := range groups {
		for _, e := range g {
			e = slices.Clone(e)
			end := 100 + 10*len(events)
			e[13], e[14] = byte(end), byte(end>>8)
			events, of = append(events, e), append(of, i)
		}
	}
	for at := range len(events) + 1 {
		s, first := idleSource(t)
		j := &joiner{noTables(t), make(chan *tap, 1)}
		for i, e := range events {
			if i == at {
				s.joining = append(s.joining, j)
				s.admit()
			}
			s.give(e)
		}
		if at == len(events) {
			s.joining = append(s.joining, j)
			s.admit()
		}
		joined := <-j.tap
		// The group that was being read, if any, belongs to the others.
		group := len(groups)
		if at < len(events) {
			if group = of[at]; at > 0 && of[at-1] == group {
				group++
			}
		}
		var expected []string
		for i, w := range want[group:] {
			if group+i == 4 && group > 2 {
				w = "[unknown X'31',X'',1]"
			}
			if w != "" {
				expected = append(expected, w)
			}
		}
		if got := text(joined.queue); got != strings.Join(expected, "\n") {
			t.Errorf("joined before event %d: got:\n%s\nwant:\n%s", at, got, strings.Join(expected, "\n"))
		}
		last := TxID{}
		if group > 0 {
			last.End = uint64(100 + 10*(slices.Index(append(of, group), group)-1))
		}
		if joined.began.last.End != last.End {
			t.Errorf("joined before event %d: the boundary is behind %s, not %d", at, joined.began.last, last.End)
		}
		if got := text(first.queue); got != "[CREATE TABLE a]\n[INSERT b INSERT c]\n[INSERT e]\n[INSERT d]\n[CREATE TABLE f]" {
			t.Errorf("the first got:\n%s", got)
		}
	}
}

// Of MariaDB's groups without an end a heartbeat tells that they are whole.
func TestJoinAfterSingle(t *testing.T) {
	s, first := idleSource(t)
	gtid := event(eventMariaGTID, 100, append(make([]byte, 12), mariaStandalone, 0, 0, 0, 0, 0, 0))
	s.give(gtid)
	s.give(event(eventIncident+100, 110, nil)) // something of it
	j := &joiner{noTables(t), make(chan *tap, 1)}
	s.joining = append(s.joining, j)
	s.admit()
	if len(j.tap) > 0 {
		t.Fatal("joined in the middle of a group")
	}
	s.give(event(eventHeartbeat, 0, []byte("b.000001")))
	if len(j.tap) == 0 || first.asm.after.Offset != 110 {
		t.Errorf("not joined when the group was whole, at %s", first.asm.after)
	}
}

// If the last tap fails, who waits for the end of its transaction is told to begin anew.
func TestJoinNobody(t *testing.T) {
	s, first := idleSource(t)
	s.give(queryEvent(100, "BEGIN"))
	j := &joiner{noTables(t), make(chan *tap, 1)}
	s.joining = append(s.joining, j)
	s.admit()
	s.give(event(eventIncident, 110, []byte("oh")))
	if _, ok := <-j.tap; ok || !s.hasEnded() || first.failed() == nil {
		t.Errorf("joined %t, ended %t, %v", ok, s.hasEnded(), first.failed())
	}
	if _, err := s.join(t.Context(), noTables(t)); err != errEnded {
		t.Error(err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	_, slow := idleSource(t)
	small := func(i int) Tx {
		return Tx{Statements: []Statement{{"", fmt.Sprint(i)}}, After: Position{File: "b.000001", Offset: uint64(i)}}
	}
	big := Tx{Statements: []Statement{{"", strings.Repeat("x", maxQueuedBytes)}}}

	slow.out = []Tx{big, small(1)}
	if slow.offer() || len(slow.queue) != 1 {
		t.Fatalf("%d queued behind one that takes all the room", len(slow.queue))
	}
	if _, ok, _ := slow.take(); !ok || !slow.offer() || slow.bytes > maxQueuedBytes {
		t.Fatal("no room when it was taken")
	}
	for i := range 2 * maxQueued {
		slow.out = append(slow.out, small(i))
	}
	if slow.offer() || len(slow.queue) != maxQueued {
		t.Fatalf("%d queued", len(slow.queue))
	}
	// Who takes one at a time has not kept up …
	late := slow.late
	for range 20 {
		slow.take()
		slow.offer()
	}
	if slow.late != late || late.IsZero() || len(slow.queue) != maxQueued {
		t.Errorf("late since %s, then %s", late, slow.late)
	}
	// … who takes half of it has.
	for range maxQueued / 2 {
		slow.take()
	}
	if !slow.late.IsZero() {
		t.Error("late, with the queue half empty")
	}
	slow.offer()
	slow.mu.Lock()
	defer slow.mu.Unlock()
	if last := slow.queue[len(slow.queue)-1]; slow.behind != last.After {
		t.Errorf("would go on from %s, behind %s", slow.behind, last.After)
	}
}
