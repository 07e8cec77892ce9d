package binlog

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"

	"midflight/schema"
)

// The types of columns in table map events.
const (
	typeTiny           = 1
	typeShort          = 2
	typeLong           = 3
	typeFloat          = 4
	typeDouble         = 5
	typeNull           = 6
	typeTimestamp      = 7
	typeLongLong       = 8
	typeInt24          = 9
	typeDate           = 10
	typeTime           = 11
	typeDatetime       = 12
	typeYear           = 13
	typeNewDate        = 14
	typeVarchar        = 15
	typeBit            = 16
	typeTimestamp2     = 17
	typeDatetime2      = 18
	typeTime2          = 19
	typeBlobPacked     = 140 // MariaDB's COMPRESSED columns
	typeVarcharPacked  = 141
	typeVector         = 242
	typeJSON           = 245
	typeDecimal        = 246
	typeEnum           = 247
	typeSet            = 248
	typeBlob           = 252
	typeVarString      = 253
	typeString         = 254
	typeGeometry       = 255
	typeTinyBlob       = 249
	typeMediumBlob     = 250
	typeLongBlob       = 251
	dummyTableID       = 0xffffff // rows event without rows, it only ends the statement
	partialJSONUpdates = 1
)

// wireTypes says as what a key column's type comes. Types that are not here
// can't be part of a key: their values have no exact literal.
var wireTypes = map[string][]byte{
	"tinyint": {typeTiny}, "smallint": {typeShort}, "mediumint": {typeInt24}, "int": {typeLong}, "bigint": {typeLongLong},
	"decimal": {typeDecimal}, "bit": {typeBit}, "year": {typeYear},
	"date": {typeDate, typeNewDate}, "time": {typeTime2}, "datetime": {typeDatetime2}, "timestamp": {typeTimestamp2},
	"char": {typeString}, "binary": {typeString}, "varchar": {typeVarchar, typeVarString}, "varbinary": {typeVarchar, typeVarString},
	"tinytext": {typeBlob}, "text": {typeBlob}, "mediumtext": {typeBlob}, "longtext": {typeBlob},
	"tinyblob": {typeBlob}, "blob": {typeBlob}, "mediumblob": {typeBlob}, "longblob": {typeBlob},
	"enum": {typeEnum}, "set": {typeSet}, "float": {typeFloat}, "double": {typeDouble},
}

// realType undoes what the server does to STRING: ENUM and SET come as one,
// and CHARs longer than 255 bytes have two bits of their length in the type.
func realType(t byte, meta uint16) (byte, int) {
	if t != typeString || meta < 256 {
		return t, int(meta)
	}
	high, low := byte(meta>>8), int(meta&0xff)
	if high&0x30 != 0x30 {
		return high | 0x30, low | int(high&0x30^0x30)<<4
	}
	return high, low
}

// size is the number of bytes that the value at the head of data takes.
func size(data []byte, t byte, meta uint16) (int, error) {
	real, length := realType(t, meta)
	switch real {
	case typeNull:
		return 0, nil
	case typeTiny, typeYear:
		return 1, nil
	case typeShort:
		return 2, nil
	case typeInt24, typeDate, typeNewDate, typeTime:
		return 3, nil
	case typeLong, typeFloat, typeTimestamp:
		return 4, nil
	case typeLongLong, typeDouble, typeDatetime:
		return 8, nil
	case typeTime2:
		return 3 + fracSize(meta), nil
	case typeTimestamp2:
		return 4 + fracSize(meta), nil
	case typeDatetime2:
		return 5 + fracSize(meta), nil
	case typeDecimal:
		return decimalSize(int(meta>>8), int(meta&0xff)), nil
	case typeBit:
		return (int(meta>>8)*8 + int(meta&0xff) + 7) / 8, nil
	case typeEnum, typeSet:
		return length & 0xff, nil
	case typeVarchar, typeVarString, typeVarcharPacked, typeString:
		prefix := 1
		if length > 255 {
			prefix = 2
		}
		return prefix + int(little(data[:prefix])), nil
	case typeBlob, typeBlobPacked, typeGeometry, typeVector, typeJSON, typeTinyBlob, typeMediumBlob, typeLongBlob:
		prefix := int(meta)
		if prefix < 1 || prefix > 4 {
			return 0, fmt.Errorf("column of type %d with %d length bytes", real, prefix)
		}
		return prefix + int(little(data[:prefix])), nil
	}
	return 0, fmt.Errorf("column of unknown type %d", real)
}

