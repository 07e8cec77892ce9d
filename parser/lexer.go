package parser

import "strings"

type tokenKind uint8

const (
	tokEOF    tokenKind = iota
	tokWord             // unquoted name or keyword
	tokQuoted           // `name`, or "name" under ANSI_QUOTES
	tokString           // 'text'; an introducer before it is a word of its own
	tokNumber
	tokOp // any other byte
)

type token struct {
	kind     tokenKind
	pos, end int
}

// lexer cuts a text into tokens the way the server does (MYSQLlex in
// sql_lex.cc), as far as the bounds of tokens are concerned. It never fails:
// what the server would refuse (an open string or comment) runs to the end.
type lexer struct {
	text string
	mode Mode
	wide bool // mode.doubleByte(), kept since asking is slow

	pos       int
	inVersion bool  // within /*! … */ whose content counts
	prev      token // to tell t.1a, a name, from .1, a number

	comment func(body string) // called for each plain comment, if set
}

func newLexer(text string, m Mode) lexer {
	return lexer{text: text, mode: m, wide: m.doubleByte()}
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isName: bytes from 0x80 on are letters in every character set that matters
// here; the server takes them for parts of a name.
func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c == '_' || c == '$' || c >= 0x80
}

// at returns a byte, or NUL behind the end, like the server's buffer.
func (l *lexer) at(i int) byte {
	if i < len(l.text) {
		return l.text[i]
	}
	return 0
}

func (l *lexer) next() token {
	l.skip()
	t := l.scan()
	l.prev, l.pos = t, t.end
	return t
}

// skip passes over blanks and comments.
func (l *lexer) skip() {
	for l.pos < len(l.text) {
		c := l.text[l.pos]
		switch {
		case isSpace(c):
			l.pos++
		case c == '#' || c == '-' && dashComment(l.text[l.pos:]):
			l.pos = lineEnd(l.text, l.pos)
		case c == '/' && l.at(l.pos+1) == '*':
			l.blockComment()
		case c == '*' && l.inVersion && l.at(l.pos+1) == '/':
			l.inVersion = false
			l.pos += 2
		default:
			return
		}
	}
}

// dashComment: two dashes are a comment only before a blank or a control
// character (or the end), else 5--1 would not be 6.
func dashComment(s string) bool {
	return len(s) >= 2 && s[1] == '-' && (len(s) == 2 || s[2] <= ' ' || s[2] == 0x7f)
}

