package soak

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"midflight/mysqld"
)

// nasty are identifiers of which most programs make a mistake.
var nasty = []string{
	"SELECT", "order", "a b", "it's", "back`tick", `dou"ble`, "100%", "%s%d", "größe", "日本", "semi;colon", "da--sh", "/*c*/", "#x", "$1", "new.x",
	"Name", "KEY", "PRIMARY_", "a.b", "`", "''", "_shadow", "x y z", "rank", "values",
	"An_uppercase_name_of_64_characters_" + strings.Repeat("x", 29),
}

var nastyComments = []string{"a; 'b'", `back\slash`, "100% `x`", "/* c */ -- d", `"q"`, "日本 😀", "it''s"}

// A namer gives names that are not taken yet, whatever their case.
type namer struct{ taken map[string]bool }

func (n *namer) name(r *rand.Rand, stem string) string {
	for {
		name := fmt.Sprintf("%s%d", stem, r.IntN(40))
		if one(r, 5) {
			name = pick(r, nasty)
		}
		if !n.taken[strings.ToLower(name)] {
			n.taken[strings.ToLower(name)] = true
			return name
		}
	}
}

func q(name string) string { return mysqld.QuoteName(name) }
