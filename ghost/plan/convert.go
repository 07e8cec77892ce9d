package plan

import "midflight/schema"

// otherValues tells the conversions of which ALTER TABLE and INSERT … SELECT
// make different values, or that one of them refuses, for values as ordinary as
// '7', 3.6 or 101: ALTER TABLE converts from one column's storage to another's,
// INSERT … SELECT an expression's value. (All pairs of types compared on MySQL
// 9.7 and MariaDB 10.11, strict and not.) The copy can't have such a column.
//
// MariaDB's texts to integers are not among them, since there is an expression
// that does the same (rowsql, whole).
func otherValues(from, to schema.Column) bool {
	f, t := family(from), family(to)
	switch t {
	case bits: // ALTER TABLE reads '7' as 7, INSERT as the byte '7'
		return f != wholes && f != bits && f != members && from.Type != "year"
	case moments: // 101 is a day of 2000, or none
		return f == wholes || f == decimals || f == floats || f == documents && to.Type == "time"
	case years:
		return f == floats || from.Type == "date"
	case members: // 7 is the member '7', or the seventh
		return f == wholes || f == decimals || f == floats || f == years
	case texts, bytes: // of FLOAT 3.6: 3.6, or the nearest DOUBLE's 3.5999999046325684
		return from.Type == "float" || from.Type == "year" // of YEAR 0: '0000', or '0' (MariaDB)
	}
	return false
}

// Spelled tells columns whose values are numbers only as far as their text reads
// as one.
func Spelled(c schema.Column) bool {
	f := family(c)
	return f == texts || f == bytes
}

// A columnFamily is of types that convert alike.
type columnFamily int

const (
	others columnFamily = iota
	wholes
	decimals
	floats
	bits
	texts
	bytes
	members
	moments
	years
	documents
)

func family(c schema.Column) columnFamily {
	switch c.Type {
	case "decimal":
		return decimals
	case "float", "double":
		return floats
	case "bit":
		return bits
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
		return texts
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return bytes
	case "enum", "set":
		return members
	case "date", "time", "datetime", "timestamp":
		return moments
	case "year":
		return years
	case "json":
		return documents
	}
	if c.Integer() {
		return wholes
	}
	return others
}
