package binlog

import (
	"fmt"
	"strings"
)

// xaQuery: the XID is in the server's notation, X'…',X'…',n.
func (a *assembler) xaQuery(h header, rest string) error {
	word, xid, _ := strings.Cut(rest, " ")
	xid = strings.ToUpper(strings.TrimSpace(xid))
	switch strings.ToUpper(word) {
	case "START":
		a.open, a.xa = true, xid
	case "END":
	case "COMMIT":
		xid = strings.TrimSuffix(xid, " ONE PHASE")
		if tx, ok := a.prepared[xid]; ok {
			delete(a.prepared, xid)
			a.tx.Changes = append(tx.Changes, a.tx.Changes...)
			a.tx.Fences = append(tx.Fences, a.tx.Fences...)
			a.tx.Statements = append(tx.Statements, a.tx.Statements...)
			a.tx.Unread = a.tx.Unread || tx.Unread
			if a.tx.broken == nil {
				a.tx.broken = tx.broken
			}
		} else {
			a.tx.UnknownXA = xid
		}
		a.xaDone = xid
		a.finish(h)
	case "ROLLBACK":
		delete(a.prepared, xid)
		a.finish(h)
	default:
		return fmt.Errorf("unknown statement XA %s", rest)
	}
	return nil
}

// prepare: XA PREPARE ends the group, whose rows remain invisible; ONE PHASE is
// a commit.
func (a *assembler) prepare(h header, body []byte) {
	onePhase := body[0] != 0
	format, g, b := little(body[1:5]), little(body[5:9]), little(body[9:13])
	gtrid, bqual := body[13:13+g], body[13+g:13+g+b]
	if !onePhase {
		xid := xidText(gtrid, bqual, int64(int32(format)))
		a.prepared[xid] = a.tx
		a.tx = Tx{ID: a.tx.ID}
	}
	a.finish(h)
}
