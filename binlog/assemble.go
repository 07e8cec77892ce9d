package binlog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/klauspost/compress/zstd"
)

// Event types that are handled here, by the numbers in their headers.
const (
	eventQuery           = 2
	eventRotate          = 4
	eventFormat          = 15
	eventXID             = 16
	eventExecuteLoad     = 18
	eventTableMap        = 19
	eventIncident        = 26
	eventHeartbeat       = 27
	eventGTID            = 33
	eventAnonymousGTID   = 34
	eventXAPrepare       = 38
	eventPayload         = 40
	eventHeartbeat2      = 41
	eventTaggedGTID      = 42
	eventMariaGTID       = 162
	eventMariaQueryZip   = 165
	headerSize           = 19
	checksumSize         = 4
	flagArtificial       = 0x20
	mariaStandalone      = 1 // the group is one statement, nothing ends it
	firstEventOfAnyFile  = 4
	maxDumpOffset        = 1<<32 - 1
	maxPayload           = 1 << 30 // the most that the server packs
	executeLoadPostWidth = 4 + 4 + 1 + 2 + 2 + 4 + 4 + 4 + 1
)

// An assembler makes transactions of events. It does no I/O.
type assembler struct {
	tables *tableSet

	// pos is behind the last event seen, after behind the last whole
	// transaction. Invariant: after moves at transaction ends and rotations
	// only, never at XA START, SAVEPOINT or the like (a resume would lose the
	// rest of the transaction).
	pos       Position
	after     Position
	gtids     gtidSet // executed as of after, when byGTID
	byGTID    bool
	checksums bool
	lastID    TxID
	skipTo    uint64 // transactions of the first file that end here or before were had already
	moves     uint64 // how often after has moved

	open   bool // inside BEGIN … COMMIT or XA START … XA PREPARE
	single bool // MariaDB's group of one statement, which nothing may end
	any    bool // the group has begun: a GTID event or a first event was seen
	tx     Tx
	xa     string // of the group that is open
	xaDone string

	// prepared are the transactions between XA PREPARE and XA COMMIT or
	// ROLLBACK, by XID: their rows are in the binlog and invisible.
	prepared map[string]Tx

	ready []Tx

	zstd *zstd.Decoder // of compressed transactions, nil before the first
}

func newAssembler(tables *tableSet, from Position) (*assembler, error) {
	a := &assembler{tables: tables, pos: from, after: from, prepared: map[string]Tx{}}
	if from.GTIDs != "" {
		var err error
		if a.gtids, err = parseGTIDs(from.GTIDs); err != nil {
			return nil, err
		}
		a.byGTID = true
	}
	return a, nil
}

// position is After of the last whole transaction.
func (a *assembler) position() Position {
	p := a.after
	if a.byGTID {
		p.GTIDs = a.gtids.String()
	}
	return p
}

// restart forgets what is not whole: the connection was lost, and the next one
// begins at after.
func (a *assembler) restart() {
	a.pos, a.skipTo = a.after, 0
	if a.pos.Offset > maxDumpOffset {
		// COM_BINLOG_DUMP has 32 bits for it. Only the end of an enormous
		// transaction is out there, so this is rare enough to read it again.
		a.pos.Offset, a.skipTo = firstEventOfAnyFile, a.after.Offset
	}
	a.resetGroup()
	a.ready = nil
	a.checksums = false
	a.tables.forget()
}

// inGroup: the last event was part of a transaction that is not whole.
func (a *assembler) inGroup() bool { return a.any || a.open }

// fork is an assembler for other tables that goes on from here, between two
// transactions. It doesn't know those that are prepared.
func (a *assembler) fork(tables *tableSet) *assembler {
	f := &assembler{
		tables: tables, pos: a.pos, after: a.after, byGTID: a.byGTID, checksums: a.checksums,
		lastID: a.lastID, skipTo: a.skipTo, prepared: map[string]Tx{},
	}
	if a.byGTID {
		f.gtids = a.gtids.clone()
	}
	return f
}

// unwanted tells of an event's head that pass will do instead of add.
func (a *assembler) unwanted(head []byte) bool {
	_, ok := rowsEvents[readHeader(head).typ]
	// Outside a group somebody may come before it is passed.
	return ok && a.inGroup() && a.tables.unwanted(little(head[headerSize:rowsHead]))
}

// pass takes the head of an event that is unwanted.
func (a *assembler) pass(head []byte) {
	a.move(readHeader(head))
	a.any = true
}

func (a *assembler) resetGroup() {
	a.open, a.single, a.any, a.xa, a.xaDone = false, false, false, "", ""
	a.tx = Tx{}
}

