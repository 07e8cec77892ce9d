package parser

// flags reads the attributes in a column's definition, from its type on. Words
// within parentheses are expressions and don't count; nor do the names that
// follow AFTER, REFERENCES, COLLATE and SET, and what follows DEFAULT.
func (r *reader) flags() (f ColumnFlags, d definition) {
	if r.is("SERIAL") { // BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE
		f.AutoIncrement, f.Unique = true, true
	}
	if r.done() {
		return f, d
	}
	r.skipGroup() // the type: no attribute has its place
	last := r.toks[r.i-1]
	body := true // what comes behind an attribute: see definition
	for !r.done() {
		from := r.i
		if r.isAny("CONSTRAINT", "CHECK", "REFERENCES", "AFTER") || r.is("FIRST") && r.i+1 == len(r.toks) {
			body = false
		}
		switch {
		case r.take("AFTER"), r.take("COLLATE"), r.take("SET"):
			if r.columnName() == "" {
				return f, definition{} // the server refuses it
			}
		case r.take("REFERENCES"):
			f.References = true
			r.columnName()
		case r.take("SERIAL", "DEFAULT", "VALUE"):
			f.AutoIncrement, f.Unique = true, true
		case r.take("DEFAULT"):
			if r.done() {
				return f, definition{}
			}
			r.skipGroup()
		case r.take("UNIQUE"):
			f.Unique = true
			r.take("KEY")
		default:
			switch {
			case r.is("AUTO_INCREMENT"):
				f.AutoIncrement = true
			case r.isAny("PRIMARY", "KEY"): // KEY alone means PRIMARY KEY
				f.Primary = true
			case r.is("INVISIBLE"):
				f.Invisible = true
				d.invisible = append(d.invisible, r.toks[from])
			case r.is("VISIBLE"):
				f.Visible = true
			case r.is("GENERATED"), r.is("AS"):
				f.Generated = true
			case r.is("CHECK"):
				f.Check = true
			}
			r.skipGroup()
		}
		if body {
			last = r.toks[r.i-1]
		}
	}
	if last.kind != tokOp || r.text[last.pos] == ')' {
		d.end = last.end
	}
	return f, d
}

// A definition is where Rewrite may put its hands in a column's.
type definition struct {
	// end, 0 where there is none, is behind the type and the attributes. An attribute can't follow what
	// follows here: FIRST, AFTER, REFERENCES, on MariaDB CHECK.
	end       int
	invisible []token
}
