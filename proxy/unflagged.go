package proxy

import (
	"bytes"

	"midflight/proxy/wire"
)

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
	if severalStatements(text) || versioned(text) {
		return false
	}
	var buf [16]byte
	switch string(firstWord(&buf, text)) {
	case "COMMIT", "ALTER", "TRUNCATE", "RENAME", "OPTIMIZE":
		return true
	case "BEGIN":
		return !compound(text)
	case "START": // REPLICA, too, can be started
		return containsFold(text, "TRANSACTION")
	case "ANALYZE":
		return analyzesTable(text)
	case "CREATE", "DROP":
		return !containsFold(text, "TEMPORARY") && !containsFold(text, "PREPARE")
	case "ROLLBACK":
		return !containsFold(text, "TO")
	}
	return false
}

// compound tells whether BEGIN begins one of MariaDB's compound statements and no
// transaction: BEGIN NOT ATOMIC, and in sql_mode ORACLE any other, have an END.
func compound(text []byte) bool { return containsFold(text, "END") }

// analyzesTable tells ANALYZE TABLE, which commits, from MariaDB's ANALYZE of a
// statement, which runs it.
func analyzesTable(text []byte) bool {
	for _, w := range []string{"SELECT", "UPDATE", "DELETE", "INSERT", "REPLACE", "VALUES", "FORMAT"} {
		if containsFold(text, w) {
			return false
		}
	}
	return containsFold(text, "TABLE")
}

// versioned tells whether it depends on the server what of a text is a comment.
func versioned(text []byte) bool {
	return bytes.Contains(text, []byte("/*!")) || bytes.Contains(text, []byte("/*M!"))
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

// rolledBack takes note of an error. s.mu is held.
func (s *session) rolledBack(e wire.ErrorKind) {
	if e.RolledBack() {
		s.using, s.unflagged = false, false
	}
}

// inTransaction tells whether the session is, or may be, in a transaction. s.mu
// is held.
func (s *session) inTransaction() bool { return s.walker.InTransaction() || s.unflagged }
