package main

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// An order is a row as the application remembers it. What never changes in a
// row follows from its serial number; so a million rows needn't be remembered
// column by column, and yet every column can be compared.
type order struct {
	serial  int64 // of the order; the id may change, this doesn't
	amount  int64
	version int64
}

const (
	customers   = 50_000
	firstAmount = 1000
)

// filled is the order that fill has put at an id.
func filled(id int64) order { return order{serial: id, amount: firstAmount} }

// The ids that end in 0 are left free for orders that change their id.
func filledID(n int64) int64   { return n + n/9 + 1 }
func freeID(n int64) int64     { return 10 * (n + 1) }
func freeIDs(rows int64) int64 { return rows / 9 }

func (o order) customer() int64 { return o.serial*7919%customers + 1 }

func (o order) details() string {
	sum := md5.Sum(strconv.AppendInt(nil, o.serial, 10))
	return strconv.FormatInt(o.serial, 10) + " " + strings.Repeat(hex.EncodeToString(sum[:]), 3)
}

func (o order) created() string {
	return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(o.serial) * time.Second).Format(time.DateTime)
}

// values is the order as a row of INSERT INTO orders (columns).
func (o order) values() string {
	return fmt.Sprintf("(%d,%d,%d,'%s','%s')", o.customer(), o.amount, o.version, o.details(), o.created())
}

const columns = "customer_id, amount, version, details, created_at"
