package proxy

import "midflight/proxy/wire"

// MySQL with autocommit off keeps the locks on all tables to the transaction's
// end, but its flag tells of a transaction only when the engine of one of them
// has transactions: after a SELECT from a MyISAM table, DESC or SHOW INDEX there
// is no flag. (MariaDB gives those locks back at once.)

// uses tells whether a statement may leave such locks. A function that reads
// such a table without a FROM isn't seen.
func uses(text []byte) bool {
	var buf [16]byte
	switch string(firstWord(&buf, text)) {
	case "INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "TABLE", "DESC", "DESCRIBE", "EXPLAIN",
		"CHECKSUM", "CHECK", "CALL", "EXECUTE":
		return true
	}
	return containsFold(text, "FROM")
}

// ends tells whether a statement ends the transaction if it succeeds.
func ends(text []byte) bool {
	if severalStatements(text) {
		return false
	}
	var buf [16]byte
	switch string(firstWord(&buf, text)) {
	case "COMMIT", "BEGIN", "START", "ALTER", "TRUNCATE", "RENAME", "ANALYZE", "OPTIMIZE":
		return true
	case "CREATE", "DROP":
		return !containsFold(text, "TEMPORARY") && !containsFold(text, "PREPARE")
	case "ROLLBACK":
		return !containsFold(text, "TO")
	}
	return false
}

// ended takes note of a statement of an interception's that has succeeded. s.mu is
// held.
func (s *session) ended(sql string) {
	if ends([]byte(sql)) {
		s.unflagged = false
	}
}

// uncommitted notes what a command that is in flight since now does to a
// transaction without a flag, on MySQL with autocommit off. s.mu is held.
func (s *session) uncommitted(uses, ends bool) {
	s.using = s.using || uses
	s.ending = s.walker.InFlight() <= 1 && ends
}

// committed takes note of a command's end. s.mu is held.
func (s *session) committed(failed bool) {
	if s.ending && !failed || s.walker.Status()&wire.StatusAutocommit != 0 {
		s.unflagged = false
	}
	s.ending = false
}

// inTransaction tells whether the session is, or may be, in a transaction. s.mu
// is held.
func (s *session) inTransaction() bool { return s.walker.InTransaction() || s.unflagged }
