package parser

// reader walks over the tokens of one statement. Every method may be called at
// the end; what isn't there doesn't match.
type reader struct {
	text string
	toks []token
	i    int
}

func (r *reader) done() bool { return r.i >= len(r.toks) }

func (r *reader) peek(n int) token {
	if r.i+n < len(r.toks) {
		return r.toks[r.i+n]
	}
	return token{}
}

func (r *reader) wordAt(n int, word string) bool {
	t := r.peek(n)
	return t.kind == tokWord && equalWord(r.text[t.pos:t.end], word)
}

func (r *reader) is(words ...string) bool {
	for n, w := range words {
		if !r.wordAt(n, w) {
			return false
		}
	}
	return true
}

func (r *reader) isAny(words ...string) bool {
	for _, w := range words {
		if r.wordAt(0, w) {
			return true
		}
	}
	return false
}

func (r *reader) take(words ...string) bool {
	if r.is(words...) {
		r.i += len(words)
		return true
	}
	return false
}

func (r *reader) peekOp(n int, c byte) bool {
	t := r.peek(n)
	return t.kind == tokOp && r.text[t.pos] == c
}

func (r *reader) isOp(c byte) bool { return r.peekOp(0, c) }

func (r *reader) takeOp(c byte) bool {
	if r.isOp(c) {
		r.i++
		return true
	}
	return false
}

func (r *reader) isName() bool {
	k := r.peek(0).kind
	return k == tokWord || k == tokQuoted
}

// name reads one name, "" where there is none.
func (r *reader) name() string {
	if !r.isName() {
		return ""
	}
	t := r.peek(0)
	r.i++
	if t.kind == tokQuoted {
		return unquote(r.text[t.pos:t.end])
	}
	return r.text[t.pos:t.end]
}

// columnName reads a name that may be written with its table's: old servers
// allowed it nearly everywhere.
func (r *reader) columnName() string {
	r.takeOp('.')
	s := r.name()
	for r.isOp('.') {
		r.i++
		s = r.name()
	}
	return s
}

// skipGroup passes one token, or everything between a pair of parentheses.
func (r *reader) skipGroup() {
	if r.done() {
		return
	}
	if !r.isOp('(') {
		r.i++
		return
	}
	for depth := 0; !r.done(); {
		switch {
		case r.isOp('('):
			depth++
		case r.isOp(')'):
			depth--
		}
		r.i++
		if depth == 0 {
			return
		}
	}
}

// textOf is the text of the tokens [from, to), with what is between them.
func (r *reader) textOf(from, to int) string {
	if from >= to {
		return ""
	}
	return r.text[r.toks[from].pos:r.toks[to-1].end]
}

// within reads the tokens [from, to) only.
func (r *reader) within(from, to int) *reader {
	return &reader{text: r.text, toks: r.toks[from:to]}
}
