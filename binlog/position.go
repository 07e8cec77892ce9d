package binlog

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// A Position is a place in the binlog between two transactions, from which a
// stream can be opened.
type Position struct {
	// GTIDs is the executed set on MySQL with gtid_mode=ON, and then it decides
	// alone; File and Offset are for people.
	GTIDs  string
	File   string
	Offset uint64 // a transaction may end past 4 GiB
}

// IsZero: no place at all.
func (p Position) IsZero() bool { return p == Position{} }

// String is what ParsePosition reads: GTIDS@FILE:OFFSET, with either side empty
// when it is not known. GTIDs have no @, so files may.
func (p Position) String() string {
	if p.IsZero() {
		return ""
	}
	s := p.GTIDs + "@"
	if p.File != "" {
		s += p.File + ":" + strconv.FormatUint(p.Offset, 10)
	}
	return s
}

// ParsePosition reads a Position's String.
func ParsePosition(s string) (Position, error) {
	if s == "" {
		return Position{}, nil
	}
	gtids, place, ok := strings.Cut(s, "@")
	if !ok {
		return Position{}, fmt.Errorf("binlog position %q: want GTIDS@FILE:OFFSET", s)
	}
	p := Position{GTIDs: gtids}
	if gtids != "" {
		if _, err := parseGTIDs(gtids); err != nil {
			return Position{}, fmt.Errorf("binlog position %q: %w", s, err)
		}
	}
	if place != "" {
		i := strings.LastIndexByte(place, ':')
		if i <= 0 {
			return Position{}, fmt.Errorf("binlog position %q: want FILE:OFFSET after the @", s)
		}
		offset, err := strconv.ParseUint(place[i+1:], 10, 64)
		if err != nil {
			return Position{}, fmt.Errorf("binlog position %q: offset: %w", s, err)
		}
		p.File, p.Offset = place[:i], offset
	}
	if p.IsZero() {
		return Position{}, fmt.Errorf("binlog position %q names no place", s)
	}
	return p, nil
}

// A TxID names one transaction for the question whether it is visible. TxIDs
// are comparable.
type TxID struct {
	GTID string // "uuid:7", "uuid:tag:7", "0-1-7"; "" without GTIDs
	File string // of the transaction's end
	End  uint64
	// Seq numbers the transactions in the order in which this process received
	// them, whatever stream they came by. So whatever was received before an
	// observation of the server has a lower number than what comes after it.
	Seq uint64
	// XA is the XID of a transaction that became visible by XA COMMIT.
	XA string

	sid [16]byte
	tag mysql.Tag
	gno int64
}

func (id TxID) String() string {
	if id.GTID != "" {
		return id.GTID
	}
	return id.File + ":" + strconv.FormatUint(id.End, 10)
}

var received atomic.Uint64

// compareFiles orders two binlog files of one server by their numbers: the
// name after base.999999 is base.1000000, which is less as a text.
func compareFiles(a, b string) int {
	na, oka := fileNumber(a)
	nb, okb := fileNumber(b)
	if !oka || !okb {
		return cmp.Compare(a, b)
	}
	return cmp.Compare(na, nb)
}

func fileNumber(name string) (uint64, bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(name[i+1:], 10, 64)
	return n, err == nil
}

// extend makes a 64-bit offset of an event header's 32 bits, given the end of
// the event before. No event is longer than 4 GiB.
func extend(prev uint64, low uint32) uint64 {
	offset := prev&^0xffffffff | uint64(low)
	if offset < prev {
		offset += 1 << 32
	}
	return offset
}
