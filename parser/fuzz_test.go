package parser

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// modeOf makes a Mode of a fuzzer's bits. Charset is left out: in those
// character sets a name can't be quoted without knowing them.
func modeOf(bits uint8) Mode {
	m := Mode{
		AnsiQuotes:         bits&1 != 0,
		NoBackslashEscapes: bits&2 != 0,
		MariaDB:            bits&4 != 0,
		Oracle:             bits&8 != 0,
	}
	m.Version = []int{0, 80400, 90700, 101100}[bits>>4&3]
	return m
}

func seed(f *testing.F) {
	cases, _ := readGolden(f, "testdata/statements.txt")
	for _, c := range cases {
		for _, bits := range []uint8{0, 1, 2, 4, 0x10, 0x24, 0x34} {
			f.Add(c.text, bits)
		}
	}
	for _, c := range invisibleCases {
		for _, bits := range []uint8{0, 4, 0x10, 0x34} {
			f.Add(c.text, bits)
		}
	}
}

func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, text string, bits uint8) {
		m := modeOf(bits)
		s, err := Parse(text, m)
		if s.Text != text {
			t.Fatalf("text is %q", s.Text)
		}
		if err != nil || s.Kind == Other {
			return
		}
		if !MaybeSchemaChange([]byte(text), false) {
			t.Fatal("not seen by MaybeSchemaChange")
		}
		if got := s.Rewrite(Edit{}); got != text {
			t.Fatalf("an empty edit gives %q", got)
		}
		if s.Kind.Direct() {
			return
		}
		checkRewrite(t, s, m, Edit{Schema: s.Table.Schema, Table: s.Table.Table})
		e := Edit{Schema: "a`b", Table: "c d", Algorithm: "INSTANT", Lock: "NONE"}
		checkRewrite(t, s, m, e)
		checkInvisible(t, s, m)
	})
}

// checkInvisible: each column that is added is INVISIBLE, or has the user's word.
func checkInvisible(t *testing.T, s Statement, m Mode) {
	t.Helper()
	if leftOpen(s.Text, m) {
		return // the server refuses it
	}
	checkRewrite(t, s, m, Edit{Invisible: true})
	text := s.Rewrite(Edit{Invisible: true})
	r, _ := Parse(text, m)
	if left := r.Hideable(); len(left) > 0 {
		t.Fatalf("%q: %q are not invisible", text, left)
	}
	if n := strings.Count(text, " INVISIBLE") - strings.Count(s.Text, " INVISIBLE"); n != len(s.Hideable()) {
		t.Fatalf("%q: %d times INVISIBLE for %q", text, n, s.Hideable())
	}
}

// leftOpen: a string, a name, a comment or a parenthesis has no end.
func leftOpen(text string, m Mode) bool {
	l := newLexer(text+"\nx", m)
	var last token
	depth := 0
	for t := l.next(); t.kind != tokEOF; t = l.next() {
		last = t
		switch l.text[t.pos] {
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return true
			}
		}
	}
	return depth != 0 || last.pos != len(text)+1
}

func checkRewrite(t *testing.T, s Statement, m Mode, e Edit) {
	t.Helper()
	text := s.Rewrite(e)
	r, err := Parse(text, m)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if want := (Name{e.Schema, e.Table}); e.Table != "" && r.Table != want {
		t.Fatalf("%q: table %q", text, r.Table)
	}
	if r.Kind != s.Kind || len(r.Tables) != len(s.Tables) {
		t.Fatalf("%q: %v %q", text, r.Kind, r.Tables)
	}
	if e.Algorithm != "" && s.Kind != OptimizeTable && (r.Algorithm != e.Algorithm || r.Lock != e.Lock) {
		t.Fatalf("%q: algorithm %q lock %q", text, r.Algorithm, r.Lock)
	}
	same := func(a, b Action) bool {
		return a.Kind == b.Kind && a.Column == b.Column && a.NewColumn == b.NewColumn && a.Name == b.Name
	}
	if !slices.EqualFunc(r.Actions, s.Actions, same) {
		t.Fatalf("%q: actions\n%+v\nbefore\n%+v", text, r.Actions, s.Actions)
	}
}

func FuzzSplit(f *testing.F) {
	seed(f)
	f.Add("SELECT 1; ALTER TABLE t; -- x\n; /* ; */ SELECT ';'", uint8(0))
	f.Fuzz(func(t *testing.T, text string, bits uint8) {
		checkSplit(t, text, modeOf(bits))
	})
}

func checkSplit(t *testing.T, text string, m Mode) {
	t.Helper()
	pieces := Split(text, m)
	if got := strings.Join(pieces, ""); got != text {
		t.Fatalf("pieces joined give %q", got)
	}
	for _, p := range pieces {
		s, err := Parse(p, m)
		if (s.Kind != Other || err != nil) && !MaybeSchemaChange([]byte(text), true) {
			t.Fatalf("MaybeSchemaChange doesn't see %q in %q", p, text)
		}
	}
}

// Random compositions reach what a byte-wise fuzzer takes hours to build.
func TestMaybeSchemaChangeHasNoFalseNegative(t *testing.T) {
	parts := []string{
		";", ";", " ", "\n", "\t(", "/* x */", "/* ; */", "/*", "*/", "/*!", "/*!50000 ", "/*!99999 ", "/*!080400 ",
		"/*M!100500 ", "/*M! ", "-- x\n", "--\n", "--x", "# y\n", "# ; */ \n", "#", "'", "''", "'a;b'", "\"", "`", "\\",
		"ALTER TABLE t ADD a INT", "alter", " TABLE ", "t", "CREATE INDEX i ON t (a)", "DROP INDEX i ON t",
		"OPTIMIZE TABLE t", "DROP TABLE t", "drop", "TRUNCATE t", "truncate", "RENAME TABLE t TO u", "rename", "DROP TRIGGER g", " TRIGGER ",
		"CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW BEGIN x; END", "CREATE", " DEFINER=a@b ", " OR REPLACE ", " TABLES t", "SELECT 1", "INSERT INTO t VALUES ('a')", "BEGIN", "SET STATEMENT a=1 FOR ", "\x00", "é",
	}
	r := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 300_000 {
		var b strings.Builder
		for range 1 + r.IntN(9) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		m := modeOf(uint8(r.Uint32()))
		checkSplit(t, b.String(), m)
		if s, _ := Parse(b.String(), m); s.Kind != Other {
			found++
			if !MaybeSchemaChange([]byte(b.String()), false) {
				t.Fatalf("%q is not seen", b.String())
			}
		}
	}
	if found < 1000 {
		t.Errorf("only %d compositions were schema changes", found)
	}
}
