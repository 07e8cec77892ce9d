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

// Tables are the two tables of a migration and how rows go from one to the
// other.
type Tables struct {
	ID               int64 // the migration's, for the statements' tags
	Original, Shadow schema.Name
	Key              plan.Key
	Columns          []plan.Mapping
	Started          Start
	// Lossy: the session's sql_mode cuts values that don't fit, so columns that
	// are converted can't be compared.
	Lossy bool
	// First is the number of the first row where rows are numbered; 0 is 1.
	First uint64
	// NullIsNow: ALTER TABLE makes the current time of a NULL that becomes a
	// TIMESTAMP NOT NULL. (MySQL outside strict mode, MariaDB always.)
	NullIsNow bool
	// CutsTexts: of a text '3.6' ALTER TABLE makes the integer 3, or in strict mode
	// refuses it, where INSERT rounds it to 4. (MariaDB.)
	CutsTexts bool
	// UpTo bounds what Insert reads: rows ahead of the row copy are left to it.
	// "" is no bound.
	UpTo binlog.Key
}

// A Start is the moment at which the migration began, see plan.StartTime: as a
// DATETIME(6) of the session's time zone, and in seconds since 1970.
type Start struct{ Local, Unix string }

// literal is the moment as a value of the column, cut to its precision as
// CURRENT_TIMESTAMP is. A TIMESTAMP is given without any time zone.
func (s Start) literal(c schema.Column) string {
	text := s.Local
	if c.Type == "timestamp" {
		text = s.Unix
	}
	whole, fraction, _ := strings.Cut(text, ".")
	if c.Precision > 0 {
		whole += "." + fraction[:min(c.Precision, len(fraction))]
	}
	if c.Type == "timestamp" {
		return "FROM_UNIXTIME(" + whole + ")"
	}
	return "'" + whole + "'"
}

// Copy carries one range over. A plain INSERT: a row that is there already is a
// fault or a user's duplicate, and neither may be hidden by IGNORE or REPLACE.
func (t Tables) Copy(r chunk.Range) string {
	return t.insert("copy", byKey) + t.from(t.Original, t.Key.Index) + where(t.inRange(t.Key.Original, r))
}

// Delete and Insert together apply keys: the shadow's rows of these keys become
// the original's as it is now.
func (t Tables) Delete(keys []binlog.Key) string {
	return t.deleteFrom("apply") + where(match(t.Key.Shadow, keys))
}

// deleteFrom names the helper index in the form for several tables: the plain
// DELETE has no place for it, and an index that was made on an empty table is
// not what the optimizer thinks of.
func (t Tables) deleteFrom(what string) string {
	shadow := t.Shadow.Quoted()
	if t.shadowIndex() == "" {
		return fmt.Sprintf("DELETE %s FROM %s", t.tag(what), shadow)
	}
	return fmt.Sprintf("DELETE %s FROM %s USING %s FORCE INDEX (%s)", t.tag(what), shadow, shadow, mysqld.QuoteName(t.shadowIndex()))
}

func (t Tables) shadowIndex() string {
	if t.Key.Helper {
		return plan.HelperIndex
	}
	return ""
}

// DeleteRange takes a chunk away whose copy has to be made again.
func (t Tables) DeleteRange(r chunk.Range) string {
	return t.deleteFrom("copy") + where(t.inRange(t.Key.Shadow, r))
}

// InRange and Match are conditions on the original's rows.
func (t Tables) InRange(r chunk.Range) string { return t.inRange(t.Key.Original, r) }

// Match is true for the original's rows of keys.
func (t Tables) Match(keys []binlog.Key) string { return match(t.Key.Original, keys) }

// Insert is the second half of applying, see Delete.
func (t Tables) Insert(keys []binlog.Key) string {
	return t.insertKeys(keys, byKey)
}

func (t Tables) insertKeys(keys []binlog.Key, n numbering) string {
	insert := t.insert("apply", n) + t.from(t.Original, "") + "\nWHERE " + match(t.Key.Original, keys)
	if t.UpTo != "" {
		insert += " AND " + t.inRange(t.Key.Original, chunk.Range{Hi: t.UpTo})
	}
	return insert
}

