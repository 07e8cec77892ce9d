package chunk

import (
	"math/big"

	"midflight/binlog"
)

// A Course finds where the next chunks end. Where the key is one integer that goes
// upwards and has few gaps, it adds: between lo and lo + n are at most n rows. Else
// the server counts n rows, which jumps any gap; that is asked for ahead of the copy.
type Course struct {
	adds  bool     // the key is such an integer
	dense bool     // the latest chunk had few gaps
	first *big.Int // about the first key; nil: not known
	last  binlog.Key
	ahead []end
}

// An end was found by counting n rows; no key: fewer are left.
type end struct {
	key binlog.Key
	n   int
}

// NewCourse begins at the first row; integer tells that the key is one column of
// integers that goes upwards.
func NewCourse(integer bool) Course { return Course{adds: integer} }

// Next is where a chunk of at most n rows after lo ends; "" is no end, the last
// chunk. ok is false when the server has to be asked first.
func (c *Course) Next(lo binlog.Key, n int) (hi binlog.Key, ok bool) {
	if len(c.ahead) > 0 && c.ahead[0].n > 2*n { // found when chunks were quicker
		c.ahead = nil
	}
	if len(c.ahead) > 0 {
		hi, c.ahead = c.ahead[0].key, c.ahead[1:]
		return hi, true
	}
	if !c.adds || !c.dense || lo == "" || c.last == "" {
		return "", false
	}
	sum := plus(lo, n)
	if compare(sum, c.last) >= 0 {
		return "", false
	}
	return sum, true
}

// Ask tells what the server has to be asked for, so that chunks after lo don't have
// to wait: ends of n rows each, as many as want, from from on. ok is false when
// enough is known.
func (c *Course) Ask(lo binlog.Key, n, want int) (from binlog.Key, ends int, ok bool) {
	if c.adds && c.dense && lo != "" && c.last != "" && len(c.ahead) == 0 && compare(plus(lo, n), c.last) < 0 {
		return "", 0, false
	}
	if from = c.tail(lo); from == "" && len(c.ahead) > 0 {
		return "", 0, false
	}
	return from, want - len(c.ahead), len(c.ahead) < want
}

// tail is where the ends known end, lo where there are none; "" with ends is the last.
func (c *Course) tail(lo binlog.Key) binlog.Key {
	if l := len(c.ahead); l > 0 {
		return c.ahead[l-1].key
	}
	return lo
}

// Adds: the greatest key is worth knowing.
func (c *Course) Adds() bool { return c.adds }

// Found takes the answer: the ends from from on, and the greatest key there was, if it
// was asked for. The next chunk begins at lo by now; ends that don't follow what is known
// are of no use any more.
func (c *Course) Found(lo, from binlog.Key, ends []binlog.Key, n int, last binlog.Key) {
	if last != "" {
		c.last = last
	}
	if c.tail(lo) != from {
		return
	}
	if c.adds && from == "" && len(ends) > 0 && ends[0] != "" {
		c.first = number(ends[0])
	}
	for _, k := range ends {
		c.ahead = append(c.ahead, end{k, n})
	}
}

// Forget drops the ends found ahead: rows may have come behind the last of them since.
func (c *Course) Forget() { c.ahead = nil }

// Position tells where in the range of the keys a key is, from 0 to 1; -1 where nobody
// can tell.
func (c *Course) Position(k binlog.Key) float64 {
	if k == "" || c.first == nil || c.last == "" {
		return -1
	}
	whole := new(big.Int).Sub(number(c.last), c.first)
	part := new(big.Int).Sub(number(k), c.first)
	if whole.Sign() <= 0 || part.Sign() < 0 {
		return -1
	}
	at, _ := new(big.Rat).SetFrac(part, whole).Float64()
	return min(at, 1)
}

// Copied tells how many rows a chunk had.
func (c *Course) Copied(r Range, rows int64) {
	if !c.adds || r.Lo == "" || r.Hi == "" {
		return
	}
	span := new(big.Int).Sub(number(r.Hi), number(r.Lo))
	c.dense = span.Cmp(big.NewInt(2*rows)) <= 0
}

// plus is the key n after k.
func plus(k binlog.Key, n int) binlog.Key {
	return binlog.Key(new(big.Int).Add(number(k), big.NewInt(int64(n))).String())
}

func number(k binlog.Key) *big.Int {
	n, ok := new(big.Int).SetString(string(k), 10)
	if !ok {
		panic("BUG: integer key " + string(k))
	}
	return n
}
