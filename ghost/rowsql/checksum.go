package rowsql

import (
	"fmt"
	"strings"

	"midflight/binlog"
	"midflight/ghost/chunk"
	"midflight/ghost/plan"
	"midflight/mysqld"
	"midflight/schema"
)

// Checksums compares a range in both tables in one statement, so in one
// snapshot: two rows of count and sum of the rows' CRC32. (Not their XOR: a CRC is
// linear, so two rows that have exchanged values of equal length have the same one. Nor
// sums of products with the key, which are quicker: small changes of neighbouring rows
// cancel out.) The rows of keys without are left out.
func (t Tables) Checksums(r chunk.Range, without []binlog.Key) string {
	side := func(table schema.Name, index string, key []schema.Column, expr string) string {
		return fmt.Sprintf("SELECT COUNT(*), COALESCE(SUM(CRC32(%s)), 0)%s%s", expr, t.from(table, index), where(t.besides(key, r, without)))
	}
	original, shadow := t.rowExpressions()
	return t.tag("verify") + " " + side(t.Original, t.Key.Index, t.Key.Original, original) +
		"\nUNION ALL\n" + side(t.Shadow, t.shadowIndex(), t.Key.Shadow, shadow)
}

// RowChecksums lists the rows of keys in both tables: side ('o' or 's'), CRC32,
// and the key's literals.
func (t Tables) RowChecksums(keys []binlog.Key) string {
	return t.rows(match(t.Key.Original, keys), match(t.Key.Shadow, keys), "")
}

// RangeRowChecksums does the same for a range.
func (t Tables) RangeRowChecksums(r chunk.Range, without []binlog.Key) string {
	return t.rows(t.besides(t.Key.Original, r, without), t.besides(t.Key.Shadow, r, without), t.Key.Index)
}

// besides is a range without some keys.
func (t Tables) besides(key []schema.Column, r chunk.Range, without []binlog.Key) string {
	in := t.inRange(key, r)
	switch {
	case len(without) == 0:
		return in
	case in == "":
		return "NOT (" + match(key, without) + ")"
	}
	return in + " AND NOT (" + match(key, without) + ")"
}

// Each side is read by a statement that names its table once: under LOCK
// TABLES a second mention would need a second lock.
func (t Tables) rows(inOriginal, inShadow, index string) string {
	original, shadow := t.rowExpressions()
	return fmt.Sprintf("%s SELECT 'o', COALESCE(CRC32(%s), 0), %s%s%s\nUNION ALL\nSELECT 's', COALESCE(CRC32(%s), 0), %s%s%s", t.tag("verify"),
		original, literalsOf(t.Key.Original), t.from(t.Original, index), where(inOriginal),
		shadow, literalsOf(t.Key.Shadow), t.from(t.Shadow, t.shadowIndex()), where(inShadow))
}

// rowExpressions are, for either table, one string of a row's values. Long values go
// in by their CRC32: a string beyond max_allowed_packet is NULL.
//
// It is computed for every row there is, twice, so what it costs counts more than its
// looks: whatever is already what is to be compared goes in without a cast, and only
// columns that may be NULL are asked whether they are. (Of 1 M rows on both sides, the
// casts and the questions took 5 of 9 seconds.)
//
// The separator is binary, so that the whole is: else MariaDB makes a text of it, and of
// bytes that are none question marks.
func (t Tables) rowExpressions() (original, shadow string) {
	var o, s, onull, snull []string
	plain := t.plainTexts()
	for _, m := range t.Columns {
		if m.Literal != plan.FromColumn {
			continue
		}
		from, to, ok := t.comparison(m, plain)
		if !ok {
			continue
		}
		if long(m.From) || long(m.To) {
			from, to = "CRC32("+from+")", "CRC32("+to+")"
		}
		if m.From.Nullable || m.To.Nullable {
			from, to = "COALESCE("+from+", '')", "COALESCE("+to+", '')"
			onull = append(onull, "ISNULL("+mysqld.QuoteName(m.From.Name)+")")
			snull = append(snull, "ISNULL("+mysqld.QuoteName(m.To.Name)+")")
		}
		o, s = append(o, from), append(s, to)
	}
	if len(o) == 0 { // every column converts: there is the number of rows to compare
		return "''", "''"
	}
	return "CONCAT_WS(CAST('#' AS BINARY), " + strings.Join(append(o, onull...), ", ") + ")", "CONCAT_WS(CAST('#' AS BINARY), " + strings.Join(append(s, snull...), ", ") + ")"
}

// plainTexts tells whether texts can be put into one string as they are: they all
// have one character set, into which everything else (digits) goes without loss.
// Where there are several the server would convert them, and not all characters
// come out different.
func (t Tables) plainTexts() bool {
	charset := ""
	for _, m := range t.Columns {
		if m.Literal != plan.FromColumn {
			continue
		}
		for _, c := range []schema.Column{m.From, m.To} {
			if kind(c) != text {
				continue
			}
			if charset == "" {
				charset = c.Charset
			}
			if c.Charset != charset {
				return false
			}
		}
	}
	switch charset {
	case "", "utf8mb4", "utf8mb3", "utf8", "latin1", "ascii":
		return true
	}
	return false
}

