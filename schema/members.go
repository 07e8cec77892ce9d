package schema

import (
	"fmt"
	"strings"
	"sync"
)

var membersOf sync.Map // full type → members, as parsing 65535 of them for each key would be slow

// Members of an ENUM or SET, in order, from its type as the catalogue writes it:
// quotes doubled, backslash, zero byte and line ends escaped, whatever the
// sql_mode.
func (c Column) Members() ([]string, error) {
	if m, ok := membersOf.Load(c.FullType); ok {
		return m.([]string), nil
	}
	_, rest, ok := strings.Cut(c.FullType, "(")
	var names []string
	for ok && strings.HasPrefix(rest, "'") {
		name, after := member(rest[1:])
		names = append(names, name)
		rest = strings.TrimPrefix(after, ",")
	}
	if !strings.HasPrefix(rest, ")") || len(names) == 0 {
		return nil, fmt.Errorf("column %s is %q: want a list of members", c.Name, c.FullType)
	}
	membersOf.Store(c.FullType, names)
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
