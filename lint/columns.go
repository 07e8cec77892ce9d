package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"midflight/parser"
	"midflight/schema"
)

// notNullWithoutDefault: the server fills old rows with the type's empty value, and new
// ones need the column from programs that don't know it.
func notNullWithoutDefault(c Change) (found []string) {
	for _, a := range c.each(parser.AddColumn) {
		column, ok := c.After.Column(a.Column)
		if ok && !column.Nullable && !column.HasDefault && !column.AutoInc && !column.Generated {
			found = append(found, fmt.Sprintf("column %s is NOT NULL without a default: the rows get %s, and INSERTs that don't name it fail in strict mode (1364)", column.Name, empty(column)))
		}
	}
	return found
}

func empty(c schema.Column) string {
	switch {
	case c.Integer(), c.Type == "decimal", c.Type == "float", c.Type == "double", c.Type == "bit":
		return "0"
	case c.Type == "date", c.Type == "datetime", c.Type == "timestamp", c.Type == "time", c.Type == "year":
		return "the zero date"
	case c.Type == "enum":
		return "the first member"
	}
	return "''"
}

var money = regexp.MustCompile(`(?i)(^|_)(price|amount|total|subtotal|cost|balance|fee|salary|tax|revenue|discount|payment|credit|debit|money)(s|es)?(_|$)`)

// inexactMoney: 0.1 + 0.2 is not 0.3.
func inexactMoney(c Change) (found []string) {
	for _, column := range c.written() {
		if (column.Type == "float" || column.Type == "double") && money.MatchString(column.Name) {
			found = append(found, fmt.Sprintf("column %s is %s, in which sums of decimal amounts are not exact; DECIMAL is", column.Name, column.FullType))
		}
	}
	return found
}

// utf8mb3: three bytes a character have no emoji and no rarer Chinese, and the server is to
// lose it.
func utf8mb3(c Change) (found []string) {
	mb3 := func(charset string) bool { return charset == "utf8mb3" || charset == "utf8" }
	for _, column := range c.written() {
		if mb3(column.Charset) {
			found = append(found, fmt.Sprintf("column %s is utf8mb3, which can't hold characters of four bytes (emoji) and is deprecated; utf8mb4 holds all", column.Name))
		}
	}
	for _, a := range c.each(parser.ConvertCharset) {
		if mb3(fold(a.Value)) {
			found = append(found, "the table is converted to utf8mb3, which can't hold characters of four bytes (emoji) and is deprecated; utf8mb4 holds all")
		}
	}
	return found
}

// otherCollation: to compare a column with one of another collation uses no index.
func otherCollation(c Change) (found []string) {
	if len(c.each(parser.ConvertCharset)) > 0 {
		return nil
	}
	for _, column := range c.written() {
		if !isText(column) {
			continue
		}
		others := map[string]bool{}
		for _, o := range c.Before.Columns {
			if isText(o) && fold(o.Name) != fold(column.Name) {
				others[o.Collation] = true
			}
		}
		if len(others) > 0 && !others[column.Collation] {
			found = append(found, fmt.Sprintf("column %s has the collation %s, and no other column of the table has: a comparison of the two finds rows without an index, or fails (1267)", column.Name, column.Collation))
		}
	}
	return found
}

// reorderedMembers: what was the number 2 is another member then.
func reorderedMembers(c Change) (found []string) {
	for _, a := range c.each(parser.ModifyColumn, parser.ChangeColumn) {
		before, was := c.Before.Column(a.Column)
		name := a.Column
		if a.Kind == parser.ChangeColumn {
			name = a.NewColumn
		}
		after, is := c.After.Column(name)
		if !was || !is || before.Type != after.Type || before.Type != "enum" && before.Type != "set" {
			continue
		}
		old, err := before.Members()
		now, errNow := after.Members()
		if err != nil || errNow != nil || len(old) <= len(now) && slices.Equal(old, now[:len(old)]) {
			continue
		}
		found = append(found, fmt.Sprintf("the members of column %s get other numbers: rows keep their texts and are rewritten, but ORDER BY and programs that use the numbers see another order. New members behind the old ones cost nothing", after.Name))
	}
	return found
}

var position = regexp.MustCompile("(?i)\\s(FIRST|AFTER\\s+(`[^`]+`|\\S+))\\s*$")

// columnPosition: before these versions INSTANT adds columns at the end only.
func columnPosition(c Change) (found []string) {
	if c.Flavor.MariaDB && c.Flavor.Version >= 100400 || !c.Flavor.MariaDB && c.Flavor.Version >= 80029 {
		return nil
	}
	for _, a := range c.each(parser.AddColumn) {
		if position.MatchString(a.Text) {
			found = append(found, fmt.Sprintf("column %s is put between others, for which this server rewrites the table; at the end it would be instant", a.Column))
		}
	}
	return found
}

// longVarchar: sorting and temporary tables in memory set aside room for the longest value,
// and a row may have 65 535 bytes of such columns.
func longVarchar(c Change) (found []string) {
	const long = 2000 // characters
	for _, column := range c.written() {
		if n := size(column); column.Type == "varchar" && n > long {
			found = append(found, fmt.Sprintf("column %s holds %d characters; all columns of a row share 65 535 bytes, and sorts set aside room for the longest value. TEXT doesn't count there", column.Name, n))
		}
	}
	return found
}

func size(c schema.Column) int {
	_, rest, _ := strings.Cut(c.FullType, "(")
	digits, _, _ := strings.Cut(rest, ")")
	n, _ := strconv.Atoi(digits)
	return n
}

// timestamp2038: MariaDB has had more since 11.5, on 64 bits.
func timestamp2038(c Change) (found []string) {
	if c.Flavor.MariaDB && c.Flavor.Version >= 110500 {
		return nil
	}
	for _, column := range c.written() {
		if column.Type == "timestamp" {
			found = append(found, fmt.Sprintf("column %s is a TIMESTAMP, which ends on 2038-01-19; DATETIME doesn't", column.Name))
		}
	}
	return found
}

// smallAutoIncrement: INSERTs fail when the numbers are used up.
func smallAutoIncrement(c Change) (found []string) {
	most := map[string]int64{"tinyint": 1<<7 - 1, "smallint": 1<<15 - 1, "mediumint": 1<<23 - 1, "int": 1<<31 - 1}
	for _, column := range c.written() {
		if n := most[column.Type]; n > 0 && column.AutoInc {
			if column.Unsigned() {
				n = 2*n + 1
			}
			found = append(found, fmt.Sprintf("column %s is AUTO_INCREMENT and %s: behind %d no row can be inserted. BIGINT doesn't end", column.Name, column.FullType, n))
		}
	}
	return found
}

// renamedColumn: there is no moment in which both names are there.
func renamedColumn(c Change) (found []string) {
	for _, a := range c.each(parser.RenameColumn, parser.ChangeColumn) {
		if _, there := c.Before.Column(a.Column); there && fold(a.Column) != fold(a.NewColumn) {
			found = append(found, fmt.Sprintf("column %s is called %s from one moment to the next: programs that name the old one fail (1054). Adding a column, filling it and dropping the old one later leaves them time", a.Column, a.NewColumn))
		}
	}
	return found
}
