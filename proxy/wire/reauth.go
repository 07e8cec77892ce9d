package wire

import (
	"bytes"
	"encoding/binary"
)

// NoPlugin is the name of a plugin that no account has: a server that is told
// it answers with an AuthSwitch to the account's own.
const NoPlugin = "midflight_no_plugin"

// ChangeUser is the client's COM_CHANGE_USER, as far as a relay needs it.
type ChangeUser struct {
	User   string
	Plugin string
}

// ParseChangeUser reads a COM_CHANGE_USER. What is not there stays empty.
func ParseChangeUser(p []byte, s Session) ChangeUser {
	at := findChangeUserAuth(p, s)
	return ChangeUser{User: string(at.user), Plugin: string(p[at.plugin:at.pluginEnd])}
}

// An authPlace is where a packet has its authentication data, with the length
// before it, and the plugin's name, without the zero behind it.
type authPlace struct {
	user              []byte
	data, dataEnd     int
	plugin, pluginEnd int
	named             bool // there is a plugin's name
	bad               bool // the data is longer than the packet
}

func findResponseAuth(p []byte) authPlace {
	if len(p) < 4 {
		return authPlace{}
	}
	caps := Caps(binary.LittleEndian.Uint32(p))
	r := reader{b: p}
	r.bytes(4 + 4 + 1 + 23)
	at := func() int { return len(p) - len(r.b) }
	var a authPlace
	a.user = r.untilNul()
	a.data = at()
	switch {
	case caps&ClientPluginAuthLenenc != 0:
		r.lenencBytes()
	case caps&ClientSecureConnection != 0:
		r.bytes(int(r.u8()))
	default:
		r.untilNul()
	}
	a.dataEnd, a.bad = at(), r.bad
	if caps&ClientConnectWithDB != 0 {
		r.untilNul()
	}
	if caps&ClientPluginAuth == 0 || r.bad {
		return a
	}
	a.plugin = at()
	a.pluginEnd = a.plugin + len(r.untilNul())
	a.named = a.pluginEnd > a.plugin
	return a
}

func findChangeUserAuth(p []byte, s Session) authPlace {
	r := reader{b: p}
	r.u8()
	at := func() int { return len(p) - len(r.b) }
	var a authPlace
	a.user = r.untilNul()
	a.data = at()
	if s.has(ClientSecureConnection) {
		r.bytes(int(r.u8()))
	} else {
		r.untilNul()
	}
	a.dataEnd = at()
	r.untilNul() // database
	if len(r.b) < 2 || !s.has(ClientPluginAuth) || r.bad {
		return a
	}
	r.u16() // collation
	a.plugin = at()
	a.pluginEnd = a.plugin + len(r.untilNul())
	a.named = a.pluginEnd > a.plugin
	return a
}

// CheckResponse tells whether p, a HandshakeResponse, is what a server takes
// for one. It is as lenient as servers are: names need no zero at their end, and
// attributes need only to be as long as they say.
//
// Servers count what isn't towards max_connect_errors, and would in the end block
// whoever passes it on.
func CheckResponse(p []byte) error {
	if len(p) < 2 || Caps(binary.LittleEndian.Uint16(p))&ClientProtocol41 == 0 {
		return nil
	}
	if len(p) < 32 {
		return ErrMalformed
	}
	a := findResponseAuth(p)
	caps := Caps(binary.LittleEndian.Uint32(p))
	if 32+len(a.user) >= len(p) || a.dataEnd == 0 || a.bad {
		return ErrMalformed
	}
	if caps&ClientPluginAuth != 0 && caps&ClientConnectAttrs != 0 {
		r := reader{b: p[min(a.pluginEnd+1, len(p)):]}
		r.lenencBytes()
		if r.bad {
			return ErrMalformed
		}
	}
	if n := a.dataEnd - a.data - 1; string(p[a.plugin:a.pluginEnd]) == NativePassword && n != 0 && n != NativeLen {
		return ErrMalformed
	}
	return nil
}

// NativePassword is the plugin with the data of a fixed length, NativeLen or
// none.
const (
	NativePassword = "mysql_native_password"
	NativeLen      = 20
)

// WithoutAuth returns p, a HandshakeResponse, with no authentication data and
// with NoPlugin for the plugin, so that the server asks for what it wants. p
// itself comes back when it names no plugin.
func WithoutAuth(p []byte) []byte { return findResponseAuth(p).cut(p) }

// ChangeUserWithoutAuth does the same to a COM_CHANGE_USER.
func ChangeUserWithoutAuth(p []byte, s Session) []byte { return findChangeUserAuth(p, s).cut(p) }

func (a authPlace) cut(p []byte) []byte {
	if !a.named {
		return p
	}
	// In all three forms no data is a zero byte.
	return bytes.Join([][]byte{p[:a.data], {0}, p[a.dataEnd:a.plugin], []byte(NoPlugin), p[a.pluginEnd:]}, nil)
}

// SetSSL sets or clears CLIENT_SSL in p, a HandshakeResponse or SSLRequest.
func SetSSL(p []byte, on bool) {
	ClearCaps(p, ClientSSL)
	if on && len(p) >= 2 {
		p[1] |= byte(ClientSSL >> 8)
	}
}

// SSLRequest returns the SSLRequest that goes before p, a HandshakeResponse.
func SSLRequest(p []byte) ([]byte, error) {
	if len(p) < 2 {
		return nil, ErrMalformed
	}
	n := 4 + 4 + 1 + 23
	if Caps(binary.LittleEndian.Uint16(p))&ClientProtocol41 == 0 {
		n = 2 + 3
	}
	if len(p) < n {
		return nil, ErrMalformed
	}
	q := bytes.Clone(p[:n])
	SetSSL(q, true)
	return q, nil
}
