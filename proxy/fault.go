package proxy

import (
	"slices"

	"midflight/proxy/wire"
)

// ownFault tells that a statement failed by what it says, by its values or by its user's
// rights, and would have failed on a server with nothing else to do. Whoever asks what the
// applications suffer leaves these out: the new code that asks for a column before the
// migration has brought it must not stop the migration.
//
// It goes by the class of the SQL state (MySQL Error Message Reference, SQL:2016 part 2,
// 24.1), and where that says nothing (HY000, 01000) by the number.
func ownFault(e wire.ErrorKind) bool {
	switch string(e.Class[:]) {
	case "02", // no data
		"0A",       // not supported
		"21",       // cardinality: wrong number of columns
		"22",       // data: too long, out of range, division by zero
		"23",       // integrity: duplicate, foreign key, NULL, CHECK
		"25", "2F", // not in this transaction, not in this routine
		"28", "3D", // who, and no database
		"42", // syntax, rights, no such table or column
		"44", // WITH CHECK OPTION
		"45": // SIGNAL
		return true
	}
	return slices.Contains(ownFaults[:], e.Number)
}

var ownFaults = [...]uint16{
	1265, // data truncated
	1364, // no default for a field
	1366, // incorrect value
	1369, // WITH CHECK OPTION failed
	1411, // incorrect value for a function
	1442, // a trigger updates its own table
	1526, // no partition for a value
	1690, // out of range, in an expression
	3819, // CHECK failed
	4025, // CHECK failed, MariaDB
}
