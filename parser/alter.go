package parser

import "strings"

// alterTable reads ALTER [ONLINE] [IGNORE] TABLE [IF EXISTS] name [WAIT n]
// clauses.
func (r *reader) alterTable(s *Statement) error {
	r.take("ALTER")
	for {
		switch {
		case r.take("ONLINE"):
			s.Online = true
			continue
		case r.take("IGNORE"):
			s.Ignore = true
			continue
		}
		break
	}
	if !r.take("TABLE") {
		return nil
	}
	s.Kind = AlterTable
	s.IfExists = r.take("IF", "EXISTS")
	if err := r.tableName(s); err != nil {
		return err
	}
	r.wait(s)
	r.clauses(s)
	return nil
}

// clauses cuts the list at its commas and reads each piece. A partitioning
// clause comes last and without a comma.
func (r *reader) clauses(s *Statement) {
	keptOne := false
	for !r.done() {
		var comma []token
		if r.isOp(',') {
			comma = r.toks[r.i : r.i+1]
			r.i++
		}
		from, to := r.i, r.clauseEnd()
		c := r.within(from, to)
		r.i = to
		algorithm, lock := s.Algorithm, s.Lock
		if c.modifier(s) && c.done() {
			s.layout.remove = append(s.layout.remove, comma...)
			s.layout.remove = append(s.layout.remove, r.toks[from:to]...)
			continue
		}
		s.Algorithm, s.Lock = algorithm, lock // with more behind it, it is none
		c.i = 0
		// Without the modifiers a comma stays only between two clauses.
		if !keptOne {
			s.layout.remove = append(s.layout.remove, comma...)
			s.layout.comma = !c.isPartitioning()
			keptOne = true
		}
		s.Actions = append(s.Actions, c.clause()...)
	}
}

// clauseEnd finds the comma, or the partitioning, that ends the clause at i.
func (r *reader) clauseEnd() int {
	if r.isPartitioning() || r.isMaintenance() {
		return len(r.toks) // their lists have commas of their own, and nothing follows
	}
	p := &reader{text: r.text, toks: r.toks, i: r.i}
	if p.take("ORDER", "BY") {
		p.orderList()
	}
	for !p.done() && !p.isOp(',') {
		if p.i > r.i && p.isPartitioning() {
			break
		}
		p.skipGroup()
	}
	return p.i
}

func (r *reader) isPartitioning() bool {
	return r.is("PARTITION", "BY") || r.is("REMOVE", "PARTITIONING") || r.is("UPGRADE", "PARTITIONING")
}

// isMaintenance: DROP PARTITION p0, p1 and the like. PARTITION is a reserved
// word, so this can't be a column.
func (r *reader) isMaintenance() bool {
	if r.is("CONVERT", "TABLE") {
		return true // MariaDB: CONVERT TABLE t TO PARTITION …
	}
	return r.wordAt(1, "PARTITION") && r.isAny("ADD", "DROP", "TRUNCATE", "EXCHANGE", "REORGANIZE",
		"COALESCE", "ANALYZE", "CHECK", "OPTIMIZE", "REBUILD", "REPAIR", "DISCARD", "IMPORT", "CONVERT")
}

// orderList reads the columns of ORDER BY a, b DESC: as long as what follows a
// comma has the shape of a column, it is one.
func (r *reader) orderList() {
	for {
		r.columnName()
		if !r.take("ASC") {
			r.take("DESC")
		}
		next := r.within(r.i, len(r.toks))
		if !next.takeOp(',') || next.isAny("ADD", "DROP", "ALTER", "CHANGE", "FORCE", "ORDER", "LOCK") {
			return
		}
		if next.columnName() == "" {
			return
		}
		if !next.take("ASC") {
			next.take("DESC")
		}
		if !next.done() && !next.isOp(',') && !next.isPartitioning() {
			return
		}
		r.i++
	}
}

