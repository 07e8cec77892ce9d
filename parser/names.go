package parser

import "strings"

// Names lists the words and names of any statement, unquoted, and the dots
// between them, for who must find a table's name without knowing the session
// that wrote it: what might be a name under some sql_mode is one, and what
// stands in a version comment counts.
func Names(text string, mariaDB bool) []string {
	l := newLexer(text, Mode{AnsiQuotes: true, MariaDB: mariaDB})
	var names []string
	for t := l.next(); t.kind != tokEOF; t = l.next() {
		switch s := text[t.pos:t.end]; t.kind {
		case tokWord:
			names = append(names, s)
		case tokQuoted:
			names = append(names, unquote(s))
		case tokOp:
			if strings.HasPrefix(s, ".") {
				names = append(names, ".")
			}
		}
	}
	return names
}
