package proxy

import (
	"bytes"
	"strings"
)

// mayTouch tells whether a statement may touch one of names, by searching for
// them in its text. It has no false negatives: a MySQL identifier can't be
// escaped, split by a comment, or continued. What names no table in its text
// (dynamic SQL, whole schemas, all tables) counts as touching.
func mayTouch(text []byte, names []string) bool {
	for _, n := range names {
		if containsName(text, n) {
			return true
		}
	}
	return touchesUnnamed(text)
}

// containsName folds ASCII letters. A name with other characters may be written
// in any character set, so each text with such bytes may hold it.
func containsName(text []byte, name string) bool {
	// A back-tick inside a name, or by ANSI_QUOTES a double quote, is doubled in the
	// text: look for the longest piece between them.
	if strings.ContainsAny(name, "`\"") {
		longest := ""
		for piece := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '`' || r == '"' }) {
			if len(piece) > len(longest) {
				longest = piece
			}
		}
		if name = longest; name == "" {
			return bytes.ContainsAny(text, "`\"")
		}
	}
	for i := range len(name) {
		if name[i] >= 0x80 {
			return bytes.ContainsFunc(text, func(r rune) bool { return r >= 0x80 })
		}
	}
	return containsWord(text, name)
}

// containsWord finds name where it is a word: orders isn't in orders_2025.
func containsWord(text []byte, name string) bool {
	for rest := text; ; {
		i := indexFold(rest, name)
		if i < 0 {
			return false
		}
		at := len(text) - len(rest) + i
		before, after := text[:at], text[at+len(name):]
		if (!inName(name[0]) || wordEnds(before)) && (!inName(name[len(name)-1]) || len(after) == 0 || !inName(after[0])) {
			return true
		}
		rest = text[at+1:]
	}
}

// wordEnds tells whether a word may begin behind text. Behind a comment's version it
// may at once: /*!50000orders */.
func wordEnds(text []byte) bool {
	n := len(text)
	if n == 0 || !inName(text[n-1]) {
		return true
	}
	for n > 0 && '0' <= text[n-1] && text[n-1] <= '9' {
		n--
	}
	return n > 0 && n < len(text) && text[n-1] == '!'
}

// inName: c is, in any character set, a part of a name that isn't quoted. (Manual,
// Schema Object Names.) Above ASCII are blanks, too: 0xA0 in latin1.
func inName(c byte) bool {
	return 'a' <= lower(c) && lower(c) <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '$'
}

// containsFold is strings.Contains under ASCII folding.
func containsFold(text []byte, name string) bool { return indexFold(text, name) >= 0 }

// indexFold is strings.Index under ASCII folding: it jumps from one occurrence of
// the name's first letter, in either case, to the next.
func indexFold(text []byte, name string) int {
	if name == "" {
		return 0
	}
	lo, hi := lower(name[0]), upper(name[0])
	for i := 0; i+len(name) <= len(text); {
		window := text[i : len(text)-len(name)+1]
		k := bytes.IndexByte(window, lo)
		if hi != lo {
			if k >= 0 {
				window = window[:k]
			}
			if j := bytes.IndexByte(window, hi); j >= 0 {
				k = j
			}
		}
		if k < 0 {
			return -1
		}
		i += k
		if equalFold(text[i:i+len(name)], name) {
			return i
		}
		i++
	}
	return -1
}

func equalFold(b []byte, s string) bool {
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// unnamed are the words of statements that touch tables they don't name.
var unnamed = []string{"EXECUTE", "PREPARE", "CALL", "FLUSH", "DATABASE", "SCHEMA", "INSTANCE"}

// touchesUnnamed tells whether a text may be such a statement. A statement that
// begins with a word of plain DML, and is alone, is not; in all others the words
// are looked for anywhere.
func touchesUnnamed(text []byte) bool {
	var buf [16]byte
	word := firstWord(&buf, text)
	switch {
	case len(word) == 0:
		return len(bytes.TrimSpace(text)) > 0
	case plain[string(word)] && !severalStatements(text) && !versioned(text):
		return false
	}
	for _, w := range unnamed {
		if containsFold(text, w) {
			return true
		}
	}
	return false
}

var plain = map[string]bool{
	"SELECT": true, "INSERT": true, "UPDATE": true, "DELETE": true, "REPLACE": true, "WITH": true,
	"BEGIN": true, "START": true, "COMMIT": true, "ROLLBACK": true, "SAVEPOINT": true,
	"USE": true, "SHOW": true, "LOAD": true, "TABLE": true, "VALUES": true, "DO": true,
}

// severalStatements tells whether something follows a semicolon. One inside a
// string counts too: that errs on the safe side.
func severalStatements(text []byte) bool {
	i := bytes.IndexByte(text, ';')
	return i >= 0 && len(bytes.TrimRight(text[i:], "; \t\r\n")) > 0
}

// firstWord is a statement's first word in capitals, behind blanks, comments
// and parentheses, kept in buf; "" when there is none. The inside of a /*!
// comment counts as text.
func firstWord(buf *[16]byte, text []byte) []byte {
	for len(text) > 0 {
		switch c := text[0]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v' || c == '(' || c == ';':
			text = text[1:]
		case c == '#', bytes.HasPrefix(text, []byte("--")):
			i := bytes.IndexByte(text, '\n')
			if i < 0 {
				return nil
			}
			text = text[i+1:]
		case bytes.HasPrefix(text, []byte("/*!")), bytes.HasPrefix(text, []byte("/*M!")):
			text = bytes.TrimLeft(text[bytes.IndexByte(text, '!')+1:], "0123456789")
		case bytes.HasPrefix(text, []byte("/*")):
			i := bytes.Index(text[2:], []byte("*/"))
			if i < 0 {
				return nil
			}
			text = text[i+4:]
		case bytes.HasPrefix(text, []byte("*/")): // of a /*! comment
			text = text[2:]
		default:
			n := 0
			for n < min(len(text), len(buf)) && ('a' <= lower(text[n]) && lower(text[n]) <= 'z' || text[n] == '_') {
				buf[n] = upper(text[n])
				n++
			}
			return buf[:n]
		}
	}
	return nil
}
