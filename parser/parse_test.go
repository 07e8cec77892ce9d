package parser

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

type goldenCase struct {
	text, options string
	mode          Mode
}

// readGolden reads a file of cases: the statement, a line ----, the server if
// it isn't the newest MySQL, and what comes out.
func readGolden(t testing.TB, path string) (cases []goldenCase, content string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content = string(data)
	for _, block := range strings.Split(strings.TrimSpace(content), "\n\n") {
		text, rest, ok := strings.Cut(block+"\n", "\n----\n")
		if !ok {
			t.Fatalf("no ---- in %q", block)
		}
		c := goldenCase{text: text}
		for _, w := range strings.Fields(firstLine(rest)) {
			switch n, err := strconv.Atoi(w); {
			case w == "mariadb":
				c.mode.MariaDB = true
			case w == "mysql":
			case w == "ansi":
				c.mode.AnsiQuotes = true
			case w == "nobackslash":
				c.mode.NoBackslashEscapes = true
			case err == nil:
				c.mode.Version = n
			default:
				t.Fatalf("unknown option %q", w)
			}
		}
		c.options = firstLine(rest)
		cases = append(cases, c)
	}
	return cases, content
}

// firstLine is the line of options: an answer is indented.
func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if strings.HasPrefix(s, " ") {
		return ""
	}
	return s
}

