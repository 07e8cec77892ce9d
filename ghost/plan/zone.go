package plan

import (
	"regexp"
	"slices"
	"strings"

	"midflight/mysqld"
	"midflight/parser"
	"midflight/schema"
)

// ReadsZone names an expression of the altered table whose value depends on the
// session's time zone: it reads a TIMESTAMP, or the clock. "" is none. create is the
// table's SHOW CREATE TABLE.
func ReadsZone(altered *schema.Table, columns []Mapping, create string) string {
	reads := func(expression string) bool {
		if clock.MatchString(expression) {
			return true
		}
		return slices.ContainsFunc(altered.Columns, func(c schema.Column) bool {
			return c.Type == "timestamp" && strings.Contains(strings.ToLower(expression), strings.ToLower(mysqld.QuoteName(c.Name)))
		})
	}
	for _, c := range altered.Columns {
		if c.Generated && reads(c.Expression) || byDefault(c, columns) && reads(c.Default) {
			return "column " + c.Name
		}
	}
	for line := range strings.Lines(create) {
		line = strings.TrimSpace(line)
		if strings.Contains(line, "KEY ") && strings.Contains(line, "((") && reads(line) {
			return "an index of an expression"
		}
		if _, check, ok := strings.Cut(line, " CHECK ("); ok && reads(check) {
			return "a CHECK constraint"
		}
	}
	return ""
}

// byDefault: the copy leaves the column to its default.
func byDefault(c schema.Column, columns []Mapping) bool {
	return !c.Generated && c.HasDefault && !slices.ContainsFunc(columns, func(m Mapping) bool { return m.To.Name == c.Name })
}

// clock are functions that read the clock or convert between local time and
// moments. (The servers write NOW() in more ways than one.)
var clock = regexp.MustCompile(`(?i)\b(now|curdate|curtime|current_timestamp|current_date|current_time|localtime|localtimestamp|sysdate|utc_date|utc_time|utc_timestamp|unix_timestamp|from_unixtime)\b`)

// clockCalls: the statement has such a word outside of texts. The catalogue doesn't
// tell a default that is a text from one that is an expression.
func clockCalls(s parser.Statement) bool {
	return slices.ContainsFunc(s.Words(), func(w parser.Word) bool { return clock.MatchString(w.Text) })
}

// computedFromClock: a new column's default is made of the time of the ALTER, which
// each chunk would have another of.
func computedFromClock(c schema.Column, calls bool) bool {
	return calls && clock.MatchString(c.Default)
}
