package rowsql

import (
	"fmt"
	"slices"
	"strings"

	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/schema"
)

// rowNumbers are, for either table, one whole number of a row. Numbers of rows are added
// up, so two rows that have exchanged a value must not have the same sum as before: the
// sum of their CRC32 hasn't. (Their XOR has: a CRC is linear.)
//
// Where the key's first column is an integer, integers and dates needn't become text for
// that: each is multiplied by what a prime of the column's own leaves of the key. That takes a
// third of the time.
func (t Tables) rowNumbers() (original, shadow string) {
	if !t.multiplies() || len(t.Columns) > mostNumbers {
		o, s := t.rowExpressions()
		return "CRC32(" + o + ")", "CRC32(" + s + ")"
	}
	isNumber := func(m plan.Mapping) bool {
		_, _, compared := t.comparison(m, false)
		return m.Literal == plan.FromColumn && compared && (m.From.Integer() && m.To.Integer() || !m.Converted && whole(m.From) && whole(m.To))
	}
	var o, s []string
	rest := slices.DeleteFunc(slices.Clone(t.Columns), isNumber)
	if slices.ContainsFunc(rest, func(m plan.Mapping) bool { return m.Literal == plan.FromColumn }) {
		ro, rs := t.texts(rest)
		o, s = append(o, "CAST(CRC32("+ro+") AS SIGNED)"), append(s, "CAST(CRC32("+rs+") AS SIGNED)")
	}
	for _, m := range t.Columns {
		if isNumber(m) {
			null := m.From.Nullable || m.To.Nullable
			wide := m.From.Type == "bigint" || m.To.Type == "bigint" || m.To.Type == "datetime"
			o, s = append(o, bounded(m.From, null, wide)+" * "+factor(t.Key.Original[0], len(o))), append(s, bounded(m.To, null, wide)+" * "+factor(t.Key.Shadow[0], len(s)))
		}
	}
	return strings.Join(o, " + "), strings.Join(s, " + ")
}

// mostNumbers: a sum is as deep as it has parts, and a server's stack is not. (MariaDB,
// 1436 with some hundreds.)
const mostNumbers = 60

func (t Tables) multiplies() bool {
	return t.Key.Original[0].Integer() && t.Key.Shadow[0].Integer() && (len(t.Key.Computed) == 0 || t.Key.Computed[0].Name == "")
}

// Below 2^16, so that a factor is below 2^17, its product with a number below 2^33 below
// 2^50, and the sum of a row of 4096 columns, the most there are, below 2^63.
var primes = []int{65521, 65519, 65497, 65479, 65449, 65447, 65437, 65423, 65419, 65413, 65407, 65393, 65381, 65371, 65357, 65353}

// whole: a date or a time of whole seconds, which is a number like 20261128214455.
func whole(c schema.Column) bool {
	return c.Type == "date" || c.Type == "datetime" && c.Precision == 0
}

// bounded is a column's value, or of a BIGINT what 2^31 - 1 leaves of it, as a signed
// number: with an unsigned one among them, a negative sum would be an error (1690). NULL is a number that no value is.
func bounded(c schema.Column, null, wide bool) string {
	e := mysqld.QuoteName(c.Name)
	if whole(c) {
		e = "(" + e + " + 0)"
	}
	if wide {
		e += " % 2147483647"
	}
	if c.Unsigned() {
		e = "CAST(" + e + " AS SIGNED)"
	} else if wide && !null {
		e = "(" + e + ")"
	}
	if null {
		e = "IFNULL(" + e + ", 4294967311)"
	}
	return e
}

// factor of the n-th column: another one for each column of a row and, most likely, for
// each row of a column. It is never 0, whatever the key's sign.
func factor(key schema.Column, n int) string {
	rest := fmt.Sprintf("%s %% %d", mysqld.QuoteName(key.Name), primes[n%len(primes)])
	if key.Unsigned() {
		rest = "CAST(" + rest + " AS SIGNED)"
	}
	return fmt.Sprintf("(%s + %d)", rest, 65537+n)
}