func TestGolden(t *testing.T) {
	const path = "testdata/statements.txt"
	cases, want := readGolden(t, path)
	if len(cases) < 120 {
		t.Errorf("%d cases", len(cases))
	}
	var b strings.Builder
	for _, c := range cases {
		b.WriteString(c.text + "\n----\n")
		if c.options != "" {
			b.WriteString(c.options + "\n")
		}
		b.WriteString(describe(c) + "\n")
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, lines := strings.Split(b.String(), "\n"), strings.Split(want, "\n")
	for i := range got {
		if i >= len(lines) || got[i] != lines[i] {
			t.Fatalf("%s:%d: got\n%s", path, i+1, strings.Join(got[max(0, i-3):min(len(got), i+4)], "\n"))
		}
	}
}

func describe(c goldenCase) string {
	s, err := Parse(c.text, c.mode)
	if err != nil {
		return "  error: " + err.Error() + "\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %v", s.Kind)
	for _, n := range s.Tables {
		fmt.Fprintf(&b, " %q.%q", n.Schema, n.Table)
	}
	show := func(name string, value any) {
		switch v := value.(type) {
		case string:
			if v != "" {
				fmt.Fprintf(&b, " %s=%q", name, v)
			}
		case bool:
			if v {
				fmt.Fprintf(&b, " %s", name)
			}
		}
	}
	show("trigger-schema", s.Trigger.Schema)
	show("trigger", s.Trigger.Table)
	show("algorithm", s.Algorithm)
	show("lock", s.Lock)
	show("if-exists", s.IfExists)
	show("online", s.Online)
	show("ignore", s.Ignore)
	show("wait", s.Wait)
	show("set-statement", s.SetStatement)
	if s.Hints != nil {
		fmt.Fprintf(&b, " %v", s.Hints)
	}
	for _, a := range s.Actions {
		fmt.Fprintf(&b, "\n    %v", a.Kind)
		show("column", a.Column)
		show("new", a.NewColumn)
		show("name", a.Name)
		show("new", a.NewName)
		show("value", a.Value)
		show("schema", a.Target.Schema)
		show("target", a.Target.Table)
		show("if-exists", a.IfExists)
		show("if-not-exists", a.IfNotExists)
		show("auto-increment", a.AutoIncrement)
		show("primary", a.Primary)
		show("unique", a.Unique)
		show("references", a.References)
		show("invisible", a.Invisible)
		show("generated", a.Generated)
		show("check", a.Check)
		fmt.Fprintf(&b, ": %s", a.Text)
	}
	b.WriteString("\n")
	if s.Kind != Other && !s.Kind.Direct() {
		text := s.Rewrite(Edit{Schema: "s", Table: "shadow", Algorithm: "INSTANT", Lock: "NONE"})
		fmt.Fprintf(&b, "  > %s\n", strings.ReplaceAll(text, "\n", "\n    "))
	}
	return b.String()
}

func TestSplit(t *testing.T) {
	maria := Mode{MariaDB: true}
	for _, c := range []struct {
		text string
		mode Mode
		want []string
	}{
		{"", Mode{}, nil},
		{"SELECT 1", Mode{}, []string{"SELECT 1"}},
		{"SELECT 1; ; \n", Mode{}, []string{"SELECT 1; ; \n"}},
		{"SELECT 1; SELECT 2", Mode{}, []string{"SELECT 1;", " SELECT 2"}},
		{";;ALTER TABLE t", Mode{}, []string{";", ";", "ALTER TABLE t"}},
		{"SELECT ';'; SELECT \";\", `;` /* ; */ -- ;\n; x", Mode{}, []string{"SELECT ';';", " SELECT \";\", `;` /* ; */ -- ;\n;", " x"}},
		{`SELECT '\'; x';y`, Mode{}, []string{`SELECT '\'; x';`, `y`}},
		{`SELECT '\'; x`, Mode{NoBackslashEscapes: true}, []string{`SELECT '\';`, ` x`}},
		{"SELECT 1; -- end", Mode{}, []string{"SELECT 1;", " -- end"}},
		{"CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END; SELECT 3", Mode{}, []string{"CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END; SELECT 3"}},
		{"SELECT 1; CREATE DEFINER=`a`@`10.0.0.%` TRIGGER x AFTER INSERT ON t FOR EACH ROW BEGIN SET @a=1; END", Mode{}, []string{"SELECT 1;", " CREATE DEFINER=`a`@`10.0.0.%` TRIGGER x AFTER INSERT ON t FOR EACH ROW BEGIN SET @a=1; END"}},
		{"CREATE DEFINER=event@localhost VIEW v AS SELECT 1; x", Mode{}, []string{"CREATE DEFINER=event@localhost VIEW v AS SELECT 1;", " x"}},
		{"CREATE DEFINER=CURRENT_USER() FUNCTION f() RETURNS INT RETURN 1; x", Mode{}, []string{"CREATE DEFINER=CURRENT_USER() FUNCTION f() RETURNS INT RETURN 1; x"}},
		{"ALTER DEFINER=a@b EVENT e DO BEGIN x; END", Mode{}, []string{"ALTER DEFINER=a@b EVENT e DO BEGIN x; END"}},
		{"BEGIN; SELECT 1", Mode{}, []string{"BEGIN;", " SELECT 1"}},
		{"BEGIN; SELECT 1", maria, []string{"BEGIN;", " SELECT 1"}},
		{"BEGIN NOT ATOMIC SELECT 1; END; x", maria, []string{"BEGIN NOT ATOMIC SELECT 1; END; x"}},
		{"CREATE LIBRARY l LANGUAGE JAVASCRIPT AS $js$ a; b $js$; x", Mode{}, []string{"CREATE LIBRARY l LANGUAGE JAVASCRIPT AS $js$ a; b $js$;", " x"}},
		{"/*!50000 SELECT 1; ALTER TABLE t */", Mode{}, []string{"/*!50000 SELECT 1;", " ALTER TABLE t */"}},
		{"SELECT '\x95\\'; x", Mode{Charset: "sjis"}, []string{"SELECT '\x95\\';", " x"}},
	} {
		if got := Split(c.text, c.mode); !slices.Equal(got, c.want) {
			t.Errorf("Split(%q) = %q", c.text, got)
		}
	}
}

func TestMaybeSchemaChange(t *testing.T) {
	for _, c := range []struct {
		text          string
		single, multi bool
	}{
		{"", false, false},
		{"SELECT 1", false, false},
		{"alter table t", true, true},
		{" \n(ALTER TABLE t", true, true},
		{"-- x\n# y\nALTER TABLE t", true, true},
		{"--x\nALTER TABLE t", false, false},
		{"/* x */ALTER/* y */TABLE t", true, true},
		{"/*!50000 ALTER TABLE t */", true, true},
		{"/*M!100500 ALTER TABLE t */", true, true},
		{"/*!99999 SELECT 1 */ ALTER TABLE t", true, true},
		{"/*!99999 /* x */ 1 */ OPTIMIZE TABLE t", true, true},
		{"/*!50000 */ALTER TABLE t", true, true},
		{";;ALTER TABLE t", true, true},
		{"SELECT 1; ALTER TABLE t", false, true},
		{"SELECT 1; /* x */ -- ;\n ALTER TABLE t", false, true},
		{"INSERT INTO t VALUES (';')", false, false},
		{"/*!40101 SET NAMES utf8 */;", false, false},
		{"ALTER USER u", false, false},
		{"ALTERNATE TABLE", false, false},
		{"CREATE TABLE t (a INT)", false, false},
		{"CREATE USER u", false, false},
		{"CREATE UNIQUE INDEX i ON t (a)", true, true},
		{"DROP TABLE t", true, true},
		{"DROP TEMPORARY TABLE t", false, false},
		{"DROP USER u", false, false},
		{"DROP VIEW v; TRUNCATE t", false, true},
		{"truncate t", true, true},
		{"RENAME TABLE t TO u", true, true},
		{"RENAME USER t TO u", false, false},
		{"CREATE DEFINER=a@b TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @a = 1", true, true},
		{"DROP TRIGGER g", true, true},
		{"ROLLBACK", false, false},
		{"TABLE t", false, false},
		{"DROP INDEX i ON t", true, true},
		{"SET NAMES utf8", false, false},
		{"SET STATEMENT a=1 FOR ALTER TABLE t", true, true},
	} {
		if got := MaybeSchemaChange([]byte(c.text), false); got != c.single {
			t.Errorf("MaybeSchemaChange(%q, false) = %v", c.text, got)
		}
		if got := MaybeSchemaChange([]byte(c.text), true); got != c.multi {
			t.Errorf("MaybeSchemaChange(%q, true) = %v", c.text, got)
		}
	}
}

var bulk = []byte("INSERT INTO t VALUES " + strings.Repeat("(1, 'some text; more of it', \"it's\"), ", 3000))

func TestMaybeSchemaChangeAllocatesNothing(t *testing.T) {
	texts := [][]byte{bulk, []byte("SELECT 1"), []byte("/*!50000 x */ -- y\n SELECT 1; # z")}
	if n := testing.AllocsPerRun(10, func() {
		for _, text := range texts {
			MaybeSchemaChange(text, true)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMaybeSchemaChange(b *testing.B) {
	short := []byte("SELECT c FROM sbtest1 WHERE id = 5017")
	b.Run("short", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			MaybeSchemaChange(short, true)
		}
	})
	b.Run("bulk", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(bulk)))
		for b.Loop() {
			MaybeSchemaChange(bulk, true)
		}
	})
}

