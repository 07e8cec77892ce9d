package binlog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/google/uuid"
)

// A gtidSet is a set of MySQL's GTIDs.
type gtidSet struct{ set *mysql.MysqlGTIDSet }

func parseGTIDs(s string) (gtidSet, error) {
	// The server breaks long sets into lines.
	s = strings.NewReplacer("\n", "", "\r", "", " ", "").Replace(s)
	if s == "" {
		set := mysql.NewMysqlGTIDSet()
		return gtidSet{&set}, nil
	}
	set, err := mysql.ParseMysqlGTIDSet(s)
	if err != nil {
		return gtidSet{}, fmt.Errorf("GTID set %q: %w", s, err)
	}
	return gtidSet{set.(*mysql.MysqlGTIDSet)}, nil
}

func (g gtidSet) String() string { return g.set.String() }

func (g gtidSet) clone() gtidSet { return gtidSet{g.set.Clone().(*mysql.MysqlGTIDSet)} }

func (g gtidSet) add(id TxID) {
	// Transactions mostly extend the last interval; the library sorts and
	// copies all of them.
	intervals := (*g.set)[uuid.UUID(id.sid)][id.tag]
	if n := len(intervals); n > 0 && intervals[n-1].Stop == id.gno {
		intervals[n-1].Stop++
		return
	}
	g.set.AddGTIDWithTag(uuid.UUID(id.sid), id.tag, id.gno)
}

func (g gtidSet) contains(id TxID) bool {
	intervals := (*g.set)[uuid.UUID(id.sid)][id.tag]
	return slices.ContainsFunc(intervals, func(i mysql.Interval) bool {
		return i.Start <= id.gno && id.gno < i.Stop
	})
}

// setGTID fills in a MySQL GTID. A zero number is an anonymous transaction.
func (id *TxID) setGTID(sid []byte, tag mysql.Tag, gno int64) {
	if gno == 0 {
		return
	}
	copy(id.sid[:], sid)
	id.tag, id.gno = tag, gno
	id.GTID = uuid.UUID(id.sid).String()
	if tag != (mysql.Tag{}) {
		id.GTID += ":" + tag.String()
	}
	id.GTID += ":" + strconv.FormatInt(gno, 10)
}
