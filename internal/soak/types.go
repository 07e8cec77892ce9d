package soak

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"midflight/internal/localserver"
)

// A Kind is a family of types whose values are drawn alike.
type Kind string

const (
	Integer   Kind = "integer"
	Decimal   Kind = "decimal"
	Float     Kind = "float"
	Double    Kind = "double"
	Bit       Kind = "bit"
	Char      Kind = "char" // and VARCHAR
	Text      Kind = "text"
	Binary    Kind = "binary" // and VARBINARY
	Blob      Kind = "blob"
	Enum      Kind = "enum"
	Set       Kind = "set"
	Date      Kind = "date"
	Time      Kind = "time"
	Datetime  Kind = "datetime"
	Timestamp Kind = "timestamp"
	Year      Kind = "year"
	JSON      Kind = "json"
	Geometry  Kind = "geometry"
	Point     Kind = "point"
	Vector    Kind = "vector"
	UUID      Kind = "uuid"
	Inet6     Kind = "inet6"
)

// A Type is a column's type and what is to know for drawing its values.
type Type struct {
	Kind     Kind
	SQL      string
	Lo, Hi   string // of integers
	Size     int    // of texts and bytes, bits, digits
	Scale    int    // after the point, of decimals; of a second's fraction
	Charset  string
	Members  []string
	MariaDB  bool
	Unsigned bool
}

var integers = []struct {
	name   string
	lo, hi string
	top    string
}{
	{"TINYINT", "-128", "127", "255"},
	{"SMALLINT", "-32768", "32767", "65535"},
	{"MEDIUMINT", "-8388608", "8388607", "16777215"},
	{"INT", "-2147483648", "2147483647", "4294967295"},
	{"BIGINT", "-9223372036854775808", "9223372036854775807", "18446744073709551615"},
}

func drawInteger(r *rand.Rand, narrowest int) Type {
	i := integers[narrowest+r.IntN(len(integers)-narrowest)]
	t := Type{Kind: Integer, SQL: i.name, Lo: i.lo, Hi: i.hi}
	if one(r, 3) {
		t.SQL, t.Lo, t.Hi, t.Unsigned = t.SQL+" UNSIGNED", "0", i.top, true
		if one(r, 8) {
			t.SQL = strings.Replace(t.SQL, " UNSIGNED", "(8) UNSIGNED ZEROFILL", 1)
		}
	}
	return t
}

var collations = map[localserver.Flavor][][2]string{
	localserver.MySQL: {
		{"utf8mb4", "utf8mb4_0900_ai_ci"}, {"utf8mb4", "utf8mb4_bin"}, {"utf8mb4", "utf8mb4_general_ci"}, {"utf8mb4", "utf8mb4_0900_bin"}, {"utf8mb4", "utf8mb4_0900_as_cs"},
		{"utf8mb3", "utf8mb3_general_ci"}, {"latin1", "latin1_swedish_ci"}, {"latin1", "latin1_bin"}, {"gbk", "gbk_chinese_ci"}, {"utf16", "utf16_general_ci"},
		{"ascii", "ascii_general_ci"}, {"ucs2", "ucs2_bin"}, {"sjis", "sjis_japanese_ci"}, {"cp1251", "cp1251_general_ci"}, {"utf8mb4", "utf8mb4_de_pb_0900_ai_ci"},
	},
	localserver.MariaDB: {
		{"utf8mb4", "utf8mb4_unicode_ci"}, {"utf8mb4", "utf8mb4_bin"}, {"utf8mb4", "utf8mb4_general_ci"}, {"utf8mb4", "utf8mb4_nopad_bin"}, {"utf8mb4", "utf8mb4_uca1400_ai_ci"},
		{"utf8mb3", "utf8mb3_general_ci"}, {"latin1", "latin1_swedish_ci"}, {"latin1", "latin1_bin"}, {"gbk", "gbk_chinese_ci"}, {"utf16", "utf16_general_ci"},
		{"ascii", "ascii_general_ci"}, {"ucs2", "ucs2_bin"}, {"sjis", "sjis_japanese_ci"}, {"cp1251", "cp1251_general_ci"}, {"latin1", "latin1_nopad_bin"},
	},
}

func drawCharset(r *rand.Rand, f localserver.Flavor) (charset, clause string) {
	c := pick(r, collations[f])
	switch r.IntN(3) {
	case 0:
		return "utf8mb4", ""
	case 1:
		return c[0], " CHARACTER SET " + c[0]
	}
	return c[0], " CHARACTER SET " + c[0] + " COLLATE " + c[1]
}