// Colliding inserts the keys whose unique values are free. Where another row has
// the value already, it touches that row without changing it, and adds both
// rows' keys to a user variable. So it is the server's own index, whatever its
// expression, prefix or collation, that finds the row.
func (t Tables) Colliding(keys ...binlog.Key) string {
	var literals []string
	for _, c := range t.Key.Original {
		literals = append(literals, literalOf(c, t.Original.Quoted()+"."+mysqld.QuoteName(c.Name)))
	}
	for _, c := range t.Key.Shadow {
		literals = append(literals, literalOf(c, t.Shadow.Quoted()+"."+mysqld.QuoteName(c.Name)))
	}
	same := t.Shadow.Quoted() + "." + mysqld.QuoteName(t.assignable())
	return fmt.Sprintf("%s\nON DUPLICATE KEY UPDATE %s = IF(LENGTH(@midflight_others := CONCAT(@midflight_others, CONCAT_WS('\\t', %s), '\\n')) < 0, %s, %s)",
		t.insertKeys(keys, asTheyCome), same, strings.Join(literals, ", "), same, same)
}

// assignable is a column of the shadow that takes the value of IF(…, column,
// column) without a warning. A generated column takes none, and an ENUM's error
// value is refused as a text.
func (t Tables) assignable() string {
	name, plain := "", false
	for _, m := range t.Columns {
		if m.Literal != plan.FromColumn {
			continue
		}
		k := kind(m.To)
		takes := k == integer || k == decimal || k == text && !long(m.To) || k == bytes && !long(m.To)
		if strings.EqualFold(m.To.Name, t.Key.Shadow[0].Name) && (takes || k != enum) {
			return m.To.Name
		}
		if name == "" || takes && !plain {
			name, plain = m.To.Name, takes
		}
	}
	return name
}

// ForgetColliding and Collided reset and read what Colliding found, see
// CollidedKeys.
func (t Tables) ForgetColliding() string {
	return "SET " + t.tag("apply") + " @midflight_others = ''"
}

func (t Tables) Collided() string {
	return "SELECT " + t.tag("apply") + " @midflight_others"
}

// CollidedKeys are the keys that were not inserted, and those of the rows that
// are in their way.
func (t Tables) CollidedKeys(collided string) (left, others []binlog.Key) {
	n := len(t.Key.Original)
	seen := map[binlog.Key]bool{}
	for line := range strings.Lines(collided) {
		literals := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		left = append(left, t.MakeKey(literals[:n]))
		if other := t.MakeKey(literals[n:]); !seen[other] {
			seen[other] = true
			others = append(others, other)
		}
	}
	return left, others
}

// MakeKey is the key of literals that one of these statements has given.
func (t Tables) MakeKey(literals []string) binlog.Key {
	canonical := make([]string, len(literals))
	for i, l := range literals {
		var err error
		if canonical[i], err = binlog.Canonical(t.Key.Original[i], l); err != nil {
			panic("BUG: " + err.Error())
		}
	}
	return binlog.MakeKey(canonical...)
}

// Bound finds the n-th key after lo, as literals; no row when there are fewer.
func (t Tables) Bound(lo binlog.Key, n int) string {
	return fmt.Sprintf("SELECT %s %s%s%s%s LIMIT 1 OFFSET %d", t.tag("bound"),
		literalsOf(t.Key.Original), t.from(t.Original, t.Key.Index), where(t.inRange(t.Key.Original, chunk.Range{Lo: lo})),
		t.inOrder(), n-1)
}

// Last finds the greatest key, as literals; no row when there is none.
func (t Tables) Last() string {
	names := make([]string, len(t.Key.Original))
	for i, c := range t.Key.Original {
		names[i] = mysqld.QuoteName(c.Name) + " DESC"
	}
	return fmt.Sprintf("SELECT %s %s%s\nORDER BY %s LIMIT 1", t.tag("bound"),
		literalsOf(t.Key.Original), t.from(t.Original, t.Key.Index), strings.Join(names, ", "))
}

// Keys lists the keys of a range of the original, as literals.
func (t Tables) Keys(r chunk.Range) string {
	return t.KeysWhere(t.inRange(t.Key.Original, r))
}

// KeysWhere lists the keys of the original's rows for which a condition is true.
func (t Tables) KeysWhere(condition string) string {
	return fmt.Sprintf("SELECT %s %s%s%s%s", t.tag("keys"), literalsOf(t.Key.Original),
		t.from(t.Original, t.Key.Index), where(condition), t.inOrder())
}

func (t Tables) tag(what string) string { return fmt.Sprintf("/* midflight m%d %s */", t.ID, what) }

// A numbering is how a new AUTO_INCREMENT column gets its values.
type numbering int

const (
	byKey      numbering = iota // in the order of the chunk key
	asTheyCome                  // ON DUPLICATE KEY UPDATE can't refer to the rows of a query with a window (MariaDB)
)

