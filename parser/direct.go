package parser

// Direct tells whether the server runs such a statement as it is written: it takes
// an exclusive lock on its tables, and nothing of it can be done online.
func (k Kind) Direct() bool { return k >= DropTable }

// direct reads DROP TABLE, TRUNCATE, RENAME TABLE, CREATE TRIGGER and DROP TRIGGER.
func (r *reader) direct(s *Statement) error {
	switch {
	case r.take("DROP", "TABLE"), r.take("DROP", "TABLES"):
		s.Kind = DropTable
		s.IfExists = r.take("IF", "EXISTS")
		return r.tableNames(s)
	case r.take("TRUNCATE"):
		r.take("TABLE")
		s.Kind = TruncateTable
		return r.tableNames(s)
	case r.take("RENAME", "TABLE"), r.take("RENAME", "TABLES"):
		return r.renameTables(s)
	case r.take("DROP", "TRIGGER"):
		s.Kind = DropTrigger
		s.IfExists = r.take("IF", "EXISTS")
		var err error
		s.Trigger, err = r.qualified(s.Kind)
		return err
	case r.take("CREATE"):
		return r.createTrigger(s)
	}
	return nil
}

func (r *reader) tableNames(s *Statement) error {
	for {
		if err := r.tableName(s); err != nil {
			return err
		}
		if !r.takeOp(',') {
			r.wait(s)
			return nil
		}
	}
}

// renameTables reads the pairs; old names and new ones are locked alike.
func (r *reader) renameTables(s *Statement) error {
	s.Kind = RenameTables
	s.IfExists = r.take("IF", "EXISTS")
	for {
		if err := r.tableName(s); err != nil {
			return err
		}
		r.wait(s)
		r.take("TO")
		if err := r.tableName(s); err != nil {
			return err
		}
		if !r.takeOp(',') {
			return nil
		}
	}
}

// createTrigger reads up to the table's name: what follows FOR EACH ROW has
// semicolons of its own.
func (r *reader) createTrigger(s *Statement) error {
	r.take("OR", "REPLACE")
	if r.take("DEFINER") {
		r.takeOp('=')
		r.i++ // the user, whatever he is called
		for !r.done() && !r.isAny("TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "VIEW", "SQL", "AGGREGATE", "PACKAGE") {
			r.i++
		}
	}
	if !r.take("TRIGGER") {
		return nil
	}
	s.Kind = CreateTrigger
	r.take("IF", "NOT", "EXISTS")
	var err error
	if s.Trigger, err = r.qualified(s.Kind); err != nil {
		return err
	}
	for !r.done() && !r.is("ON") {
		r.i++
	}
	r.take("ON")
	return r.tableName(s)
}

// qualified reads a name that may have its schema before it.
func (r *reader) qualified(k Kind) (Name, error) {
	var s Statement
	s.Kind = k
	if err := r.tableName(&s); err != nil {
		return Name{}, err
	}
	return s.Tables[0], nil
}
