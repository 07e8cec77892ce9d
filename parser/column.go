package parser

// flags reads the attributes in a column's definition, from its type on. Words
// within parentheses are expressions and don't count; nor do the names that
// follow AFTER, REFERENCES, COLLATE and SET.
func (r *reader) flags() ColumnFlags {
	var f ColumnFlags
	if r.is("SERIAL") { // BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE
		f.AutoIncrement, f.Unique = true, true
	}
	r.skipGroup() // the type: no attribute has its place
	for !r.done() {
		switch {
		case r.take("AFTER"), r.take("COLLATE"), r.take("SET"):
			r.columnName()
			continue
		case r.take("REFERENCES"):
			f.References = true
			r.columnName()
			continue
		case r.take("SERIAL", "DEFAULT", "VALUE"):
			f.AutoIncrement, f.Unique = true, true
			continue
		case r.is("AUTO_INCREMENT"):
			f.AutoIncrement = true
		case r.take("UNIQUE"):
			f.Unique = true
			r.take("KEY")
			continue
		case r.isAny("PRIMARY", "KEY"): // KEY alone means PRIMARY KEY
			f.Primary = true
		case r.is("INVISIBLE"):
			f.Invisible = true
		case r.is("GENERATED"), r.is("AS"):
			f.Generated = true
		case r.is("CHECK"):
			f.Check = true
		}
		r.skipGroup()
	}
	return f
}
