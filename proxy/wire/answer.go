package wire

import "encoding/binary"

// HeadLen is how many of a packet's first bytes an [Answer] wants to see: the
// longest thing it reads is an OK's flags, behind two integers of 9 bytes.
const HeadLen = 24

// Step is what a packet of an answer is.
type Step uint8

const (
	StepMore       Step = iota // goes on
	StepRow                    // a row, or another definition of COM_FIELD_LIST
	StepColumns                // the column count: a result set begins
	StepColumn                 // a definition
	StepColumnsEnd             // the EOF behind the definitions
	StepOK                     // an OK; the answer goes on (MORE_RESULTS)
	StepRowsEnd                // the end of rows; the answer goes on (MORE_RESULTS)
	StepInfile                 // the client is to send a file
	StepAsk                    // authentication: the client is to send a packet
	StepPrepared               // COM_STMT_PREPARE's OK; definitions follow
	StepDone                   // the last packet
)

type answerPhase uint8

const (
	phaseFirst   answerPhase = iota // what the answer begins with
	phaseColumns                    // definitions of a result set
	phaseColumnsEOF
	phaseRows
	phaseFile    // the client sends a file; the server is silent
	phaseFileEnd // after the file: OK or ERR
	phaseParams  // definitions of a statement's parameters
	phaseParamsEOF
	phaseFields // definitions of a statement's columns
	phaseFieldsEOF
)

// An Answer follows the server's answer to one command, packet by packet.
type Answer struct {
	Cmd byte

	phase   answerPhase
	defs    uint64 // definitions still to come
	fields  uint16 // of a prepared statement
	noMore  bool   // ended by its first terminator, whatever the flags
	asked   bool   // authentication waits for the client
	several bool   // it has more than one result
	Columns uint64 // of the current result set

	Status    Status // of the last packet that had flags
	HasStatus bool
	Err       bool // the last packet was an ERR
	Error     ErrorKind
	Statement uint32 // the prepared statement's id
}

// Answered tells whether the server answers a command at all.
func Answered(cmd byte) bool {
	return cmd != ComQuit && cmd != ComStmtSendLong && cmd != ComStmtClose
}

// NewAnswer begins to follow the answer to cmd.
func NewAnswer(cmd byte) Answer {
	a := Answer{Cmd: cmd}
	if cmd == ComStmtFetch || cmd == ComFieldList {
		a.phase, a.noMore = phaseRows, true
	}
	return a
}

// streams tells whether what follows cmd is a stream in both directions and
// not an answer.
func streams(cmd byte) bool {
	return cmd == ComBinlogDump || cmd == ComBinlogDumpGTID || cmd == ComTableDump || cmd == ComClone
}

// Packet takes the next packet of the answer: its first bytes (HeadLen, or all
// that there are) and the length of its first frame.
func (a *Answer) Packet(head []byte, length int, s Session) Step {
	a.HasStatus, a.Err = false, false
	if length == 0 || len(head) == 0 {
		if a.phase == phaseRows || streams(a.Cmd) {
			return StepRow // a row of a table without columns doesn't exist; be lenient
		}
		return StepDone
	}
	if a.Cmd == ComStatistics { // any text, 0xff included
		return StepDone
	}
	if head[0] == 0xff && a.phase != phaseFile {
		if isProgress(head, s) {
			return StepMore
		}
		a.Err, a.Error = true, errorKind(head)
		return StepDone
	}
	switch {
	case streams(a.Cmd):
		if head[0] == 0xfe && length < 9 {
			return StepDone
		}
		return StepRow
	case a.Cmd == ComChangeUser:
		return a.auth(head, length)
	case a.Cmd == ComStmtPrepare:
		return a.prepare(head, length, s)
	case a.Cmd == ComQuery, a.Cmd == ComStmtExecute, a.Cmd == ComProcessInfo,
		a.Cmd == ComStmtBulkExecute, a.Cmd == ComStmtFetch, a.Cmd == ComFieldList:
		return a.result(head, length, s)
	}
	a.single(head, length)
	return StepDone
}

// ErrorKind is what an ERR packet begins with.
type ErrorKind struct {
	Number uint16
	Class  [2]byte // of the SQL state (SQL:2016 part 2, 24.1); zero without one
}

// RolledBack: the server has rolled back the whole transaction, as of a deadlock's victim
// (1213; MySQL manual, "InnoDB Error Handling"). Other errors roll back the statement.
func (k ErrorKind) RolledBack() bool { return k.Number == 1213 && string(k.Class[:]) == "40" }

func errorKind(head []byte) (k ErrorKind) {
	if len(head) >= 3 {
		k.Number = binary.LittleEndian.Uint16(head[1:])
	}
	if len(head) >= 6 && head[3] == '#' {
		k.Class = [2]byte(head[4:6])
	}
	return k
}

// isProgress tells MariaDB's progress report, which looks like error 65535,
// from an error with that number (SIGNAL … SET MYSQL_ERRNO): only the error has
// an SQL state.
func isProgress(head []byte, s Session) bool {
	return s.Ext&ExtProgress != 0 && len(head) > 3 && head[1] == 0xff && head[2] == 0xff && head[3] != '#'
}

func (a *Answer) ok(head []byte) {
	a.Status, a.HasStatus = okStatus(head)
}

