package wire

import (
	"encoding/binary"
	"fmt"
)

// OK is an OK packet.
type OK struct {
	Affected, InsertID uint64
	Status             Status
	Warnings           uint16
	Info               string
	State              []byte // session state changes, as they came
}

// ParseOK reads an OK packet, with either header (0x00, or 0xfe at the end of
// rows under DEPRECATE_EOF).
func ParseOK(p []byte, s Session) (OK, error) {
	var ok OK
	r := reader{b: p}
	r.u8()
	ok.Affected = r.lenenc()
	ok.InsertID = r.lenenc()
	ok.Status = Status(r.u16())
	ok.Warnings = r.u16()
	if r.bad {
		return ok, ErrMalformed
	}
	if len(r.b) > 0 {
		ok.Info = string(r.lenencBytes())
	}
	if s.has(ClientSessionTrack) && ok.Status&StatusSessionChanged != 0 && len(r.b) > 0 {
		ok.State = r.lenencBytes()
	}
	if r.bad {
		return ok, ErrMalformed
	}
	return ok, nil
}

// AppendOK appends the payload of an OK packet as servers write it. The info is
// length-encoded with and without SESSION_TRACK, whatever the manual says.
func AppendOK(b []byte, ok OK, s Session) []byte {
	b = append(b, 0)
	b = AppendLenenc(b, ok.Affected)
	b = AppendLenenc(b, ok.InsertID)
	if !s.has(ClientSessionTrack) || len(ok.State) == 0 {
		ok.Status &^= StatusSessionChanged
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(ok.Status))
	b = binary.LittleEndian.AppendUint16(b, ok.Warnings)
	changed := ok.Status&StatusSessionChanged != 0
	if ok.Info != "" || changed {
		b = AppendString(b, ok.Info)
	}
	if changed {
		b = append(AppendLenenc(b, uint64(len(ok.State))), ok.State...)
	}
	return b
}

// okStatus finds the flags in the first bytes of an OK packet.
func okStatus(head []byte) (Status, bool) {
	r := reader{b: head[1:]}
	r.lenenc()
	r.lenenc()
	st := Status(r.u16())
	return st, !r.bad
}

// EOF is an EOF packet.
type EOF struct {
	Warnings uint16
	Status   Status
}

// ParseEOF reads an EOF packet.
func ParseEOF(p []byte) (EOF, error) {
	if len(p) < 5 || len(p) >= 9 || p[0] != 0xfe {
		return EOF{}, ErrMalformed
	}
	return EOF{
		Warnings: binary.LittleEndian.Uint16(p[1:]),
		Status:   Status(binary.LittleEndian.Uint16(p[3:])),
	}, nil
}

// AppendEOF appends the payload of an EOF packet.
func AppendEOF(b []byte, e EOF) []byte {
	b = binary.LittleEndian.AppendUint16(append(b, 0xfe), e.Warnings)
	return binary.LittleEndian.AppendUint16(b, uint16(e.Status))
}

// Err is an ERR packet. It is also the error that a server's ERR becomes.
type Err struct {
	Number  uint16
	State   string // five characters; empty in the form that precedes authentication
	Message string
}

func (e *Err) Error() string {
	if e.State == "" {
		return fmt.Sprintf("Error %d: %s", e.Number, e.Message)
	}
	return fmt.Sprintf("Error %d (%s): %s", e.Number, e.State, e.Message)
}

// ParseErr reads an ERR packet.
func ParseErr(p []byte) (*Err, error) {
	if len(p) < 3 || p[0] != 0xff {
		return nil, ErrMalformed
	}
	e := &Err{Number: binary.LittleEndian.Uint16(p[1:])}
	p = p[3:]
	if len(p) >= 6 && p[0] == '#' {
		e.State = string(p[1:6])
		p = p[6:]
	}
	e.Message = string(p)
	return e, nil
}

// AppendErr appends the payload of an ERR packet. Without a State it has the
// form that clients expect before the greeting.
func AppendErr(b []byte, e *Err) []byte {
	b = binary.LittleEndian.AppendUint16(append(b, 0xff), e.Number)
	if len(e.State) == 5 {
		b = append(append(b, '#'), e.State...)
	}
	return append(b, e.Message...)
}

// SetMoreResults sets SERVER_MORE_RESULTS_EXISTS in p, an OK or EOF packet.
func SetMoreResults(p []byte, s Session) error {
	if len(p) == 0 {
		return ErrMalformed
	}
	at := 3
	if p[0] == 0 || s.has(ClientDeprecateEOF) {
		r := reader{b: p[1:]}
		r.lenenc()
		r.lenenc()
		if r.bad {
			return ErrMalformed
		}
		at = len(p) - len(r.b)
	}
	if len(p) < at+2 {
		return ErrMalformed
	}
	p[at] |= byte(StatusMoreResults)
	return nil
}
