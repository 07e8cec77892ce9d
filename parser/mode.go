package parser

import "strings"

// Mode is what the reading of a text depends on besides the text.
type Mode struct {
	AnsiQuotes         bool // "x" is a name, not a string
	NoBackslashEscapes bool
	Oracle             bool // MariaDB's sql_mode=ORACLE: a bare BEGIN opens a block
	MariaDB            bool

	// Version as the server counts it: 90700 is MySQL 9.7.0, 101100 MariaDB
	// 10.11.0. It decides which version comments are code. 0 is "newest".
	Version int

	// Charset is character_set_client. It matters for gbk, big5, sjis, cp932
	// and gb18030 alone, where a backslash or a backtick byte can be the
	// second half of a character.
	Charset string
}

// ParseMode reads @@sql_mode as the server gives it, that is, with combination
// modes (ANSI, ORACLE, …) already spelled out.
func ParseMode(sqlMode string) Mode {
	var m Mode
	for _, s := range strings.Split(sqlMode, ",") {
		switch strings.ToUpper(strings.TrimSpace(s)) {
		case "ANSI_QUOTES":
			m.AnsiQuotes = true
		case "NO_BACKSLASH_ESCAPES":
			m.NoBackslashEscapes = true
		case "ORACLE":
			m.Oracle = true
		}
	}
	return m
}

// counts tells whether a version comment's content is code.
func (m Mode) counts(version int, maria bool) bool {
	// MariaDB skips MySQL's comments of 5.7 and later, whose syntax it may not
	// know, but not its own: sql_lex.cc, "Ignore all versioned comments with
	// MySQL versions in the range 50700-99999".
	if m.MariaDB && !maria && version >= 50700 && version <= 99999 {
		return false
	}
	return m.Version == 0 || version <= m.Version
}

// doubleByte tells whether text may hold two-byte characters whose second byte
// is an ASCII one.
func (m Mode) doubleByte() bool {
	switch strings.ToLower(m.Charset) {
	case "gbk", "big5", "sjis", "cp932", "gb18030":
		return true
	}
	return false
}

// leads tells whether byte c, followed by d, begins a two-byte character. A
// four-byte character of gb18030 reads as two of these.
func (m Mode) leads(c, d byte) bool {
	if c < 0x81 || c == 0xff || d < 0x30 {
		return false
	}
	switch strings.ToLower(m.Charset) {
	case "sjis", "cp932": // a0-df are half-width katakana, one byte each
		return (c < 0xa0 || c >= 0xe0) && d >= 0x40
	case "gb18030":
		return d >= 0x40 || d <= 0x39
	}
	return d >= 0x40
}