// add takes the next event as the server sent it. Finished transactions are
// appended to ready.
func (a *assembler) add(raw []byte) (err error) {
	// Reading past the end of an event that is shorter than its format says
	// must not end the program.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("read binlog event after %s: %v", a.pos, r)
		}
	}()
	if len(raw) < headerSize {
		return fmt.Errorf("read binlog event after %s: %d bytes", a.pos, len(raw))
	}
	h := readHeader(raw)
	body := raw[headerSize:]
	if h.typ == eventFormat {
		return a.format(raw, h)
	}
	if a.checksums {
		n := len(raw) - checksumSize
		if crc32.ChecksumIEEE(raw[:n]) != uint32(little(raw[n:])) {
			return fmt.Errorf("read binlog event after %s: %w", a.pos, errChecksum)
		}
		body = body[:len(body)-checksumSize]
	}
	if h.typ == eventRotate {
		return a.rotate(body)
	}
	if h.typ == eventHeartbeat || h.typ == eventHeartbeat2 {
		if a.single { // the server has sent all that it has, so this is whole
			a.finish(header{})
		}
		return nil
	}
	if begins(h.typ) {
		// The group before has no end of its own (MariaDB's sequences), or the
		// server crashed inside it. Its keys are delivered: too many do no harm.
		a.finish(h)
	}
	a.move(h)
	if err := a.event(h, body); err != nil {
		return fmt.Errorf("binlog event before %s:%d: %w", a.pos.File, a.pos.Offset, err)
	}
	return nil
}

// move goes behind an event.
func (a *assembler) move(h header) {
	if h.end != 0 && h.flags&flagArtificial == 0 {
		a.pos.Offset = extend(a.pos.Offset, h.end)
	}
}

type header struct {
	at    uint32
	typ   byte
	end   uint32 // low 32 bits of the offset of the next event
	flags uint16
}

func readHeader(b []byte) header {
	return header{uint32(little(b[:4])), b[4], uint32(little(b[13:17])), uint16(little(b[17:19]))}
}

func begins(typ byte) bool {
	switch typ {
	case eventGTID, eventAnonymousGTID, eventTaggedGTID, eventMariaGTID:
		return true
	}
	return false
}

// format reads the event that describes the others. It comes at the head of
// every file and of every connection.
func (a *assembler) format(raw []byte, h header) error {
	var f replication.FormatDescriptionEvent
	if err := f.Decode(raw[headerSize:]); err != nil {
		return fmt.Errorf("read binlog format description: %w", err)
	}
	a.checksums = f.ChecksumAlgorithm == replication.BINLOG_CHECKSUM_ALG_CRC32
	a.tables.forget()
	return nil
}

// rotate: the server tells the file's name when it begins to send one, and at
// its end the next one's.
func (a *assembler) rotate(body []byte) error {
	file, offset := string(body[8:]), little(body[:8])
	if file == a.pos.File && offset <= a.pos.Offset && !a.byGTID {
		return nil // the announcement of where we asked to begin
	}
	a.finish(header{})
	a.moves++
	a.pos.File, a.pos.Offset = file, offset
	a.after.File, a.after.Offset = file, offset
	a.skipTo = 0
	return nil
}

// event takes an event that is, or may be, part of a transaction. It is also
// called for the events inside a compressed transaction.
func (a *assembler) event(h header, body []byte) error {
	if t, ok := rowsEvents[h.typ]; ok {
		a.any = true
		if a.tx.broken != nil {
			return nil
		}
		err := a.tables.rows(t, body, &a.tx)
		var missing *MissingKeyColumnError
		if errors.As(err, &missing) {
			a.tx.Unread = true
			return nil
		}
		a.unreadable(err)
		if len(a.tx.Changes) >= maxChanges && a.xa == "" {
			a.deliverPart(h)
		}
		return nil
	}
	switch h.typ {
	case eventGTID, eventAnonymousGTID:
		var e replication.GTIDEvent
		if err := e.Decode(body); err != nil {
			return fmt.Errorf("read GTID: %w", err)
		}
		a.any = true
		a.tx.ID.setGTID(e.SID, mysql.Tag{}, e.GNO)
	case eventTaggedGTID:
		var e replication.GtidTaggedLogEvent
		if err := e.Decode(body); err != nil {
			return fmt.Errorf("read tagged GTID: %w", err)
		}
		a.any = true
		a.tx.ID.setGTID(e.SID, e.Tag, e.GNO)
	case eventMariaGTID:
		var e replication.MariadbGTIDEvent
		if err := e.Decode(body); err != nil {
			return fmt.Errorf("read GTID: %w", err)
		}
		a.any = true
		// Unlike MySQL's, it is the BEGIN as well.
		a.single = e.Flags&mariaStandalone != 0
		a.open = !a.single
	case eventTableMap:
		a.unreadable(a.tables.tableMap(body))
	case eventQuery, eventMariaQueryZip:
		return a.query(h, body)
	case eventExecuteLoad:
		return a.executeLoad(body)
	case eventXID:
		a.finish(h)
	case eventXAPrepare:
		a.prepare(h, body)
	case eventPayload:
		return a.payload(h, body)
	case eventIncident:
		return &IncidentError{string(body)}
	}
	return nil
}

