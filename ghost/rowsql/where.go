package rowsql

import (
	"fmt"
	"strconv"
	"strings"

	"midflight/binlog"
	"midflight/ghost/chunk"
	"midflight/mysqld"
	"midflight/schema"
)

// inRange spells the row comparison out, (a,b) > (x,y) as
// a >= x AND (a > x OR a = x AND b > y): neither server uses an index for the
// short form. The leading comparison gives the optimizer one plain range.
func (t Tables) inRange(key []schema.Column, r chunk.Range) string {
	var parts []string
	if r.Lo != "" {
		parts = append(parts, t.beyond(key, r.Lo.Literals(), ">", false))
	}
	if r.Hi != "" {
		parts = append(parts, t.beyond(key, r.Hi.Literals(), "<", true))
	}
	return strings.Join(parts, " AND ")
}

// beyond: op is < or >, for a column that goes upwards.
func (t Tables) beyond(key []schema.Column, bound []string, op string, orEqual bool) string {
	ops := make([]string, len(key))
	for i := range key {
		ops[i] = op
		if t.desc(i) {
			ops[i] = map[string]string{"<": ">", ">": "<"}[op]
		}
	}
	last := ops[len(ops)-1]
	if orEqual {
		last += "="
	}
	if len(key) == 1 {
		return compared(key[0], last, bound[0])
	}
	var alternatives, equal []string
	for i, c := range key {
		o := ops[i]
		if i == len(key)-1 {
			o = last
		}
		alternatives = append(alternatives, strings.Join(append(equal[:len(equal):len(equal)], compared(c, o, bound[i])), " AND "))
		equal = append(equal, compared(c, "=", bound[i]))
	}
	return compared(key[0], ops[0]+"=", bound[0]) + " AND (" + strings.Join(alternatives, " OR ") + ")"
}

// compared: ENUM and SET are sorted by their number, but no server uses an index
// for `e > 3`. It does for a list of numbers.
func compared(c schema.Column, op, literal string) string {
	name := mysqld.QuoteName(c.Name)
	if op == "=" || kind(c) != enum {
		return name + " " + op + " " + literal
	}
	n, err := strconv.Atoi(literal)
	if err != nil {
		panic("BUG: " + c.Type + " key with literal " + literal)
	}
	first, last := 0, highest(c)
	switch op {
	case ">":
		first = n + 1
	case ">=":
		first = n
	case "<":
		last = n - 1
	case "<=":
		last = n
	}
	if first > last {
		return "FALSE"
	}
	var b strings.Builder
	b.WriteString(name + " IN (" + strconv.Itoa(first))
	for i := first + 1; i <= last; i++ {
		b.WriteString(", " + strconv.Itoa(i))
	}
	return b.String() + ")"
}

// highest number of an ENUM's or SET's value; 0 is the ENUM's error value and the
// empty SET.
func highest(c schema.Column) int {
	members, err := c.Members()
	if err != nil {
		panic("BUG: " + err.Error())
	}
	if c.Type == "set" {
		return 1<<len(members) - 1
	}
	return len(members)
}

// match is true for the rows of keys. Composite keys are spelled out for the
// same reason as in inRange. The last column's values are gathered, and the
// first's come once more by themselves: where the server reads the whole of a
// small table instead of using the index, it searches a list by halving but
// walks through all the ORs for each row.
func match(key []schema.Column, keys []binlog.Key) string {
	last := len(key) - 1
	var begins, firsts []string // in the order in which they come
	values := map[string][]string{}
	seen := map[string]bool{}
	for _, k := range keys {
		literals := k.Literals()
		var b strings.Builder
		for i, l := range literals[:last] {
			fmt.Fprintf(&b, "%s = %s AND ", mysqld.QuoteName(key[i].Name), l)
		}
		begin := b.String()
		if values[begin] == nil {
			begins = append(begins, begin)
		}
		values[begin] = append(values[begin], literals[last])
		if !seen[literals[0]] {
			seen[literals[0]] = true
			firsts = append(firsts, literals[0])
		}
	}
	in := func(c schema.Column, literals []string) string {
		return mysqld.QuoteName(c.Name) + " IN (" + strings.Join(literals, ", ") + ")"
	}
	if len(begins) == 1 {
		return begins[0] + in(key[last], values[begins[0]])
	}
	alternatives := make([]string, len(begins))
	for i, b := range begins {
		alternatives[i] = b + in(key[last], values[b])
	}
	return in(key[0], firsts) + " AND (" + strings.Join(alternatives, " OR ") + ")"
}

func (t Tables) desc(i int) bool { return i < len(t.Key.Desc) && t.Key.Desc[i] }

// inOrder of the chunks. By an index of beginnings no server sorts, but both read
// the rows in its order: that is near enough for a chunk's end, which may be any
// value behind the last.
func (t Tables) inOrder() string {
	if t.Key.Prefixed() {
		return ""
	}
	names := make([]string, len(t.Key.Original))
	for i, c := range t.Key.Original {
		names[i] = mysqld.QuoteName(c.Name)
		if t.desc(i) {
			names[i] += " DESC"
		}
	}
	return "\nORDER BY " + strings.Join(names, ", ")
}

func literalsOf(key []schema.Column) string {
	exprs := make([]string, len(key))
	for i, c := range key {
		exprs[i] = literalOf(c, mysqld.QuoteName(c.Name))
	}
	return strings.Join(exprs, ", ")
}

// literalOf is an expression whose value is the text of an exact literal for
// the value of expr, as binlog.Literal writes it after MakeKey: a key from either
// source is the same key.
func literalOf(c schema.Column, expr string) string {
	switch {
	case c.Integer(), c.Type == "bit", c.Type == "year", kind(c) == enum:
		return "CAST(" + expr + " + 0 AS CHAR)"
	case c.Type == "decimal":
		return "CAST(" + expr + " AS CHAR)"
	case kind(c) == float:
		return "JSON_ARRAY(" + expr + " + 0e0)" // as a text, MySQL cuts a double after 22 characters
	case c.Type == "timestamp":
		digits := "CAST(UNIX_TIMESTAMP(" + expr + ") AS CHAR)"
		if c.Precision > 0 {
			digits = "CAST(CAST(UNIX_TIMESTAMP(" + expr + ") AS DECIMAL(20,6)) AS CHAR)"
		}
		return "IF(UNIX_TIMESTAMP(" + expr + ") = 0, '0', CONCAT('FROM_UNIXTIME(', " + digits + ", ')'))"
	case c.Charset != "" && c.Charset != "binary":
		return fmt.Sprintf("CONCAT('_%s x''', LOWER(HEX(%s)), '''')", c.Charset, expr)
	case c.Type == "date", c.Type == "time", c.Type == "datetime":
		return fmt.Sprintf("CONCAT('''', %s, '''')", expr)
	}
	return fmt.Sprintf("CONCAT('x''', LOWER(HEX(%s)), '''')", expr)
}