func (a *Answer) eof(head []byte) {
	if len(head) >= 5 {
		a.Status, a.HasStatus = Status(binary.LittleEndian.Uint16(head[3:])), true
	}
}

// more tells whether the flags just read announce another result.
func (a *Answer) more() bool {
	return a.HasStatus && a.Status&StatusMoreResults != 0 && !a.noMore
}

func (a *Answer) single(head []byte, length int) {
	switch {
	case head[0] == 0x00 && length >= 7:
		a.ok(head)
	case head[0] == 0xfe && length < 9:
		// 7 bytes are an OK under DEPRECATE_EOF, 5 an EOF.
		if length >= 7 {
			a.ok(head)
		} else {
			a.eof(head)
		}
	}
}

func (a *Answer) auth(head []byte, length int) Step {
	a.asked = false
	switch head[0] {
	case 0x00:
		a.ok(head)
		return StepDone
	case 0x01:
		// caching_sha2's "fast path done": the OK follows at once.
		if length == 2 && len(head) > 1 && head[1] == 3 {
			return StepMore
		}
	}
	a.asked = true
	return StepAsk
}

func (a *Answer) prepare(head []byte, length int, s Session) Step {
	switch a.phase {
	case phaseFirst:
		if head[0] != 0 || length < 12 || len(head) < 12 {
			return StepDone
		}
		a.Statement = binary.LittleEndian.Uint32(head[1:])
		a.fields = binary.LittleEndian.Uint16(head[5:])
		params := binary.LittleEndian.Uint16(head[7:])
		if s.has(ClientOptionalMetadata) && len(head) > 12 && head[12] == 0 {
			return StepDone
		}
		if params > 0 {
			a.phase, a.defs = phaseParams, uint64(params)
			return StepPrepared
		}
		if a.beginFields() {
			return StepPrepared
		}
		return StepDone
	case phaseParams:
		if a.defs--; a.defs > 0 {
			return StepColumn
		}
		if !s.has(ClientDeprecateEOF) {
			a.phase = phaseParamsEOF
			return StepColumn
		}
	case phaseParamsEOF:
		a.eof(head)
	case phaseFields:
		if a.defs--; a.defs > 0 {
			return StepColumn
		}
		if !s.has(ClientDeprecateEOF) {
			a.phase = phaseFieldsEOF
			return StepColumn
		}
		return StepDone
	case phaseFieldsEOF:
		a.eof(head)
		return StepDone
	}
	if a.beginFields() {
		return StepColumn
	}
	return StepDone
}

func (a *Answer) beginFields() bool {
	a.phase, a.defs = phaseFields, uint64(a.fields)
	return a.fields > 0
}

func (a *Answer) result(head []byte, length int, s Session) Step {
	deprecated := s.has(ClientDeprecateEOF)
	switch a.phase {
	case phaseFirst:
		return a.first(head, length, s)
	case phaseColumns:
		if a.defs--; a.defs == 0 {
			a.definitionsEnd(deprecated)
		}
		return StepColumn
	case phaseColumnsEOF:
		a.eof(head)
		if a.Status&StatusCursorExists == 0 {
			a.phase = phaseRows
			return StepColumnsEnd
		}
		// The rows stay in the cursor: this EOF is the end (TiProxy #436).
		return a.end(StepRowsEnd)
	case phaseFileEnd:
		a.single(head, length)
		return a.end(StepOK)
	case phaseFile:
		// The server gives up in the middle of the file with an ERR only.
		// Anything else here is its answer to an empty file that crossed.
		a.single(head, length)
		return a.end(StepOK)
	}
	// 0xfe with the longest length is a value of more than 16 MB.
	if head[0] == 0xfe && (length < 9 || deprecated && length < MaxFrame) {
		if deprecated && length >= 7 {
			a.ok(head)
		} else {
			a.eof(head)
		}
		return a.end(StepRowsEnd)
	}
	return StepRow
}

func (a *Answer) first(head []byte, length int, s Session) Step {
	switch {
	case head[0] == 0x00:
		if length >= 7 {
			a.ok(head)
		}
		return a.end(StepOK)
	case head[0] == 0xfb:
		a.phase = phaseFile
		return StepInfile
	}
	n, size := Lenenc(head)
	if n == 0 {
		return StepDone
	}
	a.Columns, a.defs, a.phase = n, n, phaseColumns
	// The count comes first and the flag behind it, in both dialects; MySQL's
	// manual has them the other way round.
	flagged := s.has(ClientOptionalMetadata) || s.Ext&ExtCacheMetadata != 0
	if flagged && len(head) > size && head[size] == 0 {
		a.definitionsEnd(s.has(ClientDeprecateEOF))
	}
	return StepColumns
}

func (a *Answer) definitionsEnd(deprecated bool) {
	a.phase = phaseColumnsEOF
	if deprecated {
		a.phase = phaseRows
	}
}

// end closes a result: the answer is done, or its next result begins.
func (a *Answer) end(step Step) Step {
	if a.more() {
		a.phase = phaseFirst
		a.several = true
		return step
	}
	return StepDone
}

// FileSent tells the answer that the client's file is complete.
func (a *Answer) FileSent() {
	if a.phase == phaseFile {
		a.phase = phaseFileEnd
	}
}
