package mysqld

import "strings"

// QuoteName quotes one identifier.
func QuoteName(name string) string {
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

// TableOnly stands behind a table's name where a statement of ours reads it. It is a hint
// that changes nothing, and that neither server takes for a view (error 1176): who may
// rename a table could put one in its place, of SQL SECURITY INVOKER, which would be
// evaluated with our rights. FORCE INDEX does as well.
const TableOnly = " USE INDEX FOR GROUP BY ()"

// QuoteNames quotes a list of identifiers, separated by commas.
func QuoteNames(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = QuoteName(n)
	}
	return strings.Join(quoted, ", ")
}

// QuoteTable quotes schema and table.
func QuoteTable(schema, table string) string {
	return QuoteName(schema) + "." + QuoteName(table)
}

// QuoteString makes a string literal that reads the same under every sql_mode
// (backslashes are an escape or not by NO_BACKSLASH_ESCAPES), so it uses none:
// texts with a backslash become a hex literal.
func QuoteString(s string) string {
	if strings.ContainsAny(s, "\\\x00") {
		const digits = "0123456789abcdef"
		var b strings.Builder
		b.WriteString("_utf8mb4 x'")
		for i := range len(s) {
			b.WriteByte(digits[s[i]>>4])
			b.WriteByte(digits[s[i]&15])
		}
		b.WriteByte('\'')
		return b.String()
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// CommentText makes a text safe inside a /* comment */ of ours: a blank parts every
// star from a slash, also where "/*/" has both.
func CommentText(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if i > 0 && (s[i-1] == '*' && s[i] == '/' || s[i-1] == '/' && s[i] == '*') {
			b.WriteByte(' ')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