// No text may make it walk the same bytes again and again.
func TestMaybeSchemaChangeIsLinear(t *testing.T) {
	for _, unit := range []string{";", "*/", "/*!", ";#", "#;#\n", ";--\n", "/**/", ";/*", "*/ #", "; (", "/*!*/;#\n"} {
		MaybeSchemaChange([]byte(strings.Repeat(unit, 1<<20)), true)
		MaybeSchemaChange([]byte("/*!"+strings.Repeat(unit, 1<<20)), true)
	}
}

func TestParseMode(t *testing.T) {
	if m := ParseMode("REAL_AS_FLOAT,ANSI_QUOTES,ANSI"); m != (Mode{AnsiQuotes: true}) {
		t.Errorf("%+v", m)
	}
	if m := ParseMode("no_backslash_escapes"); m != (Mode{NoBackslashEscapes: true}) {
		t.Errorf("%+v", m)
	}
	if m := ParseMode(""); m != (Mode{}) {
		t.Errorf("%+v", m)
	}
}

func TestRewrite(t *testing.T) {
	for _, c := range []struct {
		text string
		edit Edit
		want string
	}{
		{"ALTER TABLE t", Edit{}, "ALTER TABLE t"},
		{"ALTER TABLE a.t ADD x INT", Edit{Table: "u"}, "ALTER TABLE `u` ADD x INT"},
		{"ALTER TABLE t ADD x INT", Edit{Schema: "a`b", Table: "u"}, "ALTER TABLE `a``b`.`u` ADD x INT"},
		{"ALTER TABLE t", Edit{Algorithm: "INSTANT"}, "ALTER TABLE t ALGORITHM=INSTANT"},
		{"ALTER TABLE t;", Edit{Algorithm: "COPY", Lock: "NONE"}, "ALTER TABLE t ALGORITHM=COPY, LOCK=NONE;"},
		{"ALTER TABLE `t`ADD x INT", Edit{Lock: "NONE"}, "ALTER TABLE `t` LOCK=NONE,ADD x INT"},
		{"ALTER TABLE `t`PARTITION BY HASH(a)", Edit{Algorithm: "COPY"}, "ALTER TABLE `t` ALGORITHM=COPY PARTITION BY HASH(a)"},
		{"ALTER TABLE t LOCK=NONE PARTITION BY HASH(a)", Edit{Algorithm: "COPY"}, "ALTER TABLE t ALGORITHM=COPY  PARTITION BY HASH(a)"},
		{"ALTER TABLE t ADD x INT, /* why */ ALGORITHM = COPY", Edit{Algorithm: "INSTANT"}, "ALTER TABLE t ALGORITHM=INSTANT, ADD x INT /* why */ "},
		{"CREATE INDEX i ON t (a) LOCK=NONE -- x", Edit{Algorithm: "INPLACE"}, "CREATE INDEX i ON t (a) ALGORITHM=INPLACE  -- x"},
		{"SELECT 1", Edit{Schema: "a", Table: "b", Algorithm: "COPY"}, "SELECT 1"},
	} {
		s, err := Parse(c.text, Mode{})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Rewrite(c.edit); got != c.want {
			t.Errorf("%q %+v: %q", c.text, c.edit, got)
		}
	}
}
