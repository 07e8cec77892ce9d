package binlog

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"midflight/schema"
)

// memberLiteral writes an ENUM or SET value as its text. Its number would do in
// `column = 3`, but in `(a, b) IN ((3, 1))` MySQL compares it as the text '3',
// and above 2^63 neither server finds it.
func memberLiteral(c schema.Column, v uint64) (string, error) {
	names, err := members(c.FullType)
	if err != nil {
		return "", fmt.Errorf("column %s: %w", c.Name, err)
	}
	var chosen []string
	switch {
	case c.Type == "set":
		for i := range 64 {
			if v&(1<<i) == 0 {
				continue
			}
			if i >= len(names) {
				return "", fmt.Errorf("column %s: SET of %d members has value %d", c.Name, len(names), v)
			}
			chosen = append(chosen, names[i])
		}
	case v > uint64(len(names)):
		return "", fmt.Errorf("column %s: ENUM of %d members has value %d", c.Name, len(names), v)
	case v > 0:
		chosen = []string{names[v-1]}
	case slices.Contains(names, ""):
		return "", fmt.Errorf("column %s: the ENUM's error value can't be told from its member ''", c.Name)
	}
	return textLiteral(c, strings.Join(chosen, ",")), nil
}

// textLiteral is a UTF-8 text in the column's own character set: MariaDB does
// not convert literals inside row constructors.
func textLiteral(c schema.Column, s string) string {
	digits := hex.EncodeToString([]byte(s))
	ascii := !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
	switch c.Charset {
	case "utf8mb4", "utf8mb3", "utf8":
		return "_" + c.Charset + " x'" + digits + "'"
	case "utf16", "utf16le", "utf32", "ucs2", "swe7": // their ASCII is not ASCII
	default:
		if ascii {
			return "_" + c.Charset + " x'" + digits + "'"
		}
	}
	return "CONVERT(_utf8mb4 x'" + digits + "' USING " + c.Charset + ") COLLATE " + c.Collation
}

var membersOf sync.Map // full type → members, as parsing 65535 of them for each row would be slow

// members reads enum('a','b') as the catalogue writes it: quotes doubled,
// backslash, zero byte and line ends escaped, whatever the sql_mode.
func members(fullType string) ([]string, error) {
	if m, ok := membersOf.Load(fullType); ok {
		return m.([]string), nil
	}
	_, rest, ok := strings.Cut(fullType, "(")
	var names []string
	for ok && strings.HasPrefix(rest, "'") {
		name, after := member(rest[1:])
		names = append(names, name)
		rest = strings.TrimPrefix(after, ",")
	}
	if !strings.HasPrefix(rest, ")") || len(names) == 0 {
		return nil, fmt.Errorf("type %q: want a list of members", fullType)
	}
	membersOf.Store(fullType, names)
	return names, nil
}

// member reads up to the closing quote and returns what follows it.
func member(s string) (name, after string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'' && strings.HasPrefix(s[i+1:], "'"):
			i++
			b.WriteByte(c)
		case c == '\'':
			return b.String(), s[i+1:]
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(unescape(s[i]))
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

func unescape(c byte) byte {
	switch c {
	case '0':
		return 0
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	}
	return c
}
