// Package chunk has the pieces in which a table is copied and compared, and
// their sizes. It is pure.
package chunk

import (
	"cmp"
	"math/big"
	"strconv"
	"strings"

	"midflight/binlog"
)

// A Range is the part of the chunk key's order after Lo up to and including Hi.
// No Lo: from the first row; no Hi: to the last one, whatever it is by then.
type Range struct {
	Lo, Hi binlog.Key
}

// A Place is where a key lies in relation to a range.
type Place int

const (
	Unsure Place = iota // the server's collation decides, or a part of the key is equal
	Before              // at or before Lo
	Inside
	After // behind Hi
)

// Place compares as far as Go compares like the server: integers. Anything else
// is Unsure; whoever asks must then take the safe side.
func (r Range) Place(k binlog.Key, integers bool) Place {
	if !integers {
		return Unsure
	}
	if r.Lo != "" && compare(k, r.Lo) <= 0 {
		return Before
	}
	if r.Hi != "" && compare(k, r.Hi) > 0 {
		return After
	}
	return Inside
}

// compare orders two keys of integers.
func compare(a, b binlog.Key) int {
	if !strings.Contains(string(a), "\x00") && !strings.Contains(string(b), "\x00") { // most are of one column
		return compareInt(string(a), string(b))
	}
	as, bs := a.Literals(), b.Literals()
	for i := range min(len(as), len(bs)) {
		if c := compareInt(as[i], bs[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

func compareInt(a, b string) int {
	if a == b {
		return 0
	}
	if len(a) <= 18 && len(b) <= 18 { // most are
		x, errx := strconv.ParseInt(a, 10, 64)
		y, erry := strconv.ParseInt(b, 10, 64)
		if errx == nil && erry == nil {
			return cmp.Compare(x, y)
		}
	}
	x, okx := new(big.Int).SetString(a, 10)
	y, oky := new(big.Int).SetString(b, 10)
	if !okx || !oky {
		panic("BUG: integer key with literal " + a + " or " + b)
	}
	return x.Cmp(y)
}
