package binlog

// A boundary is a place between two transactions of a stream where somebody begins to
// watch. Those that came before have been passed over, and may be invisible yet: events
// are sent before the engine commits. So whoever begins there must read the rows as of a
// start that covers it:
//
// What the start covers, every later read sees. What it doesn't cover isn't before the
// boundary, so it comes in the stream.
type boundary struct {
	gtids gtidSet // nil: by file
	// last is the last transaction before it, zero if none has come since the stream
	// was opened, itself at a start.
	last TxID
}

func (a *assembler) boundary() boundary {
	b := boundary{last: a.lastID}
	if a.byGTID {
		b.gtids = a.gtids.clone()
	}
	return b
}

// coveredBy tells whether a start covers all that came before. comparable is false
// when the server has changed between positions by GTID and by file.
//
// MySQL without GTIDs: Start takes the binlog's end as it was written, which is never
// before what a dump has sent, and then waits for all who were committing. So the first
// start covers the boundary; comparing them is for MariaDB, whose snapshots lag behind.
func (b boundary) coveredBy(start Position) (covered, comparable bool, err error) {
	byGTID := b.gtids.set != nil
	switch {
	case byGTID != (start.GTIDs != ""):
		return false, false, nil
	case byGTID:
		set, err := parseGTIDs(start.GTIDs)
		return err == nil && set.set.Contain(b.gtids.set), true, err
	case b.last == (TxID{}):
		return true, true, nil
	}
	// Not the place where the next transaction would begin: that may be in a file of
	// which a snapshot tells nothing before the first commit.
	c := compareFiles(b.last.File, start.File)
	return c < 0 || c == 0 && b.last.End <= start.Offset, true, nil
}

// horizon is what a start covers.
func (p Position) horizon() (Horizon, error) {
	if p.GTIDs == "" {
		return Horizon{file: p.File, offset: p.Offset}, nil
	}
	set, err := parseGTIDs(p.GTIDs)
	return Horizon{gtids: set}, err
}

// passed: the start that h is of covers tx, so whoever began there must not be given it.
// A stream that is late has changes of the tables' earlier definitions.
func (h Horizon) passed(tx Tx) bool {
	switch {
	case h.gtids.set != nil && tx.ID.gno == 0:
		return tx.Empty()
	case h.gtids.set == nil && h.file == "":
		return false
	case tx.Empty():
		tx.ID.File, tx.ID.End = tx.After.File, tx.After.Offset
	}
	return h.Covers(tx.ID)
}