// clause reads what one clause of the list does.
func (r *reader) clause() []Action {
	all := r.textOf(0, len(r.toks))
	one := func(a Action) []Action {
		a.Text = all
		return []Action{a}
	}
	just := func(k ActionKind) []Action { return one(Action{Kind: k}) }
	switch {
	case r.done():
		return nil
	case r.isMaintenance():
		return one(Action{Kind: PartitionMaintenance, Target: r.exchanged()})
	case r.is("PARTITION", "BY"):
		return just(PartitionBy)
	case r.is("REMOVE", "PARTITIONING"):
		return just(RemovePartitioning)
	case r.is("UPGRADE", "PARTITIONING"):
		return just(PartitionMaintenance)
	case r.take("RENAME"): // before the options: RENAME = t
		return one(r.rename())
	case r.peekOp(1, '='): // MariaDB takes any name for an option
		return r.options()
	case r.take("ADD"):
		return r.add(all)
	case r.take("DROP"):
		return one(r.drop())
	case r.take("CHANGE"):
		r.take("COLUMN")
		a := Action{Kind: ChangeColumn, IfExists: r.take("IF", "EXISTS")}
		a.Column, a.NewColumn = r.columnName(), r.columnName()
		a.ColumnFlags, a.definition = r.flags()
		return one(a)
	case r.take("MODIFY"):
		r.take("COLUMN")
		a := Action{Kind: ModifyColumn, IfExists: r.take("IF", "EXISTS")}
		a.Column = r.columnName()
		a.ColumnFlags, a.definition = r.flags()
		return one(a)
	case r.take("ALTER"):
		return one(r.alter())
	case r.take("CONVERT", "TO"):
		return one(Action{Kind: ConvertCharset, Value: r.charset()})
	case r.is("ORDER", "BY"):
		return just(OrderBy)
	case r.is("ENABLE", "KEYS"):
		return just(EnableKeys)
	case r.is("DISABLE", "KEYS"):
		return just(DisableKeys)
	case r.is("FORCE"):
		return just(Force)
	case r.is("DISCARD", "TABLESPACE"):
		return just(DiscardTablespace)
	case r.is("IMPORT", "TABLESPACE"):
		return just(ImportTablespace)
	case r.isAny("SECONDARY_LOAD", "SECONDARY_UNLOAD"):
		return just(SecondaryLoad)
	case r.isAny("WITH", "WITHOUT") && r.wordAt(1, "VALIDATION"):
		return just(Validation)
	}
	return r.options()
}

// exchanged is the table that EXCHANGE PARTITION … WITH TABLE gives the partition.
func (r *reader) exchanged() Name {
	e := r.within(r.i, len(r.toks))
	for !e.done() && !e.is("WITH", "TABLE") {
		e.i++
	}
	var s Statement
	if !e.take("WITH", "TABLE") || e.tableName(&s) != nil {
		return Name{}
	}
	return s.Tables[0]
}

func (r *reader) add(all string) []Action {
	if a, ok := r.constraint(); ok {
		a.Text = all
		return []Action{a}
	}
	r.take("COLUMN")
	exists := r.take("IF", "NOT", "EXISTS")
	if !r.isOp('(') {
		a := r.column()
		a.IfNotExists, a.Text = exists, all
		return []Action{a}
	}
	// The list may hold indexes and constraints as well as columns.
	group := r.i
	r.skipGroup()
	end := r.i
	if r.toks[end-1].kind == tokOp && r.text[r.toks[end-1].pos] == ')' {
		end--
	}
	list := r.within(group+1, end)
	var as []Action
	for !list.done() {
		from := list.i
		for !list.done() && !list.isOp(',') {
			list.skipGroup()
		}
		e := list.within(from, list.i)
		list.takeOp(',')
		a, ok := e.constraint()
		if !ok {
			a = e.column()
			a.IfNotExists = exists
		}
		a.Text = e.textOf(0, len(e.toks))
		as = append(as, a)
	}
	return as
}

// constraint reads what ADD may add besides columns. The decisions are those of
// the servers' grammars: the reserved words decide by themselves; VECTOR,
// PERIOD and SYSTEM are names as well and need a look at what follows.
func (r *reader) constraint() (Action, bool) {
	var a Action
	named := r.take("CONSTRAINT")
	if named {
		a.IfNotExists = r.take("IF", "NOT", "EXISTS")
		if !r.isAny("PRIMARY", "UNIQUE", "FOREIGN", "CHECK") {
			a.Name = r.name()
		}
	}
	index := true
	switch {
	case r.is("INDEX"), r.is("KEY"):
		a.Kind = AddIndex
	case r.take("UNIQUE"):
		a.Kind = AddUnique
	case r.take("FULLTEXT"):
		a.Kind = AddFulltext
	case r.take("SPATIAL"):
		a.Kind = AddSpatial
	case r.isVectorIndex():
		r.i++
		a.Kind = AddVector
	case r.take("FOREIGN", "KEY"):
		a.Kind = AddForeignKey
	case r.is("PRIMARY", "KEY"):
		a.Kind, index = AddPrimary, false
	case r.is("CHECK"):
		a.Kind, index = AddCheck, false
	case r.is("PERIOD", "FOR"), r.is("SYSTEM", "VERSIONING"):
		a.Kind, index = SystemVersioning, false
	default:
		return a, named // CONSTRAINT of we don't know what is Unknown
	}
	if index {
		if !r.take("INDEX") {
			r.take("KEY")
		}
		if r.take("IF", "NOT", "EXISTS") {
			a.IfNotExists = true
		}
		// A name given to the constraint goes before that of the index.
		typ := r.is("TYPE") && r.peek(1).kind == tokWord
		if name := ""; !r.is("USING") && !typ {
			if name = r.name(); a.Name == "" {
				a.Name = name
			}
		}
	}
	return a, true
}

