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

// A Row has two values that unique keys are about (0: NULL) and a Note that is
// another one after every change.
type Row struct {
	There bool
	Caps  bool // the key's spelling
	U     [uniques]int8
	Note  int16
}

const uniques = 2 // besides the chunk key

// taken finds the row other than k's that has one of the row's unique values,
// by the first index that knows one; 0: none.
func (t *Table) taken(r Row, k int) int {
	for i, value := range r.U {
		if value == 0 {
			continue
		}
		for o := 1; o <= maxKey; o++ {
			if t[o].U[i] == value && o != k && t[o].There {
				return o
			}
		}
	}
	return 0
}

// duplicate finds two rows with one value of a unique key, if it is one of the
// wanted ones.
func (t *Table) duplicate(want [uniques]bool) bool {
	for i := range uniques {
		if !want[i] {
			continue
		}
		var seen uint32
		for k := 1; k <= maxKey; k++ {
			if r := &t[k]; r.There && r.U[i] != 0 {
				if seen&(1<<r.U[i]) != 0 {
					return true
				}
				seen |= 1 << r.U[i]
			}
		}
	}
	return false
}

func (t Table) String() string {
	var rows []string
	for k, r := range t {
		if r.There {
			rows = append(rows, spell(k, r.Caps)+"="+valueNames(r.U))
		}
	}
	return "{" + strings.Join(rows, " ") + "}"
}

// valueNames writes the unique values as scripts do: b, or b/x where the second
// is not NULL.
func valueNames(u [uniques]int8) string {
	name := func(v int8) string {
		if v == 0 {
			return "-"
		}
		return string(rune('a' + v - 1))
	}
	if u[1] == 0 {
		return name(u[0])
	}
	return name(u[0]) + "/" + name(u[1])
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

func init() {
	for k := range literals {
		n := strconv.Itoa(k)
		literals[k], lower[k], upper[k] = binlog.Key(n), binlog.Key("'k"+n+"'"), binlog.Key("'K"+n+"'")
	}
}

// number is the row that the server finds by a key.
func number(k binlog.Key) int {
	if len(k) == 1 {
		return int(k[0] - '0')
	}
	return int(k[2] - '0')
}

func caps(k binlog.Key) bool { return len(k) > 1 && k[1] == 'K' }

func name(k binlog.Key) string { return spell(number(k), caps(k)) }

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
