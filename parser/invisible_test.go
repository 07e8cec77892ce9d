package parser

import (
	"slices"
	"testing"
)

type invisibleCase struct {
	text    string
	mode    Mode
	want    string // "" for the text itself
	columns []string
}

var maria = Mode{MariaDB: true}

var invisibleCases = []invisibleCase{
	{text: "ALTER TABLE t ADD a INT", want: "ALTER TABLE t ADD a INT INVISIBLE", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD COLUMN `a b` INT NOT NULL DEFAULT 5 FIRST", want: "ALTER TABLE t ADD COLUMN `a b` INT NOT NULL DEFAULT 5 INVISIBLE FIRST", columns: []string{"a b"}},
	{text: "ALTER TABLE t ADD a DECIMAL(10,2) UNSIGNED AFTER `first`, ADD b INT", want: "ALTER TABLE t ADD a DECIMAL(10,2) UNSIGNED INVISIBLE AFTER `first`, ADD b INT INVISIBLE", columns: []string{"a", "b"}},
	{text: "ALTER TABLE t ADD (a INT, b VARCHAR(9) COMMENT 'x, y', INDEX i (a), CONSTRAINT c CHECK (a > 0))", want: "ALTER TABLE t ADD (a INT INVISIBLE, b VARCHAR(9) COMMENT 'x, y' INVISIBLE, INDEX i (a), CONSTRAINT c CHECK (a > 0))", columns: []string{"a", "b"}},
	{text: "ALTER TABLE t ADD COLUMN (first INT NOT NULL, after INT)", want: "ALTER TABLE t ADD COLUMN (first INT NOT NULL INVISIBLE, after INT INVISIBLE)", columns: []string{"first", "after"}},
	{text: "ALTER TABLE t ADD a INT CHECK (a > 0) NOT NULL", want: "ALTER TABLE t ADD a INT INVISIBLE CHECK (a > 0) NOT NULL", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a INT NULL CONSTRAINT c CHECK (a > 0) NOT ENFORCED AFTER id", want: "ALTER TABLE t ADD a INT NULL INVISIBLE CONSTRAINT c CHECK (a > 0) NOT ENFORCED AFTER id", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a INT UNIQUE REFERENCES p (id) ON DELETE SET NULL FIRST", want: "ALTER TABLE t ADD a INT UNIQUE INVISIBLE REFERENCES p (id) ON DELETE SET NULL FIRST", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a INT GENERATED ALWAYS AS (id + 1) VIRTUAL UNIQUE KEY COMMENT 'after'", want: "ALTER TABLE t ADD a INT GENERATED ALWAYS AS (id + 1) VIRTUAL UNIQUE KEY COMMENT 'after' INVISIBLE", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a INT AS (id + 1)AFTER id", want: "ALTER TABLE t ADD a INT AS (id + 1) INVISIBLE AFTER id", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a CHAR(1) DEFAULT 'x'FIRST", want: "ALTER TABLE t ADD a CHAR(1) DEFAULT 'x' INVISIBLE FIRST", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a INT /* why */ FIRST -- end", want: "ALTER TABLE t ADD a INT INVISIBLE /* why */ FIRST -- end", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a INT -- why, AFTER\n AFTER id, ALGORITHM=INSTANT", want: "ALTER TABLE t ADD a INT INVISIBLE -- why, AFTER\n AFTER id, ALGORITHM=INSTANT", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a INT;", want: "ALTER TABLE t ADD a INT INVISIBLE;", columns: []string{"a"}},
	{text: "ALTER TABLE t /*!50000 ADD a INT */", want: "ALTER TABLE t /*!50000 ADD a INT INVISIBLE */", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a INT /*!50000 NOT NULL*/", want: "ALTER TABLE t ADD a INT /*!50000 NOT NULL INVISIBLE*/", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a SERIAL", want: "ALTER TABLE t ADD a SERIAL INVISIBLE", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a INT AUTO_INCREMENT PRIMARY KEY FIRST", want: "ALTER TABLE t ADD a INT AUTO_INCREMENT PRIMARY KEY INVISIBLE FIRST", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a ENUM('first', 'after') CHARACTER SET latin1 COLLATE latin1_bin DEFAULT 'after' AFTER v", want: "ALTER TABLE t ADD a ENUM('first', 'after') CHARACTER SET latin1 COLLATE latin1_bin DEFAULT 'after' INVISIBLE AFTER v", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)", want: "ALTER TABLE t ADD a DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6) INVISIBLE", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a INT DEFAULT (id * 2), ENGINE=InnoDB", want: "ALTER TABLE t ADD a INT DEFAULT (id * 2) INVISIBLE, ENGINE=InnoDB", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a DOUBLE PRECISION NOT NULL, DROP b, ORDER BY id", want: "ALTER TABLE t ADD a DOUBLE PRECISION NOT NULL INVISIBLE, DROP b, ORDER BY id", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a INT PARTITION BY HASH (id)", want: "ALTER TABLE t ADD a INT INVISIBLE PARTITION BY HASH (id)", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD vector INT, ADD `check` INT", want: "ALTER TABLE t ADD vector INT INVISIBLE, ADD `check` INT INVISIBLE", columns: []string{"vector", "check"}},

	{text: "ALTER TABLE t ADD a INT INVISIBLE, ADD b INT VISIBLE FIRST, ADD (c INT COMMENT 'invisible')", want: "ALTER TABLE t ADD a INT INVISIBLE, ADD b INT VISIBLE FIRST, ADD (c INT COMMENT 'invisible' INVISIBLE)", columns: []string{"c"}},
	{text: "ALTER TABLE t ADD a INT DEFAULT invisible FIRST", mode: maria, want: "ALTER TABLE t ADD a INT DEFAULT invisible INVISIBLE FIRST", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a INT DEFAULT first", mode: maria, want: "ALTER TABLE t ADD a INT DEFAULT first INVISIBLE", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT DEFAULT 1 CHECK (a > 0)", mode: maria, want: "ALTER TABLE t ADD COLUMN IF NOT EXISTS a INT DEFAULT 1 INVISIBLE CHECK (a > 0)", columns: []string{"a"}},
	{text: "ALTER TABLE t ADD a VARCHAR(9) COMPRESSED, ADD b INT AS (id) PERSISTENT", mode: maria, want: "ALTER TABLE t ADD a VARCHAR(9) COMPRESSED INVISIBLE, ADD b INT AS (id) PERSISTENT INVISIBLE", columns: []string{"a", "b"}},

	{text: "ALTER TABLE t MODIFY a BIGINT FIRST, CHANGE b c INT, RENAME COLUMN d TO e"},
	{text: "ALTER TABLE t ADD INDEX i (a), ADD PRIMARY KEY (b), ADD CONSTRAINT CHECK (a > 0), ADD PARTITION (PARTITION p VALUES LESS THAN (3))"},
	{text: "CREATE INDEX i ON t (a)"},
	{text: "ALTER TABLE t ADD INDEX i (a) INVISIBLE, ALTER COLUMN b SET VISIBLE"},
}

