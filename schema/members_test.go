package schema

import (
	"slices"
	"testing"
)

func TestMembers(t *testing.T) {
	for full, want := range map[string][]string{
		"enum('a','b')":             {"a", "b"},
		`set('it''s','\\','x\n\0')`: {"it's", `\`, "x\n\x00"},
		"enum('')":                  {""},
		"enum('(x),y','é')":         {"(x),y", "é"},
		"int":                       nil,
		"enum(":                     nil,
		"enum('a'":                  nil,
	} {
		got, err := Column{FullType: full}.Members()
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%s: %q, %v; want %q", full, got, err, want)
		}
	}
}

func FuzzMembers(f *testing.F) {
	f.Add("enum('a','b')")
	f.Add(`set('it''s','\\')`)
	f.Fuzz(func(t *testing.T, s string) { _, _ = Column{FullType: s}.Members() })
}
