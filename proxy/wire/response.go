package wire

import "encoding/binary"

// Response is the client's HandshakeResponse, or an SSLRequest, as far as a
// relay needs it.
type Response struct {
	Caps       Caps
	Ext        ExtCaps
	User       string
	Database   string
	Plugin     string
	SSLRequest bool // it ends before the user name: TLS comes next
}

// ParseResponse reads a HandshakeResponse. Both its forms, and one that ends
// early, are taken; what is not there stays empty.
func ParseResponse(p []byte) (Response, error) {
	var h Response
	if len(p) < 2 {
		return h, ErrMalformed
	}
	h.Caps = Caps(binary.LittleEndian.Uint16(p))
	r := reader{b: p}
	if h.Caps&ClientProtocol41 == 0 {
		r.bytes(5)
		h.SSLRequest = h.Caps&ClientSSL != 0 && len(r.b) == 0
		h.User = string(r.untilNul())
		return h, nil
	}
	h.Caps = Caps(r.u32())
	r.bytes(4 + 1) // max packet size, collation
	reserved := r.bytes(23)
	if r.bad {
		return h, ErrMalformed
	}
	if h.Caps&ClientMySQL == 0 {
		h.Ext = ExtCaps(binary.LittleEndian.Uint32(reserved[19:]))
	}
	if len(r.b) == 0 {
		h.SSLRequest = h.Caps&ClientSSL != 0
		return h, nil
	}
	h.User = string(r.untilNul())
	switch {
	case h.Caps&ClientPluginAuthLenenc != 0:
		r.lenencBytes()
	case h.Caps&ClientSecureConnection != 0:
		r.bytes(int(r.u8()))
	default:
		r.untilNul()
	}
	if h.Caps&ClientConnectWithDB != 0 {
		h.Database = string(r.untilNul())
	}
	if h.Caps&ClientPluginAuth != 0 {
		h.Plugin = string(r.untilNul())
	}
	// A short or strange tail is the server's to refuse.
	return h, nil
}

// ClearCaps clears capabilities in p, a HandshakeResponse or SSLRequest.
func ClearCaps(p []byte, c Caps) {
	if len(p) < 2 {
		return
	}
	low := binary.LittleEndian.Uint16(p) &^ uint16(c)
	if low&uint16(ClientProtocol41) == 0 || len(p) < 4 {
		binary.LittleEndian.PutUint16(p, low)
		return
	}
	binary.LittleEndian.PutUint32(p, binary.LittleEndian.Uint32(p)&^uint32(c))
}

// AppendEmptyResponse appends a well-formed HandshakeResponse without a name or
// password: the polite end for a server whose client left. A bare close would
// count towards the server's max_connect_errors.
func AppendEmptyResponse(b []byte, server Caps) []byte {
	c := ClientProtocol41 | ClientSecureConnection | server&ClientPluginAuth
	b = binary.LittleEndian.AppendUint32(b, uint32(c))
	b = binary.LittleEndian.AppendUint32(b, 1<<24)
	b = append(b, 8)
	b = append(b, make([]byte, 23)...)
	b = append(b, 0, 0) // user "", no password
	if c&ClientPluginAuth != 0 {
		b = append(b, "mysql_native_password\x00"...)
	}
	return b
}