// Uncompared lists the columns that change type in a way for which there is no
// expression that is the same on both sides; the rows are compared without
// them.
func (t Tables) Uncompared() []string {
	var names []string
	for _, m := range t.Columns {
		if m.Literal != plan.FromColumn {
			continue
		}
		if _, _, ok := t.comparison(m, false); !ok {
			names = append(names, m.To.Name)
		}
	}
	return names
}

// comparison gives expressions that are equal bytes on both sides iff the value
// was carried over rightly.
func (tables Tables) comparison(m plan.Mapping, plainTexts bool) (from, to string, ok bool) {
	f, t := mysqld.QuoteName(m.From.Name), mysqld.QuoteName(m.To.Name)
	if !m.Converted {
		if plain(m.From, plainTexts) && plain(m.To, plainTexts) {
			return f, t, true
		}
		return bytesOf(m.From, f), bytesOf(m.To, t), true
	}
	if tables.Lossy || tables.becomesNow(m) {
		return "", "", false
	}
	fk, tk := kind(m.From), kind(m.To)
	switch {
	case fk == integer && tk == integer:
		return bytesOf(m.From, f), bytesOf(m.To, t), true
	case fk == text && tk == text:
		utf8 := func(e string) string { return "CAST(RTRIM(CONVERT(" + e + " USING utf8mb4)) AS BINARY)" }
		return utf8(f), utf8(t), true
	case m.From.Type == "set" && m.To.Type == "set" && !appended(m.From, m.To):
		// A SET's text has the members in the order of the definition.
		return "", "", false
	case fk == enum && tk == enum, fk == enum && tk == text, fk == integer && tk == text:
		utf8 := func(e string) string {
			return "CAST(RTRIM(CONVERT(CAST(" + e + " AS CHAR) USING utf8mb4)) AS BINARY)"
		}
		return utf8(f), utf8(t), true
	case fk == bytes && tk == bytes:
		trim := func(e string) string { return "TRIM(TRAILING x'00' FROM " + e + ")" }
		return trim(f), trim(t), true
	case fk == decimal && tk == decimal:
		target := strings.TrimSuffix(strings.TrimSuffix(m.To.FullType, " zerofill"), " unsigned")
		return "CAST(CAST(" + f + " AS " + target + ") AS BINARY)", "CAST(CAST(" + t + " AS " + target + ") AS BINARY)", true
	case fk == datetime && tk == datetime:
		cast := func(e string) string {
			return fmt.Sprintf("CAST(CAST(%s AS DATETIME(%d)) AS BINARY)", e, m.To.Precision)
		}
		return cast(f), cast(t), true
	case m.From.FullType == m.To.FullType && m.From.Charset == m.To.Charset && m.From.Collation == m.To.Collation: // NULL to NOT NULL
		return bytesOf(m.From, f), bytesOf(m.To, t), true
	}
	return "", "", false
}

// appended: the new SET has the old one's members in their order, and more
// behind them.
func appended(from, to schema.Column) bool {
	return strings.HasPrefix(to.FullType, strings.TrimSuffix(from.FullType, ")"))
}

// plain: the value's text tells it from all others of its type, and CONCAT_WS makes
// no other text of it.
func plain(c schema.Column, plainTexts bool) bool {
	switch kind(c) {
	case integer:
		return !strings.Contains(c.FullType, "zerofill")
	case text:
		return plainTexts
	case decimal:
		return !strings.Contains(c.FullType, "zerofill")
	case datetime, temporal:
		return true
	}
	return false
}

// bytesOf is an exact byte string of a value; the same for equal values of one
// type. (CAST(FLOAT AS CHAR) has six digits only; ZEROFILL shows in a text.)
func bytesOf(c schema.Column, e string) string {
	switch kind(c) {
	case integer, enum, bit:
		return "CAST(" + e + " + 0 AS BINARY)"
	case float:
		if c.Type == "double" { // with + 0e0 MySQL cuts what is longer than 22 characters
			return "CAST(CAST(" + e + " AS CHAR) AS BINARY)"
		}
		return "CAST(" + e + " + 0e0 AS BINARY)"
	case json:
		return "CAST(CAST(" + e + " AS CHAR) AS BINARY)"
	case other:
		return "HEX(" + e + ")"
	}
	return "CAST(" + e + " AS BINARY)"
}

func long(c schema.Column) bool {
	return strings.HasSuffix(c.Type, "text") || strings.HasSuffix(c.Type, "blob") || kind(c) == json || kind(c) == other
}

type valueKind int

const (
	other valueKind = iota // geometry, vector, uuid, inet6 …
	integer
	decimal
	float
	bit
	text
	bytes
	enum
	datetime
	temporal
	json
)

func kind(c schema.Column) valueKind {
	switch c.Type {
	case "decimal":
		return decimal
	case "float", "double":
		return float
	case "bit":
		return bit
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
		return text
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return bytes
	case "enum", "set":
		return enum
	case "datetime", "timestamp":
		return datetime
	case "date", "time", "year":
		return temporal
	case "json":
		return json
	}
	if c.Integer() {
		return integer
	}
	return other
}
