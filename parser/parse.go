package parser

import "strings"

// Parse tells what the text is. Everything that isn't a change of a table's
// structure, or does without it, is of Kind Other, and so is a text of several statements: Split
// first. The error is a *NameError.
func Parse(text string, m Mode) (Statement, error) {
	s := Statement{Text: text}
	if !startsLikeOurs(text, m) {
		return s, nil
	}
	l := newLexer(text, m)
	l.comment = func(body string) { s.Hints = addHints(s.Hints, body) }
	r := reader{text: text}
	for t := l.next(); t.kind != tokEOF; t = l.next() {
		if n := len(r.toks); n > 3 && r.within(n-3, n).is("FOR", "EACH", "ROW") {
			break // a trigger's body
		}
		if t.kind == tokOp && text[t.pos] == ';' {
			if l.next().kind != tokEOF {
				return Statement{Text: text}, nil
			}
			break
		}
		r.toks = append(r.toks, t)
	}
	if m.MariaDB && r.take("SET", "STATEMENT") {
		for !r.done() && !r.is("FOR") {
			r.skipGroup()
		}
		r.take("FOR")
		s.SetStatement = true
	}
	var err error
	first := r.i
	switch {
	case r.is("ALTER"):
		err = r.alterTable(&s)
	case r.is("CREATE"):
		err = r.createIndex(&s)
	case r.is("DROP", "INDEX"):
		err = r.dropIndex(&s)
	case r.is("OPTIMIZE"):
		err = r.optimizeTable(&s)
	}
	if s.Kind == Other && err == nil {
		r.i = first
		err = r.direct(&s)
	}
	if s.Kind == Other {
		s = Statement{Text: text}
	}
	if len(s.Tables) > 0 {
		s.Table = s.Tables[0]
	}
	s.words = r.words()
	return s, err
}

// startsLikeOurs spares texts of other kinds, which may be long, from being
// cut into tokens.
func startsLikeOurs(text string, m Mode) bool {
	l := newLexer(text, m)
	t := l.next()
	if t.kind != tokWord {
		return false
	}
	for _, k := range [...]string{"ALTER", "CREATE", "DROP", "OPTIMIZE", "TRUNCATE", "RENAME"} {
		if equalWord(text[t.pos:t.end], k) {
			return true
		}
	}
	return m.MariaDB && equalWord(text[t.pos:t.end], "SET")
}

func (r *reader) createIndex(s *Statement) error {
	r.take("CREATE")
	r.take("OR", "REPLACE")
	a := Action{Kind: AddIndex}
	start := r.i
	for _, k := range [...]struct {
		word string
		kind ActionKind
	}{{"UNIQUE", AddUnique}, {"FULLTEXT", AddFulltext}, {"SPATIAL", AddSpatial}, {"VECTOR", AddVector}} {
		if r.take(k.word) {
			a.Kind = k.kind
			break
		}
	}
	if !r.take("INDEX") {
		return nil
	}
	s.Kind = CreateIndex
	a.IfNotExists = r.take("IF", "NOT", "EXISTS")
	if !r.is("ON") {
		a.Name = r.name()
	}
	for !r.done() && !r.is("ON") {
		r.skipGroup()
	}
	r.take("ON")
	if err := r.tableName(s); err != nil {
		return err
	}
	r.wait(s)
	if r.isOp('(') {
		r.skipGroup()
	}
	r.trailingModifiers(s)
	a.Text = r.textOf(start, len(r.toks))
	s.Actions = []Action{a}
	return nil
}

func (r *reader) dropIndex(s *Statement) error {
	r.take("DROP")
	start := r.i
	r.take("INDEX")
	s.Kind = DropIndex
	a := Action{Kind: DropIndexAction, IfExists: r.take("IF", "EXISTS")}
	if !r.is("ON") {
		a.Name = r.name()
	}
	if strings.EqualFold(a.Name, "PRIMARY") {
		a.Kind = DropPrimary // the server goes by the name too
	}
	r.take("ON")
	if err := r.tableName(s); err != nil {
		return err
	}
	r.wait(s)
	r.trailingModifiers(s)
	a.Text = r.textOf(start, len(r.toks))
	s.Actions = []Action{a}
	return nil
}

func (r *reader) optimizeTable(s *Statement) error {
	r.take("OPTIMIZE")
	s.Local = r.take("LOCAL") || r.take("NO_WRITE_TO_BINLOG")
	if !r.take("TABLE") && !r.take("TABLES") {
		return nil
	}
	s.Kind = OptimizeTable
	for {
		if err := r.tableName(s); err != nil {
			return err
		}
		if !r.takeOp(',') {
			break
		}
	}
	r.wait(s)
	return nil
}

// tableName reads a name and keeps its place. Of several names the first is
// the one that Rewrite replaces.
func (r *reader) tableName(s *Statement) error {
	from := r.i
	var parts [2]string
	n := 0
	r.takeOp('.') // ".t" is t of the current database, for ODBC's sake
	for n < 2 {
		if !r.isName() {
			at := len(r.text)
			if !r.done() {
				at = r.toks[r.i].pos
			}
			return &NameError{s.Kind, at}
		}
		parts[n] = r.name()
		n++
		if !r.takeOp('.') {
			break
		}
	}
	name := Name{Table: parts[0]}
	if n == 2 {
		name = Name{parts[0], parts[1]}
	}
	if len(s.Tables) == 0 {
		s.layout.name = r.toks[from:r.i]
		s.layout.insert = r.toks[r.i-1].end
	}
	s.Tables = append(s.Tables, name)
	return nil
}

// wait reads MariaDB's WAIT n or NOWAIT, which belongs to the table's name:
// anything that we insert comes behind it.
func (r *reader) wait(s *Statement) {
	if r.take("NOWAIT") {
		s.Wait = true
	} else if r.is("WAIT") && r.peek(1).kind == tokNumber {
		r.i += 2
		s.Wait = true
	}
	s.layout.insert = r.toks[r.i-1].end
}

// trailingModifiers finds ALGORITHM and LOCK among the options at the end of
// CREATE INDEX and DROP INDEX.
func (r *reader) trailingModifiers(s *Statement) {
	kept := r.i
	for !r.done() {
		from := r.i
		if r.modifier(s) {
			s.layout.remove = append(s.layout.remove, r.toks[from:r.i]...)
			continue
		}
		r.skipGroup()
		kept = r.i
	}
	s.layout.insert = r.toks[kept-1].end
}

// modifier reads ALGORITHM [=] x or LOCK [=] x. The last one counts, as it does
// for the server.
func (r *reader) modifier(s *Statement) bool {
	var to *string
	switch {
	case r.is("ALGORITHM"):
		to = &s.Algorithm
	case r.is("LOCK"):
		to = &s.Lock
	default:
		return false
	}
	n := 1
	if r.peekOp(n, '=') {
		n++
	}
	if r.peek(n).kind != tokWord && r.peek(n).kind != tokQuoted {
		return false
	}
	r.i += n
	*to = strings.ToUpper(r.name())
	if *to == "DEFAULT" {
		*to = ""
	}
	return true
}
