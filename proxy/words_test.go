package proxy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	columns := ""
	for i := range 80 {
		columns += fmt.Sprintf("o.column_%d AS c%d_1, ", i, i)
	}
	for _, c := range []struct {
		text, name string
		want       bool
	}{
		{"SELECT * FROM Orders", "orders", true},
		{"select * from `ORDERS`", "Orders", true},
		{"SELECT * FROM shop.orders WHERE a = 'x'", "orders", true},
		{"SELECT * FROM orders_2025", "orders", false},
		{"SELECT 'orders'", "orders", false},
		{"SELECT 'it''s', \"it's\", orders.a FROM orders", "orders", true},
		{`SELECT 'it\'s orders'`, "orders", false},
		{`SELECT "say \" it's", a FROM orders`, "orders", true},
		{`SELECT a FROM "orders"`, "orders", true},
		{"SELECT a /* don't */ FROM orders", "orders", true},
		{"SELECT a -- don't\nFROM orders", "orders", true},
		{"SELECT a # don't\nFROM orders", "orders", true},
		{"SELECT a--1 FROM orders", "orders", true},
		{"SELECT 1 /* orders */", "orders", false},
		{"SELECT 1 -- orders", "orders", false},
		{"SELECT * FROM /*!50000orders */", "orders", true},
		{"SELECT * FROM /*M!100000 orders*/", "orders", true},
		{"SELECT a FROM `2024` WHERE b = 7", "2024", true},
		{"SELECT a FROM t WHERE b = 2024", "2024", false},
		{"SELECT a FROM 2024_orders", "2024_orders", true},
		{"SELECT a FROM `my-orders`", "my-orders", true},
		{"SELECT a FROM `my-2024`", "my-2024", true},
		{"SELECT a FROM my, t", "my-orders", false},
		{"SELECT a FROM `it's` WHERE b = 'orders'", "it's", true},
		{"SELECT a FROM `it's` WHERE b = 'orders'", "orders", false},
		{"SELECT a FROM `a``b`", "a`b", true},
		{"SELECT a FROM bestellungen_für", "bestellungen_für", true},
		{"SELECT a FROM t WHERE b = 'für'", "bestellungen_für", false},
		{"INSERT INTO t VALUES ('" + strings.Repeat("a b c ', '", 2000) + "') /* long */", "t", true},
		{"SELECT " + columns + "1 FROM orders o", "orders", true},
		{"", "orders", false},
	} {
		if got := hasAll(appendWords(nil, []byte(c.text)), wordsOf(c.name)); got != c.want {
			t.Errorf("%.60q names %s: %v", c.text, c.name, got)
		}
	}
	many := ""
	for i := range 10_000 {
		many += fmt.Sprint("w", i, " ")
	}
	if n := len(appendWords(nil, []byte(many))); n != maxWords {
		t.Errorf("%d words", n)
	}
}

// What containsName finds outside of strings, comments and numbers, is among the words.
func FuzzWords(f *testing.F) {
	f.Add("SELECT `a`, b.c FROM orders -- x\n WHERE d = 'e' AND \"f\" = 7", uint64(1))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		words := appendWords(nil, []byte(text))
		if len(words) > maxWords {
			t.Fatalf("%d words", len(words))
		}
		plain := strings.Map(func(r rune) rune {
			if r < 0x80 && inName(byte(r)) && (r < '0' || r > '9') || r == ' ' || r == '.' || r == ',' || r == '`' {
				return r
			}
			return ' '
		}, text)
		words = appendWords(nil, []byte(plain))
		names := strings.FieldsFunc(plain, func(r rune) bool { return !inName(byte(r)) })
		if len(names) == 0 || len(words) == maxWords || len(plain) > maxWordsIn {
			return
		}
		name := names[rand.New(rand.NewPCG(seed, 0)).IntN(len(names))]
		if !containsName([]byte(plain), name) || !hasAll(words, wordsOf(name)) {
			t.Errorf("%q has not %q", plain, name)
		}
	})
}
