package binlog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-mysql-org/go-mysql/mysql"

	"midflight/schema"
)

// everyType has a column of each type that a key may have, and all of them in its key;
// fences are the rows of s.fences. testdata/fuzz/FuzzEvents has what servers write of them.
func everyType(t testing.TB) *tableSet {
	t.Helper()
	table := &schema.Table{Name: schema.Name{Schema: "s", Table: "t"}}
	for i, full := range []string{
		"tinyint", "smallint unsigned", "mediumint", "int", "bigint unsigned", "decimal(30,10)", "bit(33)", "year",
		"date", "time(3)", "datetime(6)", "timestamp(1)", "char(200)", "binary(5)", "varchar(300)", "varbinary(9)",
		"tinytext", "text", "mediumblob", "longtext", "enum('a','b')", "set('a','b','c')", "float", "double",
	} {
		c := schema.Column{Name: "c", Position: i, FullType: full, HasDefault: i%2 == 0, Default: "7"}
		c.Type = strings.FieldsFunc(full, func(r rune) bool { return r == '(' || r == ' ' })[0]
		switch c.Type {
		case "char", "varchar", "tinytext", "text", "longtext":
			c.Charset = "utf8mb4"
		case "time":
			c.Precision = 3
		case "datetime":
			c.Precision = 6
		case "timestamp":
			c.Precision = 1
		}
		table.Columns = append(table.Columns, c)
	}
	set, err := newTableSet([]Watch{{Table: table, Key: table.Columns}}, schema.Name{Schema: "s", Table: "fences"})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// eventsOf splits what is fuzzed: each event has its length, of two bytes, before it.
func eventsOf(b []byte) (events [][]byte) {
	for len(b) >= 2 {
		n := min(int(binary.LittleEndian.Uint16(b)), len(b)-2)
		events, b = append(events, b[2:2+n]), b[2+n:]
	}
	return events
}

// No event, however odd, ends the program or the stream's progress, takes memory that
// its length doesn't account for, or makes a key of nothing.
func FuzzEvents(f *testing.F) {
	const twoColumns = "\x07\x00\x00\x00\x00\x00\x01\x00\x01s\x00\x01t\x00\x02\x03\x03\x00\x00"
	var b []byte
	for _, e := range [][]byte{queryEvent(0, "BEGIN"), event(eventTableMap, 0, []byte(twoColumns)), event(eventXID, 0, make([]byte, 8))} {
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(e))), e...)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := newAssembler(everyType(t), Position{File: "b.000001", Offset: 4})
		if err != nil {
			t.Fatal(err)
		}
		a.restart()
		changes := 0
		for _, e := range eventsOf(b) {
			e = slices.Clip(e)
			if len(e) > rowsHead && a.unwanted(e[:rowsHead]) {
				a.pass(e[:rowsHead])
				continue
			}
			if err := a.add(e); err != nil {
				a.restart() // the stream begins anew
			}
			for _, tx := range a.ready {
				changes += len(tx.Changes)
				for _, c := range tx.Changes {
					if c.Before == nil && c.After == nil {
						t.Fatalf("a change of nothing: %+v", c)
					}
				}
			}
			a.ready = nil
		}
		// (Compressed, 1 KB may be a MB.)
		if changes > 2000*len(b) {
			t.Fatalf("%d changes of %d bytes", changes, len(b))
		}
	})
}

// What a feed reads doesn't depend on how the bytes come, and an event that is skipped
// leaves the next one whole.
func FuzzFeed(f *testing.F) {
	packets := func(checksums bool, events ...[]byte) (b []byte) {
		for i, e := range events {
			if checksums {
				e = checked(e)
			}
			b = append(b, byte(len(e)+1), byte((len(e)+1)>>8), 0, byte(i+1), mysql.OK_HEADER)
			b = append(b, e...)
		}
		return b
	}
	rows := event(30, 0, bytes.Repeat([]byte{7}, 50))
	for _, checksums := range []bool{false, true} {
		f.Add(packets(checksums, queryEvent(20, "BEGIN"), rows, rows, event(eventXID, 60, make([]byte, 8))), checksums)
	}
	f.Add([]byte("\x05\x00\x00\x01\xfe\x00\x00\x02\x00"), false)
	f.Add([]byte("\x0a\x00\x00\x01\xff\xd4\x04#HY000x"), false)
	f.Fuzz(func(t *testing.T, b []byte, checksums bool) {
		read := func(r io.Reader, skip bool) (all []string) {
			feed := &feed{r: bufio.NewReaderSize(r, 1<<15), sequence: 1}
			for {
				e, whole, err := feed.next(func(head []byte) (bool, bool) { return skip && head[4] == 30, checksums })
				if err != nil {
					if !errors.Is(err, io.EOF) || skip {
						all = append(all, "error")
					}
					return all
				}
				if whole {
					all = append(all, string(e))
				} else {
					all = append(all, string(e[:rowsHead]))
				}
			}
		}
		want := read(bytes.NewReader(b), false)
		if got := read(iotest.OneByteReader(bytes.NewReader(b)), false); !slices.Equal(got, want) {
			t.Fatalf("byte by byte %q, at once %q", got, want)
		}
		got := read(bytes.NewReader(b), true)
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] && got[i] != "error" && want[i] != "error" && !(len(want[i]) >= rowsHead && want[i][4] == 30 && got[i] == want[i][:rowsHead]) {
				t.Fatalf("event %d: %q, without skipping %q", i, got[i], want[i])
			}
		}
	})
}

// A GTID set comes as text.
func FuzzGTIDs(f *testing.F) {
	f.Add("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:tag:7,\n3e11fa47-71ca-11e1-9e33-c80aa9429563:1-2:4")
	f.Fuzz(func(t *testing.T, s string) {
		set, err := parseGTIDs(s)
		if err != nil {
			return
		}
		again, err := parseGTIDs(set.String())
		if err != nil || again.String() != set.String() {
			t.Fatalf("%q became %q, %v", s, set, err)
		}
	})
}

// checked puts the checksum behind an event.
func checked(e []byte) []byte {
	e = binary.LittleEndian.AppendUint32(bytes.Clone(e), 0)
	binary.LittleEndian.PutUint32(e[9:], uint32(len(e)))
	binary.LittleEndian.PutUint32(e[len(e)-checksumSize:], crc32.ChecksumIEEE(e[:len(e)-checksumSize]))
	return e
}
