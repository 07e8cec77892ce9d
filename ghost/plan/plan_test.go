package plan

import (
	"fmt"
	"strings"
	"testing"

	"midflight/parser"
	"midflight/schema"
)

func parse(t *testing.T, text string, mariaDB bool) parser.Statement {
	t.Helper()
	s, err := parser.Parse(text, parser.Mode{MariaDB: mariaDB})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// table reads a definition: columns "id int", "+note varchar(9)" (nullable),
// "=g int" (generated from a); keys "PRIMARY(id)", "UNIQUE u(a,b)", "KEY k(a)".
func table(columns, keys string) *schema.Table {
	t := &schema.Table{Name: schema.Name{Schema: "shop", Table: "orders"}, Engine: "InnoDB", Type: "BASE TABLE"}
	for text := range strings.SplitSeq(columns, "; ") {
		name, full, _ := strings.Cut(text, " ")
		full, charset, _ := strings.Cut(full, " in ")
		full, def, hasDefault := strings.Cut(full, " default ")
		c := schema.Column{Position: len(t.Columns), FullType: full, Charset: charset, Default: def, HasDefault: hasDefault}
		if charset != "" {
			c.Collation = charset + "_bin"
		}
		c.Type, _, _ = strings.Cut(strings.Fields(full)[0], "(")
		name, c.Nullable = strings.CutPrefix(name, "+")
		if c.Name, c.Generated = strings.CutPrefix(name, "="); c.Generated {
			c.Expression = "(`a` + 1)"
		}
		t.Columns = append(t.Columns, c)
	}
	for text := range strings.SplitSeq(keys, "; ") {
		head, list, ok := strings.Cut(strings.TrimSuffix(text, ")"), "(")
		if !ok {
			continue
		}
		k := schema.Key{Name: head, Type: "BTREE"}
		if name, unique := strings.CutPrefix(head, "UNIQUE "); unique || head == "PRIMARY" {
			k.Name, k.Unique = name, true
		}
		k.Name, k.Hidden = strings.CutPrefix(k.Name, "HIDDEN ")
		for part := range strings.SplitSeq(list, ",") {
			kc := schema.KeyColumn{}
			var prefix string
			kc.Name, prefix, _ = strings.Cut(part, ":")
			kc.Name, kc.Desc = strings.CutSuffix(kc.Name, "-")
			fmt.Sscan(prefix, &kc.Prefix)
			k.Columns = append(k.Columns, kc)
		}
		t.Keys = append(t.Keys, k)
	}
	return t
}

func TestForwardAsIs(t *testing.T) {
	for _, c := range []struct {
		sql, want string // "": ours
		strategy  Strategy
		mariaDB   bool
	}{
		{sql: "ALTER TABLE t ADD a INT", want: ""},
		{sql: "ALTER TABLE t ADD a INT", strategy: "direct", want: "asked for by @midflight_strategy"},
		{sql: "ALTER TABLE t ADD a INT, ALGORITHM=INPLACE", want: "the statement asks for ALGORITHM=INPLACE"},
		{sql: "ALTER TABLE t ADD a INT, ALGORITHM=NOCOPY", mariaDB: true, want: "the statement asks for ALGORITHM=NOCOPY"},
		{sql: "ALTER TABLE t ADD a INT, ALGORITHM=INSTANT", want: ""},
		{sql: "ALTER TABLE t ADD a INT, ALGORITHM=COPY, LOCK=NONE", want: ""},
		{sql: "ALTER TABLE t ADD n INT REFERENCES u (a)", want: "it adds a foreign key"},
		{sql: "ALTER TABLE t ADD a INT, LOCK=SHARED", want: "the statement asks for LOCK=SHARED"},
		{sql: "ALTER TABLE t ADD a INT, LOCK=EXCLUSIVE", want: "the statement asks for LOCK=EXCLUSIVE"},
		{sql: "ALTER TABLE t", want: "it changes nothing"},
		{sql: "ALTER TABLE t ALGORITHM=COPY", want: "it changes nothing"},
		{sql: "OPTIMIZE TABLE t", want: ""},
		{sql: "OPTIMIZE TABLE t, u", want: "it names several tables"},
		{sql: "ALTER IGNORE TABLE t ADD UNIQUE (a)", mariaDB: true, want: "it is an ALTER IGNORE, which drops rows"},
		{sql: "ALTER TABLE t NOWAIT ADD a INT", mariaDB: true, want: "it limits its own wait for the table"},
		{sql: "SET STATEMENT sql_mode='' FOR ALTER TABLE t ADD a INT", mariaDB: true, want: "it sets variables for itself"},
		{sql: "ALTER TABLE t RENAME TO u", want: "it renames the table"},
		{sql: "ALTER TABLE t DROP PARTITION p", want: "it is partition maintenance"},
		{sql: "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (a)", want: "it adds a foreign key"},
		{sql: "ALTER TABLE t DISCARD TABLESPACE", want: "it discards the tablespace"},
		{sql: "ALTER TABLE t ENGINE=InnoDB", want: ""},
		{sql: "ALTER TABLE t ENGINE=MyISAM", want: "it changes the storage engine"},
		{sql: "ALTER TABLE t ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8", want: ""},
		{sql: "ALTER TABLE t ENCRYPTION='Y'", want: "it sets the table option ENCRYPTION"},
		{sql: "ALTER TABLE t DATA DIRECTORY='/x'", want: "it sets the table option DATA"},
	} {
		if got := ForwardAsIs(parse(t, c.sql, c.mariaDB), c.strategy); got != c.want {
			t.Errorf("%s: %q, want %q", c.sql, got, c.want)
		}
	}
}

// What depends on who runs it must not be run by the engine's account, however
// it is hidden.
func TestNeedsMoreRights(t *testing.T) {
	for sql, want := range map[string]string{
		"ADD a TEXT DEFAULT (LOAD_FILE('/etc/passwd'))":                        "LOAD_FILE",
		"ADD a TEXT DEFAULT (load_file ('/x'))":                                "LOAD_FILE",
		"ADD a VARCHAR(99) DEFAULT (CURRENT_USER())":                           "CURRENT_USER",
		"ADD a INT DEFAULT (@x)":                                               "@",
		"MODIFY a TEXT DEFAULT (DATABASE())":                                   "DATABASE",
		"ALTER a SET DEFAULT (CONNECTION_ID())":                                "CONNECTION_ID",
		"ADD INDEX ((LAST_INSERT_ID(a)))":                                      "LAST_INSERT_ID",
		"ADD a INT COMMENT 'the user'":                                         "",
		"ADD a INT COMMENT 'the user''s database'":                             "",
		"ADD `user` INT":                                                       "",
		"ADD a INT COMMENT \"it's\" DEFAULT (LOAD_FILE('/x'))":                 "LOAD_FILE",
		"ADD a TEXT COMMENT '\\'' DEFAULT (LOAD_FILE('/x'))":                   "LOAD_FILE",
		"ADD a TEXT /* ' */ DEFAULT (LOAD_FILE('/x'))":                         "LOAD_FILE",
		"ADD a TEXT -- '\n DEFAULT (LOAD_FILE('/x'))":                          "LOAD_FILE",
		"ADD a TEXT # '\n DEFAULT (LOAD_FILE('/x'))":                           "LOAD_FILE",
		"ADD a TEXT COMMENT '`' DEFAULT (LOAD_FILE('/x'))":                     "LOAD_FILE",
		"ADD `a'` TEXT DEFAULT (LOAD_FILE('/x'))":                              "LOAD_FILE",
		"ADD a DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP": "",
	} {
		got := ForwardAsIs(parse(t, "ALTER TABLE t "+sql, false), Auto)
		if want == "" && got != "" || want != "" && got != "it uses "+want+", which depends on who runs it" {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

func TestWithoutCopy(t *testing.T) {
	all := Probe{Instant: true, InPlace: true, Metadata: true}
	inPlace := Probe{InPlace: true}
	metadata := Probe{InPlace: true, Metadata: true}
	for _, c := range []struct {
		name     string
		sql      string
		strategy Strategy
		probe    Probe
		want     Path // "": copy
		refused  bool
	}{
		{"instant where it can be", "", Auto, all, Instant, false},
		{"metadata", "", Auto, metadata, Metadata, false},
		{"a rebuild is copied", "", Auto, inPlace, "", false},
		{"nothing works in the server", "", Auto, Probe{}, "", false},
		{"in place on request", "", "inplace", inPlace, InPlace, false},
		{"in place on request, instant is better", "", "inplace", all, Instant, false},
		{"in place on request, impossible", "", "inplace", Probe{}, "", true},
		{"copy on request", "", "copy", all, "", false},
		{"ALGORITHM=COPY", ", ALGORITHM=COPY", Auto, all, "", false},
		{"instant on request", "", "instant", all, Instant, false},
		{"instant on request, impossible", "", "instant", metadata, "", true},
		{"ALGORITHM=INSTANT, impossible", ", ALGORITHM=INSTANT", Auto, metadata, "", true},
	} {
		p, ok, refusal := WithoutCopy(parse(t, "ALTER TABLE t ADD a INT"+c.sql, false), c.strategy, c.probe)
		if p.Path != c.want || ok != (c.want != "") || (refusal != nil) != c.refused {
			t.Errorf("%s: %q %v %v", c.name, p.Path, ok, refusal)
		}
		if ok && p.Reason == "" {
			t.Errorf("%s: no reason", c.name)
		}
	}
}

func TestParseStrategy(t *testing.T) {
	for text, want := range map[string]Strategy{"": Auto, "auto": Auto, "COPY": "copy", "Direct": "direct", "inplace": "inplace", "instant": "instant"} {
		if got, err := ParseStrategy(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"metadata", "fast"} {
		if _, err := ParseStrategy(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name, sql, want string
		change          func(*schema.Table)
		mariaDB         bool
	}{
		{name: "view", want: "not an ordinary table", change: func(t *schema.Table) { t.Type = "VIEW" }},
		{name: "versioned", want: "not an ordinary table", change: func(t *schema.Table) { t.Type = "SYSTEM VERSIONED" }},
		{name: "engine", want: "stored by MyISAM", change: func(t *schema.Table) { t.Engine = "MyISAM" }},
		{name: "child", want: "has foreign keys (f)", change: func(t *schema.Table) { t.ForeignKeys = []string{"f"} }},
		{name: "parent", want: "referred to by foreign keys (x.f)", change: func(t *schema.Table) { t.ReferencedBy = []string{"x.f"} }},
		{name: "triggers", change: func(t *schema.Table) { t.Triggers = []schema.Trigger{{Name: "tr"}} }},
		{name: "checks", change: func(t *schema.Table) { t.Checks = []string{"c"} }},
		{name: "AUTO_INCREMENT", sql: "ADD n INT AUTO_INCREMENT UNIQUE"},
		{name: "check", sql: "ADD CHECK (id > 0)"},
		{name: "nothing wrong"},
	} {
		original := table("id int", "PRIMARY(id)")
		if c.change != nil {
			c.change(original)
		}
		if c.sql == "" {
			c.sql = "ENGINE=InnoDB"
		}
		r := refuseTable(parse(t, "ALTER TABLE orders "+c.sql, c.mariaDB), original)
		switch {
		case c.want == "" && r != nil:
			t.Errorf("%s: %v", c.name, r)
		case c.want != "" && (r == nil || !strings.Contains(r.Reason, c.want) || r.Hint == ""):
			t.Errorf("%s: %v, want %q", c.name, r, c.want)
		}
	}
}

// show writes a plan's mapping: to<from, to*<from where converted, to=zero,
// to=start.
func show(p Plan) string {
	var words []string
	for _, m := range p.Columns {
		switch m.Literal {
		case ImplicitDefault:
			words = append(words, m.To.Name+"=zero")
		case StartTime:
			words = append(words, m.To.Name+"=start")
		default:
			mark := "<"
			if m.Converted {
				mark = "*<"
			}
			words = append(words, m.To.Name+mark+m.From.Name)
		}
	}
	return strings.Join(words, " ")
}

func TestColumns(t *testing.T) {
	const pk = "PRIMARY(id)"
	for _, c := range []struct {
		sql, before, after string
		want               string // or "refused: …"
	}{
		{"ADD c INT", "id int; a int", "id int; a int; +c int", "id<id a<a"},
		{"ADD c INT NOT NULL", "id int", "id int; c int", "id<id c=zero"},
		{"ADD c INT NOT NULL DEFAULT 7", "id int", "id int; c int default 7", "id<id"},
		{"ADD c DATETIME DEFAULT CURRENT_TIMESTAMP", "id int", "id int; +c datetime default CURRENT_TIMESTAMP", "id<id c=start"},
		{"ADD c DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6)", "id int", "id int; +c datetime(6) default current_timestamp(6)", "id<id c=start"},
		{"ADD c DATE DEFAULT (NOW())", "id int", "id int; +c date default now()", "id<id c=start"},
		{"ADD c VARCHAR(99) DEFAULT 'now(ish)'", "id int", "id int; +c varchar(99) default now(ish)", "id<id"},
		{"ADD c VARCHAR(99) DEFAULT 'current_timestamp'", "id int", "id int; +c varchar(99) default current_timestamp", "id<id"},
		{"ADD c DATETIME DEFAULT (NOW() + INTERVAL 1 DAY)", "id int", "id int; +c datetime default (now() + interval 1 day)", "refused: computed from the time"},
		{"ADD c DATE DEFAULT (CURRENT_DATE)", "id int", "id int; +c date default curdate()", "id<id c=start"},
		{"ADD c VARCHAR(9) DEFAULT (CURRENT_DATE)", "id int", "id int; +c varchar(9) default curdate()", "refused: computed from the time"},
		{"ADD c POINT NOT NULL", "id int", "id int; c point", "refused: NOT NULL without a default"},
		{"ADD c INT AS (id)", "id int", "id int; =c int", "id<id"},
		{"DROP a", "id int; a int", "id int", "id<id"},
		{"DROP a, ADD a INT", "id int; a varchar(9)", "id int; +a int", "id<id"},
		{"DROP a, ADD a INT NOT NULL", "id int; a varchar(9)", "id int; a int", "id<id a=zero"},
		{"CHANGE a b INT", "id int; a int", "id int; b int", "id<id b<a"},
		{"CHANGE a A INT", "id int; a int", "id int; A int", "id<id A<a"},
		{"CHANGE a b INT, CHANGE b a INT", "id int; a int; b int", "id int; b int; a int", "id<id b<a a<b"},
		{"RENAME COLUMN a TO b, RENAME COLUMN b TO a", "id int; a int; b text", "id int; b int; a text", "id<id b<a a<b"},
		{"CHANGE a b INT, ADD a INT", "id int; a int", "id int; b int; +a int", "id<id b<a"},
		{"RENAME COLUMN a TO b, RENAME COLUMN b TO c, RENAME COLUMN c TO a", "id int; a int; b int; c int", "id int; b int; c int; a int", "id<id b<a c<b a<c"},
		{"MODIFY a BIGINT", "id int; a int", "id int; a bigint", "id<id a*<a"},
		{"MODIFY a INT NOT NULL", "id int; +a int", "id int; a int", "id<id a*<a"},
		{"MODIFY a INT NULL", "id int; a int", "id int; +a int", "id<id a<a"},
		{"CONVERT TO CHARACTER SET utf8mb4", "id int; a text in latin1", "id int; a text in utf8mb4", "id<id a*<a"},
		{"MODIFY a INT FIRST", "id int; a int", "a int; id int", "a<a id<id"},
		{"DROP COLUMN IF EXISTS nope", "id int; a int", "id int; a int", "id<id a<a"},
		{"CHANGE COLUMN IF EXISTS nope b INT", "id int; a int", "id int; a int", "id<id a<a"},
		{"ADD COLUMN IF NOT EXISTS a INT", "id int; a int", "id int; a int", "id<id a<a"},
		{"ENGINE=InnoDB", "id int; =g int", "id int; =g int", "id<id"},
		// The server's catalogue and the statement don't agree: never guess.
		{"ADD c INT", "id int", "id int", "refused: what becomes of column c"},
		{"ADD c INT", "id int", "id int; +c int; +d int", "refused: where column d comes from"},
		{"DROP a", "id int; a int", "id int; a int", "refused: where column a comes from"},
		{"CHANGE a b INT", "id int; a int", "id int; a int", "refused: where column a comes from"},
	} {
		original, altered := table(c.before, pk), table(c.after, pk)
		p, r := Make(parse(t, "ALTER TABLE orders "+c.sql, true), original, altered, Probe{}, true)
		if want, refused := strings.CutPrefix(c.want, "refused: "); refused {
			if r == nil || !strings.Contains(r.Reason, want) {
				t.Errorf("%s: %v, want refused: %s", c.sql, r, want)
			}
			continue
		}
		if r != nil {
			t.Errorf("%s: %v", c.sql, r)
		} else if got := show(p); got != c.want {
			t.Errorf("%s: %s, want %s", c.sql, got, c.want)
		}
	}
}

func TestKey(t *testing.T) {
	for _, c := range []struct {
		name, sql        string
		before, keys     string
		after, keysAfter string
		want             string // index: original>shadow, or "refused: …"
		integers         bool
	}{
		{"primary", "ENGINE=InnoDB", "id int; u int", "PRIMARY(id); UNIQUE u(u)", "", "", "PRIMARY: id>id", true},
		{"renamed", "CHANGE id no INT", "id int", "PRIMARY(id)", "no int", "PRIMARY(no)", "PRIMARY: id>no", true},
		{"widened", "MODIFY id BIGINT", "id int", "PRIMARY(id)", "id bigint", "PRIMARY(id)", "PRIMARY: id>id", true},
		{"composite", "ENGINE=InnoDB", "a int; b varchar(9) in latin1", "PRIMARY(a,b)", "", "", "PRIMARY: a,b>a,b", false},
		{"other order afterwards", "DROP PRIMARY KEY, ADD PRIMARY KEY (b,a)", "a int; b int", "PRIMARY(a,b)", "a int; b int", "PRIMARY(b,a)", "PRIMARY: a,b>a,b helped", true},
		{"no key afterwards", "DROP PRIMARY KEY", "id int", "PRIMARY(id)", "id int", "", "PRIMARY: id>id helped loose", true},
		{"an index that isn't unique afterwards", "DROP PRIMARY KEY, ADD INDEX (id, a)", "id int; a int", "PRIMARY(id)", "id int; a int", "KEY i(id,a)", "PRIMARY: id>id loose", true},
		{"another key afterwards", "DROP PRIMARY KEY, ADD PRIMARY KEY (a)", "id int; a int", "PRIMARY(id)", "id int; a int", "PRIMARY(a)", "PRIMARY: id>id helped loose", true},
		{"a longer key afterwards", "DROP PRIMARY KEY, ADD PRIMARY KEY (id, a)", "id int; a int", "PRIMARY(id)", "id int; a int", "PRIMARY(id,a)", "PRIMARY: id>id loose", true},
		{"a shorter key afterwards", "DROP PRIMARY KEY, ADD PRIMARY KEY (id)", "id int; a int", "PRIMARY(id,a)", "id int; a int", "PRIMARY(id)", "PRIMARY: id,a>id,a", true},
		{"the key's end afterwards", "DROP PRIMARY KEY, ADD PRIMARY KEY (a)", "id int; a int", "PRIMARY(id,a)", "id int; a int", "PRIMARY(a)", "PRIMARY: id,a>id,a helped", true},
		{"an index of its beginning is too little", "DROP PRIMARY KEY, ADD INDEX (id)", "id int; a int", "PRIMARY(id,a)", "id int; a int", "KEY k(id)", "PRIMARY: id,a>id,a helped loose", true},
		{"an index of a prefix is too little", "DROP PRIMARY KEY, ADD INDEX (id(4))", "id varchar(9) in latin1", "PRIMARY(id)", "id varchar(9) in latin1", "KEY k(id:4)", "PRIMARY: id>id helped loose", false},
		{"a hidden index serves nobody", "ALTER INDEX u INVISIBLE", "u int; a int", "UNIQUE u(u)", "u int; a int", "UNIQUE HIDDEN u(u)", "u: u>u helped", true},
		{"a hidden key is no chunk key", "ENGINE=InnoDB", "u int", "UNIQUE HIDDEN u(u)", "", "", "refused: (of the key u, no statement may use it)", true},
		{"the key that keeps its index", "DROP PRIMARY KEY", "id int; u int", "PRIMARY(id); UNIQUE u(u)", "id int; u int", "UNIQUE u(u)", "u: u>u", true},
		{"the primary key goes, another stays", "DROP PRIMARY KEY", "id int; u int", "PRIMARY(id); UNIQUE u(u)", "id int; u int", "UNIQUE u(u)", "u: u>u", true},
		{"another name afterwards", "RENAME INDEX u TO v", "u int", "UNIQUE u(u)", "u int", "UNIQUE v(u)", "u: u>u", true},
		{"none", "ENGINE=InnoDB", "id int", "", "", "", "refused: shop.orders has no primary key and no unique key of NOT NULL columns, so its rows can't be told apart", false},
		{"nullable", "ENGINE=InnoDB", "+id int", "UNIQUE u(id)", "", "", "refused: (of the key u, column id may be NULL), so its rows can't be told apart", false},
		{"expression", "ENGINE=InnoDB", "a int", "UNIQUE u()", "", "", "refused: (of the key u, it is of an expression), so its rows can't be told apart", false},
		{"no longer there, and nullable", "DROP a", "a int; +b int", "UNIQUE a(a); UNIQUE b(b)", "+b int", "UNIQUE b(b)", "refused: of the key a, column a is dropped; of the key b, column b may be NULL", false},
		{"downwards", "ENGINE=InnoDB", "a int", "PRIMARY(a-)", "", "", "PRIMARY: a>a", false},
		{"upwards afterwards", "DROP PRIMARY KEY, ADD PRIMARY KEY (a)", "a int", "PRIMARY(a-)", "a int", "PRIMARY(a)", "PRIMARY: a>a", false},
		{"downwards afterwards", "DROP PRIMARY KEY, ADD PRIMARY KEY (a DESC)", "a int", "PRIMARY(a)", "a int", "PRIMARY(a-)", "PRIMARY: a>a", true},
		{"primary prefix", "ENGINE=InnoDB", "a varchar(90) in latin1", "PRIMARY(a:5)", "", "", "PRIMARY: a>a", false},
		{"primary prefix of a very long text", "ENGINE=InnoDB", "a varchar(4000) in latin1", "PRIMARY(a:5)", "", "", "refused: column a is longer than 2048 characters", false},
		{"primary prefix, more of it afterwards", "DROP PRIMARY KEY, ADD PRIMARY KEY (a(9))", "a varchar(90) in latin1", "PRIMARY(a:5)", "a varchar(90) in latin1", "PRIMARY(a:9)", "PRIMARY: a>a", false},
		{"primary prefix, all of it afterwards", "DROP PRIMARY KEY, ADD PRIMARY KEY (a)", "a varchar(90) in latin1", "PRIMARY(a:5)", "a varchar(90) in latin1", "PRIMARY(a)", "PRIMARY: a>a", false},
		{"primary prefix, less of it afterwards", "DROP PRIMARY KEY, ADD PRIMARY KEY (a(3))", "a varchar(90) in latin1", "PRIMARY(a:5)", "a varchar(90) in latin1", "PRIMARY(a:3)", "PRIMARY: a>a helped", false},
		{"prefix", "ENGINE=InnoDB", "a varchar(9) in latin1", "UNIQUE u(a:5)", "", "", "refused: (of the key u, it has but the beginning of column a), so its rows can't be told apart", false},
		{"not unique", "ENGINE=InnoDB", "a int", "KEY k(a)", "", "", "refused: can't be told apart", false},
		{"becomes nullable", "MODIFY u INT NULL", "u int", "UNIQUE u(u)", "+u int", "UNIQUE u(u)", "u: u>u", true},
		{"column dropped", "DROP id", "id int; a int", "PRIMARY(id)", "a int", "", "refused: of the key PRIMARY, column id is dropped", false},
		{"dropped and added: another column", "DROP id, ADD id INT NOT NULL", "id int; a int", "PRIMARY(id)", "a int; id int", "PRIMARY(id)", "refused: column id is dropped", false},
		{"generated", "ENGINE=InnoDB", "a int; =g int", "PRIMARY(g)", "", "", "PRIMARY: g>g", true},
		{"generated, of a column that changes", "MODIFY a BIGINT", "a int; =g int", "PRIMARY(g)", "a bigint; =g int", "PRIMARY(g)", "refused: may come out otherwise", false},
		{"generated, of another column", "MODIFY b BIGINT", "a int; b int; =g int", "PRIMARY(g)", "a int; b bigint; =g int", "PRIMARY(g)", "PRIMARY: g>g", true},
		{"another collation", "MODIFY a VARCHAR(9) CHARACTER SET utf8mb4", "a varchar(9) in latin1", "PRIMARY(a)", "a varchar(9) in utf8mb4", "PRIMARY(a)", "PRIMARY: a>_midflight_key1 helped loose", false},
		{"another character set of one column", "MODIFY b", "a int; b varchar(9) in latin1", "PRIMARY(a,b)", "a int; b varchar(9) in utf8mb4", "PRIMARY(a,b)", "PRIMARY: a,b>a,_midflight_key2 helped loose", false},
		{"what is not converted comes first", "MODIFY a", "a varchar(9) in latin1; b int", "PRIMARY(a); UNIQUE b(b)", "a varchar(9) in utf8mb4; b int", "PRIMARY(a)", "b: b>b helped loose", true},
		{"a generated column's values need not be those", "MODIFY a INT AS (b)", "a int; b int", "UNIQUE a(a)", "=a int; b int", "UNIQUE a(a)", "refused: may come out otherwise", true},
		{"longer text", "MODIFY a VARCHAR(20)", "a varchar(9) in latin1", "PRIMARY(a)", "a varchar(20) in latin1", "PRIMARY(a)", "PRIMARY: a>a", false},
		{"char is padded", "MODIFY a CHAR(20)", "a char(9) in latin1", "PRIMARY(a)", "a char(20) in latin1", "PRIMARY(a)", "PRIMARY: a>_midflight_key1 helped loose", false},
		{"double", "ENGINE=InnoDB", "a double", "PRIMARY(a)", "", "", "PRIMARY: a>a", false},
		{"timestamp", "ENGINE=InnoDB", "a timestamp", "PRIMARY(a)", "", "", "PRIMARY: a>a", false},
		{"timestamp beside a conversion by time zone", "MODIFY b DATETIME", "a timestamp; b timestamp", "PRIMARY(a)", "a timestamp; b datetime", "PRIMARY(a)", "refused: column a is timestamp, and the statement converts", false},
		{"timestamp that is converted", "MODIFY a DATETIME", "a timestamp", "PRIMARY(a)", "a datetime", "PRIMARY(a)", "refused: column a is timestamp, and the statement converts", false},
		{"enum", "ENGINE=InnoDB", "a enum('x','y')", "PRIMARY(a)", "", "", "PRIMARY: a>a", true},
		{"enum with more members", "MODIFY a", "a enum('x','y') in latin1", "PRIMARY(a)", "a enum('x','y','') in utf8mb4", "PRIMARY(a)", "PRIMARY: a>a", true},
		{"enum in another order", "MODIFY a", "a enum('x','y')", "PRIMARY(a)", "a enum('y','x')", "PRIMARY(a)", "refused: column a becomes enum('y','x')", true},
		{"enum with a character set, in another order", "MODIFY a", "a enum('x','y') in latin1", "PRIMARY(a)", "a enum('y','z','x') in utf8mb4", "PRIMARY(a)", "PRIMARY: a>_midflight_key1 helped loose", true},
		{"enum with fewer members", "MODIFY a", "a enum('x','y')", "PRIMARY(a)", "a enum('x')", "PRIMARY(a)", "refused: column a becomes enum('x')", true},
		{"enum of very many members", "ENGINE=InnoDB", "a enum('m'" + strings.Repeat(",'m'", 1000) + ")", "PRIMARY(a)", "", "", "refused: column a is an ENUM of more than 1000 members", true},
		{"enum in utf16, whose catalogue has no readable members", "ENGINE=InnoDB", "a enum('x','y') in utf16", "PRIMARY(a)", "", "", "refused: column a is enum('x','y') utf16_bin", true},
		{"set", "ENGINE=InnoDB", "a set('x','y')", "PRIMARY(a)", "", "", "PRIMARY: a>a", true},
		{"set of many members", "ENGINE=InnoDB", "a set('1','2','3','4','5','6','7','8','9')", "PRIMARY(a)", "", "", "refused: column a is a SET of more than 8 members", true},
		{"the second when the first can't be", "ENGINE=InnoDB", "a json; b int", "PRIMARY(a); UNIQUE b(b)", "", "", "b: b>b", true},
	} {
		if c.after == "" {
			c.after, c.keysAfter = c.before, c.keys
		}
		p, r := Make(parse(t, "ALTER TABLE orders "+c.sql, true), table(c.before, c.keys), table(c.after, c.keysAfter), Probe{}, true)
		if want, refused := strings.CutPrefix(c.want, "refused: "); refused {
			if r == nil || !strings.Contains(r.Reason, want) {
				t.Errorf("%s: %v, want refused: %s", c.name, r, want)
			}
			continue
		}
		if r != nil {
			t.Errorf("%s: %v", c.name, r)
			continue
		}
		columns := func(cs []schema.Column) string {
			var s []string
			for _, c := range cs {
				s = append(s, c.Name)
			}
			return strings.Join(s, ",")
		}
		got := p.Key.Index + ": " + columns(p.Key.Original) + ">" + columns(p.Key.Shadow)
		if p.Key.Helper {
			got += " helped"
		}
		if !p.Key.Enforced {
			got += " loose"
		}
		if got != c.want || p.Key.Integers() != c.integers {
			t.Errorf("%s: %s, integers %v; want %s, %v", c.name, got, p.Key.Integers(), c.want, c.integers)
		}
	}
}

// A key that gets narrower is cut without an error outside the strict modes:
// the original's literal then no longer finds the shadow's row, a delete is
// lost, and comparing by key sees nothing on either side.
func TestNarrowerKeyIsNoKey(t *testing.T) {
	for _, c := range [][2]string{
		{"a bigint", "a int"}, {"a int", "a int unsigned"}, {"a int unsigned", "a int"},
		{"a varchar(20) in latin1", "a varchar(9) in latin1"}, {"a varbinary(20)", "a varbinary(9)"},
	} {
		from, _ := table(c[0], "").Column("a")
		to, _ := table(c[1], "").Column("a")
		if comparable(from, to, false) {
			t.Errorf("%s to %s is taken as a chunk key, whatever the sql_mode", c[0], c[1])
		}
	}
}

func TestFitsRowsOf(t *testing.T) {
	const from = "id int; +a int; b varchar(9) in latin1"
	for _, c := range []struct {
		statement, to string
		fits          bool
	}{
		{"ADD COLUMN c INT", from + "; +c int", true},
		{"RENAME COLUMN a TO x", "id int; +x int; b varchar(9) in latin1", true},
		{"DROP KEY a", from, true},
		{"ALTER COLUMN a SET DEFAULT 1", "id int; +a int default 1; b varchar(9) in latin1", true},
		{"ADD COLUMN c INT FIRST", "+c int; " + from, false},
		{"ADD COLUMN c INT AFTER id", "id int; +c int; +a int; b varchar(9) in latin1", false},
		{"DROP COLUMN b", "id int; +a int", false},
		{"DROP COLUMN b, ADD COLUMN b VARCHAR(9) CHARACTER SET latin1", from, false},
		{"DROP COLUMN a, ADD COLUMN c INT AFTER id", "id int; +c int; b varchar(9) in latin1", false},
		{"RENAME COLUMN id TO a, RENAME COLUMN a TO id", "id int; +a int; b varchar(9) in latin1", false},
		{"RENAME COLUMN id TO a, RENAME COLUMN a TO id", "a int; +id int; b varchar(9) in latin1", true},
		{"MODIFY b VARCHAR(10) CHARACTER SET latin1", "id int; +a int; b varchar(10) in latin1", false},
		{"MODIFY b VARCHAR(9) CHARACTER SET utf8mb4", "id int; +a int; b varchar(9) in utf8mb4", false},
		{"nobody knows what", "id int; +x int; b varchar(9) in latin1", false},
	} {
		if got := FitsRowsOf(parse(t, "ALTER TABLE orders "+c.statement, false), table(from, ""), table(c.to, "")); got != c.fits {
			t.Errorf("%s: %v", c.statement, got)
		}
	}
}

// What can be computed back is followed by a column of ours.
func TestReversible(t *testing.T) {
	for _, c := range []struct {
		from, to      string
		strict, loose bool
	}{
		{"a varchar(9) in latin1", "a varchar(9) in utf8mb4", true, true},
		{"a varchar(9) in latin1", "a varchar(8) in utf8mb4", true, false},
		{"a varchar(9) in utf8mb4", "a varchar(9) in latin1", true, false},
		{"a varchar(9) in utf8mb4", "a varchar(9) in utf8mb3", true, false},
		{"a varchar(9) in utf8mb3", "a varchar(9) in utf8mb4", true, true},
		{"a varchar(9) in ascii", "a varchar(9) in latin1", true, true},
		{"a varchar(9) in ucs2", "a varchar(9) in utf8mb3", true, true},
		{"a varchar(9) in gbk", "a varchar(9) in utf8mb4", true, true},
		{"a varchar(9) in cp932", "a varchar(9) in utf8mb4", false, false},
		{"a varchar(9) in utf8mb4", "a varchar(9) in big5", false, false},
		{"a char(9) in latin1", "a varchar(9) in latin1", true, true},
		{"a varchar(9) in latin1", "a char(9) in latin1", false, false},
		{"a varchar(9) in latin1", "a text in latin1", false, false},
		{"a varchar(9) in latin1", "a varbinary(9)", false, false},
		{"a varbinary(9)", "a varchar(9) in latin1", false, false},
		{"a binary(9)", "a varbinary(9)", true, true},
		{"a varbinary(9)", "a binary(9)", false, false},
		{"a enum('x','y') in latin1", "a varchar(9) in latin1", true, false},
		{"a enum('x','y') in latin1", "a enum('y') in latin1", false, false},
		{"a int", "a varchar(20) in latin1", true, true},
		{"a int", "a varchar(9) in latin1", true, false},
		{"a int", "a decimal(20,0)", true, true},
		{"a int", "a decimal(12,4)", true, false},
		{"a int", "a double", false, false},
		{"a decimal(10,2)", "a decimal(12,4)", true, true},
		{"a decimal(10,2)", "a decimal(11,4)", true, false},
		{"a decimal(10,2)", "a decimal(12,1)", false, false},
		{"a decimal(10,2)", "a decimal(12,4) unsigned", true, false},
		{"a float", "a double", true, true},
		{"a float(7,3)", "a double", false, false},
		{"a double", "a float", false, false},
		{"a date", "a datetime", true, true},
		{"a datetime", "a date", false, false},
		{"a date", "a timestamp", false, false},
		{"a varchar(9) in latin1", "a int", false, false},
	} {
		from, to := table(c.from, "").Columns[0], table(c.to, "").Columns[0]
		if strict, loose := reversible(from, to, true), reversible(from, to, false); strict != c.strict || loose != c.loose {
			t.Errorf("%s to %s: %v, outside strict mode %v", c.from, c.to, strict, loose)
		}
	}
	from, to := table("a varchar(9) in latin1", "").Columns[0], table("a varchar(9) in utf8mb4", "").Columns[0]
	to.AutoInc = true
	if reversible(from, to, true) {
		t.Error("no generated column may refer to an AUTO_INCREMENT column")
	}
	for _, c := range []struct {
		typ           string
		before, after int
		want          bool
	}{{"datetime", 0, 6, true}, {"datetime", 6, 3, false}, {"time", 3, 6, true}, {"timestamp", 0, 6, false}} {
		if got := reversible(schema.Column{Type: c.typ, Precision: c.before}, schema.Column{Type: c.typ, Precision: c.after}, true); got != c.want {
			t.Errorf("%s(%d) to (%d): %v", c.typ, c.before, c.after, got)
		}
	}
}

func TestRelaxed(t *testing.T) {
	for _, c := range []struct {
		name  string
		after string
		probe Probe
		want  bool
	}{
		{"the server would not read the rows", "id int; d date", Probe{InPlace: true}, true},
		{"the server would change the definition alone", "id int; d date", Probe{Instant: true}, true},
		{"the server would copy", "id int; d date", Probe{Copies: true}, false},
		{"the server is asked to copy", "id int; d date", Probe{InPlace: true, Copies: true}, false},
		{"a column is converted", "id int; d datetime", Probe{InPlace: true}, false},
	} {
		p, r := Make(parse(t, "ALTER TABLE orders FORCE", false), table("id int; d date", "PRIMARY(id)"), table(c.after, "PRIMARY(id)"), c.probe, false)
		if r != nil || p.Relaxed != c.want || p.Path != Copy {
			t.Errorf("%s: %v %v %v", c.name, p.Relaxed, p.Path, r)
		}
	}
}

func TestConverts(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"id int", "id int", false}, {"id int", "id bigint", false}, {"id int", "+id bigint", false},
		{"+id int", "id bigint", true}, {"id int", "id tinyint", true}, {"id int", "id varchar(20)", true}, {"id decimal(5,2)", "id decimal(5,1)", true},
	} {
		from, to := table(c.from, "").Columns[0], table(c.to, "").Columns[0]
		p := Plan{Columns: []Mapping{{From: from, To: to, Converted: !sameValues(from, to)}, {To: to, Literal: ImplicitDefault}}}
		if got := p.Converts(); got != c.want {
			t.Errorf("%s to %s: %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

func TestRefusalIsTwoSentences(t *testing.T) {
	if got := (&Refusal{Reason: `Error 3140: for column 'a'.`, Hint: "Do so"}).Error(); got != "Error 3140: for column 'a'. Do so" {
		t.Error(got)
	}
}

// Of these the server's ALTER TABLE makes other values than its INSERT … SELECT.
func TestOtherValues(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"c varchar(9)", "c bit(64)", true}, {"c time", "c bit(64)", true}, {"c double", "c bit(5)", true}, {"c int", "c bit(5)", false}, {"c bit(5)", "c bit(64)", false},
		{"c int", "c date", true}, {"c decimal(10,2)", "c timestamp", true}, {"c varchar(9)", "c date", false}, {"c date", "c datetime", false}, {"c year", "c date", false},
		{"c float", "c year", true}, {"c date", "c year", true}, {"c int", "c year", false}, {"c datetime", "c year", false},
		{"c int", "c enum('7')", true}, {"c double", "c set('7')", true}, {"c varchar(9)", "c enum('7')", false}, {"c enum('7')", "c set('7')", false},
		{"c float", "c varchar(30)", true}, {"c float", "c blob", true}, {"c double", "c varchar(30)", false}, {"c float", "c double", false},
		{"c int", "c json", false}, {"c point", "c geometry", false},
	} {
		p, r := Make(parse(t, "ALTER TABLE orders FORCE", false), table("id int; "+c.from, "PRIMARY(id)"), table("id int; "+c.to, "PRIMARY(id)"), Probe{}, false)
		if (r != nil) != c.want {
			t.Errorf("%s to %s: %v %v", c.from, c.to, p.Path, r)
		}
	}
}
