package parser

import "bytes"

// MaybeSchemaChange tells cheaply whether text may hold a statement that Parse
// would call a schema change: by its first keyword, and when multi is true by
// the first one after any semicolon. It runs for every query, so it allocates
// nothing and doesn't look at most bytes.
//
// It knows neither sql_mode nor the server's version. So it cannot tell strings
// and comments from code, and instead tries every place where a statement could
// begin: behind a ';' and behind the end of a comment. It is never wrong when
// it answers false.
func MaybeSchemaChange(text []byte, multi bool) bool {
	i, version := first(text)
	if startsSchemaChange(text[i:]) {
		return true
	}
	if version {
		// Whether the comment counts is unknown, and where it ends too.
		return anyStart(text, i, multi)
	}
	if !multi {
		return false
	}
	semi := bytes.IndexByte(text[i:], ';')
	if semi < 0 {
		return false
	}
	return anyStart(text, i+semi, true)
}

// first passes over what may precede the first keyword, but stops behind the
// opening of a version comment.
func first(text []byte) (i int, version bool) {
	for i < len(text) {
		switch c := text[i]; {
		case isSpace(c), c == '(', c == ';':
			i++
		case lineComment(text[i:]):
			n := bytes.IndexByte(text[i:], '\n')
			if n < 0 {
				return len(text), false
			}
			i += n + 1
		case c == '/' && versionMark(text[i:]) > 0:
			return i + versionMark(text[i:]), true
		case c == '/' && i+1 < len(text) && text[i+1] == '*':
			n := bytes.Index(text[i+2:], []byte("*/"))
			if n < 0 {
				return len(text), false
			}
			i += 2 + n + 2
		default:
			return i, false
		}
	}
	return i, false
}

// anyStart tries every possible start of a statement from i on. It is linear in
// the text whatever the text is: skipTo never passes a ';' or a comment's end,
// and seen keeps lines from being walked twice.
func anyStart(text []byte, i int, multi bool) bool {
	closer := []byte("*/")
	semi, end := len(text), nextIndex(text, i, bytes.Index(text[i:], closer))
	if multi {
		semi = nextIndex(text, i, bytes.IndexByte(text[i:], ';'))
	}
	seen := -1
	at := i
	for {
		at, seen = skipTo(text, at, seen)
		if startsSchemaChange(text[at:]) {
			return true
		}
		if semi >= len(text) && end >= len(text) {
			return false
		}
		if semi < end {
			at = semi + 1
			semi = nextIndex(text, at, bytes.IndexByte(text[at:], ';'))
		} else {
			at = end + 2
			end = nextIndex(text, at, bytes.Index(text[at:], closer))
		}
	}
}

func nextIndex(text []byte, from, n int) int {
	if n < 0 {
		return len(text)
	}
	return from + n
}

// skipTo passes over blanks, line comments and the openings of version
// comments. seen is the last end of a line that any call has passed: all the
// lines before it up to there were blank or comments too, so whoever reaches
// one of them can stop.
func skipTo(text []byte, i, seen int) (int, int) {
	for i < len(text) {
		switch c := text[i]; {
		case isSpace(c), c == '(':
			i++
		case lineComment(text[i:]):
			if i <= seen {
				return len(text), seen
			}
			n := bytes.IndexByte(text[i:], '\n')
			if n < 0 {
				return len(text), len(text)
			}
			seen = i + n
			i += n + 1
		case c == '/' && versionMark(text[i:]) > 0:
			i += versionMark(text[i:])
		default:
			return i, seen
		}
	}
	return i, seen
}

func lineComment(s []byte) bool {
	return s[0] == '#' || len(s) >= 2 && s[0] == '-' && s[1] == '-' && (len(s) == 2 || s[2] <= ' ' || s[2] == 0x7f)
}

// versionMark is the length of /*!80100 or /*M!101100 at the start of s, or 0.
func versionMark(s []byte) int {
	n := 2
	if len(s) > n && s[1] == '*' && s[n] == 'M' {
		n++
	}
	if len(s) <= n || s[0] != '/' || s[1] != '*' || s[n] != '!' {
		return 0
	}
	n++
	for d := 0; d < 6 && n < len(s) && isDigit(s[n]); d++ {
		n++
	}
	return n
}

// startsSchemaChange looks at the first word and, where that is next to it, the
// second: most CREATE and DROP statements are not ours.
func startsSchemaChange(s []byte) bool {
	if len(s) == 0 {
		return false
	}
	switch s[0] | 0x20 {
	case 'a', 'c', 'd', 'o', 'r', 's', 't':
	default:
		return false
	}
	verb, rest := word(s)
	switch {
	case equalWord(verb, "ALTER"):
		return among(rest, "TABLE", "ONLINE", "OFFLINE", "IGNORE")
	case equalWord(verb, "CREATE"):
		return among(rest, "INDEX", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR", "OR", "TRIGGER", "DEFINER")
	case equalWord(verb, "DROP"):
		return among(rest, "INDEX", "TABLE", "TABLES", "TRIGGER")
	case equalWord(verb, "RENAME"):
		return among(rest, "TABLE", "TABLES")
	case equalWord(verb, "TRUNCATE"):
		return true
	case equalWord(verb, "OPTIMIZE"):
		return true
	case equalWord(verb, "SET"): // MariaDB: SET STATEMENT … FOR ALTER TABLE
		return among(rest, "STATEMENT")
	}
	return false
}

func word(s []byte) (w, rest []byte) {
	n := 0
	for n < len(s) && isName(s[n]) {
		n++
	}
	return s[:n], s[n:]
}

// among tells whether one of the words follows, or may: a comment in between is
// left to Parse.
func among(s []byte, words ...string) bool {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	w, _ := word(s)
	if len(w) == 0 {
		return len(s) > 0 && (s[0] == '/' || s[0] == '#' || s[0] == '-' || s[0] == '*')
	}
	for _, k := range words {
		if equalWord(w, k) {
			return true
		}
	}
	return false
}
