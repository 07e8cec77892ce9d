package binlog

import (
	"fmt"
	"strings"

	"midflight/schema"
)

// LostPosition: the server can't go on from there. Its binlog was purged, or
// it is another server or another history than the position is of.
type LostPosition struct {
	At  Position
	Err error
}

func (e *LostPosition) Error() string {
	return fmt.Sprintf("stream the binlog from %s: the position is lost: %v", e.At, e.Err)
}

func (e *LostPosition) Unwrap() error { return e.Err }

// ServerChanged: another server has the address now, such as a replica that was promoted.
// It may lack what the one before had acknowledged, so whoever goes on must begin with
// what it has.
type ServerChanged struct{ Was, Is string }

func (e *ServerChanged) Error() string {
	return fmt.Sprintf("the server is another one now: %q, not %q", e.Is, e.Was)
}

// XAPreparedError: transactions in the state XA PREPARED have rows in the
// binlog before any position that we could start from, which are not visible.
type XAPreparedError struct{ XIDs []string }

func (e *XAPreparedError) Error() string {
	return "XA transactions are prepared and not yet committed: " + strings.Join(e.XIDs, ", ")
}

// TableChangedError: the events of a watched table are of another definition.
type TableChangedError struct {
	Table  schema.Name
	Detail string
}

func (e *TableChangedError) Error() string {
	return fmt.Sprintf("read row changes of %s: its definition has changed: %s", e.Table, e.Detail)
}

// MissingKeyColumnError: a row image lacks a column of the key, as
// binlog_row_image=MINIMAL leaves out columns that aren't in the primary key.
type MissingKeyColumnError struct {
	Table  schema.Name
	Column string
}

func (e *MissingKeyColumnError) Error() string {
	return fmt.Sprintf("read row changes of %s: the row image lacks the key column %s (binlog_row_image is not FULL?)", e.Table, e.Column)
}

// UnsupportedKeyError: no exact literal can be made of this column's values.
type UnsupportedKeyError struct {
	Table        schema.Name
	Column, Type string
}

func (e *UnsupportedKeyError) Error() string {
	return fmt.Sprintf("watch %s: the key column %s is of type %s, whose values have no exact literal", e.Table, e.Column, e.Type)
}

// IncidentError: the server says that its binlog lacks changes.
type IncidentError struct{ Message string }

func (e *IncidentError) Error() string {
	return "the server lost binlog events: " + e.Message
}
