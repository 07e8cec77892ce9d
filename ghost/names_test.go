package ghost

import (
	"strings"
	"testing"
	"unicode/utf8"

	"midflight/schema"
)

func TestNames(t *testing.T) {
	plain := schema.Name{Schema: "shop", Table: "orders"}
	for _, c := range []struct{ got, want schema.Name }{
		{shadowName(plain, 7), plain.With("_orders_shadow")},
		{oldName(plain, 7), plain.With("_orders_old")},
		{lateShadowName(plain, 7), plain.With("orders~s")},
		{lateOldName(plain, 7), plain.With("orders~o")},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
	for _, one := range []string{"a", "ä", "日"} {
		for _, n := range []int{1, 55, 56, 57, 59, 60, 61, 62, 63, 64} {
			t1 := plain.With(strings.Repeat(one, n))
			names := []schema.Name{t1, shadowName(t1, 7), oldName(t1, 7), lateShadowName(t1, 7), lateOldName(t1, 7)}
			seen := map[schema.Name]bool{}
			for _, name := range names {
				if l := utf8.RuneCountInString(name.Table); l > maxName || !utf8.ValidString(name.Table) {
					t.Errorf("%d of %s: %s has %d characters", n, one, name, l)
				}
				if seen[name] {
					t.Errorf("%d of %s: %s is there twice", n, one, name)
				}
				seen[name] = true
			}
			// RENAME locks in the order of the names' bytes.
			for _, late := range names[3:] {
				if late.Table <= t1.Table {
					t.Errorf("%s does not sort behind %s", late, t1)
				}
			}
		}
	}
}

// Two tables whose names begin alike must not share a table of ours.
func TestLongNamesDoNotMeet(t *testing.T) {
	long := strings.Repeat("a", 60)
	x, y := schema.Name{Schema: "s", Table: long + "x"}, schema.Name{Schema: "s", Table: long + "y"}
	if shadowName(x, 1) == shadowName(y, 2) || oldName(x, 1) == oldName(y, 2) {
		t.Error("two tables with the same first 60 characters share a name")
	}
}
