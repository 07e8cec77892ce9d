package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A values makes random literals for a column: ordinary ones, NULLs and what
// programs trip over.
type values func(r *rand.Rand) string

func oneOf(literals ...string) values {
	return func(r *rand.Rand) string { return literals[r.IntN(len(literals))] }
}

// or mixes: one value in n is a special one.
func (v values) or(n int, special ...string) values {
	return func(r *rand.Rand) string {
		if r.IntN(n) == 0 {
			return special[r.IntN(len(special))]
		}
		return v(r)
	}
}

func (v values) orNull() values { return v.or(6, "NULL") }

func between(lo, hi int64) values {
	return func(r *rand.Rand) string { return fmt.Sprint(lo + r.Int64N(hi-lo+1)) }
}

func integers(lo, hi string) values {
	return between(-100, 100).or(4, "0", "1", "-1", lo, hi).orNull()
}

func unsigned(hi string) values {
	return between(0, 200).or(4, "0", hi).orNull()
}

// decimals have the given digits after the point.
func decimals(digits int) values {
	return func(r *rand.Rand) string {
		return fmt.Sprintf("%d.%0*d", r.IntN(2000)-1000, digits, r.IntN(100))
	}
}

// dyadic numbers are exact in FLOAT as in DOUBLE.
func dyadic(r *rand.Rand) string { return fmt.Sprintf("%de-2", (r.IntN(4000)-2000)*25) }

var floats = values(dyadic).or(4, "0e0", "-0e0", "3.402823466e38", "-1.175494351e-38", "0.1e0", "16777217e0").orNull()

var doubles = values(dyadic).or(4, "0e0", "-0e0", "1.7976931348623157e308", "2.2250738585072014e-308", "0.1e0", "1.2345678901234567e-5").orNull()

func word(r *rand.Rand) string {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	var b strings.Builder
	for range r.IntN(12) {
		b.WriteByte(letters[r.IntN(len(letters))])
	}
	return b.String()
}

func words(r *rand.Rand) string { return "'" + word(r) + "'" }

// Texts are within the repertoire that the name says, whatever the column's
// character set.
var (
	ascii  = values(words).or(4, "''", `'it''s'`, `'a\\b'`, `'%_"'`, "'x\\n\\0y'").orNull()
	latin1 = values(words).or(3, "''", "_latin1 x'C3A9'", "_latin1 x'E9F1'", "_latin1 x'5C27'", "_latin1 x'FF80'").orNull()
	utf8   = values(words).or(3, "''", "'日本'", "_utf8mb4 x'F09F9880'", "'ß'", "_utf8mb4 x'65CC81'", `'\\'''`).orNull()
	gbk    = values(words).or(3, "_gbk x'8A5C'", "_gbk x'C4E3'", "''").orNull()
)

// binary are at most n bytes.
func binary(n int) values {
	return values(func(r *rand.Rand) string {
		b := make([]byte, r.IntN(n)+1)
		for i := range b {
			b[i] = byte(r.IntN(256))
		}
		return fmt.Sprintf("x'%X'", b)
	}).or(4, "''", "x'00'", "x'5C'", "x'27'").orNull()
}

// long texts leave the page.
func long(r *rand.Rand) string {
	return fmt.Sprintf("REPEAT('%s ', %d)", word(r), r.IntN(60)*r.IntN(60))
}

var blobs = values(func(r *rand.Rand) string {
	return fmt.Sprintf("REPEAT(x'%02X00FF5C', %d)", r.IntN(256), r.IntN(40)*r.IntN(60))
}).orNull()

var jsonTexts = oneOf(`'{"v": 1}'`, `'{"v": 1.0}'`, `'{"v": 1e20}'`, `'{"v": -0.0}'`, `'{"v": 9007199254740993}'`, `'{"v": 18446744073709551615}'`,
	`'{"v": 0.1}'`, `'{"v": "日本 \\"q\\""}'`, `'[]'`, `'null'`, `'{"v": 1.7976931348623157e308}'`, `'[1, 2.5, {"v": [null, true]}]'`, "NULL")

// Values that only MySQL's JSON can hold.
var jsonValues = jsonTexts.or(3, "JSON_OBJECT('v', CAST(1.50 AS DECIMAL(10,2)))", "JSON_OBJECT('v', CAST('2020-02-29' AS DATE))",
	"JSON_OBJECT('v', CAST('23:59:59.123456' AS TIME(6)))", "JSON_OBJECT('v', _binary x'00FF5C27')", "JSON_OBJECT('v', CAST(1 AS UNSIGNED))")

func at(r *rand.Rand) string {
	return fmt.Sprintf("'%04d-%02d-%02d %02d:%02d:%02d'", 1971+r.IntN(60), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
}

func atMicro(r *rand.Rand) string {
	s := at(r)
	return fmt.Sprintf("%s.%06d'", s[:len(s)-1], r.IntN(1e6))
}

var (
	dates     = oneOf("'1000-01-01'", "'9999-12-31'", "'2024-02-29'", "'1969-12-31'", "NULL")
	times     = oneOf("'-838:59:59.000000'", "'838:59:59.000000'", "'00:00:00.000001'", "'-00:00:00.000001'", "'12:34:56.789012'", "NULL")
	datetimes = values(atMicro).or(4, "'1000-01-01 00:00:00.000000'", "'9999-12-31 23:59:59.999999'").orNull()
	stamps    = values(atMicro).or(4, "'1970-01-01 00:00:01.000000'", "'2038-01-19 03:14:07.999999'").orNull()
	years     = oneOf("0", "1901", "2155", "1970", "NULL")
	bits64    = oneOf("b'0'", "b'1'", "x'FFFFFFFFFFFFFFFF'", "x'8000000000000000'", "NULL")
	points    = values(func(r *rand.Rand) string {
		return fmt.Sprintf("ST_GeomFromText('POINT(%d %d.5)')", r.IntN(90), r.IntN(90))
	})
	shapes = points.or(3, "ST_GeomFromText('LINESTRING(0 0,1 1,2 2)')", "ST_GeomFromText('POLYGON((0 0,0 1,1 1,0 0))')").orNull()
)
