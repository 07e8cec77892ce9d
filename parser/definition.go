package parser

import "strings"

// VisibleDefinition finds a column in a SHOW CREATE TABLE and returns its
// definition there, the name included, without the word INVISIBLE; "" when there
// is no such column.
func VisibleDefinition(create, column string, m Mode) string {
	l := newLexer(create, m)
	r := reader{text: create}
	for t := l.next(); t.kind != tokEOF; t = l.next() {
		r.toks = append(r.toks, t)
	}
	for !r.done() && !r.takeOp('(') {
		r.i++
	}
	for !r.done() && !r.isOp(')') {
		from := r.i
		for !r.done() && !r.isOp(',') && !r.isOp(')') {
			r.skipGroup()
		}
		e := r.within(from, r.i)
		r.takeOp(',')
		// Keys and constraints begin with a word, the name of a column is quoted.
		if e.peek(0).kind != tokQuoted || !strings.EqualFold(unquote(e.textOf(0, 1)), column) {
			continue
		}
		start := e.toks[0].pos
		var changes []change
		for _, t := range e.column().definition.invisible {
			changes = append(changes, change{t.pos - start, t.end - start, ""})
		}
		return apply(e.textOf(0, len(e.toks)), changes)
	}
	return ""
}