func TestInvisible(t *testing.T) {
	for _, c := range invisibleCases {
		s, err := Parse(c.text, c.mode)
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		want := c.want
		if want == "" {
			want = c.text
		}
		if got := s.Rewrite(Edit{Invisible: true}); got != want || !slices.Equal(s.Hideable(), c.columns) {
			t.Errorf("%s becomes\n%s, want\n%s\nwith %q, want %q", c.text, got, want, s.Hideable(), c.columns)
		}
		checkInvisible(t, s, c.mode)
	}
	s, _ := Parse("ALTER TABLE t ADD a INT", Mode{})
	if got, want := s.Rewrite(Edit{Schema: "s", Table: "u", Algorithm: "INSTANT", Invisible: true}), "ALTER TABLE `s`.`u` ALGORITHM=INSTANT, ADD a INT INVISIBLE"; got != want {
		t.Errorf("all at once: %s, want %s", got, want)
	}
}

func TestVisibleDefinition(t *testing.T) {
	const create = "CREATE TABLE `t` (\n  `id` int(11) NOT NULL AUTO_INCREMENT,\n  `A,b` enum('INVISIBLE',') x') INVISIBLE DEFAULT 'INVISIBLE' COMMENT 'it''s INVISIBLE, `c`',\n" +
		"  `c` int(11) GENERATED ALWAYS AS (`id` + 1) VIRTUAL INVISIBLE,\n  `in``visible` int(11) INVISIBLE DEFAULT 3 CHECK (`in``visible` > 0),\n  PRIMARY KEY (`id`),\n  KEY `k` (`c`)\n) ENGINE=InnoDB"
	for column, want := range map[string]string{
		"id":         "`id` int(11) NOT NULL AUTO_INCREMENT",
		"a,B":        "`A,b` enum('INVISIBLE',') x')  DEFAULT 'INVISIBLE' COMMENT 'it''s INVISIBLE, `c`'",
		"c":          "`c` int(11) GENERATED ALWAYS AS (`id` + 1) VIRTUAL ",
		"in`visible": "`in``visible` int(11)  DEFAULT 3 CHECK (`in``visible` > 0)",
		"k":          "",
		"t":          "",
	} {
		if got := VisibleDefinition(create, column, maria); got != want {
			t.Errorf("%s: %q, want %q", column, got, want)
		}
	}
}
