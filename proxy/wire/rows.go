package wire

import (
	"database/sql"
	"encoding/binary"
)

// ColumnName reads the name out of a column definition.
func ColumnName(p []byte) (string, error) {
	r := reader{b: p}
	for range 4 { // catalog, schema, table, original table
		r.lenencBytes()
	}
	name := r.lenencBytes()
	if r.bad {
		return "", ErrMalformed
	}
	return string(name), nil
}

// ParseTextRow reads a row of the text protocol.
func ParseTextRow(p []byte, columns int) ([]sql.NullString, error) {
	// Each value needs a byte at least: a lying count must not allocate.
	if columns > len(p) {
		return nil, ErrMalformed
	}
	row := make([]sql.NullString, columns)
	r := reader{b: p}
	for i := range row {
		if len(r.b) > 0 && r.b[0] == 0xfb {
			r.u8()
			continue
		}
		row[i] = sql.NullString{String: string(r.lenencBytes()), Valid: true}
	}
	if r.bad || len(r.b) > 0 {
		return nil, ErrMalformed
	}
	return row, nil
}

// AppendTextRow appends the payload of a row of the text protocol.
func AppendTextRow(b []byte, row []sql.NullString) []byte {
	for _, v := range row {
		if !v.Valid {
			b = append(b, 0xfb)
			continue
		}
		b = AppendString(b, v.String)
	}
	return b
}

// AppendColumn appends the payload of a column definition: a nullable string
// of utf8mb4.
func AppendColumn(b []byte, name string, s Session) []byte {
	for _, f := range []string{"def", "", "", "", name, name} {
		b = AppendString(b, f)
	}
	if s.Ext&ExtExtendedMetadata != 0 {
		b = append(b, 0)
	}
	b = append(b, 0x0c)
	b = binary.LittleEndian.AppendUint16(b, 45) // utf8mb4_general_ci
	b = binary.LittleEndian.AppendUint32(b, 1<<16-1)
	b = append(b, 0xfd)                        // VAR_STRING
	b = binary.LittleEndian.AppendUint16(b, 0) // flags
	return append(b, 31, 0, 0)                 // decimals, filler
}

// AppendResult appends a whole text result set, in frames numbered from seq,
// and returns the number after the last one.
func AppendResult(b []byte, columns []string, rows [][]sql.NullString, end EOF, s Session, seq byte) ([]byte, byte) {
	head := AppendLenenc(nil, uint64(len(columns)))
	if s.has(ClientOptionalMetadata) || s.Ext&ExtCacheMetadata != 0 {
		head = append(head, 1) // the definitions follow
	}
	b, seq = AppendPacket(b, head, seq)
	for _, c := range columns {
		b, seq = AppendPacket(b, AppendColumn(nil, c, s), seq)
	}
	if !s.has(ClientDeprecateEOF) {
		b, seq = AppendPacket(b, AppendEOF(nil, EOF{Status: end.Status &^ StatusMoreResults}), seq)
	}
	for _, r := range rows {
		b, seq = AppendPacket(b, AppendTextRow(nil, r), seq)
	}
	if !s.has(ClientDeprecateEOF) {
		return AppendPacket(b, AppendEOF(nil, end), seq)
	}
	ok := AppendOK(nil, OK{Status: end.Status, Warnings: end.Warnings}, s)
	ok[0] = 0xfe
	return AppendPacket(b, ok, seq)
}
