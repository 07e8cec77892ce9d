package binlog

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"midflight/schema"
)

// Literal writes a key column's value, as value decodes it, so that
// `column = literal` is true of exactly that value and can use an index, under
// every sql_mode and connection character set.
//
// TIMESTAMP: FROM_UNIXTIME(…), since the binlog has UTC. A session in UTC (as
// ours are, mysqld.Open) compares exactly. In a zone with summer time the two
// readings of the hour that comes twice are one literal, and the server looks
// up only one of them: key lookups by TIMESTAMP need time_zone = '+00:00'.
//
// FLOAT and DOUBLE: the shortest text of exactly this double, in the form with an
// exponent, which is a double for the server and no decimal. A FLOAT is compared
// as the double that it is, so 0.1 does not find 0.1e0. -0 and 0 are one key for
// the index, and one literal.
//
// ENUM and SET: their number, by which they are sorted. With < and >, and a text,
// both servers compare texts; with a number, neither uses the index for these,
// but for = and IN. (In a row, (a, b) IN ((3, 1)), MySQL takes the number for a
// text, and above 2^63 neither server finds a SET by it.)
//
// CHAR: under PAD_CHAR_TO_FULL_LENGTH the server itself finds no CHAR of a
// collation without padding (utf8mb4_0900_ai_ci) by its own value; sessions
// that look up by key must not have that mode.
func Literal(c schema.Column, v any) (string, error) {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10), nil
	case uint64:
		return strconv.FormatUint(v, 10), nil
	case float64:
		switch c.Type {
		case "float", "double":
			return floatLiteral(v), nil
		}
	case []byte:
		return bytesLiteral(c, v)
	case time.Time:
		return timestampLiteral(c, v)
	case string:
		switch c.Type {
		case "decimal":
			return v, nil
		case "time":
			return "'" + v + "'", nil
		case "date", "datetime":
			return dateLiteral(v), nil
		}
	}
	return "", fmt.Errorf("column %s: no literal for %T as %s", c.Name, v, c.Type)
}

func bytesLiteral(c schema.Column, b []byte) (string, error) {
	switch c.Type {
	case "binary":
		// The binlog strips trailing zero bytes, comparing does not.
		n, err := width(c.FullType)
		if err != nil {
			return "", err
		}
		return "x'" + hex.EncodeToString(b) + strings.Repeat("00", max(0, n-len(b))) + "'", nil
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
		if c.Charset == "" {
			return "", fmt.Errorf("column %s: its character set is not known", c.Name)
		}
		if c.Charset == "binary" {
			return "x'" + hex.EncodeToString(b) + "'", nil
		}
		return "_" + c.Charset + " x'" + hex.EncodeToString(b) + "'", nil
	case "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return "x'" + hex.EncodeToString(b) + "'", nil
	}
	return "", fmt.Errorf("column %s: no literal for bytes as %s", c.Name, c.Type)
}

// width is the n of binary(n).
func width(fullType string) (int, error) {
	_, rest, _ := strings.Cut(fullType, "(")
	digits, _, ok := strings.Cut(rest, ")")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil {
		return 0, fmt.Errorf("type %q: want a width", fullType)
	}
	return n, nil
}

func timestampLiteral(c schema.Column, t time.Time) (string, error) {
	if c.Type != "timestamp" {
		return "", fmt.Errorf("column %s: no literal for a timestamp as %s", c.Name, c.Type)
	}
	if t.IsZero() {
		return "0", nil // see dateLiteral
	}
	if c.Precision == 0 {
		return fmt.Sprintf("FROM_UNIXTIME(%d)", t.Unix()), nil
	}
	return fmt.Sprintf("FROM_UNIXTIME(%d.%06d)", t.Unix(), t.Nanosecond()/1000), nil
}

// dateLiteral quotes a date or datetime. MySQL refuses zero parts in a text
// when sql_mode has NO_ZERO_DATE or NO_ZERO_IN_DATE (1525), but not in a
// number. A number can't be used for the rest: years below 100 would be read
// as two digits. Days that the calendar doesn't have remain a text; they need
// ALLOW_INVALID_DATES, as inserting them did, and fail loudly without.
func dateLiteral(s string) string {
	if s[5:7] != "00" && s[8:10] != "00" {
		return "'" + s + "'"
	}
	n := strings.TrimLeft(strings.NewReplacer("-", "", ":", "", " ", "").Replace(s), "0")
	if whole, frac, ok := strings.Cut(n, "."); ok && strings.Trim(frac, "0") == "" {
		n = whole
	}
	switch {
	case n == "":
		return "0"
	case n[0] == '.':
		return "0" + n
	}
	return n
}

func floatLiteral(f float64) string {
	return strconv.FormatFloat(f+0, 'e', -1, 64) // -0 + 0 is 0
}

// Canonical spells a key column's value as Literal does, where SQL can't: digits
// of a double, dates with zero parts.
func Canonical(c schema.Column, literal string) (string, error) {
	switch c.Type {
	case "float", "double":
		f, err := strconv.ParseFloat(strings.Trim(literal, "[]"), 64) // of JSON_ARRAY, see rowsql
		if err != nil {
			return "", fmt.Errorf("column %s: %q is no %s", c.Name, literal, c.Type)
		}
		return floatLiteral(f), nil
	case "date", "datetime":
		if len(literal) > len("'2006-01-02'")-1 && literal[0] == '\'' {
			return dateLiteral(strings.Trim(literal, "'")), nil
		}
	}
	return literal, nil
}

// supported tells whether Literal can write every value of the column.
func supported(c schema.Column) bool {
	_, ok := wireTypes[c.Type]
	return ok
}