// value decodes a key column for Literal: int64, uint64, float64, []byte, time.Time for
// TIMESTAMP (zero: 0000-00-00), and text for DECIMAL and the other temporals.
func value(c schema.Column, data []byte, t byte, meta uint16) (any, error) {
	real, length := realType(t, meta)
	if !slices.Contains(wireTypes[c.Type], real) {
		return nil, fmt.Errorf("column %s is %s, its events have type %d", c.Name, c.FullType, real)
	}
	switch real {
	case typeTiny, typeShort, typeInt24, typeLong, typeLongLong:
		if c.Unsigned() {
			return little(data), nil
		}
		shift := 64 - 8*len(data)
		return int64(little(data)<<shift) >> shift, nil
	case typeFloat:
		return float64(math.Float32frombits(uint32(little(data)))), nil
	case typeDouble:
		return math.Float64frombits(little(data)), nil
	case typeBit:
		return big(data), nil
	case typeEnum, typeSet:
		return little(data), nil
	case typeYear:
		if data[0] == 0 {
			return uint64(0), nil
		}
		return 1900 + uint64(data[0]), nil
	case typeDecimal:
		return decimal(data, int(meta>>8), int(meta&0xff)), nil
	case typeDate, typeNewDate:
		d := little(data)
		return fmt.Sprintf("%04d-%02d-%02d", d>>9, d>>5&15, d&31), nil
	case typeTime2:
		return timeText(data, int(meta)), nil
	case typeDatetime2:
		return datetimeText(data, int(meta)), nil
	case typeTimestamp2:
		sec, micro := int64(big(data[:4])), fraction(data[4:], int(meta))
		if sec == 0 && micro == 0 {
			return time.Time{}, nil
		}
		return time.Unix(sec, int64(micro)*1000).UTC(), nil
	case typeVarchar, typeVarString, typeString:
		if length > 255 {
			return data[2:], nil
		}
		return data[1:], nil
	case typeBlob:
		return data[meta:], nil
	}
	return nil, fmt.Errorf("column %s: no value of type %d", c.Name, real)
}

func little(b []byte) (n uint64) {
	for i, c := range b {
		n |= uint64(c) << (8 * i)
	}
	return n
}

func big(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

func fracSize(decimals uint16) int { return int(decimals+1) / 2 }

// fraction is in microseconds; an odd number of digits is stored as the next
// even one.
func fraction(b []byte, decimals int) uint64 {
	n := big(b)
	for range 6 - (decimals+1)/2*2 {
		n *= 10
	}
	return n
}

func fracText(micro uint64, decimals int) string {
	if decimals == 0 {
		return ""
	}
	return "." + fmt.Sprintf("%06d", micro)[:decimals]
}

func datetimeText(data []byte, decimals int) string {
	n := big(data[:5]) - 0x8000000000
	ymd, hms := n>>17, n&(1<<17-1)
	ym := ymd >> 5
	return fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d", ym/13, ym%13, ymd&31, hms>>12, hms>>6&63, hms&63) +
		fracText(fraction(data[5:], decimals), decimals)
}

// timeText: the whole value, fraction included, is one number with an offset,
// so that negative times sort; its magnitude is what is written.
func timeText(data []byte, decimals int) string {
	fracBits := 8 * (len(data) - 3)
	n := int64(big(data)) - int64(0x800000)<<fracBits
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	hms := uint64(n) >> fracBits
	frac := uint64(n) & (1<<fracBits - 1)
	for range 6 - (decimals+1)/2*2 {
		frac *= 10
	}
	return fmt.Sprintf("%s%02d:%02d:%02d", sign, hms>>12, hms>>6&63, hms&63) + fracText(frac, decimals)
}

// Nine decimal digits are four bytes; what is left over takes this many.
var digitBytes = [10]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}

func decimalSize(precision, scale int) int {
	whole := precision - scale
	return whole/9*4 + digitBytes[whole%9] + scale/9*4 + digitBytes[scale%9]
}

// decimal: groups of digits, most significant first; the highest bit is set for
// positive numbers, negative ones have every bit flipped.
func decimal(data []byte, precision, scale int) string {
	data = slices.Clone(data)
	negative := data[0]&0x80 == 0
	data[0] ^= 0x80
	if negative {
		for i := range data {
			data[i] = ^data[i]
		}
	}
	whole := precision - scale
	var digits strings.Builder
	group := func(n int) {
		if n > 0 {
			fmt.Fprintf(&digits, "%0*d", n, big(data[:digitBytes[n]]))
			data = data[digitBytes[n]:]
		}
	}
	group(whole % 9)
	for range whole / 9 {
		group(9)
	}
	text := strings.TrimLeft(digits.String(), "0")
	if text == "" {
		text = "0"
	}
	digits.Reset()
	for range scale / 9 {
		group(9)
	}
	group(scale % 9)
	if scale > 0 {
		text += "." + digits.String()
	}
	if negative {
		text = "-" + text
	}
	return text
}

// lenenc is a length-encoded integer and its size.
func lenenc(b []byte) (uint64, int) {
	switch b[0] {
	case 0xfc:
		return uint64(binary.LittleEndian.Uint16(b[1:])), 3
	case 0xfd:
		return little(b[1:4]), 4
	case 0xfe:
		return binary.LittleEndian.Uint64(b[1:]), 9
	}
	return uint64(b[0]), 1
}

// A bitmap has one bit per column.
type bitmap []byte

func (b bitmap) has(i int) bool { return b[i>>3]&(1<<(i&7)) != 0 }

func (b bitmap) count(n int) int {
	c := 0
	for i := range n / 8 {
		c += bits.OnesCount8(b[i])
	}
	if rest := n % 8; rest > 0 {
		c += bits.OnesCount8(b[n/8] & (1<<rest - 1))
	}
	return c
}

func bitmapSize(n int) int { return (n + 7) / 8 }
