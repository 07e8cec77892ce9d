package parser

import (
	"slices"
	"testing"
)

func TestNames(t *testing.T) {
	for sql, want := range map[string][]string{
		"a.b":                      {"a", ".", "b"},
		"`a``b`.\"c\"\"d\"":        {"a`b", ".", "c\"d"},
		"x '1' 'it''s' y":          {"x", "y"},
		"'a\\'b' c":                {"c"},
		"a /* b */ c -- d\n# e\nf": {"a", "c", "f"},
		"/*!80000 a */ b":          {"a", "b"},
		"`open":                    {"open"},
		"é日$_1":                    {"é日$_1"},
	} {
		if got := Names(sql, false); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
	if got := Names("/*M!100600 a */ b", true); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("MariaDB's version comment: %q", got)
	}
}
