package plan

import (
	"slices"
	"strconv"
	"strings"

	"midflight/schema"
)

// helperColumn is the name of a generated column that a shadow gets for the time
// of the copy, see Key.Computed.
func helperColumn(i int) string { return HelperIndex + strconv.Itoa(i+1) }

// reversible: every value that the ALTER carries over from one column to the
// other gives the value that it was when it is assigned to a column of the old
// type. So the shadow can have the original's keys beside its own, with their
// order and equality. (A collation may change with nothing else.)
//
// strict: as in comparable.
func reversible(from, to schema.Column, strict bool) bool {
	switch {
	case to.Generated, from.Generated:
		return false
	case to.AutoInc: // no generated column may refer to it (MySQL, 3109)
		return false
	}
	fits := strict || length(from) <= length(to)
	switch {
	case isText(from) && isText(to):
		// CHAR would cut the spaces at a VARCHAR's end.
		return (from.Type == to.Type || to.Type != "char") && fits && (strict || holdsCharset(from, to)) &&
			(from.Charset == to.Charset || roundTrips(from) && roundTrips(to))
	case from.Type == "enum" && to.Type == "enum":
		return contains(to, from)
	case from.Type == "enum" && to.Type == "varchar":
		return strict && roundTrips(from) && roundTrips(to)
	case from.Integer() && to.Type == "varchar":
		return strict || length(to) >= len("-9223372036854775808")
	case from.Integer() && to.Type == "decimal":
		return strict || length(to)-scale(to) >= len("18446744073709551615") && !to.Unsigned()
	case from.Type == "decimal" && to.Type == "decimal":
		return scale(from) <= scale(to) && (strict || length(from)-scale(from) <= length(to)-scale(to) && from.Unsigned() == to.Unsigned())
	case from.Type == "float" && to.Type == "double":
		return !strings.Contains(from.FullType, "(") && !strings.Contains(to.FullType, "(") && (strict || from.Unsigned() == to.Unsigned())
	case from.Type == "binary" && to.Type == "varbinary":
		return fits
	case from.Type == "date" && to.Type == "datetime":
		return true
	case from.Type == to.Type && (from.Type == "datetime" || from.Type == "time"):
		return from.Precision <= to.Precision
	}
	return false
}

func isText(c schema.Column) bool {
	return (c.Type == "char" || c.Type == "varchar") && c.Charset != "" && c.Charset != "binary"
}

// contains: every member of from is one of to, whatever its number there.
func contains(to, from schema.Column) bool {
	old, err := from.Members()
	now, errNow := to.Members()
	return err == nil && errNow == nil && roundTrips(from) && roundTrips(to) &&
		!slices.ContainsFunc(old, func(m string) bool { return !slices.Contains(now, m) })
}

// holdsCharset: the new character set has all characters of the old.
func holdsCharset(from, to schema.Column) bool {
	if from.Charset == to.Charset || from.Charset == "ascii" {
		return true
	}
	switch to.Charset {
	case "utf8mb4", "utf16", "utf16le", "utf32", "gb18030":
		return true
	case "utf8mb3", "utf8", "ucs2":
		switch from.Charset {
		case "utf8mb4", "utf16", "utf16le", "utf32", "gb18030":
			return false
		}
		return true
	}
	return false
}

// roundTrips: what is converted to Unicode comes back as it was. (Tried with every
// code of one and two bytes on MySQL 9.7 and MariaDB 10.11. cp932, eucjpms, ujis
// and big5 have two codes for some characters, armscii8 and tis620 for signs.)
func roundTrips(c schema.Column) bool {
	switch c.Charset {
	case "utf8mb4", "utf8mb3", "utf8", "utf16", "utf16le", "utf32", "ucs2",
		"ascii", "latin1", "latin2", "latin5", "latin7", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866",
		"koi8r", "koi8u", "greek", "hebrew", "macce", "macroman", "keybcs2", "gbk", "gb2312", "euckr", "sjis":
		return true
	}
	return false
}

// scale is the s of decimal(p,s).
func scale(c schema.Column) int {
	_, digits, ok := strings.Cut(c.FullType, ",")
	if !ok {
		return 0
	}
	return length(schema.Column{FullType: "(" + digits})
}