// isVectorIndex tells ADD VECTOR [INDEX] [name] (column) from a column that is
// named vector: the column has a type, whose parentheses hold a number or
// strings.
func (r *reader) isVectorIndex() bool {
	if !r.is("VECTOR") {
		return false
	}
	if r.wordAt(1, "INDEX") || r.wordAt(1, "KEY") || r.peekOp(1, '(') {
		return true
	}
	in := r.peek(3).kind
	return r.peekOp(2, '(') && (in == tokWord || in == tokQuoted)
}

func (r *reader) column() Action {
	a := Action{Kind: AddColumn, Column: r.columnName()}
	if a.Column == "" {
		a.Kind = Unknown
	}
	a.ColumnFlags, a.definition = r.flags()
	return a
}

func (r *reader) drop() Action {
	a := Action{Kind: DropColumn}
	switch {
	case r.take("PRIMARY", "KEY"):
		return Action{Kind: DropPrimary}
	case r.is("SYSTEM", "VERSIONING"), r.is("PERIOD", "FOR"):
		return Action{Kind: SystemVersioning}
	case r.take("INDEX"), r.take("KEY"):
		a.Kind = DropIndexAction
	case r.take("FOREIGN", "KEY"):
		a.Kind = DropForeignKey
	case r.take("CHECK"):
		a.Kind = DropCheck
	case r.take("CONSTRAINT"):
		a.Kind = DropConstraint
	default:
		r.take("COLUMN")
	}
	a.IfExists = r.take("IF", "EXISTS")
	if a.Kind == DropColumn {
		if a.Column = r.columnName(); a.Column == "" {
			a.Kind = Unknown
		}
		return a
	}
	a.Name = r.name()
	if a.Kind == DropIndexAction && strings.EqualFold(a.Name, "PRIMARY") {
		return Action{Kind: DropPrimary, IfExists: a.IfExists, Name: a.Name}
	}
	return a
}

func (r *reader) rename() Action {
	switch {
	case r.take("COLUMN"):
		a := Action{Kind: RenameColumn, IfExists: r.take("IF", "EXISTS")}
		a.Column = r.columnName()
		r.take("TO")
		a.NewColumn = r.columnName()
		return a
	case r.take("INDEX"), r.take("KEY"):
		a := Action{Kind: RenameIndex, IfExists: r.take("IF", "EXISTS")}
		a.Name = r.name()
		r.take("TO")
		a.NewName = r.name()
		return a
	}
	if !r.take("TO") && !r.take("AS") {
		r.takeOp('=')
	}
	var s Statement
	a := Action{Kind: RenameTable}
	if r.tableName(&s) == nil {
		a.Target = s.Tables[0]
	}
	return a
}

func (r *reader) alter() Action {
	switch {
	case r.take("INDEX"), r.take("KEY"):
		a := Action{Kind: AlterIndex, IfExists: r.take("IF", "EXISTS")}
		a.Name = r.name()
		return a
	case r.take("CHECK"), r.take("CONSTRAINT"):
		return Action{Kind: AlterCheck, Name: r.name()}
	}
	r.take("COLUMN")
	a := Action{Kind: AlterColumnDefault, IfExists: r.take("IF", "EXISTS")}
	a.Column = r.columnName()
	return a
}

// charset reads CHARACTER SET [=] x [COLLATE …].
func (r *reader) charset() string {
	if !r.take("CHARACTER", "SET") && !r.take("CHAR", "SET") {
		r.take("CHARSET")
	}
	r.takeOp('=')
	t := r.peek(0)
	return unquoteValue(r.text[t.pos:t.end])
}
