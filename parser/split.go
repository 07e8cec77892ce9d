package parser

import "strings"

// Split cuts a multi-statement text at its top-level semicolons. Every piece
// keeps its semicolon, so the pieces joined are the text. Blanks and semicolons
// at the end belong to the last piece: the server drops them too
// (alloc_query), while an empty statement in the middle is an error of its own.
//
// A statement with a body (a routine, trigger or event, MariaDB's BEGIN NOT
// ATOMIC) runs to its END, which a lexer can't find: END also closes IF, CASE
// and loops, and CASE is an expression too. Such a statement takes the rest of
// the text. What follows it in the same text is then not seen, which costs its
// online path but can't split a body.
func Split(text string, m Mode) []string {
	var pieces []string
	l := newLexer(text, m)
	start := 0
	for start < len(text) {
		first := l // a copy: looking ahead moves nothing
		if hasBody(&first) {
			break
		}
		end := l.statementEnd()
		if end == len(text) || strings.Trim(text[end:], " \t\n\v\f\r;") == "" {
			break
		}
		pieces = append(pieces, text[start:end])
		start = end
	}
	if start < len(text) {
		pieces = append(pieces, text[start:])
	}
	return pieces
}

// statementEnd moves behind the next semicolon. A semicolon within a version
// comment ends the statement and the comment: the server reads what follows as
// a text of its own.
func (l *lexer) statementEnd() int {
	for {
		t := l.next()
		if t.kind == tokEOF {
			return len(l.text)
		}
		if t.kind == tokOp && l.text[t.pos] == ';' {
			l.inVersion = false
			l.prev = token{}
			return t.end
		}
	}
}

// hasBody looks at the beginning of a statement.
func hasBody(l *lexer) bool {
	w := func() string {
		t := l.next()
		return strings.ToUpper(l.text[t.pos:t.end])
	}
	switch w() {
	case "ALTER":
		s := w()
		if s == "DEFINER" {
			s = afterDefiner(l, w)
		}
		return s == "EVENT"
	case "CREATE":
		s := w()
		if s == "OR" {
			w() // REPLACE
			s = w()
		}
		if s == "DEFINER" {
			s = afterDefiner(l, w)
		}
		if s == "AGGREGATE" {
			s = w()
		}
		return isRoutine(s)
	case "BEGIN":
		return l.mode.MariaDB && (w() == "NOT" || l.mode.Oracle)
	case "DECLARE":
		return l.mode.MariaDB && l.mode.Oracle
	case "IF", "CASE", "LOOP", "REPEAT", "WHILE", "FOR":
		return l.mode.MariaDB // compound statements outside of routines
	}
	return false
}

func isRoutine(s string) bool {
	switch s {
	case "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE":
		return true
	}
	return false
}

// afterDefiner reads = user@host, or = CURRENT_USER(), and gives the word that
// tells what is created. A host is several tokens (10.0.0.%), hence the loop.
func afterDefiner(l *lexer, w func() string) string {
	w() // =
	w() // user
	for range 32 {
		switch s := w(); s {
		case "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE", "AGGREGATE", "VIEW", "SQL", ";", "":
			return s
		}
	}
	return ""
}
