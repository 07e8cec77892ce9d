package parser

// TriggerOn returns the text of a CREATE TRIGGER, as the server shows it, with
// the trigger's name and its table's replaced. A field of name or table that is
// "" leaves what is written. ok is false where the text isn't understood.
func TriggerOn(text string, m Mode, name, table Name) (on string, ok bool) {
	l := newLexer(text, m)
	r := &reader{text: text}
	for t := l.next(); t.kind != tokEOF; t = l.next() {
		r.toks = append(r.toks, t)
		if n := len(r.toks); n > 3 && r.within(n-3, n).is("FOR", "EACH", "ROW") {
			break
		}
	}
	for !r.done() && !r.is("TRIGGER") { // CREATE DEFINER = `u`@`h`
		r.i++
	}
	if !r.take("TRIGGER") {
		return "", false
	}
	r.take("IF", "NOT", "EXISTS")
	var changes []change
	if changes, ok = r.replaceName(changes, name); !ok {
		return "", false
	}
	for !r.done() && !r.is("ON") { // BEFORE INSERT
		r.i++
	}
	if !r.take("ON") {
		return "", false
	}
	changes, ok = r.replaceName(changes, table)
	return apply(text, changes), ok && r.is("FOR", "EACH", "ROW")
}

// replaceName passes a name, with a schema before it or not.
func (r *reader) replaceName(changes []change, with Name) ([]change, bool) {
	from := r.i
	if r.name() == "" {
		return nil, false
	}
	if r.takeOp('.') && r.name() == "" {
		return nil, false
	}
	if with.Table != "" {
		changes = append(changes, change{r.toks[from].pos, r.toks[r.i-1].end, quoteName(with.Schema, with.Table)})
	}
	return changes, true
}