// maxChanges of one transaction are delivered before its end is read, or one of ten
// million rows would have to be held as a whole.
const maxChanges = 8192

// deliverPart delivers what has been read of a transaction that goes on.
//
// That is no change that may yet be rolled back: the server writes a transaction to its
// binlog when it commits (XA's, which it writes when it prepares, are kept until then).
// A Horizon that covers the part covers all of it, since horizons end between
// transactions: by its GTID; by End, which is inside of it; without GTIDs by Seq, since
// whoever is read here is committing, or has done so. A stream that resumes delivers it
// once more, from its beginning.
func (a *assembler) deliverPart(h header) {
	part := Tx{ID: a.tx.ID, Changes: a.tx.Changes, After: a.position(), Part: true}
	a.tx.Changes = nil
	part.ID.File, part.ID.End = a.pos.File, a.pos.Offset
	if a.skipTo > 0 && part.ID.End <= a.skipTo {
		return
	}
	part.ID.Seq = received.Add(1)
	if h.at != 0 {
		part.At = time.Unix(int64(h.at), 0)
	}
	a.ready = append(a.ready, part)
}

// unreadable: the transaction can't be delivered, if it is wanted at all. Those that
// come after it may be well.
func (a *assembler) unreadable(err error) {
	if err != nil && a.tx.broken == nil {
		a.tx.broken = fmt.Errorf("binlog event before %s:%d: %w", a.pos.File, a.pos.Offset, err)
	}
}

func (a *assembler) query(h header, body []byte) error {
	var e replication.QueryEvent
	if err := e.Decode(body); err != nil {
		return fmt.Errorf("read query: %w", err)
	}
	if h.typ == eventMariaQueryZip {
		text, err := inflate(e.Query)
		if err != nil {
			return fmt.Errorf("decompress query: %w", err)
		}
		e.Query = text
	}
	sql := string(e.Query)
	if strings.HasPrefix(sql, "# Dummy ev") { // MariaDB's filler
		return nil
	}
	a.any = true
	// These are the server's own words. In front of a user's statement there
	// may be a comment; it is none of these then.
	switch word, rest := verb(sql); word {
	case "BEGIN":
		a.open = true
		return nil
	case "COMMIT", "ROLLBACK":
		// After ROLLBACK come only changes that can't be rolled back, of other
		// engines. Delivering too many keys is harmless.
		if !strings.HasPrefix(rest, "TO ") {
			a.finish(h)
		}
		return nil
	case "SAVEPOINT":
		return nil
	case "XA":
		return a.xaQuery(h, rest)
	}
	a.tx.Statements = append(a.tx.Statements, Statement{string(e.Schema), sql})
	if !a.open {
		a.finish(h)
	}
	return nil
}

// verb splits the server's own transaction words from what follows them.
func verb(sql string) (word, rest string) {
	if len(sql) > 2048 {
		return "", ""
	}
	word, rest, _ = strings.Cut(sql, " ")
	switch word = strings.ToUpper(word); word {
	case "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "XA":
		return word, rest
	}
	return "", ""
}

func (a *assembler) executeLoad(body []byte) error {
	var e replication.ExecuteLoadQueryEvent
	if err := e.Decode(body); err != nil {
		return fmt.Errorf("read LOAD DATA: %w", err)
	}
	b := body[executeLoadPostWidth+int(e.StatusVars):]
	a.any = true
	a.tx.Statements = append(a.tx.Statements, Statement{string(b[:e.SchemaLength]), string(b[int(e.SchemaLength)+1:])})
	if !a.open {
		return fmt.Errorf("LOAD DATA outside a transaction")
	}
	return nil
}

// finish ends the group, if there is one.
func (a *assembler) finish(h header) {
	if !a.any {
		return
	}
	tx := a.tx
	tx.ID.File, tx.ID.End, tx.ID.XA = a.pos.File, a.pos.Offset, a.xaDone
	if h.at != 0 {
		tx.At = time.Unix(int64(h.at), 0)
	}
	a.resetGroup()
	if a.skipTo > 0 && tx.ID.End <= a.skipTo {
		return
	}
	a.after.File, a.after.Offset = a.pos.File, a.pos.Offset
	if a.byGTID && tx.ID.gno != 0 {
		a.gtids.add(tx.ID)
	}
	tx.ID.Seq = received.Add(1)
	a.lastID = tx.ID
	a.moves++
	if !tx.Empty() {
		tx.After = a.position()
		a.ready = append(a.ready, tx)
	}
}
