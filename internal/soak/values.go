package soak

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

func one(r *rand.Rand, in int) bool { return r.IntN(in) == 0 }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func quoted(texts []string) string {
	var list []string
	for _, s := range texts {
		list = append(list, "'"+strings.ReplaceAll(s, "'", "''")+"'")
	}
	return strings.Join(list, ",")
}

// value is a literal for the type: an ordinary one, a boundary, or rarely one
// that does not fit. n makes most of them different.
func (t Type) value(r *rand.Rand, n int) string {
	odd := one(r, 4)
	switch t.Kind {
	case Integer:
		if odd {
			return pick(r, []string{"0", "1", t.Lo, t.Hi, "-1", "2"})
		}
		if strings.HasPrefix(t.SQL, "TINY") {
			return fmt.Sprint(n % 120)
		}
		return fmt.Sprint(n % 32000)
	case Decimal:
		if odd {
			return pick(r, []string{"0", "-0.1", "0.5", "-0.000000000000000000000000000001", strings.Repeat("9", max(1, t.Size-t.Scale)), "1.005"})
		}
		return fmt.Sprintf("%d.%02d", n%1000, r.IntN(100))
	case Float:
		if odd {
			return pick(r, []string{"0e0", "-0e0", "3.402823466e38", "-1.175494351e-38", "0.1e0", "16777217e0", "1e-45"})
		}
		return fmt.Sprintf("%de-2", n*25)
	case Double:
		if odd {
			return pick(r, []string{"0e0", "-0e0", "1.7976931348623157e308", "2.2250738585072014e-308", "0.1e0", "1.2345678901234567e-5", "9007199254740993e0"})
		}
		return fmt.Sprintf("%de-2", n*25)
	case Bit:
		if t.Size < 64 {
			return fmt.Sprint(uint64(n) * 2654435761 % (1 << t.Size))
		}
		return fmt.Sprint(uint64(n) * 0x9E3779B97F4A7C15)
	case Char, Text:
		return t.text(r, n, odd)
	case Binary, Blob:
		if odd {
			return pick(r, []string{"''", "x'00'", "x'5C'", "x'27'", "x'80'"})
		}
		b := fmt.Sprintf("%08X%02X00", uint32(n)*2654435761, n%256)
		return "x'" + b[:2*min(len(b)/2, t.Size)] + "'"
	case Enum:
		return "'" + strings.ReplaceAll(pick(r, t.Members), "'", "''") + "'"
	case Set:
		var some []string
		for _, m := range t.Members {
			if one(r, 2) {
				some = append(some, m)
			}
		}
		return "'" + strings.Join(some, ",") + "'"
	case Date:
		if odd {
			return pick(r, []string{"'1000-01-01'", "'9999-12-31'", "'2024-02-29'", "'0000-00-00'", "'1970-01-01'"})
		}
		return fmt.Sprintf("'%04d-%02d-%02d'", 1990+n%60, 1+n%12, 1+n%28)
	case Time:
		if odd {
			return pick(r, []string{"'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:00.000001'", "'23:59:59.999999'"})
		}
		return fmt.Sprintf("'%02d:%02d:%02d.%06d'", n%100, n%60, r.IntN(60), r.IntN(1e6))
	case Datetime:
		if odd {
			return pick(r, []string{"'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'2024-02-29 12:00:00.5'", "'0000-00-00 00:00:00'", "'2025-03-30 02:30:00'", "'2025-10-26 02:30:00'"})
		}
		return fmt.Sprintf("'%04d-%02d-%02d %02d:%02d:%02d.%06d'", 1990+n%40, 1+n%12, 1+n%28, n%24, n%60, r.IntN(60), r.IntN(1e6))
	case Timestamp:
		if odd {
			return pick(r, []string{"'1970-01-02 00:00:01'", "'2038-01-18 03:14:07'", "'2024-02-29 12:00:00.5'", "'0000-00-00 00:00:00'", "'2025-10-26 02:30:00'"})
		}
		return fmt.Sprintf("'%04d-%02d-%02d %02d:%02d:%02d.%06d'", 1990+n%40, 1+n%12, 1+n%28, n%24, n%60, r.IntN(60), r.IntN(1e6))
	case Year:
		return pick(r, []string{"0", "1901", "2155", "2024", fmt.Sprint(1950 + n%100)})
	case JSON:
		if odd {
			texts := []string{`'{}'`, `'[]'`, `'null'`, `'{"v": 1.0}'`, `'{"v": -0.0}'`, `'{"v": 1e20}'`, `'{"v": 9007199254740993}'`, `'"日本"'`, `'{"v": 0.1}'`}
			if !t.MariaDB {
				texts = append(texts, `JSON_OBJECT('v', CAST(1.50 AS DECIMAL(5,2)))`, `JSON_OBJECT('v', CAST('2024-01-02' AS DATE))`, `JSON_OBJECT('v', x'C3A9')`, `CAST(CAST('12:00:01.5' AS TIME(3)) AS JSON)`)
			}
			return pick(r, texts)
		}
		return fmt.Sprintf(`'{"v": %d, "w": [1, "%s", null], "x": %q}'`, n, word(r), strings.Repeat("y", r.IntN(40)))
	case Geometry:
		return pick(r, []string{fmt.Sprintf("ST_GeomFromText('POINT(%d %d)')", n%90, n%50), "ST_GeomFromText('LINESTRING(0 0,1 1,2 3)')", "ST_GeomFromText('POLYGON((0 0,0 5,5 5,5 0,0 0))', 4326)"})
	case Point:
		return fmt.Sprintf("ST_GeomFromText('POINT(%d %d)')", n%90, n%50)
	case Vector:
		return fmt.Sprintf("STRING_TO_VECTOR('[%d,%d.5,-0.25]')", n%100, r.IntN(10))
	case UUID:
		return fmt.Sprintf("'%08x-1111-2222-3333-444444444444'", uint32(n)*2654435761)
	case Inet6:
		return fmt.Sprintf("'2001:db8::%x'", n%65536)
	}
	panic("soak: no values for " + string(t.Kind))
}

