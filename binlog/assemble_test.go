package binlog

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"midflight/schema"
)

func TestPosition(t *testing.T) {
	for _, p := range []Position{
		{},
		{File: "binlog.000009", Offset: 1<<40 + 7},
		{GTIDs: "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:tag:7", File: "odd:na@me.000001", Offset: 4},
		{GTIDs: "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"},
	} {
		if q, err := ParsePosition(p.String()); err != nil || q != p {
			t.Errorf("%q: %+v, %v", p, q, err)
		}
	}
	for _, s := range []string{"@", "x", "@x", "@x:y", "@:4", "nonsense@", "@f:-1"} {
		if p, err := ParsePosition(s); err == nil {
			t.Errorf("%q: %+v", s, p)
		}
	}
}

func TestCompareFiles(t *testing.T) {
	names := []string{"b.000009", "b.000010", "b.999999", "b.1000000", "b.10000000"}
	for i := range names[1:] {
		if compareFiles(names[i], names[i+1]) >= 0 || compareFiles(names[i+1], names[i]) <= 0 || compareFiles(names[i], names[i]) != 0 {
			t.Errorf("%s and %s", names[i], names[i+1])
		}
	}
	h := Horizon{file: "b.1000000", offset: 100}
	for id, want := range map[TxID]bool{
		{File: "b.999999", End: 500}: true, {File: "b.1000000", End: 100}: true,
		{File: "b.1000000", End: 101}: false, {File: "b.1000001", End: 4}: false,
	} {
		if h.Covers(id) != want {
			t.Errorf("covers %s: %t", id, !want)
		}
	}
}

func TestExtend(t *testing.T) {
	for _, c := range []struct {
		prev uint64
		low  uint32
		want uint64
	}{
		{4, 126, 126},
		{1<<32 - 10, 5, 1<<32 + 5},
		{1<<32 + 5, 5, 1<<32 + 5},
		{3<<32 + 100, 50, 4<<32 + 50},
	} {
		if got := extend(c.prev, c.low); got != c.want {
			t.Errorf("extend(%d, %d) = %d, want %d", c.prev, c.low, got, c.want)
		}
	}
}

// event makes one as the server sends it, without checksum.
func event(typ byte, end uint32, body []byte) []byte {
	b := make([]byte, headerSize, headerSize+len(body))
	b[0], b[4] = 1, typ
	binary.LittleEndian.PutUint32(b[9:], uint32(headerSize+len(body)))
	binary.LittleEndian.PutUint32(b[13:], end)
	return append(b, body...)
}

func queryEvent(end uint32, sql string) []byte {
	return event(eventQuery, end, append(make([]byte, 4+4+1+2+2+1), sql...))
}

func assemblerFor(t *testing.T, from Position) *assembler {
	t.Helper()
	tables, err := newTableSet(nil, schema.Name{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAssembler(tables, from)
	if err != nil {
		t.Fatal(err)
	}
	a.restart()
	return a
}

// A file whose last transactions end past 4 GiB is read again from its head,
// and what was delivered is left out.
func TestBeyond4GiB(t *testing.T) {
	a := assemblerFor(t, Position{File: "b.000001", Offset: 1<<32 + 50})
	if a.pos.Offset != 4 {
		t.Fatalf("asks for offset %d", a.pos.Offset)
	}
	for _, e := range [][]byte{
		queryEvent(1<<32-100, "CREATE TABLE a"), queryEvent(50, "CREATE TABLE b"), queryEvent(90, "CREATE TABLE c"),
	} {
		if err := a.add(e); err != nil {
			t.Fatal(err)
		}
	}
	if got := text(a.ready); got != "[CREATE TABLE c]" {
		t.Fatalf("got %s", got)
	}
	if p := a.ready[0].After; p.Offset != 1<<32+90 {
		t.Errorf("after: %s", p)
	}
}

// Positions move at the ends of transactions only.
func TestPositionMovesAtEnds(t *testing.T) {
	a := assemblerFor(t, Position{File: "b.000001", Offset: 4})
	for i, c := range []struct {
		event []byte
		after uint64
	}{
		{event(eventAnonymousGTID, 10, make([]byte, 25)), 4},
		{queryEvent(20, "BEGIN"), 4},
		{queryEvent(30, "SAVEPOINT `x`"), 4},
		{queryEvent(40, "INSERT INTO x VALUES (1)"), 4},
		{queryEvent(50, "ROLLBACK TO `x`"), 4},
		{event(eventXID, 60, make([]byte, 8)), 60},
		{event(eventAnonymousGTID, 70, make([]byte, 25)), 60},
		{queryEvent(80, "XA START X'31',X'',1"), 60},
		{queryEvent(90, "XA END X'31',X'',1"), 60},
		{event(eventXAPrepare, 100, []byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, '1'}), 100},
		{event(eventAnonymousGTID, 110, make([]byte, 25)), 100},
		{queryEvent(120, "XA COMMIT X'31',X'',1"), 120},
		{queryEvent(130, "/* BEGIN */ ALTER TABLE x ADD y INT"), 130},
		{event(eventAnonymousGTID, 140, make([]byte, 25)), 130},
		{queryEvent(150, "BEGIN"), 130},
		// The server crashed; the group before ends where the next one begins.
		{event(eventAnonymousGTID, 160, make([]byte, 25)), 150},
	} {
		if err := a.add(c.event); err != nil {
			t.Fatal(err)
		}
		if a.after.Offset != c.after {
			t.Errorf("event %d: after is %d, want %d", i, a.after.Offset, c.after)
		}
	}
	want := "[INSERT INTO x VALUES (1)]\n[/* BEGIN */ ALTER TABLE x ADD y INT]"
	if got := text(a.ready); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// What can't be read is so each time, and only what is wanted.
func TestUnreadable(t *testing.T) {
	id := schema.Column{Name: "id", Type: "int", FullType: "int"}
	table := &schema.Table{Name: schema.Name{Schema: "s", Table: "t"}, Columns: []schema.Column{id}}
	tables, err := newTableSet([]Watch{{Table: table, Key: []schema.Column{id}}}, schema.Name{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAssembler(tables, Position{File: "b.000001", Offset: 4})
	if err != nil {
		t.Fatal(err)
	}
	a.restart()
	const twoColumns = "\x07\x00\x00\x00\x00\x00\x01\x00\x01s\x00\x01t\x00\x02\x03\x03\x00\x00"
	row := []byte("\x07\x00\x00\x00\x00\x00\x01\x00\x02\x00\x02\x03\x00\x01\x00\x00\x00\x02\x00\x00\x00")
	for range 2 {
		for _, e := range [][]byte{queryEvent(0, "BEGIN"), event(eventTableMap, 0, []byte(twoColumns)), event(30, 0, row), event(eventXID, 0, make([]byte, 8))} {
			if err := a.add(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := a.add(queryEvent(0, "CREATE TABLE a")); err != nil {
		t.Fatal(err)
	}
	var changed *TableChangedError
	if len(a.ready) != 3 || !errors.As(a.ready[0].broken, &changed) || !errors.As(a.ready[1].broken, &changed) || a.ready[2].broken != nil {
		t.Errorf("got %+v", a.ready)
	}
}

// No event, however short or odd, ends the program.
func FuzzAssemble(f *testing.F) {
	for typ := range byte(45) {
		f.Add(event(typ, 100, []byte(strings.Repeat("\x01", 30))))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a := assemblerFor(t, Position{File: "b.000001", Offset: 4})
		_ = a.add(b)
		_ = a.add(b)
	})
}
