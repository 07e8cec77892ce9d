package model

import (
	"strconv"
	"strings"

	"midflight/binlog"
)

// Keys of a table are 1 … maxKey.
const maxKey = 8

// A Table is the rows by key.
type Table [maxKey + 1]Row

// A Row has a Value that the second unique key is about (0: NULL) and a Note
// that is another one after every change.
type Row struct {
	There bool
	Caps  bool // the key's spelling
	Value int8
	Note  int
}

// taken finds the row other than k's that has the value; 0: none.
func (t *Table) taken(value int8, k int) int {
	if value == 0 {
		return 0
	}
	for o := range t {
		if o != k && t[o].There && t[o].Value == value {
			return o
		}
	}
	return 0
}

// duplicate finds two rows with one value.
func (t *Table) duplicate() bool {
	for k := range t {
		if t[k].There && t.taken(t[k].Value, k) != 0 {
			return true
		}
	}
	return false
}

func (t Table) String() string {
	var rows []string
	for k, r := range t {
		if r.There {
			rows = append(rows, spell(k, r.Caps)+"="+valueName(r.Value))
		}
	}
	return "{" + strings.Join(rows, " ") + "}"
}

func valueName(v int8) string {
	if v == 0 {
		return "-"
	}
	return string(rune('a' + v - 1))
}

// spell writes a key as scripts do.
func spell(k int, caps bool) string {
	if caps {
		return strconv.Itoa(k) + "^"
	}
	return strconv.Itoa(k)
}

// literal is a key as the engine has it. With two spellings it is no integer.
func (w *World) literal(k int, caps bool) binlog.Key {
	switch {
	case !w.Spellings:
		return literals[k]
	case caps:
		return upper[k]
	}
	return lower[k]
}

var literals, lower, upper [maxKey + 1]binlog.Key
var numbers = map[binlog.Key]int{}

func init() {
	for k := range literals {
		n := strconv.Itoa(k)
		literals[k], lower[k], upper[k] = binlog.Key(n), binlog.Key("'k"+n+"'"), binlog.Key("'K"+n+"'")
		numbers[literals[k]], numbers[lower[k]], numbers[upper[k]] = k, k, k
	}
}

// number is the row that the server finds by a key.
func number(k binlog.Key) int { return numbers[k] }

func name(k binlog.Key) string { return spell(number(k), strings.HasPrefix(string(k), "'K")) }

func names(keys []binlog.Key) string {
	if len(keys) == 0 {
		return "nothing"
	}
	var s []string
	for _, k := range keys {
		s = append(s, name(k))
	}
	return strings.Join(s, " ")
}