func (t Tables) insert(what string, n numbering) string {
	to := make([]string, len(t.Columns))
	from := make([]string, len(t.Columns))
	for i, m := range t.Columns {
		to[i] = mysqld.QuoteName(m.To.Name)
		switch m.Literal {
		case plan.FromColumn:
			from[i] = mysqld.QuoteName(m.From.Name)
			if m.To.Type == "json" && numeric(m.From) {
				// INSERT refuses a number where ALTER reads its text (3140).
				from[i] = "CAST(" + from[i] + " AS CHAR CHARACTER SET utf8mb4)"
			}
			if t.CutsTexts && m.To.Integer() && plan.Spelled(m.From) {
				from[i] = t.whole(from[i])
			}
			if t.becomesNow(m) {
				from[i] = "COALESCE(" + from[i] + ", " + t.Started.literal(m.To) + ")"
			}
			if t.Lossy && m.From.Type == "enum" && m.To.Type == "enum" && m.From.Nullable && !m.To.Nullable {
				from[i] = noMember(m, from[i])
			}
		case plan.ImplicitDefault:
			from[i] = implicitDefault(m.To)
		case plan.StartTime:
			from[i] = t.Started.literal(m.To)
		case plan.Number:
			from[i] = "@midflight_number + ROW_NUMBER() OVER (" + strings.TrimSpace(t.inOrder()) + ")"
			if n == asTheyCome {
				from[i] = "(@midflight_number := @midflight_number + 1)"
			}
		}
	}
	return fmt.Sprintf("INSERT %s INTO %s (%s)\nSELECT %s", t.tag(what), t.Shadow.Quoted(),
		strings.Join(to, ", "), strings.Join(from, ", "))
}

// Number sets the number behind which the next Copy, Insert or Colliding goes on
// numbering rows, in the same session and with nobody else writing to the shadow;
// "" where no rows are numbered. (Left to the server, each statement would leave a
// gap: it reserves numbers in advance.)
func (t Tables) Number() string {
	for _, m := range t.Columns {
		if m.Literal == plan.Number {
			return fmt.Sprintf("SELECT %s COALESCE(MAX(%s), %d) INTO @midflight_number FROM %s", t.tag("number"),
				mysqld.QuoteName(m.To.Name), max(t.First, 1)-1, t.Shadow.Quoted()+mysqld.TableOnly)
		}
	}
	return ""
}

func (t Tables) becomesNow(m plan.Mapping) bool {
	return t.NullIsNow && m.To.Type == "timestamp" && m.From.Nullable && !m.To.Nullable
}

// noMember: outside strict mode ALTER makes the error value, whose number is 0,
// of a NULL in an ENUM NOT NULL. MariaDB's INSERT makes the first member of it.
func noMember(m plan.Mapping, e string) string {
	if m.From.FullType == m.To.FullType {
		return "COALESCE(" + e + " + 0, 0)"
	}
	return "COALESCE(" + e + ", '')"
}

// whole reads a text as MariaDB's ALTER TABLE does for an integer. In strict mode
// what is no whole number is made what no INSERT takes: the server's own ALTER is
// then asked about the row.
//
// What is more than a BIGINT it takes for the largest one, for BIGINT UNSIGNED too.
func (t Tables) whole(e string) string {
	if !t.Lossy {
		return fmt.Sprintf("IF(%[1]s REGEXP '^[[:space:]]*[-+]?[0-9]+[[:space:]]*$' OR %[1]s IS NULL, %[1]s, CONCAT('?', %[1]s))", e)
	}
	return fmt.Sprintf("IF(TRIM(%[1]s) LIKE '-%%', CAST(%[1]s AS SIGNED), LEAST(CAST(%[1]s AS UNSIGNED), 9223372036854775807))", e)
}

func numeric(c schema.Column) bool {
	switch c.Type {
	case "decimal", "float", "double", "year":
		return true
	}
	return c.Integer()
}

func (t Tables) from(table schema.Name, index string) string {
	s := "\nFROM " + table.Quoted()
	if index == "" {
		return s + mysqld.TableOnly
	}
	return s + " FORCE INDEX (" + mysqld.QuoteName(index) + ")"
}

func where(condition string) string {
	if condition == "" {
		return ""
	}
	return "\nWHERE " + condition
}

// implicitDefault is what ALTER TABLE fills into a new NOT NULL column that has
// no DEFAULT (the manual's "implicit default values", in 'Data Type Default
// Values'); it is subject to sql_mode like there (a zero date fails under
// NO_ZERO_DATE).
func implicitDefault(c schema.Column) string {
	switch c.Type {
	case "date":
		return "'0000-00-00'"
	case "datetime", "timestamp":
		return "'0000-00-00 00:00:00'"
	case "time":
		return "'00:00:00'"
	case "enum":
		return "1"
	case "json":
		return "'null'"
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext",
		"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "set":
		return "''"
	}
	return "0"
}