func drawText(r *rand.Rand, f localserver.Flavor) Type {
	charset, clause := drawCharset(r, f)
	t := Type{Kind: Char, Charset: charset, Size: pick(r, []int{1, 3, 10, 20, 40, 64, 100, 255})}
	switch r.IntN(6) {
	case 0:
		t.SQL = fmt.Sprintf("CHAR(%d)", t.Size)
	case 1:
		t.Kind, t.SQL, t.Size = Text, pick(r, []string{"TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT"}), 60
	default:
		if one(r, 8) {
			t.Size = pick(r, []int{500, 1000})
		}
		t.SQL = fmt.Sprintf("VARCHAR(%d)", t.Size)
	}
	t.SQL += clause
	return t
}

func fraction(r *rand.Rand) (string, int) {
	n := pick(r, []int{0, 0, 1, 3, 6, 6})
	if n == 0 {
		return "", 0
	}
	return fmt.Sprintf("(%d)", n), n
}

func drawType(r *rand.Rand, f localserver.Flavor) Type {
	switch n := r.IntN(100); {
	case n < 20:
		return drawInteger(r, 0)
	case n < 26:
		s := pick(r, [][2]int{{10, 4}, {5, 2}, {65, 30}, {12, 0}, {20, 3}, {1, 1}})
		t := Type{Kind: Decimal, SQL: fmt.Sprintf("DECIMAL(%d,%d)", s[0], s[1]), Size: s[0], Scale: s[1]}
		if one(r, 6) {
			t.SQL, t.Unsigned = t.SQL+" UNSIGNED", true
		}
		return t
	case n < 29:
		return Type{Kind: Float, SQL: "FLOAT"}
	case n < 32:
		return Type{Kind: Double, SQL: "DOUBLE"}
	case n < 35:
		size := pick(r, []int{1, 5, 8, 33, 64})
		return Type{Kind: Bit, SQL: fmt.Sprintf("BIT(%d)", size), Size: size}
	case n < 57:
		return drawText(r, f)
	case n < 62:
		size := pick(r, []int{1, 4, 8, 16, 30, 200})
		name := pick(r, []string{"BINARY", "VARBINARY", "VARBINARY"})
		return Type{Kind: Binary, SQL: fmt.Sprintf("%s(%d)", name, size), Size: size}
	case n < 65:
		return Type{Kind: Blob, SQL: pick(r, []string{"TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB"}), Size: 80}
	case n < 69:
		members := pick(r, [][]string{{"a", "b", "", "日"}, {"new", "paid", "sent"}, {"x"}, {"it's", "a,b", "%"}})
		return Type{Kind: Enum, SQL: "ENUM(" + quoted(members) + ")", Members: members}
	case n < 72:
		members := pick(r, [][]string{{"x", "y", "z"}, {"a", "日", "c"}, {"only"}})
		return Type{Kind: Set, SQL: "SET(" + quoted(members) + ")", Members: members}
	case n < 75:
		return Type{Kind: Date, SQL: "DATE"}
	case n < 78:
		text, n := fraction(r)
		return Type{Kind: Time, SQL: "TIME" + text, Scale: n}
	case n < 83:
		text, n := fraction(r)
		return Type{Kind: Datetime, SQL: "DATETIME" + text, Scale: n}
	case n < 88:
		text, n := fraction(r)
		return Type{Kind: Timestamp, SQL: "TIMESTAMP" + text, Scale: n}
	case n < 90:
		return Type{Kind: Year, SQL: "YEAR"}
	case n < 94:
		return Type{Kind: JSON, SQL: "JSON", MariaDB: f == localserver.MariaDB}
	case n < 96:
		return Type{Kind: Geometry, SQL: "GEOMETRY"}
	case n < 98:
		return Type{Kind: Point, SQL: "POINT"}
	case f == localserver.MySQL:
		return Type{Kind: Vector, SQL: "VECTOR(3)"}
	case one(r, 2):
		return Type{Kind: UUID, SQL: "UUID"}
	}
	return Type{Kind: Inet6, SQL: "INET6"}
}

// inKey tells whether a key can have the whole column, or a prefix of it.
func (t Type) inKey() (whole, prefix bool) {
	switch t.Kind {
	case JSON, Geometry, Point, Vector:
		return false, false
	case Text, Blob:
		return false, true
	case Char, Binary:
		return t.Size <= 255, t.Size > 3
	}
	return true, false
}