// text is within the character set's repertoire, most times.
func (t Type) text(r *rand.Rand, n int, odd bool) string {
	if odd {
		texts := []string{"''", "'it''s'", "'%_\"'", "'a '", "'A'", "'a'", "'1'", "'12x'", "'2024-02-30'", "'{\"a\": 1}'", "'-5.5'"}
		switch t.Charset {
		case "latin1":
			texts = append(texts, "_latin1 x'C3A9'", "_latin1 x'E9F1'", "_latin1 x'5C27'", "_latin1 x'FF80'")
		case "gbk":
			texts = append(texts, "_gbk x'8A5C'", "_gbk x'C4E3'")
		case "sjis":
			texts = append(texts, "_sjis x'835C'", "_sjis x'93FA'")
		case "ascii":
		case "utf8mb3", "ucs2":
			texts = append(texts, "'日本'", "'ß'", "'é'")
		case "cp1251":
			texts = append(texts, "_cp1251 x'C0FF'")
		default:
			texts = append(texts, "'日本'", "_utf8mb4 x'F09F9880'", "'ß'", "'ss'", "_utf8mb4 x'65CC81'", "'é'", "'İ'")
		}
		s := pick(r, texts)
		if t.Size < 12 && one(r, 2) {
			return "'" + string(rune('a'+n%26)) + "'"
		}
		return s
	}
	if t.Size < 8 {
		const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
		var b strings.Builder
		for range min(t.Size, 3) {
			b.WriteByte(digits[n%36])
			n /= 36
		}
		return "'" + b.String() + "'"
	}
	if t.Kind == Text && one(r, 10) {
		return fmt.Sprintf("REPEAT('%s ', %d)", word(r), r.IntN(20)*r.IntN(200))
	}
	s := fmt.Sprintf("%s%d", word(r)[:1], n)
	if len(s)+8 < t.Size {
		s += word(r)
	}
	return "'" + s + "'"
}

func word(r *rand.Rand) string {
	return pick(r, []string{"alpha", "Beta", "GAMMA", "delta", "eps", "zeta", "eta", "Theta"})
}