func lineEnd(s string, i int) int {
	if n := strings.IndexByte(s[i:], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(s)
}

func (l *lexer) blockComment() {
	start := l.pos
	body, maria := start+2, false
	if l.mode.MariaDB && l.at(body) == 'M' && l.at(body+1) == '!' {
		body, maria = body+1, true
	}
	if l.at(body) != '!' {
		l.pos = len(l.text)
		if n := strings.Index(l.text[start+2:], "*/"); n >= 0 {
			l.pos = start + 2 + n + 2
			if l.comment != nil {
				l.comment(l.text[start+2 : start+2+n])
			}
		}
		return
	}
	body++
	n, version := l.commentVersion(body)
	if n == 0 || l.mode.counts(version, maria) {
		l.inVersion = true
		l.pos = body + n
		return
	}
	l.pos = skippedComment(l.text, body)
}

// commentVersion reads the digits of a version comment: five, or six. MySQL
// takes the sixth only if a blank follows it, MariaDB always.
func (l *lexer) commentVersion(i int) (n, version int) {
	for n < 6 && isDigit(l.at(i+n)) {
		n++
	}
	if n < 5 {
		return 0, 0
	}
	if n == 6 && !l.mode.MariaDB && !isSpace(l.at(i+6)) {
		n = 5
	}
	for _, c := range []byte(l.text[i : i+n]) {
		version = version*10 + int(c-'0')
	}
	return n, version
}

// skippedComment finds the end of a version comment that doesn't count. It may
// hold one level of plain comments.
func skippedComment(s string, i int) int {
	for i+1 < len(s) {
		switch {
		case s[i] == '*' && s[i+1] == '/':
			return i + 2
		case s[i] == '/' && s[i+1] == '*':
			n := strings.Index(s[i+2:], "*/")
			if n < 0 {
				return len(s)
			}
			i += 2 + n + 2
		default:
			i++
		}
	}
	return len(s)
}

func (l *lexer) scan() token {
	i := l.pos
	if i >= len(l.text) {
		return token{tokEOF, i, i}
	}
	c := l.text[i]
	switch {
	case c == '`', c == '"' && l.mode.AnsiQuotes:
		return token{tokQuoted, i, l.quotedEnd(i, false)}
	case c == '\'', c == '"':
		return token{tokString, i, l.quotedEnd(i, !l.mode.NoBackslashEscapes)}
	case isDigit(c):
		if i > 0 && l.text[i-1] == '.' && l.prev.end == i && l.prev.kind == tokOp {
			return token{tokWord, i, l.nameEnd(i)} // db.1, db.1e5
		}
		return l.number(i)
	case c == '.' && isDigit(l.at(i+1)):
		name := l.prev.kind == tokWord || l.prev.kind == tokQuoted
		if name && l.prev.end == i {
			break
		}
		return token{tokNumber, i, l.realEnd(i)}
	case c == '$':
		if end := l.dollarEnd(i); end > 0 {
			return token{tokString, i, end}
		}
		fallthrough
	case isName(c):
		return token{tokWord, i, l.nameEnd(i)}
	}
	return token{tokOp, i, i + 1}
}

func (l *lexer) nameEnd(i int) int {
	for i < len(l.text) && isName(l.text[i]) {
		if l.wide && l.mode.leads(l.text[i], l.at(i+1)) {
			i++
		}
		i++
	}
	return min(i, len(l.text))
}

// quotedEnd: a doubled quote is one quote of the content.
func (l *lexer) quotedEnd(i int, escapes bool) int {
	q := l.text[i]
	for i++; i < len(l.text); i++ {
		switch c := l.text[i]; {
		case l.wide && l.mode.leads(c, l.at(i+1)):
			i++
		case escapes && c == '\\':
			i++
		case c == q && l.at(i+1) == q:
			i++
		case c == q:
			return i + 1
		}
	}
	return len(l.text)
}

// number reads a number, or a name that starts with digits: 1a, 0xyz, 1e.
func (l *lexer) number(i int) token {
	if l.text[i] == '0' {
		if end := l.digits(i, 'x', isHex); end > 0 {
			return token{tokNumber, i, end}
		}
		if end := l.digits(i, 'b', isBit); end > 0 {
			return token{tokNumber, i, end}
		}
	}
	j := i
	for isDigit(l.at(j)) {
		j++
	}
	if c := l.at(j); c == 'e' || c == 'E' {
		k := j + 1
		if s := l.at(k); s == '+' || s == '-' {
			k++
		}
		if isDigit(l.at(k)) {
			return token{tokNumber, i, l.realEnd(i)} // 1e5; 1e5x is 1e5 and x
		}
	}
	if isName(l.at(j)) {
		return token{tokWord, i, l.nameEnd(j)}
	}
	return token{tokNumber, i, l.realEnd(i)}
}

// digits reads 0xff or 0b01; anything that goes on as a name is a name.
func (l *lexer) digits(i int, mark byte, ok func(byte) bool) int {
	if l.at(i+1) != mark {
		return 0
	}
	j := i + 2
	for ok(l.at(j)) {
		j++
	}
	if j == i+2 || isName(l.at(j)) {
		return 0
	}
	return j
}

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
func isBit(c byte) bool { return c == '0' || c == '1' }

func (l *lexer) realEnd(i int) int {
	for isDigit(l.at(i)) {
		i++
	}
	if l.at(i) == '.' {
		for i++; isDigit(l.at(i)); {
			i++
		}
	}
	if c := l.at(i); c == 'e' || c == 'E' {
		j := i + 1
		if s := l.at(j); s == '+' || s == '-' {
			j++
		}
		if isDigit(l.at(j)) {
			for i = j; isDigit(l.at(i)); {
				i++
			}
		}
	}
	return i
}

// dollarEnd finds the end of a $$text$$ or $tag$text$tag$, which MySQL has for
// routines in other languages; 0 means that the dollar begins a name. Where the
// closing tag is missing it is taken for a name too: older servers do.
func (l *lexer) dollarEnd(i int) int {
	if l.mode.MariaDB || l.mode.Version != 0 && l.mode.Version < 80100 {
		return 0
	}
	j := i + 1
	for isName(l.at(j)) && l.at(j) != '$' {
		j++
	}
	if l.at(j) != '$' {
		return 0
	}
	tag := l.text[i : j+1]
	n := strings.Index(l.text[j+1:], tag)
	if n < 0 {
		return 0
	}
	return j + 1 + n + len(tag)
}

// unquote gives the value of a name token.
func unquote(s string) string {
	if s == "" || s[0] != '`' && s[0] != '"' {
		return s
	}
	q := s[:1]
	s = s[1:]
	s = strings.TrimSuffix(s, q)
	return strings.ReplaceAll(s, q+q, q)
}

// equalWord compares with an upper case keyword. strings.EqualFold would fold
// letters like the Kelvin sign, which the server doesn't.
func equalWord[T string | []byte](s T, keyword string) bool {
	if len(s) != len(keyword) {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != keyword[i] {
			return false
		}
	}
	return true
}
